"""The order of commits: groups of writes wait here, leave many at a time, and are answered in the order they came.

Lives on the event loop. Knows nothing of how a batch is committed; whoever does calls `settle` when it is done.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lsp_agent.domain.errors import StoreError
from lsp_agent.store.rules import StoredWrite, frozen

_LOG = logging.getLogger(__name__)

MAX_BATCH = 1000
"""Groups in one transaction, so that a flood cannot delay the first of them without bound."""

OnCommit = Callable[[Sequence[Any]], None]
Outcome = Sequence[Any] | StoreError


@dataclass(slots=True)
class Group:
    """Writes that are committed together. Without writes it is a barrier: answered once all before it are."""

    writes: tuple[StoredWrite, ...]
    future: "asyncio.Future[Sequence[Any]]"
    on_commit: OnCommit | None


class CommitQueue:
    """Groups in order of submission; at most one batch is out at any time."""

    def __init__(self, start: Callable[[Callable[[], None]], None], commit: Callable[[list[Group]], None]) -> None:
        """`start(leave)` arranges for `leave` to be called soon; `commit(batch)` must lead to one `settle`."""
        self._start = start
        self._commit = commit
        self._waiting: list[Group] = []
        self._out: list[Group] = []
        self._is_leaving = False
        self._closed: StoreError | None = None

    def submit(self, writes: Sequence[StoredWrite], on_commit: OnCommit | None) -> "asyncio.Future[Sequence[Any]]":
        """Queue one group. Never waits; see `ports.store.Store.write` for what the future promises."""
        future: asyncio.Future[Sequence[Any]] = asyncio.get_running_loop().create_future()
        if self._closed is not None:
            _fail(future, self._closed)
            return future
        self._waiting.append(Group(tuple([frozen(write) for write in writes]), future, on_commit))
        self._leave_soon()
        return future

    async def drained(self) -> None:
        """Wait until everything submitted so far has been answered. Cancelling it cancels nothing else."""
        if not self._waiting and not self._out:
            return
        barrier: asyncio.Future[Sequence[Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append(Group((), barrier, None))
        self._leave_soon()
        await barrier

    def close(self) -> None:
        """Refuse what is submitted from now on. What waits is still committed."""
        self._closed = StoreError("the session database is closed")

    def settle(self, outcomes: Sequence[Outcome] | StoreError) -> None:
        """Answer the batch that is out, in order, and send the next one. One outcome a group, or one for all."""
        batch, self._out = self._out, []
        for index, group in enumerate(batch):
            outcome = outcomes if isinstance(outcomes, StoreError) else outcomes[index]
            if isinstance(outcome, StoreError):
                _fail(group.future, outcome)
            else:
                _succeed(group, outcome)
        self._leave()

    def _leave_soon(self) -> None:
        if not self._is_leaving:
            self._is_leaving = True
            self._start(self._leave)

    def _leave(self) -> None:
        while not self._out:
            self._out, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            if not self._out:
                self._is_leaving = False
                return
            if any(group.writes for group in self._out):
                self._commit(self._out)
                return
            for group in self._out:
                _succeed(group, ())
            self._out = []


def _succeed(group: Group, results: Sequence[Any]) -> None:
    if group.on_commit is not None:
        try:
            group.on_commit(results)
        except Exception:  # noqa: BLE001 - a bug of one callback must not keep the others from their answer
            _LOG.exception("a commit callback failed")
    if not group.future.done():
        group.future.set_result(results)


def _fail(future: "asyncio.Future[Sequence[Any]]", error: StoreError) -> None:
    _LOG.warning("write failed: %s", error)
    if not future.done():
        future.set_exception(StoreError(str(error), retryable=error.retryable))
        future.exception()  # taken: nobody has to wait for a write, and it was logged
