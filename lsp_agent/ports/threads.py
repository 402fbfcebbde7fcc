"""Blocking work off the loop: `asyncio.to_thread` does it, or `composition.looks`, where short looks share a thread."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class InThread(Protocol):
    """Runs `work` in a thread and gives what it returns or raises. Cancelling stops the waiting, not the work."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...
