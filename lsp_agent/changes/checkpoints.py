"""Moments one can go back to: before a run's first write, before a command that may change files, before a restore.

Going back puts every hunk of the session in the state it had then, so what the user typed stays; it is a checkpoint
itself, and going back to that one is the way forward again. Works without git, in every root.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lsp_agent.changes.ledger import UNDONE, Checkpoint, Ledger
from lsp_agent.changes.review import Review
from lsp_agent.changes.steps import Conflict, Outcome
from lsp_agent.domain.errors import RequestRejected
from lsp_agent.ports.changes import JournalEntry, PutJournal, SetVisibleMessages
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import Events

Settle = Callable[[str, Ledger], Awaitable[bool]]
"""Write down what commands did that were never finished (a crash); True when there was something to write."""


@dataclass(frozen=True, slots=True)
class Restored:
    """`undo_checkpoint_id` is None after a dry run."""

    undo_checkpoint_id: str | None
    conflicts: Sequence[Conflict]


class Checkpoints:
    """The checkpoints of every session."""

    def __init__(
        self, review: Review, *, events: Events, clock: Clock, is_busy: Callable[[str], bool], settle: Settle
    ) -> None:
        self._review = review
        self._events = events
        self._clock = clock
        self._is_busy = is_busy
        self._settle = settle

    async def list(self, session_id: str) -> list[Checkpoint]:
        """Newest first. Raises: RequestRejected(SessionNotFound), StoreError."""
        ledger = await self._review.ledger(session_id)
        return sorted(ledger.checkpoints.values(), key=lambda one: one.position, reverse=True)

    async def restore(self, checkpoint_id: str, *, files: bool, conversation: bool, dry_run: bool = False) -> Restored:
        """`agent/checkpoint/restore`.

        Promise: hunks in `conflicts` and everything the user typed stay; restoring `undo_checkpoint_id` at once is the
        identity. Raises: RequestRejected (InvalidParams for an unknown checkpoint, SessionBusy), StoreError.
        """
        entry = await self._review.store.journal_entry(checkpoint_id)
        if entry is None or entry.kind != "checkpoint":
            raise RequestRejected("InvalidParams", "there is no such checkpoint", path="checkpointId")
        async with self._review.owner(entry.session_id):
            if dry_run:
                return await self._dry_run(entry, files=files)
            self._must_be_idle(entry.session_id)
            work = asyncio.create_task(self._restore(entry, files=files, conversation=conversation))
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                await asyncio.wait([work], timeout=60.0)  # what was done to files must be written down, too
                raise

    # ------------------------------------------------------------------------------------------------------ inside

    def _must_be_idle(self, session_id: str) -> None:
        if self._is_busy(session_id):
            raise RequestRejected("SessionBusy", "the session is busy: stop the run first", activeRunId=None)

    async def _dry_run(self, entry: JournalEntry, *, files: bool) -> Restored:
        if not files:
            return Restored(None, ())
        ledger = await self._review.ledger(entry.session_id)
        outcome = await self._review.steps.perform(ledger, _wanted(ledger, entry), "", dry_run=True)
        return Restored(None, outcome.conflicts)

    async def _restore(self, entry: JournalEntry, *, files: bool, conversation: bool) -> Restored:
        session_id, store = entry.session_id, self._review.store
        ledger = await self._review.ledger(session_id)
        if files and await self._settle(session_id, ledger):
            ledger = await self._review.ledger(session_id)
        undo_id = self._clock.new_id()
        target = ledger.checkpoints[entry.entry_id]
        body = {"kind": "restore", "title": f"Before going back to: {target.title}", "messageId": target.message_id}
        now_ms = self._clock.now_ms()
        await store.write([PutJournal(session_id, undo_id, "checkpoint", body, now_ms, keeps_conversation=True)])
        outcome = Outcome()
        if files:
            outcome = await self._review.steps.perform(ledger, _wanted(ledger, entry), "Agent: go back to a checkpoint")
        done = {"checkpoint": entry.entry_id, "undo": undo_id, "conversation": conversation}
        await self._review.record(session_id, ledger, "restored", self._clock.new_id(), done, outcome)
        if conversation:
            await self._converse(session_id, _conversation(target))
        return Restored(undo_id, outcome.conflicts)

    async def _converse(self, session_id: str, message_ids: Sequence[str]) -> None:
        """Take the conversation back. The check and the write are one moment: no run comes between."""
        self._must_be_idle(session_id)
        update = {
            "sessionUpdate": "session_info_update",
            "messageCount": len(message_ids),
            "lastMessageId": message_ids[-1] if message_ids else None,
        }
        visible = self._review.store.write([SetVisibleMessages(session_id, tuple(message_ids))])
        self._events.durable(session_id, None, update)
        await visible


def _wanted(ledger: Ledger, entry: JournalEntry) -> Mapping[str, str]:
    """The states of that moment, of all hunks that have another one now."""
    then = ledger.until(entry.position)
    states = {hunk_id: then.hunks[hunk_id].state if hunk_id in then.hunks else UNDONE for hunk_id in ledger.hunks}
    return {hunk_id: state for hunk_id, state in states.items() if state != ledger.hunks[hunk_id].state}


def _conversation(checkpoint: Checkpoint) -> Sequence[str]:
    """The messages of that moment; for a run, those before its prompt."""
    ids: Any = checkpoint.message_ids
    if checkpoint.kind == "run" and checkpoint.message_id in ids:
        return tuple(ids[: ids.index(checkpoint.message_id)])
    return tuple(ids)
