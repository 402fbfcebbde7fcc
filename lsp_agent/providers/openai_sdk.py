"""OpenAI-style addresses through OpenAI's SDK (`options.transport = "sdk"`). The only module that knows `openai`.

As with Anthropic, the SDK decides on headers and errors, bodies go in as bytes and answers come out as bytes.
"""

import importlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.proxies import CONNECT_TIMEOUT_S, http_client
from lsp_agent.providers.sending import DIRECTLY, OneClient, Reach, address
from lsp_agent.providers.vendor_headers import OPENAI_CUSTOM, OPENAI_URL, is_vendors_own, withheld

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

_MISSING = '{}: options.transport = "sdk" needs the package openai; without that option it is not needed.'


class OpenAISdk:
    """A `Sender`. `api_key` and `headers` as in `vendor_headers.openai_headers`; `query` is added to every address."""

    def __init__(
        self,
        service: str,
        base_url: str,
        *,
        api_key: str,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        reach: Reach = DIRECTLY,
    ) -> None:
        self._service = service
        self._base_url = base_url
        self._api_key = api_key
        self._headers = dict(headers)
        self._query = dict(query or {})
        self._reach = reach
        self._client: OneClient[AsyncOpenAI] = OneClient(self._make, _close)

    async def preload(self) -> None:
        """Import the SDK and make its client in a thread."""
        await self._client.ready()

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> "httpx2.Response":
        """See `Sender`. Raises: what the SDK raises."""
        client: Any = await self._client.ready()
        import httpx2
        from openai import AsyncStream, omit

        proof = {} if self._api_key else {"Authorization": omit}
        response: httpx2.Response = await client.post(
            address(self._base_url, path, self._query),
            cast_to=httpx2.Response,
            content=body,
            # a redirect to another host would carry the key along
            options={"headers": {**proof, **self._headers, **headers}, "follow_redirects": False},
            stream=True,
            stream_cls=AsyncStream[Any],
        )
        return response

    async def close(self) -> None:
        await self._client.close()

    def _make(self) -> "AsyncOpenAI":
        try:
            sdk = importlib.import_module("openai")
        except ImportError as error:
            raise ProviderError("Provider", "No SDK", _MISSING.format(self._service)) from error
        http = importlib.import_module("httpx2")
        defaults: dict[str, Any] = {}
        if not is_vendors_own(self._base_url, OPENAI_URL):
            # OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS are nobody else's business
            defaults = {"OpenAI-Organization": sdk.omit, "OpenAI-Project": sdk.omit}
            defaults |= withheld(OPENAI_CUSTOM, os.environ, sdk.omit)
            if self._api_key:
                # said here, because what is withheld may have the same name
                defaults = {name: value for name, value in defaults.items() if name.lower() != "authorization"}
                defaults["Authorization"] = f"Bearer {self._api_key}"
        client: AsyncOpenAI = sdk.AsyncOpenAI(
            # never empty, and no admin key: with nothing given the SDK goes looking in the environment
            api_key=self._api_key or "none",
            admin_api_key="",
            base_url=self._base_url,
            max_retries=0,
            timeout=http.Timeout(None, connect=CONNECT_TIMEOUT_S),
            default_headers=defaults,
            http_client=http_client(self._base_url, self._reach.ca_file, self._reach.contexts),
        )
        return client


async def _close(client: "AsyncOpenAI") -> None:
    await client.close()
