"""The usual way to a service: one HTTP client, no SDK.

Knows no dialect and no credentials: addresses, bodies and headers come in, open responses go out.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import orjson

from lsp_agent.providers.errors import refusal
from lsp_agent.providers.proxies import http_client
from lsp_agent.providers.sending import DIRECTLY, OneClient, Reach, address
from lsp_agent.providers.vendor_headers import layered

if TYPE_CHECKING:
    import httpx2

_EXPLANATION_BYTES = 65_536
_EXPLANATION_S = 10.0


class PlainHttp:
    """A `Sender` over the HTTP library itself.

    `secrets` returns what must never appear in a message. `headers`: of every request, below those of one request.
    `query`: added to every address.
    """

    def __init__(
        self,
        service: str,
        base_url: str,
        secrets: Callable[[], Iterable[str]],
        reach: Reach = DIRECTLY,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> None:
        self._base_url = base_url
        self._service = service
        self._secrets = secrets
        self._headers = dict(headers or {})
        self._query = dict(query or {})
        self._client = OneClient(lambda: http_client(base_url, reach.ca_file, reach.contexts), _close)

    async def preload(self) -> None:
        """Import the library and make the client in a thread."""
        await self._client.ready()

    def url(self, path: str) -> str:
        """Where `post` sends to."""
        return address(self._base_url, path, self._query)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> "httpx2.Response":
        """See `Sender`. Raises: ProviderError for any status but success; what the library raises for all else."""
        client = await self._client.ready()
        import httpx2

        sent = httpx2.Headers(layered(self._headers, headers), encoding="utf-8")
        request = client.build_request("POST", self.url(path), content=body, headers=sent)
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
        await self._client.close()


async def _close(client: "httpx2.AsyncClient") -> None:
    await client.aclose()


async def _explanation(response: "httpx2.Response") -> object:
    """What an error answer says, as JSON where it is JSON, else as text; None when it cannot be read."""
    import httpx2

    text = b""
    try:
        async with asyncio.timeout(_EXPLANATION_S):
            async for chunk in response.aiter_bytes():
                text += chunk
                if len(text) > _EXPLANATION_BYTES:
                    break
    except (TimeoutError, httpx2.HTTPError):
        return None  # the status says enough
    try:
        found: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text.decode("utf-8", "replace")
    return found
