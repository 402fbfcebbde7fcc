"""The store in memory: the same promises as on SQLite, without threads or a disk, for simulations and tests.

What is committed survives `snapshot` and `restore`, what is not yet does not: that is a crash. Failures and slowness
can be ordered.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from lsp_agent.domain.errors import StoreError
from lsp_agent.domain.ids import UlidFactory
from lsp_agent.domain.message import Message
from lsp_agent.domain.run import RunState
from lsp_agent.domain.session import Session
from lsp_agent.ports.changes import JournalEntry
from lsp_agent.ports.store import Grant, SeenFile, StoredEvent, StoredRun, Write
from lsp_agent.store import memory_changes, memory_writes, rows, rules
from lsp_agent.store.queue import CommitQueue, Group, Outcome
from lsp_agent.store.tables import RunRow, Tables, Transaction

Schedule = Callable[[Callable[[], None]], None]
"""Arranges for a function to be called on a later turn of the loop."""

_ORDER = {RunState.RUNNING: 0, RunState.FOLDED: 1, RunState.QUEUED: 2}


class MemoryStore:
    """`ports.store.Store` in memory.

    `schedule` decides when a batch is committed and when it is answered (two calls a batch), so that a simulation can
    put anything in between; by default the next turn of the loop, or `slow_s` seconds later.
    """

    def __init__(self, *, schedule: Schedule | None = None, clock_ms: Callable[[], int] = lambda: 0) -> None:
        self.notices: list[str] = []
        self.slow_s = 0.0
        """Seconds every batch takes to commit; only for the default `schedule`."""
        self._schedule = self._later if schedule is None else schedule
        self._tables = Tables()
        self._failures: list[StoreError] = []
        self._new_id = partial(_new_id, UlidFactory(lambda size: bytes(size)), clock_ms)
        self._queue = CommitQueue(self._schedule, self._commit)

    def fail_next(self, count: int = 1, error: StoreError | None = None) -> None:
        """The next `count` groups that are committed fail, with `error`."""
        self._failures += [error or StoreError("the disk is full (ordered)", retryable=True)] * count

    def snapshot(self) -> Tables:
        """Everything committed so far, for `restore`."""
        return self._tables.copy()

    @classmethod
    def restore(
        cls, snapshot: Tables, *, schedule: Schedule | None = None, clock_ms: Callable[[], int] = lambda: 0
    ) -> "MemoryStore":
        """A new store as after a crash at the moment of `snapshot`."""
        store = cls(schedule=schedule, clock_ms=clock_ms)
        store._tables = snapshot.copy()
        return store

    def write(
        self, writes: Sequence[Write], on_commit: Callable[[Sequence[Any]], None] | None = None
    ) -> "asyncio.Future[Sequence[Any]]":
        return self._queue.submit(writes, on_commit)

    async def copy_session(self, source_id: str, new_session: Session, at_message_id: str | None = None) -> Session:
        """Fork: see `rules.CopySession`. Raises: StoreError for an unknown session or message."""
        (copied,) = await self._queue.submit([rules.CopySession(source_id, new_session, at_message_id)], None)
        session: Session = copied
        return session

    async def session(self, session_id: str) -> Session | None:
        await self._queue.drained()
        session = self._tables.sessions.get(rows.clean_text(session_id))
        return None if session is None else memory_writes.stored_session(session)

    async def sessions(
        self, *, limit: int, cursor: str | None = None, query: str | None = None, root: str | None = None
    ) -> tuple[list[Session], str | None]:
        after = rules.parse_session_cursor(cursor)
        await self._queue.drained()
        wanted = "" if query is None else rows.clean_text(query).casefold()
        found = [
            session
            for session in self._tables.sessions.values()
            if session.parent_session_id is None
            and wanted in session.title.casefold()
            and (root is None or session.root == rows.clean_text(root))
            and (after is None or (session.updated_at_ms, session.session_id) < after)
        ]
        found.sort(key=lambda session: (session.updated_at_ms, session.session_id), reverse=True)
        page = [memory_writes.stored_session(session) for session in found[: rules.page_size(limit)]]
        return page, rules.session_cursor(page[-1]) if len(found) > len(page) else None

    async def messages(
        self, session_id: str, *, limit: int | None = None, cursor: str | None = None, from_message: str | None = None
    ) -> tuple[list[Message], str | None]:
        after = rules.parse_message_cursor(cursor)
        await self._queue.drained()
        key = rows.clean_text(session_id)
        if from_message is not None:
            start = self._tables.messages.get(rows.clean_text(from_message))
            after = after if start is None or start.row[1] != key else max(after, start.position - 1)
        kept = [one for one in self._tables.messages.values() if one.row[1] == key and one.position > after]
        kept.sort(key=lambda one: one.position)
        page = kept if limit is None else kept[: rules.page_size(limit)]
        return [rows.message_from(one.row) for one in page], str(page[-1].position) if len(kept) > len(page) else None

    async def run(self, run_id: str) -> StoredRun | None:
        await self._queue.drained()
        kept = self._tables.runs.get(self._tables.run_keys.get(rows.clean_text(run_id), ""))
        return None if kept is None else memory_writes.stored_run(kept)

    async def unfinished_runs(self) -> list[StoredRun]:
        await self._queue.drained()
        kept = [one for one in self._tables.runs.values() if self._is_unfinished(one)]
        kept.sort(key=lambda one: (_ORDER[one.state], one.position))
        return [memory_writes.stored_run(one) for one in kept]

    async def events(self, session_id: str, *, after_seq: int, limit: int) -> tuple[list[StoredEvent], int]:
        await self._queue.drained()
        key = rows.clean_text(session_id)
        log = sorted((seq, event) for (owner, seq), event in self._tables.events.items() if owner == key)
        page = [event for seq, event in log if seq > after_seq][: rules.page_size(limit)]
        return page, log[0][0] if log else 0

    async def seen_file(self, session_id: str, path: str) -> SeenFile | None:
        await self._queue.drained()
        return self._tables.seen.get((rows.clean_text(session_id), rows.clean_text(path)))

    async def file_versions(self, session_id: str, path: str) -> list[str]:
        await self._queue.drained()
        texts = self._tables.files.get((rows.clean_text(session_id), rows.clean_text(path)), ())
        return [rows.decode_text(text) for text in texts]

    async def grants(self) -> list[Grant]:
        await self._queue.drained()
        return [self._tables.grants[position] for position in sorted(self._tables.grants)]

    async def journal(self, session_id: str) -> list[JournalEntry]:
        await self._queue.drained()
        return memory_changes.journal(self._tables, session_id)

    async def journal_entry(self, entry_id: str) -> JournalEntry | None:
        await self._queue.drained()
        return self._tables.journal.get(rows.clean_text(entry_id))

    async def texts(self, text_ids: Sequence[str]) -> dict[str, str]:
        await self._queue.drained()
        return memory_changes.texts(self._tables, text_ids)

    async def flush(self) -> None:
        await self._queue.drained()

    async def close(self) -> None:
        self._queue.close()
        await self._queue.drained()

    # ------------------------------------------------------------------------------------------------ behind the port

    def _later(self, function: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        if self.slow_s:
            loop.call_later(self.slow_s, function)
        else:
            loop.call_soon(function)

    def _commit(self, batch: list[Group]) -> None:
        outcomes = [self._group(group) for group in batch]
        self._schedule(lambda: self._queue.settle(outcomes))

    def _group(self, group: Group) -> Outcome:
        if not group.writes:
            return ()
        if self._failures:
            return self._failures.pop(0)
        transaction = Transaction(self._tables)
        context = memory_writes.Context(transaction, self._new_id)
        try:
            results = [memory_writes.apply(context, write) for write in group.writes]
        except rules.REFUSALS as error:
            transaction.roll_back()
            return rules.refusal(error)
        if rules.is_rejected(results):
            transaction.roll_back()
        return results

    def _is_unfinished(self, kept: RunRow) -> bool:
        if kept.state is RunState.FOLDED:
            target = self._tables.runs.get(kept.into or "")
            return target is not None and target.state in (RunState.QUEUED, RunState.RUNNING)
        return kept.state is not RunState.DONE


def _new_id(factory: UlidFactory, clock_ms: Callable[[], int]) -> str:
    return factory.new(clock_ms())
