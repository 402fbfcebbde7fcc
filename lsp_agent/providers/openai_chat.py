"""Chat Completions of every compatible server: the adapter. `chat_request` says, `chat_stream` hears."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lsp_agent.domain.stream import ProviderWarning, StreamEvent
from lsp_agent.ports.provider import Request
from lsp_agent.providers.chat_request import encode
from lsp_agent.providers.chat_stream import ChatStream
from lsp_agent.providers.content import call_ids_of
from lsp_agent.providers.openai_client import OpenAIClient
from lsp_agent.providers.sending import DIRECTLY, Reach
from lsp_agent.providers.streaming import answer

if TYPE_CHECKING:
    import httpx2


class OpenAIChatProvider:
    """One service that speaks Chat Completions.

    `service_type`: `openai-compat`, `openrouter`, `vercel`, `openai` or `azure`. `api_key` empty = none is sent.
    `path`: below `base_url`; `{}` in it is the model's name. `key_header`, `query`: see `OpenAIClient`.
    `replay_reasoning`: send `reasoning_content` of earlier answers back, for servers that want it in a tool loop.
    """

    def __init__(
        self,
        provider_id: str,
        *,
        api_key: str,
        base_url: str,
        service_type: str = "openai-compat",
        headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        replay_reasoning: bool = False,
        path: str = "/chat/completions",
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
        self._base_url = base_url
        self._path = path
        self._type = service_type
        self._extra_body = dict(extra_body or {})
        self._replay_reasoning = replay_reasoning

    async def preload(self) -> None:
        """Set up sending off the event loop, before the first prompt."""
        await self._client.preload()

    async def stream(self, request: Request) -> AsyncIterator[Sequence[StreamEvent]]:
        body, warnings = encode(
            request,
            self._type,
            extra_body=self._extra_body,
            replay_reasoning=self._replay_reasoning,
            base_url=self._base_url,
        )
        if warnings:
            yield [ProviderWarning(text) for text in dict.fromkeys(warnings)]
        dialect = ChatStream(self.provider_id, call_ids_of(request.messages))

        async def open_response() -> "httpx2.Response":
            path = self._path.format(quote(request.model.model_id, safe=""))
            return await self._client.post(path, body, request)

        async with aclosing(answer(open_response, dialect, self.provider_id, self._client.secrets)) as batches:
            async for batch in batches:
                yield batch

    async def close(self) -> None:
        await self._client.close()
