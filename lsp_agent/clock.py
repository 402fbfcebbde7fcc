"""The real clock."""

import asyncio
import time

from lsp_agent.domain.ids import UlidFactory


class SystemClock:
    """Implements `ports.clock.Clock` over the operating system."""

    def __init__(self) -> None:
        self._ulids = UlidFactory()

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def new_id(self) -> str:
        return self._ulids.new(self.now_ms())
