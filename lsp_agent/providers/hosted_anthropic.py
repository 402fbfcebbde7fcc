"""Claude where somebody else hosts it (Bedrock, Vertex): Anthropic's dialect at another address, over plain HTTP.

The model's name moves from the body into the path and a version of the dialect into the body; events and blocks stay
Anthropic's.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from lsp_agent.domain.stream import ProviderWarning, StreamEvent
from lsp_agent.ports.provider import Request
from lsp_agent.providers.anthropic_request import EncodedRequest, encode
from lsp_agent.providers.anthropic_stream import AnthropicStream
from lsp_agent.providers.content import body_bytes, call_ids_of
from lsp_agent.providers.oauth import LoginDue
from lsp_agent.providers.plain_http import PlainHttp
from lsp_agent.providers.sending import DIRECTLY, Reach
from lsp_agent.providers.sse import SseDecoder
from lsp_agent.providers.streaming import Decoder, answer, request_headers

if TYPE_CHECKING:
    import httpx2


class Credentials(Protocol):
    """Proves who asks."""

    async def headers(self, url: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers to add to this one request. Raises: ProviderError(ProviderAuth)."""
        ...

    def secrets(self) -> list[str]:
        """What must never appear in a message."""
        ...

    @property
    def due(self) -> LoginDue | None:
        """What a person has to do before a request can be proven again; None = nothing."""
        ...

    async def renewed(self, timeout_s: float) -> bool:
        """After a refusal: look for other credentials, for `timeout_s` if a login is due. True when there are some."""
        ...


class BearerCredentials:
    """A token that is sent as it is; empty = none."""

    def __init__(self, token: str) -> None:
        self._token = token.removeprefix("Bearer ").strip()

    async def headers(self, url: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token}"} if self._token else {}

    def secrets(self) -> list[str]:
        return [self._token]

    @property
    def due(self) -> LoginDue | None:
        return None

    async def renewed(self, timeout_s: float) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Hosting:
    """How one host serves Anthropic's dialect."""

    base_url: str
    path: str
    """Below `base_url`; `{}` is the model's name, percent-encoded."""
    anthropic_version: str
    accept: str = "text/event-stream"
    make_decoder: Callable[[], Decoder] = SseDecoder
    betas_in_body: bool = False
    """Beta flags go into the body instead of a header."""
    streams_by_path: bool = False
    """The path says that the answer is a stream; the body must not."""


class HostedAnthropicProvider:
    """One hosted service. `cache`: put prompt-cache marks into requests."""

    def __init__(
        self,
        provider_id: str,
        *,
        hosting: Hosting,
        credentials: Credentials,
        headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        cache: bool = True,
        reach: Reach = DIRECTLY,
    ) -> None:
        self.provider_id = provider_id
        self.media_in_tool_results = True
        self._hosting = hosting
        self._credentials = credentials
        self._headers = {name.lower(): value for name, value in (headers or {}).items() if value}
        self._extra_body = dict(extra_body or {})
        self._cache = cache
        self._http = PlainHttp(provider_id, hosting.base_url, self._secrets, reach)

    @property
    def login_due(self) -> LoginDue | None:
        """See `Credentials.due`."""
        return self._credentials.due

    async def renewed(self, timeout_s: float) -> bool:
        """See `Credentials.renewed`."""
        return await self._credentials.renewed(timeout_s)

    async def preload(self) -> None:
        """Import the HTTP library off the event loop, before the first prompt."""
        await self._http.preload()

    async def stream(self, request: Request) -> AsyncIterator[Sequence[StreamEvent]]:
        encoded = encode(request, cache=self._cache, extra_body=self._extra_body)
        if encoded.warnings:
            yield [ProviderWarning(text) for text in dict.fromkeys(encoded.warnings)]
        dialect = AnthropicStream(self.provider_id, call_ids_of(request.messages))

        async def open_response() -> "httpx2.Response":
            return await self._post(encoded, request)

        batches = answer(
            open_response, dialect, self.provider_id, self._secrets, make_decoder=self._hosting.make_decoder
        )
        async with aclosing(batches):
            async for batch in batches:
                yield batch

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, encoded: EncodedRequest, request: Request) -> "httpx2.Response":
        hosting = self._hosting
        body = {"anthropic_version": hosting.anthropic_version, **encoded.body}
        model = str(body.pop("model"))
        headers = {**request_headers(request), "accept": hosting.accept, **self._headers}
        if hosting.streams_by_path:
            body.pop("stream", None)
        if encoded.betas and hosting.betas_in_body:
            body["anthropic_beta"] = encoded.betas
        elif encoded.betas:
            configured = [flag.strip() for flag in headers.get("anthropic-beta", "").split(",") if flag.strip()]
            headers["anthropic-beta"] = ",".join(dict.fromkeys([*configured, *encoded.betas]))
        data = body_bytes(body)
        path = hosting.path.format(quote(model, safe=""))
        proof = await self._credentials.headers(self._http.url(path), data, headers)
        return await self._http.post(path, data, {**headers, **proof})

    def _secrets(self) -> list[str]:
        return [*self._credentials.secrets(), *self._headers.values()]
