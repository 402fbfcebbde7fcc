"""Short looks at the disk, taken together: those asked for at the same moment share one way to a thread and back.

A way of its own for each costs more than the looks: every one wakes a thread and the loop. One look that hangs must not
take the others along, so what has not begun within a moment gets threads of its own.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

T = TypeVar("T")
GRACE_S = 0.05
"""How long a batch may take before what is left of it is spread over threads."""


@dataclass(slots=True, eq=False)
class _Look:
    work: Callable[[], Any]
    answer: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None


class Looks:
    """Implements `ports.threads.InThread`. Belongs to one loop."""

    def __init__(self, *, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._asked: deque[_Look] = deque()

    async def __call__(self, work: Callable[[], T], /) -> T:
        """What `work` returns, or raises. Cancelling stops the waiting, not the work."""
        loop = asyncio.get_running_loop()
        look = _Look(work, loop.create_future())
        self._asked.append(look)
        if len(self._asked) == 1:
            loop.call_soon(self._begin, loop)
        return cast("T", await look.answer)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = _Batch(loop, self._asked)
        self._asked = deque()
        batch.begin(self._grace_s)


class _Batch:
    """Looks that were asked for at the same moment."""

    def __init__(self, loop: asyncio.AbstractEventLoop, looks: "deque[_Look]") -> None:
        self._loop = loop
        self._left = looks
        self._done: deque[_Look] = deque()
        self._missing = len(looks)
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, grace_s: float) -> None:
        """One thread for all; see `_spread`."""
        _ = self._loop.run_in_executor(None, self._work)
        self._timer = self._loop.call_later(grace_s, self._spread)

    def _spread(self) -> None:
        """It takes long: tell what is known, and let nothing wait for what hangs."""
        self._deliver()
        for _ in range(len(self._left)):
            _ = self._loop.run_in_executor(None, self._work)

    def _work(self) -> None:
        """In a thread: looks until none is left."""
        while True:
            try:
                look = self._left.popleft()
            except IndexError:
                break
            try:
                look.result = look.work()
            except BaseException as error:  # noqa: BLE001 - belongs to whoever asked
                look.error = error
            self._done.append(look)
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:
            return  # the loop has ended, and with it everybody who asked

    def _deliver(self) -> None:
        while self._done:
            look = self._done.popleft()
            self._missing -= 1
            if look.answer.done():
                continue  # given up
            if look.error is not None:
                look.answer.set_exception(look.error)
            else:
                look.answer.set_result(look.result)
        if not self._missing and self._timer is not None:
            self._timer.cancel()
