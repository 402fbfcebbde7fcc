"""What OpenAI's two dialects share, at OpenAI and at every compatible server: addresses, keys and headers."""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lsp_agent.ports.provider import Request
from lsp_agent.providers.content import body_bytes
from lsp_agent.providers.openai_sdk import OpenAISdk
from lsp_agent.providers.plain_http import PlainHttp
from lsp_agent.providers.sending import DIRECTLY, SDK, Reach, Sender
from lsp_agent.providers.streaming import request_headers
from lsp_agent.providers.vendor_headers import OPENAI_URL, openai_headers

if TYPE_CHECKING:
    import httpx2


class OpenAIClient:
    """One service behind an OpenAI-style address. `api_key` empty = no Authorization header.

    `key_header`: the header that carries the key instead (Azure's `api-key`), unless the key starts with `Bearer `.
    `query`: added to every address. `more_headers`: what a service wants to hear about one request.
    """

    def __init__(
        self,
        service: str,
        *,
        api_key: str,
        base_url: str = "",
        headers: Mapping[str, str] | None = None,
        key_header: str = "",
        query: Mapping[str, str] | None = None,
        reach: Reach = DIRECTLY,
        more_headers: Callable[[Request], Mapping[str, str]] | None = None,
    ) -> None:
        bearer = not key_header or api_key.startswith("Bearer ")
        secret = api_key.removeprefix("Bearer ").strip()
        key = secret if bearer else ""
        own = dict(headers or {}) if bearer or not secret else {key_header: secret, **(headers or {})}
        base_url = base_url or OPENAI_URL
        sent = openai_headers(key, own, base_url, os.environ)
        self._secrets = [secret, *sent.values()]
        self._more_headers = more_headers
        self._sender: Sender = (
            OpenAISdk(service, base_url, api_key=key, headers=own, query=query, reach=reach)
            if reach.transport == SDK
            else PlainHttp(service, base_url, self.secrets, reach, headers=sent, query=query)
        )

    def secrets(self) -> list[str]:
        """What must never appear in a message."""
        return self._secrets

    async def preload(self) -> None:
        """Import what sending needs and make the client in a thread, so that the first prompt does not pay for it."""
        await self._sender.preload()

    async def post(self, path: str, body: Mapping[str, Any], request: Request) -> "httpx2.Response":
        """Send and return the open response of a success. Raises: see `Sender`."""
        headers = dict(request_headers(request))
        if self._more_headers is not None:
            headers.update(self._more_headers(request))
        return await self._sender.post(path, body_bytes(body), headers)

    async def close(self) -> None:
        """Release connections; may be called twice."""
        await self._sender.close()
