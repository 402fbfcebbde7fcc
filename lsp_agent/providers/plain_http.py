"""Services that are reached without an SDK: one HTTP client each, over the library the SDKs bring along.

Knows no dialect and no credentials: addresses, bodies and headers come in, open responses go out.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import orjson

from lsp_agent.providers.errors import refusal
from lsp_agent.providers.proxies import http_client

if TYPE_CHECKING:
    import httpx2

_CLOSE_S = 2.0
_EXPLANATION_BYTES = 65_536
_EXPLANATION_S = 10.0


class PlainHttp:
    """One service's connections. `secrets` returns what must never appear in a message."""

    def __init__(self, service: str, base_url: str, secrets: Callable[[], Iterable[str]], ca_file: str = "") -> None:
        self.base_url = base_url.rstrip("/")
        self._service = service
        self._secrets = secrets
        self._ca_file = ca_file
        self._client: httpx2.AsyncClient | None = None

    async def preload(self) -> None:
        """Import the library and make the client in a thread, so that the first prompt does not pay for it."""
        await self._ready()

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> "httpx2.Response":
        """Send and return the open response of a success. `path` follows the base address as it is, query included.

        Raises: ProviderError for any other status; what the library raises for everything else.
        """
        client = await self._ready()
        request = client.build_request("POST", self.base_url + path, content=body, headers=dict(headers))
        # a redirect to another host would carry the key along
        response = await client.send(request, stream=True, follow_redirects=False)
        if response.is_success:
            return response
        try:
            said = await _explanation(response)
        finally:
            await response.aclose()
        raise refusal(self._service, response.status_code, said, response.headers, self._secrets())

    async def close(self) -> None:
        """Release connections; may be called twice."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_S):
                await client.aclose()
        except TimeoutError:
            return  # the process is about to end anyway

    async def _ready(self) -> "httpx2.AsyncClient":
        if self._client is None:
            made = await asyncio.to_thread(http_client, self.base_url, self._ca_file)
            # another request may have been quicker meanwhile
            if self._client is None:
                self._client = made
        return self._client


async def _explanation(response: "httpx2.Response") -> object:
    """What an error answer says, as JSON where it is JSON, else as text."""
    text = b""
    try:
        async with asyncio.timeout(_EXPLANATION_S):
            async for chunk in response.aiter_bytes():
                text += chunk
                if len(text) > _EXPLANATION_BYTES:
                    break
    except TimeoutError:
        return None  # the status says enough
    try:
        found: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text.decode("utf-8", "replace")
    return found
