"""Anthropic's Messages API, and services that speak it.

The SDK does what it is good at (addresses, authentication headers, error classes, proxies); bodies go in as bytes and
the answer comes out as bytes, so nothing is validated twice. The only module that knows the `anthropic` package, which
is imported on first use, off the event loop.
"""

import asyncio
import importlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from lsp_agent.domain.stream import ProviderWarning, StreamEvent
from lsp_agent.ports.provider import Request
from lsp_agent.providers.anthropic_request import EncodedRequest, encode
from lsp_agent.providers.anthropic_stream import AnthropicStream
from lsp_agent.providers.content import body_bytes, call_ids_of
from lsp_agent.providers.proxies import CONNECT_TIMEOUT_S, own_http_client
from lsp_agent.providers.sdk_headers import is_vendors_own, withhold
from lsp_agent.providers.specials import ANTHROPIC_SPECIALS, special_for
from lsp_agent.providers.streaming import answer, request_headers

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic

DEFAULT_BASE_URL = "https://api.anthropic.com"
CUSTOM_HEADERS_NAME = "ANTHROPIC_CUSTOM_HEADERS"
_CLOSE_S = 2.0


class AnthropicProvider:
    """One service that speaks the Messages dialect.

    `api_key`: goes out as `x-api-key`; one that starts with `Bearer ` as the Authorization header; empty = none.
    `cache`: put prompt-cache marks into requests.
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
        ca_file: str = "",
    ) -> None:
        self.provider_id = provider_id
        self.media_in_tool_results = True
        self._api_key = api_key
        self._base_url = (base_url or DEFAULT_BASE_URL).rstrip("/").removesuffix("/v1")
        self._headers = dict(headers or {})
        self._extra_body = dict(extra_body or {})
        self._cache = cache
        self._ca_file = ca_file
        self._client: AsyncAnthropic | None = None

    async def preload(self) -> None:
        """Import the SDK and make the client in a thread, so that the first prompt does not pay for it."""
        await self._sdk_client()

    async def stream(self, request: Request) -> AsyncIterator[Sequence[StreamEvent]]:
        special = special_for(self.provider_id, self._base_url, request.model.model_id, ANTHROPIC_SPECIALS)
        encoded = encode(request, cache=self._cache, extra_body=self._extra_body, special=special)
        if encoded.warnings:
            yield [ProviderWarning(text) for text in dict.fromkeys(encoded.warnings)]
        dialect = AnthropicStream(self.provider_id, call_ids_of(request.messages))

        async def open_response() -> "httpx2.Response":
            return await self._post(encoded, request)

        async with aclosing(answer(open_response, dialect, self.provider_id, self._secrets)) as batches:
            async for batch in batches:
                yield batch

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_S):
                await client.close()
        except TimeoutError:
            return  # the process is about to end anyway

    async def _post(self, encoded: EncodedRequest, request: Request) -> "httpx2.Response":
        client: Any = await self._sdk_client()
        import httpx2
        from anthropic import AsyncStream

        headers = {**request_headers(request), **self._beta_header(encoded.betas)}
        response: httpx2.Response = await client.post(
            "/v1/messages",
            cast_to=httpx2.Response,
            content=body_bytes(encoded.body),
            # a redirect to another host would carry the key along
            options={"headers": headers, "follow_redirects": False},
            stream=True,
            stream_cls=AsyncStream[Any],
        )
        return response

    async def _sdk_client(self) -> "AsyncAnthropic":
        if self._client is None:
            made = await asyncio.to_thread(self._make_client)
            # another request may have been quicker meanwhile
            if self._client is None:
                self._client = made
        return self._client

    def _beta_header(self, betas: list[str]) -> dict[str, str]:
        if not betas:
            return {}
        configured = [value for name, value in self._headers.items() if name.lower() == "anthropic-beta" and value]
        flags = [flag.strip() for value in configured for flag in value.split(",")]
        return {"anthropic-beta": ",".join(dict.fromkeys([*flags, *betas]))}

    def _secrets(self) -> list[str]:
        return [self._api_key.removeprefix("Bearer ").strip(), *self._headers.values()]

    def _make_client(self) -> "AsyncAnthropic":
        sdk = importlib.import_module("anthropic")
        http = importlib.import_module("httpx2")
        headers: dict[str, Any] = dict(self._headers)
        named = {name.lower() for name in headers}
        if self._api_key.startswith("Bearer "):
            headers.setdefault("Authorization", self._api_key)
        elif "authorization" not in named:
            headers["Authorization"] = sdk.omit
            if self._api_key and "x-api-key" not in named:
                headers["x-api-key"] = self._api_key
        if not is_vendors_own(self._base_url, DEFAULT_BASE_URL):
            withhold(headers, CUSTOM_HEADERS_NAME, sdk.omit)
        client: AsyncAnthropic = sdk.AsyncAnthropic(
            # never empty: with nothing given the SDK goes looking in the environment and in files
            api_key=self._api_key or "none",
            base_url=self._base_url,
            max_retries=0,
            timeout=http.Timeout(None, connect=CONNECT_TIMEOUT_S),
            default_headers=headers,
            http_client=own_http_client(self._base_url, self._ca_file),
        )
        return client
