"""Anthropic's Messages API, and services that speak it: the adapter.

`anthropic_request` says, `anthropic_stream` hears; bodies go out and answers come in as bytes, by one of two senders.
"""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from lsp_agent.domain.stream import ProviderWarning, StreamEvent
from lsp_agent.ports.provider import Request
from lsp_agent.providers.anthropic_request import EncodedRequest, encode
from lsp_agent.providers.anthropic_sdk import AnthropicSdk
from lsp_agent.providers.anthropic_stream import AnthropicStream
from lsp_agent.providers.content import body_bytes, call_ids_of
from lsp_agent.providers.plain_http import PlainHttp
from lsp_agent.providers.sending import DIRECTLY, SDK, Reach, Sender
from lsp_agent.providers.specials import ANTHROPIC_SPECIALS, special_for
from lsp_agent.providers.streaming import answer, request_headers
from lsp_agent.providers.vendor_headers import ANTHROPIC_URL, anthropic_headers

if TYPE_CHECKING:
    import httpx2


class AnthropicProvider:
    """One service that speaks the Messages dialect.

    `api_key`: goes out as `x-api-key`; one that starts with `Bearer ` as the Authorization header; empty = none.
    `base_url`: with or without `/v1`; empty = Anthropic's. `cache`: put prompt-cache marks into requests.
    """

    def __init__(
        self,
        provider_id: str,
        *,
        api_key: str,
        base_url: str = "",
        headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        cache: bool = True,
        reach: Reach = DIRECTLY,
    ) -> None:
        self.provider_id = provider_id
        self.media_in_tool_results = True
        self._api_key = api_key
        self._base_url = _without_version(base_url or ANTHROPIC_URL)
        self._headers = dict(headers or {})
        self._extra_body = dict(extra_body or {})
        self._cache = cache
        self._sent = anthropic_headers(api_key, self._headers, self._base_url, os.environ)
        self._sender = self._make_sender(reach)

    async def preload(self) -> None:
        """Import what sending needs and make the client in a thread, so that the first prompt does not pay for it."""
        await self._sender.preload()

    async def stream(self, request: Request) -> AsyncIterator[Sequence[StreamEvent]]:
        special = special_for(self.provider_id, self._base_url, request.model.model_id, ANTHROPIC_SPECIALS)
        encoded = encode(request, cache=self._cache, extra_body=self._extra_body, special=special)
        if encoded.warnings:
            yield [ProviderWarning(text) for text in dict.fromkeys(encoded.warnings)]
        dialect = AnthropicStream(self.provider_id, call_ids_of(request.messages))

        async def open_response() -> "httpx2.Response":
            headers = {**request_headers(request), **self._beta_header(encoded)}
            return await self._sender.post("/v1/messages", body_bytes(encoded.body), headers)

        async with aclosing(answer(open_response, dialect, self.provider_id, self._secrets)) as batches:
            async for batch in batches:
                yield batch

    async def close(self) -> None:
        await self._sender.close()

    def _make_sender(self, reach: Reach) -> Sender:
        if reach.transport == SDK:
            return AnthropicSdk(
                self.provider_id, self._base_url, api_key=self._api_key, headers=self._headers, reach=reach
            )
        return PlainHttp(self.provider_id, self._base_url, self._secrets, reach, headers=self._sent)

    def _beta_header(self, encoded: EncodedRequest) -> dict[str, str]:
        if not encoded.betas:
            return {}
        flags = [flag.strip() for flag in self._sent.get("anthropic-beta", "").split(",") if flag.strip()]
        return {"anthropic-beta": ",".join(dict.fromkeys([*flags, *encoded.betas]))}

    def _secrets(self) -> list[str]:
        return [self._api_key.removeprefix("Bearer ").strip(), *_private(self._sent)]


def _without_version(base_url: str) -> str:
    """The address that `/v1/messages` is below, its query kept."""
    base, mark, query = base_url.partition("?")
    return base.rstrip("/").removesuffix("/v1") + mark + query


def _private(headers: Mapping[str, str]) -> list[str]:
    """Values that may be somebody's secret: all but the dialect's version."""
    return [value for name, value in headers.items() if name != "anthropic-version"]
