"""Anthropic's dialect through Anthropic's SDK (`options.transport = "sdk"`). The only module that knows `anthropic`.

The SDK decides on headers and errors; bodies go in as bytes and the answer comes out as bytes, so nothing is validated
twice. It is imported when the client is made, in a thread.
"""

import importlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.proxies import CONNECT_TIMEOUT_S, http_client
from lsp_agent.providers.sending import DIRECTLY, OneClient, Reach, address
from lsp_agent.providers.vendor_headers import ANTHROPIC_CUSTOM, ANTHROPIC_URL, is_vendors_own, withheld

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic

_MISSING = '{}: options.transport = "sdk" needs the package anthropic; without that option it is not needed.'


class AnthropicSdk:
    """A `Sender`. `api_key` and `headers` as in `vendor_headers.anthropic_headers`."""

    def __init__(
        self, service: str, base_url: str, *, api_key: str, headers: Mapping[str, str], reach: Reach = DIRECTLY
    ) -> None:
        self._service = service
        self._base_url = base_url
        self._api_key = api_key
        self._headers = dict(headers)
        self._reach = reach
        self._client: OneClient[AsyncAnthropic] = OneClient(self._make, _close)

    async def preload(self) -> None:
        """Import the SDK and make its client in a thread."""
        await self._client.ready()

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> "httpx2.Response":
        """See `Sender`. Raises: what the SDK raises."""
        client: Any = await self._client.ready()
        import httpx2
        from anthropic import AsyncStream

        response: httpx2.Response = await client.post(
            address(self._base_url, path),
            cast_to=httpx2.Response,
            content=body,
            # a redirect to another host would carry the key along
            options={"headers": {**self._proof(), **self._headers, **headers}, "follow_redirects": False},
            stream=True,
            stream_cls=AsyncStream[Any],
        )
        return response

    async def close(self) -> None:
        await self._client.close()

    def _proof(self) -> dict[str, Any]:
        """The SDK would send a key as a bearer token."""
        from anthropic import omit

        if self._api_key.startswith("Bearer "):
            return {"Authorization": self._api_key}
        if self._api_key and "authorization" not in {name.lower() for name in self._headers}:
            return {"Authorization": omit, "x-api-key": self._api_key}
        return {"Authorization": omit}

    def _make(self) -> "AsyncAnthropic":
        try:
            sdk = importlib.import_module("anthropic")
        except ImportError as error:
            raise ProviderError("Provider", "No SDK", _MISSING.format(self._service)) from error
        http = importlib.import_module("httpx2")
        is_own = is_vendors_own(self._base_url, ANTHROPIC_URL)
        client: AsyncAnthropic = sdk.AsyncAnthropic(
            # never empty: with nothing given the SDK goes looking in the environment and in files
            api_key=self._api_key or "none",
            base_url=self._base_url,
            max_retries=0,
            timeout=http.Timeout(None, connect=CONNECT_TIMEOUT_S),
            default_headers={} if is_own else withheld(ANTHROPIC_CUSTOM, os.environ, sdk.omit),
            http_client=http_client(self._base_url, self._reach.ca_file, self._reach.contexts),
        )
        return client


async def _close(client: "AsyncAnthropic") -> None:
    await client.close()
