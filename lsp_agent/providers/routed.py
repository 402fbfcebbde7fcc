"""One provider whose models speak different dialects: each request goes to the adapter that its model asks for."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from lsp_agent.domain.stream import StreamEvent
from lsp_agent.ports.provider import Request

if TYPE_CHECKING:
    from lsp_agent.providers.adapters import Preloadable


class RoutedProvider:
    """`choose` names the dialect of a model; `adapters` holds one adapter for each name it may give."""

    def __init__(self, provider_id: str, choose: Callable[[str], str], adapters: "dict[str, Preloadable]") -> None:
        self.provider_id = provider_id
        # what all of them take: history with images in user messages
        self.media_in_tool_results = all(adapter.media_in_tool_results for adapter in adapters.values())
        self._choose = choose
        self._adapters = adapters

    async def preload(self) -> None:
        """Import what every adapter needs, off the event loop."""
        for adapter in self._adapters.values():
            await adapter.preload()

    async def stream(self, request: Request) -> AsyncIterator[Sequence[StreamEvent]]:
        adapter = self._adapters[self._choose(request.model.model_id)]
        batches: Any = adapter.stream(request)
        async with aclosing(batches):
            async for batch in batches:
                yield batch

    async def close(self) -> None:
        for adapter in self._adapters.values():
            await adapter.close()
