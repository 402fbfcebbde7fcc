"""Time and ids, injected so that a simulation can own them. Nothing in `agent` calls `time`, `uuid` or `random`."""

from typing import Protocol


class Clock(Protocol):
    """Wall clock, monotonic clock, sleep and fresh ids."""

    def now_ms(self) -> int:
        """Wall-clock milliseconds since the epoch (UTC). Only for what people read; may step back."""
        ...

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start; never steps back. For every deadline and duration."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait. Cancellable."""
        ...

    def new_id(self) -> str:
        """A fresh ULID. Promise: later ids sort after earlier ones."""
        ...
