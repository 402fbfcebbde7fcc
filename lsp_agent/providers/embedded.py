"""The model inside the product: a small one, in a child process of ours, over the loopback interface.

Speaks Chat Completions to whatever address the engine gives; how the engine is started, watched and ended is the
business of whoever implements `Engines`. While a model is being loaded an empty batch every few seconds says that
something is happening. There is one processor: a title waits until no turn needs the model.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lsp_agent.domain.model import Model
from lsp_agent.domain.stream import StreamEvent
from lsp_agent.ports.provider import Request
from lsp_agent.providers.chat_request import encode
from lsp_agent.providers.chat_stream import ChatStream
from lsp_agent.providers.content import body_bytes, call_ids_of
from lsp_agent.providers.plain_http import PlainHttp
from lsp_agent.providers.streaming import answer, request_headers

if TYPE_CHECKING:
    import httpx2

EMBEDDED_ID = "embedded"
_LIFE_S = 5.0
_CLIENTS_KEPT = 8
_QUIET_S = 1.0
"""Between the steps of a turn its tools run; a title does not squeeze in there."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a running engine listens, and the key it wants."""

    base_url: str
    """`http://127.0.0.1:PORT/v1`."""
    api_key: str


class Engines(Protocol):
    """The engines of this machine (implemented by `lsp_agent.local.engine`)."""

    def models(self) -> Sequence[Model]:
        """Models whose weights are here, best first; empty when the engine is not installed. Never waits long."""
        ...

    def lease(self, model: Model) -> AbstractAsyncContextManager[Endpoint]:
        """A running engine for `model`, started when there is none; it stays while the lease is held.

        Raises: ProviderError that says what is missing and the command to run.
        """
        ...

    async def close(self) -> None:
        """End every engine. Bounded, may be called twice."""
        ...


class EmbeddedProvider:
    """The adapter. `extra_body`: merged into every request, last."""

    def __init__(self, provider_id: str, engines: Engines, *, extra_body: Mapping[str, Any] | None = None) -> None:
        self.provider_id = provider_id
        self.media_in_tool_results = False
        self._engines = engines
        self._extra_body = dict(extra_body or {})
        self._http: dict[Endpoint, PlainHttp] = {}
        self._turns = 0
        self._begun = 0

    async def preload(self) -> None:
        """Nothing: a model is loaded when it is asked, not before."""

    async def stream(self, request: Request) -> AsyncIterator[Sequence[StreamEvent]]:
        aside = request.purpose == "title"
        while aside:
            begun = self._begun
            await asyncio.sleep(_QUIET_S)
            aside = self._turns > 0 or begun != self._begun
            yield []
        self._begun += 1
        self._turns += 1
        try:
            async with aclosing(self._answer(request)) as batches:
                async for batch in batches:
                    yield batch
        finally:
            self._turns -= 1

    async def _answer(self, request: Request) -> AsyncGenerator[Sequence[StreamEvent], None]:
        async with AsyncExitStack() as stack:
            starting = asyncio.ensure_future(stack.enter_async_context(self._engines.lease(request.model)))
            try:
                while not starting.done():
                    await asyncio.wait([starting], timeout=_LIFE_S)
                    if not starting.done():
                        yield []
            finally:
                if not starting.done():
                    starting.cancel()
                    await asyncio.wait([starting])
            async with aclosing(self._ask(starting.result(), request)) as batches:
                async for batch in batches:
                    yield batch

    async def close(self) -> None:
        clients, self._http = list(self._http.values()), {}
        for client in clients:
            await client.close()

    async def _ask(self, endpoint: Endpoint, request: Request) -> AsyncGenerator[Sequence[StreamEvent], None]:
        body, _ = encode(request, "openai-compat", extra_body=self._extra_body, base_url=endpoint.base_url)
        dialect = ChatStream(self.provider_id, call_ids_of(request.messages))
        http = await self._client(endpoint)
        headers = {**request_headers(request), "authorization": f"Bearer {endpoint.api_key}"}

        async def open_response() -> "httpx2.Response":
            return await http.post("/chat/completions", body_bytes(body), headers)

        async with aclosing(answer(open_response, dialect, self.provider_id, lambda: [endpoint.api_key])) as batches:
            async for batch in batches:
                yield batch

    async def _client(self, endpoint: Endpoint) -> PlainHttp:
        found = self._http.get(endpoint)
        if found is None:
            if len(self._http) >= _CLIENTS_KEPT:
                # an engine that has ended leaves its address behind
                await self._http.pop(next(iter(self._http))).close()
            found = self._http[endpoint] = PlainHttp(self.provider_id, endpoint.base_url, lambda: [endpoint.api_key])
        return found
