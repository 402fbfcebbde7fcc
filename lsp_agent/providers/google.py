"""Gemini models, at the Gemini API and at Vertex: the adapter. `google_request` says, `google_stream` hears.

Both services speak the same dialect; they differ in the address of a model and in how the key is sent.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lsp_agent.domain.stream import ProviderWarning, StreamEvent
from lsp_agent.ports.provider import Request
from lsp_agent.providers.content import body_bytes, call_ids_of
from lsp_agent.providers.google_request import encode
from lsp_agent.providers.google_stream import GoogleStream
from lsp_agent.providers.plain_http import PlainHttp
from lsp_agent.providers.sending import DIRECTLY, Reach
from lsp_agent.providers.streaming import answer, request_headers

if TYPE_CHECKING:
    import httpx2

DEFAULT_BASE_URL = "https://generativelanguage.googleapis.com/v1beta"


class GoogleProvider:
    """One service that speaks Gemini's dialect.

    `api_key` goes out as `x-goog-api-key`; one that starts with `Bearer `, or any when `bearer` is set (Vertex), as the
    Authorization header; empty = none. `models_path` stands between the base address and a model's name.
    """

    def __init__(
        self,
        provider_id: str,
        *,
        api_key: str,
        base_url: str = "",
        models_path: str = "/models",
        bearer: bool = False,
        headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        reach: Reach = DIRECTLY,
    ) -> None:
        self.provider_id = provider_id
        self.media_in_tool_results = False
        self._headers = {name.lower(): value for name, value in (headers or {}).items() if value}
        self._key = api_key.removeprefix("Bearer ").strip()
        self._bearer = bearer or api_key.startswith("Bearer ")
        self._models_path = models_path
        self._extra_body = dict(extra_body or {})
        self._http = PlainHttp(provider_id, base_url or DEFAULT_BASE_URL, self._secrets, reach)

    async def preload(self) -> None:
        """Import the HTTP library off the event loop, before the first prompt."""
        await self._http.preload()

    async def stream(self, request: Request) -> AsyncIterator[Sequence[StreamEvent]]:
        body, warnings = encode(request, extra_body=self._extra_body)
        if warnings:
            yield [ProviderWarning(text) for text in dict.fromkeys(warnings)]
        dialect = GoogleStream(self.provider_id, call_ids_of(request.messages))
        name = quote(request.model.model_id.removeprefix("models/"), safe="")
        path = f"{self._models_path}/{name}:streamGenerateContent?alt=sse"

        async def open_response() -> "httpx2.Response":
            headers = {**request_headers(request), **self._key_header(), **self._headers}
            return await self._http.post(path, body_bytes(body), headers)

        async with aclosing(answer(open_response, dialect, self.provider_id, self._secrets)) as batches:
            async for batch in batches:
                yield batch

    async def close(self) -> None:
        await self._http.close()

    def _key_header(self) -> dict[str, str]:
        if not self._key:
            return {}
        return {"authorization": f"Bearer {self._key}"} if self._bearer else {"x-goog-api-key": self._key}

    def _secrets(self) -> list[str]:
        return [self._key, *self._headers.values()]
