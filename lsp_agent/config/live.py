"""The configuration while the server runs: read again when a file changed, never under a run that is active.

Whoever needs a value asks `current` when a turn begins. An invalid file leaves the last good values in force.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from lsp_agent.config.load import is_stale
from lsp_agent.config.sections import Config
from lsp_agent.ports.threads import InThread

Load = Callable[[Config | None], Config]
"""Reads every source again; gets the configuration in force, for what is invalid now."""


class LiveConfig:
    """Holds the configuration in force. `on_change` is called on the loop after each reload."""

    def __init__(
        self, load: Load, on_change: Callable[[Config], None], *, in_thread: InThread = asyncio.to_thread
    ) -> None:
        self._load = load
        self._in_thread = in_thread
        self._on_change = on_change
        self._told: set[str] = set()
        self._reading = asyncio.Lock()
        """One reading at a time: of two at once the older one might be the last to end, and count."""
        self.current = load(None)
        """What is in force; replaced whole, never changed."""

    def news(self) -> list[str]:
        """Sentences for the user about what is wrong, each told once."""
        config = self.current
        fresh = [str(problem) for problem in (*config.errors, *config.notices)]
        fresh = [text for text in dict.fromkeys(fresh) if text not in self._told]
        self._told.update(fresh)
        return fresh

    async def refresh(self) -> None:
        """Read again when a file is not what it was. Two small files are read, in a thread."""
        async with self._reading:
            if await self._in_thread(partial(is_stale, self.current)):
                self.current = await asyncio.to_thread(self._load, self.current)
                self._on_change(self.current)
