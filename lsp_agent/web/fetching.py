"""One bounded request: guarded, limited in bytes and time, redirects followed by hand.

Nothing of the user goes along: no cookie, no credential, no proxy of the environment, no referrer. Cancelling closes
the connection at once (RELIABILITY EX-04 to EX-09, EX-17, EX-18).
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from lsp_agent import __version__
from lsp_agent.domain.errors import ToolError
from lsp_agent.web.decoding import Unpacker, split_content_type
from lsp_agent.web.guard import Guard
from lsp_agent.web.urls import Target, UrlRefused, join_url

if TYPE_CHECKING:
    import httpcore2

MAX_REDIRECTS = 5
MAX_BYTES = 5 << 20
TOTAL_S = 30.0
CONNECT_S = 10.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TEXT_TYPES = frozenset((
    "application/json", "application/x-ndjson", "application/xml", "application/javascript",
    "application/x-javascript", "application/ecmascript", "application/yaml", "application/x-yaml",
    "application/toml", "application/x-sh",
))  # fmt: skip
"""Beside `text/*` and what ends in `+json` or `+xml`."""
_BINARY_STARTS = (
    b"%PDF",
    b"PK\x03\x04",
    b"\x7fELF",
    b"\x89PNG",
    b"GIF8",
    b"\xff\xd8\xff",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
)

NewHost = Callable[[Target], Awaitable[bool]]
"""Asked before a redirect to another origin is followed; False = it is not."""


Sink = Callable[[bytes], Awaitable[None]]
"""Takes the body of a 200 piece by piece."""


class FetchFailed(ToolError):
    """Nothing usable came back; the text says why."""


class RedirectStopped(FetchFailed):
    """A redirect to another host was not followed. `target` is where it leads."""

    def __init__(self, target: Target) -> None:
        super().__init__(f"It redirects to another host, {target.url}, which was not fetched.")
        self.target = target


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request, redirects included. Beyond `max_bytes` the rest is cut, or it is an error (`whole`)."""

    max_bytes: int = MAX_BYTES
    total_s: float = TOTAL_S
    connect_s: float = CONNECT_S
    whole: bool = False
    any_type: bool = False
    """Content that is no text is wanted too."""


@dataclass(frozen=True, slots=True)
class Page:
    """What came back. `body` is unpacked."""

    target: Target
    """Where it was found in the end."""
    status: int
    content_type: str
    charset: str | None
    body: bytes
    truncated: bool = False
    hops: tuple[str, ...] = field(default=())
    """Every address that redirected, in order."""

    @property
    def is_html(self) -> bool:
        """By its declared type."""
        return self.content_type in ("text/html", "application/xhtml+xml")

    @property
    def is_json(self) -> bool:
        """By its declared type."""
        return self.content_type == "application/json" or self.content_type.endswith("+json")


async def refuse_new_host(target: Target) -> bool:
    """A `NewHost` for requests that stay where they were sent."""
    return False


def system_certificates() -> ssl.SSLContext:
    """What the machine trusts; blocks for some milliseconds."""
    import httpcore2

    return httpcore2.default_ssl_context()


class Fetcher:
    """Sends requests through the guard. `certificates` makes the TLS context, once, off the loop."""

    def __init__(self, guard: Guard, *, certificates: Callable[[], ssl.SSLContext] = system_certificates) -> None:
        self.guard = guard
        self._certificates = certificates
        self._context: ssl.SSLContext | None = None

    async def get(
        self,
        target: Target,
        *,
        limits: Limits | None = None,
        new_host: NewHost = refuse_new_host,
        headers: Mapping[str, str] | None = None,
        sink: Sink | None = None,
    ) -> Page:
        """GET and follow at most five redirects. `sink` takes the body piece by piece; `Page.body` is empty then.

        The time in which `new_host` waits for a person does not count. Raises: UrlRefused, FetchFailed.
        """
        limits = limits or Limits()
        left_s = limits.total_s
        hops: list[str] = []
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            answer = await self._send("GET", target, limits, left_s, headers, None, sink)
            left_s -= loop.time() - started
            if isinstance(answer, Page):
                return Page(
                    answer.target, answer.status, answer.content_type, answer.charset, answer.body, answer.truncated,
                    tuple(hops),
                )  # fmt: skip
            hops.append(target.url)
            if len(hops) > MAX_REDIRECTS:
                raise FetchFailed(f"It redirects more than {MAX_REDIRECTS} times.")
            if target.scheme == "https" and answer.scheme == "http":
                raise UrlRefused(f"It redirects from https to http ({answer.url}), which is not followed.")
            self.guard.check(answer)
            if answer.origin != target.origin and not await new_host(answer):
                raise RedirectStopped(answer)
            target = answer

    async def post(self, target: Target, body: bytes, *, limits: Limits, headers: Mapping[str, str]) -> Page:
        """POST to a service of the configuration's; a redirect is an error. Raises: UrlRefused, FetchFailed."""
        answer = await self._send("POST", target, limits, limits.total_s, headers, body, None)
        if not isinstance(answer, Page):
            raise RedirectStopped(answer)
        return answer

    async def _send(
        self,
        method: str,
        target: Target,
        limits: Limits,
        left_s: float,
        headers: Mapping[str, str] | None,
        body: bytes | None,
        sink: Sink | None,
    ) -> Page | Target:
        """One request: the page, or where it redirects to."""
        self.guard.check(target)
        try:
            async with asyncio.timeout(max(left_s, 0.0)), self._open(method, target, limits, headers, body) as response:
                return await _read(target, response, limits, sink)
        except TimeoutError as error:
            raise FetchFailed(f"{target.url} did not answer completely in {limits.total_s:g} seconds.") from error

    @asynccontextmanager
    async def _open(
        self, method: str, target: Target, limits: Limits, headers: Mapping[str, str] | None, body: bytes | None
    ) -> AsyncIterator["httpcore2.Response"]:
        """The open response; whatever goes wrong on the wire becomes FetchFailed."""
        if self._context is None and target.scheme == "https":
            self._context = await asyncio.to_thread(self._certificates)
        import httpcore2

        from lsp_agent.web.transport import make_pool

        url = httpcore2.URL(scheme=target.scheme, host=_bracketed(target.host), port=target.port, target=target.path)
        waits = {"connect": limits.connect_s, "read": limits.total_s, "write": limits.total_s, "pool": limits.connect_s}
        sent = [("Host", target.authority), *{**_HEADERS, **(headers or {})}.items()]
        try:
            async with (
                make_pool(self.guard, self._context) as pool,
                pool.stream(method, url, headers=sent, content=body, extensions={"timeout": waits}) as response,
            ):
                yield response
        except (
            httpcore2.NetworkError,
            httpcore2.ProtocolError,
            httpcore2.TimeoutException,
            httpcore2.UnsupportedProtocol,
            OSError,
        ) as error:
            if isinstance(error, TimeoutError):
                raise
            raise FetchFailed(f"{target.url} could not be fetched: {_why(error)}.") from error


