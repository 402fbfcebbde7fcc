"""Something that is made when it is first asked for, together with the imports it needs."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Late(Generic[T]):
    """`make` imports what the thing is made of and makes it; it runs once, at the first call.

    For what a first prompt may not need: the start of the server must not wait for its modules. Belongs to one thread
    (the loop's). What `make` raises passes through, and the next call tries again.
    """

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: tuple[T] | None = None

    def __call__(self) -> T:
        """The thing."""
        if self._made is None:
            self._made = (self._make(),)
        return self._made[0]

    @property
    def made(self) -> T | None:
        """The thing, when somebody asked for it already; nothing is made."""
        return None if self._made is None else self._made[0]
