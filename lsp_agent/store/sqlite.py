"""The store on SQLite: one thread writes, one thread reads, the event loop only queues and is called back.

aiosqlite serves as the executor of whole functions, so that no cancellation can fall between BEGIN and COMMIT. It and
sqlite3 are imported when a store is opened: the server answers `initialize` before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from lsp_agent.domain.errors import AgentError, StoreError
from lsp_agent.domain.ids import UlidFactory
from lsp_agent.store import rules
from lsp_agent.store.lock import DataLock
from lsp_agent.store.queue import CommitQueue, Group

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    import aiosqlite

    from lsp_agent.domain.message import Message
    from lsp_agent.domain.session import Session
    from lsp_agent.ports.changes import JournalEntry
    from lsp_agent.ports.store import Grant, SeenFile, StoredEvent, StoredRun, Write
    from lsp_agent.store.batch import Committed
    from lsp_agent.store.decoded import DecodedMessages
    from lsp_agent.store.opening import Files

_LOG = logging.getLogger(__name__)

T = TypeVar("T")


class SqliteStore:
    """`ports.store.Store` on the database of a data directory. Make one with `open`."""

    def __init__(
        self, files: Files, lock: DataLock, clock_ms: Callable[[], int], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.notices: list[str] = []
        """Sentences for the user about what was found at the start (a damaged file set aside, a journal gone)."""
        self._files = files
        self._lock = lock
        self._clock_ms = clock_ms
        self._loop = loop
        self._new_id = partial(_new_id, UlidFactory(), clock_ms)
        self._queue = CommitQueue(self._soon, self._commit)
        self._writer: aiosqlite.Connection | None = None
        self._reader: aiosqlite.Connection | None = None
        self._decoded: DecodedMessages | None = None
        self._is_writer_dead = False
        self._is_damaged = False
        self._committing: asyncio.Task[Committed] | None = None
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        data_dir: Path,
        *,
        clock_ms: Callable[[], int],
        loop: asyncio.AbstractEventLoop | None = None,
        workspace: str | None = None,
    ) -> SqliteStore:
        """Lock `data_dir` (made when missing), open its database, check, migrate.

        Promise: the loop is never blocked by the disk; a damaged database is set aside and `notices` says so.
        Raises: StoreError when the directory is locked by another process, cannot be written, or has a newer schema.
        """
        from lsp_agent.store import opening

        lock = DataLock.acquire(data_dir, now_ms=clock_ms(), workspace=workspace)
        store = cls(opening.Files(data_dir), lock, clock_ms, loop or asyncio.get_running_loop())
        task = store._loop.create_task(store._connect(is_reconnect=False), name="store-open")
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(store._abandoned)  # the thread goes on; the lock is held until it has ended
            raise
        except BaseException:
            lock.release()
            raise
        return store

    def write(
        self, writes: Sequence[Write], on_commit: Callable[[Sequence[Any]], None] | None = None
    ) -> asyncio.Future[Sequence[Any]]:
        return self._queue.submit(writes, on_commit)

    async def copy_session(self, source_id: str, new_session: Session, at_message_id: str | None = None) -> Session:
        """Fork: see `rules.CopySession`. Raises: StoreError for an unknown session or message."""
        (copied,) = await self._queue.submit([rules.CopySession(source_id, new_session, at_message_id)], None)
        session: Session = copied
        return session

    async def session(self, session_id: str) -> Session | None:
        from lsp_agent.store import reads

        return await self._read(partial(reads.session, session_id=session_id))

    async def sessions(
        self, *, limit: int, cursor: str | None = None, query: str | None = None, root: str | None = None
    ) -> tuple[list[Session], str | None]:
        from lsp_agent.store import reads

        after = rules.parse_session_cursor(cursor)
        return await self._read(
            partial(reads.sessions, limit=rules.page_size(limit), after=after, query=query, root=root)
        )

    async def messages(
        self, session_id: str, *, limit: int | None = None, cursor: str | None = None, from_message: str | None = None
    ) -> tuple[list[Message], str | None]:
        from lsp_agent.store import reads

        after = rules.parse_message_cursor(cursor)
        page = None if limit is None else rules.page_size(limit)
        return await self._read(
            partial(
                reads.messages,
                session_id=session_id,
                limit=page,
                after=after,
                from_message=from_message,
                message_from=self._decoded_messages().message,
            )
        )

    async def run(self, run_id: str) -> StoredRun | None:
        from lsp_agent.store import reads

        return await self._read(partial(reads.run, run_id=run_id))

    async def unfinished_runs(self) -> list[StoredRun]:
        from lsp_agent.store import reads

        return await self._read(reads.unfinished_runs)

    async def events(self, session_id: str, *, after_seq: int, limit: int) -> tuple[list[StoredEvent], int]:
        from lsp_agent.store import reads

        return await self._read(
            partial(reads.events, session_id=session_id, after_seq=after_seq, limit=rules.page_size(limit))
        )

    async def seen_file(self, session_id: str, path: str) -> SeenFile | None:
        from lsp_agent.store import reads

        return await self._read(partial(reads.seen_file, session_id=session_id, path=path))

    async def file_versions(self, session_id: str, path: str) -> list[str]:
        from lsp_agent.store import reads

        return await self._read(partial(reads.file_versions, session_id=session_id, path=path))

    async def grants(self) -> list[Grant]:
        from lsp_agent.store import reads

        return await self._read(reads.grants)

    async def journal(self, session_id: str) -> list[JournalEntry]:
        from lsp_agent.store import change_rows

        return await self._read(partial(change_rows.journal, session_id=session_id))

    async def journal_entry(self, entry_id: str) -> JournalEntry | None:
        from lsp_agent.store import change_rows

        return await self._read(partial(change_rows.journal_entry, entry_id=entry_id))

    async def texts(self, text_ids: Sequence[str]) -> dict[str, str]:
        from lsp_agent.store import change_rows

        return await self._read(partial(change_rows.texts, text_ids=text_ids))

    async def flush(self) -> None:
        await self._queue.drained()

    async def close(self) -> None:
        if self._closing is None:
            self._queue.close()
            self._closing = self._loop.create_task(self._close(), name="store-close")
        await asyncio.shield(self._closing)

    # ------------------------------------------------------------------------------------------------ behind the port

    async def _connect(self, *, is_reconnect: bool) -> None:
        from lsp_agent.store import opening

        open_writer = partial(
            opening.open_writer, self._files, now_ms=self._clock_ms(), notices=self.notices, is_reconnect=is_reconnect
        )
        writer = await opening.start_thread(open_writer)
        try:
            self._reader = await opening.start_thread(partial(opening.open_reader, self._files))
        except BaseException:
            await writer.close()
            raise
        self._writer = writer

    def _abandoned(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._lock.release()
        else:
            self._closing = self._loop.create_task(self._close(), name="store-close")

    def _soon(self, leave: Callable[[], None]) -> None:
        self._loop.call_soon(leave)

    def _commit(self, batch: list[Group]) -> None:
        self._committing = self._loop.create_task(self._commit_batch(batch), name="store-commit")
        self._committing.add_done_callback(self._committed)

    async def _commit_batch(self, batch: list[Group]) -> Committed:
        from lsp_agent.store import batch as batches
        from lsp_agent.store import opening, writes

        if self._is_writer_dead:
            await self._reconnect()
        writer = self._writer
        if writer is None:
            raise StoreError("the session database is closed")
        groups = [group.writes for group in batch]

        def work(connection: sqlite3.Connection) -> Committed:
            context = writes.Context(connection, self._new_id)
            return batches.commit(context, groups, partial(opening.make_room, self._files))

        return await opening.execute(writer, work)

    def _committed(self, task: asyncio.Task[Committed]) -> None:
        if task.cancelled():
            # Somebody cancels every task of a loop that ends. The thread finishes its transaction all the same.
            self._queue.settle(StoreError("interrupted: whether the write was committed is not known"))
            return
        error = task.exception()
        if error is not None:
            if not isinstance(error, AgentError):
                _LOG.error("a transaction failed", exc_info=error)
            self._queue.settle(error if isinstance(error, StoreError) else StoreError(f"the store failed: {error}"))
            return
        committed = task.result()
        self._is_writer_dead = committed.is_connection_dead
        self._is_damaged |= committed.is_damaged
        self._queue.settle(committed.outcomes)

    async def _reconnect(self) -> None:
        """After an error of the disk nothing a connection says can be believed: open again, and check."""
        _LOG.warning("the session database is opened again after a disk error")
        for connection in (self._reader, self._writer):
            if connection is not None:
                await _close_quietly(connection)
        self._reader = self._writer = None
        await self._connect(is_reconnect=True)
        self._is_writer_dead = False

    async def _read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        import sqlite3

        from lsp_agent.store import batch, opening

        await self._queue.drained()
        reader = self._reader
        if reader is None:
            raise StoreError("the session database is closed")

        def work(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN")
            try:
                return question(connection)
            finally:
                connection.execute("ROLLBACK")

        try:
            return await opening.execute(reader, work)
        except (sqlite3.Error, ValueError) as error:
            if isinstance(error, sqlite3.Error) and batch.primary_code(error) in batch.DAMAGE:
                self._is_damaged = True
            raise batch.store_error(error) from error

    def _decoded_messages(self) -> DecodedMessages:
        from lsp_agent.store.decoded import DecodedMessages

        if self._decoded is None:
            self._decoded = DecodedMessages()
        return self._decoded

    async def _close(self) -> None:
        from lsp_agent.store import opening

        try:
            await self._queue.drained()
            reader, self._reader = self._reader, None
            writer, self._writer = self._writer, None
            if reader is not None:
                await _close_quietly(reader)
            if writer is not None:
                if not (self._is_writer_dead or self._is_damaged):  # else the next start has to check
                    await opening.execute(writer, partial(opening.close_writer, self._files))
                await _close_quietly(writer)
        finally:
            self._lock.release()


async def _close_quietly(connection: aiosqlite.Connection) -> None:
    import sqlite3

    try:
        await connection.close()
    except (sqlite3.Error, ValueError) as error:
        _LOG.warning("closing the session database: %s", error)


def _new_id(factory: UlidFactory, clock_ms: Callable[[], int]) -> str:
    return factory.new(clock_ms())