_HEADERS: Mapping[str, str] = {
    "User-Agent": f"lsp-agent/{__version__}",
    "Accept": "text/html,application/xhtml+xml,text/*;q=0.9,application/json;q=0.9,application/xml;q=0.8,*/*;q=0.1",
    "Accept-Language": "en",
    "Accept-Encoding": "gzip, deflate",
    "Connection": "close",
}


async def _read(target: Target, response: "httpcore2.Response", limits: Limits, sink: Sink | None) -> Page | Target:
    headers = _headers(response)
    if response.status in _REDIRECTS and headers.get("location"):
        return join_url(target, headers["location"])
    kind, charset = split_content_type(headers.get("content-type", ""))
    if response.status == HTTPStatus.OK and not limits.any_type and not _is_text(kind):
        raise FetchFailed(f"{target.url} is {kind[:80]!r}; only text, JSON and XML are read.")
    if limits.whole and _declared(headers) > limits.max_bytes:
        raise FetchFailed(f"{target.url} is larger than {limits.max_bytes} bytes.")
    wanted = sink if response.status == HTTPStatus.OK else None
    body, truncated = await _body(target, response, headers.get("content-encoding", ""), limits, wanted)
    if not limits.any_type and body.startswith(_BINARY_STARTS):
        raise FetchFailed(f"{target.url} says it is {kind or 'text'}, but its content is binary.")
    return Page(target, response.status, kind, charset, body, truncated)


async def _body(
    target: Target, response: "httpcore2.Response", encoding: str, limits: Limits, sink: Sink | None
) -> tuple[bytes, bool]:
    """The unpacked body, or what fits of it, and whether something is missing. Raw bytes are limited alike."""
    kept = bytearray()
    raw = 0
    try:
        unpacker = Unpacker(encoding, limits.max_bytes + 1)
        stream: Any = response.aiter_stream()
        async for data in stream:
            raw += len(data)
            piece = unpacker.feed(data)
            if sink is not None:
                await sink(piece)
            else:
                kept += piece
            if unpacker.full or raw > limits.max_bytes:
                break
    except ValueError as error:
        raise FetchFailed(f"{target.url} cannot be read: {error}.") from error
    over = unpacker.full or raw > limits.max_bytes
    if over and limits.whole:
        raise FetchFailed(f"{target.url} is larger than {limits.max_bytes} bytes.")
    return bytes(kept[: limits.max_bytes]), over


def _headers(response: "httpcore2.Response") -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1").strip() for name, value in response.headers}


def _declared(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "")
    return int(text) if text.isdigit() and len(text) < 19 else 0


def _is_text(kind: str) -> bool:
    return not kind or kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+json", "+xml"))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _why(error: Exception) -> str:
    """A word for people; the text of an exception may hold what the other side sent."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if cause is not None:
        return "its certificate or encryption is not accepted"
    names = {
        "ConnectError": "no connection could be made",
        "ConnectTimeout": "no connection was made in time",
        "ReadTimeout": "it stopped sending",
        "ReadError": "the connection broke",
        "WriteError": "the connection broke",
        "RemoteProtocolError": "it does not speak HTTP correctly",
    }
    return names.get(type(error).__name__, "the connection failed")
