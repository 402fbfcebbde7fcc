"""The OpenAI SDK's client, for both of its dialects and for every compatible server.

The only module that knows the `openai` package, which is imported on first use, off the event loop. As with Anthropic,
bodies go in as bytes and answers come out as bytes.
"""

import asyncio
import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lsp_agent.ports.provider import Request
from lsp_agent.providers.content import body_bytes
from lsp_agent.providers.proxies import CONNECT_TIMEOUT_S, own_http_client
from lsp_agent.providers.sdk_headers import is_vendors_own, withhold
from lsp_agent.providers.streaming import request_headers

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

DEFAULT_BASE_URL = "https://api.openai.com/v1"
CUSTOM_HEADERS_NAME = "OPENAI_CUSTOM_HEADERS"
_CLOSE_S = 2.0


class OpenAIClient:
    """One service behind an OpenAI-style address. `api_key` empty = no Authorization header.

    `key_header`: the header that carries the key instead (Azure's `api-key`), unless the key starts with `Bearer `.
    `query`: added to every address. `more_headers`: what a service wants to hear about one request.
    """

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = "",
        headers: Mapping[str, str] | None = None,
        key_header: str = "",
        query: Mapping[str, str] | None = None,
        ca_file: str = "",
        more_headers: Callable[[Request], Mapping[str, str]] | None = None,
    ) -> None:
        bearer = not key_header or api_key.startswith("Bearer ")
        secret = api_key.removeprefix("Bearer ").strip()
        self._api_key = secret if bearer else ""
        self._base_url = base_url or DEFAULT_BASE_URL
        self._headers = dict(headers or {}) if bearer or not secret else {key_header: secret, **(headers or {})}
        self._query = dict(query or {})
        self._ca_file = ca_file
        self._more_headers = more_headers
        self._client: AsyncOpenAI | None = None

    def secrets(self) -> list[str]:
        """What must never appear in a message."""
        return [self._api_key, *self._headers.values()]

    async def preload(self) -> None:
        """Import the SDK and make the client in a thread, so that the first prompt does not pay for it."""
        await self._sdk_client()

    async def post(self, path: str, body: Mapping[str, Any], request: Request) -> "httpx2.Response":
        """Send and return the open response of a success. Raises: what the SDK raises."""
        client: Any = await self._sdk_client()
        import httpx2
        from openai import AsyncStream, omit

        headers: dict[str, Any] = dict(request_headers(request))
        if self._more_headers is not None:
            headers.update(self._more_headers(request))
        if not self._api_key and "authorization" not in {name.lower() for name in self._headers}:
            headers["Authorization"] = omit
        response: httpx2.Response = await client.post(
            path,
            cast_to=httpx2.Response,
            content=body_bytes(body),
            # a redirect to another host would carry the key along
            options={"headers": headers, "follow_redirects": False},
            stream=True,
            stream_cls=AsyncStream[Any],
        )
        return response

    async def close(self) -> None:
        """Release connections; may be called twice."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_S):
                await client.close()
        except TimeoutError:
            return  # the process is about to end anyway

    async def _sdk_client(self) -> "AsyncOpenAI":
        if self._client is None:
            made = await asyncio.to_thread(self._make_client)
            # another request may have been quicker meanwhile
            if self._client is None:
                self._client = made
        return self._client

    def _make_client(self) -> "AsyncOpenAI":
        sdk = importlib.import_module("openai")
        http = importlib.import_module("httpx2")
        headers: dict[str, Any] = dict(self._headers)
        if not is_vendors_own(self._base_url, DEFAULT_BASE_URL):
            # OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS are nobody else's business
            headers = {"OpenAI-Organization": sdk.omit, "OpenAI-Project": sdk.omit, **headers}
            if self._api_key and "authorization" not in {name.lower() for name in headers}:
                # said here, because what is withheld next may have the same name
                headers["Authorization"] = f"Bearer {self._api_key}"
            withhold(headers, CUSTOM_HEADERS_NAME, sdk.omit)
        client: AsyncOpenAI = sdk.AsyncOpenAI(
            # never empty, and no admin key: with nothing given the SDK goes looking in the environment
            api_key=self._api_key or "none",
            admin_api_key="",
            base_url=self._base_url,
            max_retries=0,
            timeout=http.Timeout(None, connect=CONNECT_TIMEOUT_S),
            default_headers=headers,
            default_query=self._query or None,
            http_client=own_http_client(self._base_url, self._ca_file),
        )
        return client
