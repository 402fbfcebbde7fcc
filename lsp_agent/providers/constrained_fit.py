"""Which way of asking fits a model: as it comes, with a lenient eye on its text, or led by the hand.

Decided for each request: the options of the model or its provider say so (`constrained`, `text_calls`), else, at an
Ollama server, what the server says the model can do. These options are ours and are never sent.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.stream import StreamEvent
from lsp_agent.ports.provider import Request
from lsp_agent.providers.constrained import ConstrainedProvider
from lsp_agent.providers.content import body_bytes
from lsp_agent.providers.lenient import LenientProvider
from lsp_agent.providers.plain_http import PlainHttp
from lsp_agent.providers.settings import OWN_MODEL_OPTIONS

if TYPE_CHECKING:
    from lsp_agent.providers.adapters import Preloadable

Abilities = Callable[[str], Awaitable[frozenset[str] | None]]
"""What the service says a model can do (`tools`, `vision`, …); None = it does not say."""
WRITES_CALLS = ("qwen2.5-coder", "qwen2.5coder")
"""Models that call in their text although their server says they have tools (MODELS.md)."""
_ASK_S = 2.0
_ANSWER_BYTES = 4_000_000


class FittedProvider:
    """Around one adapter of the Chat Completions dialect. `constrained`: when the options do not say."""

    def __init__(self, chat: "Preloadable", *, constrained: bool = False, abilities: Abilities | None = None) -> None:
        self.provider_id = chat.provider_id
        self.media_in_tool_results = chat.media_in_tool_results
        self._chat = chat
        self._led = ConstrainedProvider(chat)
        self._lenient = LenientProvider(chat)
        self._constrained = constrained
        self._abilities = abilities
        self._known: dict[str, frozenset[str] | None] = {}

    async def preload(self) -> None:
        """As the adapter inside."""
        await self._chat.preload()

    async def stream(self, request: Request) -> AsyncIterator[Sequence[StreamEvent]]:
        way = await self._way(request)
        if way is not self._led:
            request = without_own_options(request)
        stream: Any = way.stream(request)
        async with aclosing(stream) as batches:
            async for batch in batches:
                yield batch

    async def close(self) -> None:
        await self._chat.close()

    async def _way(self, request: Request) -> "Preloadable":
        options, name = request.provider_options, request.model.model_id
        constrained = options.get("constrained")
        if constrained is None:
            able = await self._able(name)
            constrained = self._constrained if able is None else "tools" not in able
        if constrained:
            return self._led
        default = self._abilities is not None and any(word in name.lower() for word in WRITES_CALLS)
        return self._lenient if options.get("text_calls", default) else self._chat

    async def _able(self, model_id: str) -> frozenset[str] | None:
        if self._abilities is None:
            return None
        if model_id not in self._known:
            self._known[model_id] = await self._abilities(model_id)
        return self._known[model_id]


class OllamaAbilities:
    """Asks an Ollama server what a model can do (`POST /api/show`); None when it does not answer."""

    def __init__(self, service: str, base_url: str, headers: Mapping[str, str]) -> None:
        root = base_url.rstrip("/").removesuffix("/v1")
        self._http = PlainHttp(service, root, tuple)
        self._headers = {"content-type": "application/json", **headers}

    async def __call__(self, model_id: str) -> frozenset[str] | None:
        try:
            async with asyncio.timeout(_ASK_S):
                response = await self._http.post("/api/show", body_bytes({"model": model_id}), self._headers)
                try:
                    value = await _json(response.aiter_bytes())
                finally:
                    await response.aclose()
        except (ProviderError, TimeoutError, OSError, ValueError):
            return None
        except _http_errors():
            return None
        finally:
            await self._http.close()
        found = value.get("capabilities") if isinstance(value, Mapping) else None
        return frozenset([str(item) for item in found]) if isinstance(found, list) else None


def without_own_options(request: Request) -> Request:
    """The request without what only we understand."""
    if not any(name in request.provider_options for name in OWN_MODEL_OPTIONS):
        return request
    options = {name: value for name, value in request.provider_options.items() if name not in OWN_MODEL_OPTIONS}
    return replace(request, provider_options=options)


async def _json(chunks: AsyncIterator[bytes]) -> object:
    text = b""
    async for chunk in chunks:
        text += chunk
        if len(text) > _ANSWER_BYTES:
            raise ValueError("too large")
    found: object = orjson.loads(text)
    return found


def _http_errors() -> tuple[type[Exception], ...]:
    import httpx2

    return (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL)
