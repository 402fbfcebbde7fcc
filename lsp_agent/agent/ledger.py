"""Has numbered events stored, and says when each may leave.

A write that the store refuses is tried again in its place while everything issued later holds. When it stays refused
the event is let go unstored and reported, and so is all that follows in its session until the store takes them, in
order: the log never has a hole that a later event has passed. Knows no receiver.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from lsp_agent.agent.channel import Channel, Item
from lsp_agent.domain.errors import StoreError
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.store import SetRunState, Store, Write

_log = logging.getLogger(__name__)

RETRY_DELAYS_S = (0.0, 0.05, 0.25, 1.0, 2.0)
MEND_DELAYS_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Pauses between attempts to write what was let go; the last one repeats."""


class Ledger:
    """Between the hub and the store. `on_ready(channel)` runs whenever the head of `channel.waiting` may leave."""

    def __init__(self, store: Store, clock: Clock, on_ready: Callable[[Channel], None]) -> None:
        self._store = store
        self._clock = clock
        self._on_ready = on_ready
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_failure: Callable[[str, str | None], None] = lambda _session_id, _run_key: None
        """Called with session id and run key when the store refused a durable event for good. Never waits."""

    def issue(self, channel: Channel, item: Item) -> None:
        """Submit `item`, or hold it while an earlier one is being tried again."""
        channel.waiting.append(item)
        if channel.unstored:
            self._let_go(channel, item)
            self._on_ready(channel)
        elif not channel.failed:
            self._submit(channel, item)

    @property
    def is_quiet(self) -> bool:
        """No write is being tried again."""
        return not self._tasks

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` as a task that `close` ends."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def quiet(self) -> None:
        """Wait until no write is being tried again."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def close(self) -> None:
        """Give up what is being tried again. May be called twice."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=1.0)

    def _submit(self, channel: Channel, item: Item) -> None:
        item.submitted = True

        def committed(_results: Sequence[Any]) -> None:
            self._committed(channel, item)

        def settled(future: "asyncio.Future[Sequence[Any]]") -> None:
            if not future.cancelled() and future.exception() is not None:
                self._refused(channel, item)

        try:
            self._store.write(_writes(channel, item), committed).add_done_callback(settled)
        except StoreError:
            self._refused(channel, item)

    def _committed(self, channel: Channel, item: Item) -> None:
        self._note_stored(channel, item)
        item.ready = True
        self._on_ready(channel)

    def _note_stored(self, channel: Channel, item: Item) -> None:
        if item.kind == "T" and item.run_key is not None:
            channel.stored_ends.append(item.run_key)

    def _refused(self, channel: Channel, item: Item) -> None:
        if channel.unstored:
            self._let_go(channel, item)
            self._on_ready(channel)
            return
        channel.failed.append(item)
        if len(channel.failed) == 1:
            self.spawn(self._retry(channel), "ledger.retry")

    def _let_go(self, channel: Channel, item: Item) -> None:
        item.ready = item.submitted = True
        channel.unstored[item.seq] = item

    async def _retry(self, channel: Channel) -> None:
        try:
            await self._retry_failed(channel)
        except asyncio.CancelledError:
            # the process ends: clients still get what the store will not take
            for item in channel.waiting:
                item.ready = item.ready or not item.submitted or item in channel.failed
            self._on_ready(channel)
            raise

    async def _retry_failed(self, channel: Channel) -> None:
        while channel.failed and not channel.is_gone:
            item = min(channel.failed, key=lambda failed: failed.seq)
            if not await self._try_again(channel, item):
                self._give_up(channel, item)
                return
            channel.failed.remove(item)
            item.ready = True
            self._on_ready(channel)
        # no await since the last look at `failed`: nothing can slip in between
        for item in [item for item in channel.waiting if item.kind in "DT" and not item.submitted]:
            self._submit(channel, item)

    async def _try_again(self, channel: Channel, item: Item) -> bool:
        for delay_s in RETRY_DELAYS_S:
            await self._clock.sleep(delay_s)
            if channel.is_gone:
                return False
            try:
                await self._store.write(_writes(channel, item))
            except StoreError:
                continue
            self._note_stored(channel, item)
            return True
        return False

    def _give_up(self, channel: Channel, first: Item) -> None:
        """The store does not come back: everything that waits leaves without it."""
        _log.error("event %d of session %s could not be stored", first.seq, channel.session_id)
        for item in [item for item in channel.waiting if item in channel.failed or not item.submitted]:
            if item.kind in "DT":
                self._let_go(channel, item)
        channel.failed.clear()
        self._on_ready(channel)
        self.on_failure(channel.session_id, first.run_key)
        self.spawn(self._mend(channel), "ledger.mend")

    async def _mend(self, channel: Channel) -> None:
        """Write what was let go, oldest first, until nothing is left of it or the session is gone."""
        attempt = 0
        while channel.unstored and not channel.is_gone:
            seq = min(channel.unstored)
            item = channel.unstored[seq]
            try:
                await self._store.write(_writes(channel, item))
            except StoreError:
                await self._clock.sleep(MEND_DELAYS_S[min(attempt, len(MEND_DELAYS_S) - 1)])
                attempt += 1
                continue
            self._note_stored(channel, item)
            del channel.unstored[seq]
            attempt = 0


def _writes(channel: Channel, item: Item) -> Sequence[Write]:
    """The item's writes, without moving a run on whose end the store has already."""
    if item.run_key not in channel.stored_ends:
        return item.writes
    return [write for write in item.writes if not isinstance(write, SetRunState)]
