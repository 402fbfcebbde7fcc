"""OpenAI's Responses API: the adapter. What is said and heard is in `responses_request` and `responses_stream`."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from lsp_agent.domain.stream import ProviderWarning, StreamEvent
from lsp_agent.ports.provider import Request
from lsp_agent.providers.content import call_ids_of
from lsp_agent.providers.openai_client import OpenAIClient
from lsp_agent.providers.responses_request import encode
from lsp_agent.providers.responses_stream import ResponsesStream
from lsp_agent.providers.sending import DIRECTLY, Reach
from lsp_agent.providers.streaming import answer

if TYPE_CHECKING:
    import httpx2


class OpenAIResponsesProvider:
    """One service that speaks the Responses dialect.

    `api_key` empty = none is sent. `key_header`, `query`: see `OpenAIClient`.
    """

    def __init__(
        self,
        provider_id: str,
        *,
        api_key: str,
        base_url: str = "",
        headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        key_header: str = "",
        query: Mapping[str, str] | None = None,
        reach: Reach = DIRECTLY,
        more_headers: Callable[[Request], Mapping[str, str]] | None = None,
    ) -> None:
        self.provider_id = provider_id
        self.media_in_tool_results = False
        self._client = OpenAIClient(
            provider_id,
            api_key=api_key,
            base_url=base_url,
            headers=headers,
            key_header=key_header,
            query=query,
            reach=reach,
            more_headers=more_headers,
        )
        self._extra_body = dict(extra_body or {})

    async def preload(self) -> None:
        """Set up sending off the event loop, before the first prompt."""
        await self._client.preload()

    async def stream(self, request: Request) -> AsyncIterator[Sequence[StreamEvent]]:
        body, warnings = encode(request, extra_body=self._extra_body)
        if warnings:
            yield [ProviderWarning(text) for text in dict.fromkeys(warnings)]
        dialect = ResponsesStream(self.provider_id, call_ids_of(request.messages))

        async def open_response() -> "httpx2.Response":
            return await self._client.post("/responses", body, request)

        async with aclosing(answer(open_response, dialect, self.provider_id, self._client.secrets)) as batches:
            async for batch in batches:
                yield batch

    async def close(self) -> None:
        await self._client.close()
