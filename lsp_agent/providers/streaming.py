"""The part of a streamed answer that all HTTP dialects share: bytes in, batches of events out, the connection closed.

Reads the raw bytes of an SDK's response with our own decoder; typed SDK events cost too much a delta. Knows no dialect.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from lsp_agent import __version__
from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.stream import StreamEvent
from lsp_agent.ports.provider import Request
from lsp_agent.providers.errors import broken_stream, event_error, translating_errors
from lsp_agent.providers.sse import SseDecoder

if TYPE_CHECKING:
    import httpx2

CONNECT_TIMEOUT_S = 15.0
_DRAIN_S = 0.05
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_EXPLANATION_BYTES = 65_536


class Dialect(Protocol):
    """Turns the JSON of one stream into events. One instance a request."""

    finished: bool
    """True once `Finished` was added."""

    def feed(self, name: str, value: dict[str, Any], out: list[StreamEvent]) -> None:
        """Add what this event means to `out`. Unknown events mean nothing. Raises: ProviderError."""
        ...

    def end(self, out: list[StreamEvent], *, said_done: bool) -> None:
        """The stream is over (`said_done`: by `[DONE]`; else its bytes ended): add `Finished` if that is good enough.

        Raises: ProviderError (retryable) when the answer is incomplete.
        """
        ...


def request_headers(request: Request) -> dict[str, str]:
    """Headers of every request (CORE 12)."""
    headers = {
        "accept": "text/event-stream",
        # compressed streams arrive in lumps
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": f"lsp-agent/{__version__}",
    }
    if request.session_hash:
        headers["x-session-id"] = request.session_hash
        headers["x-session-affinity"] = request.session_hash
    return headers


def local_http_client(base_url: str) -> "httpx2.AsyncClient | None":
    """A client for a server on this machine, which no proxy of the environment may get between; None for all others."""
    import httpx2

    url = httpx2.URL(base_url)
    if url.host not in _LOOPBACK:
        return None
    timeout = httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S)
    # plain HTTP needs no certificates, which take a while to load
    limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)
    return httpx2.AsyncClient(timeout=timeout, limits=limits, trust_env=False, verify=url.scheme != "http")


async def answer(
    open_response: Callable[[], "Awaitable[httpx2.Response]"],
    dialect: Dialect,
    service: str,
    secrets: Callable[[], Iterable[str]],
) -> AsyncGenerator[Sequence[StreamEvent], None]:
    """Send, and yield batches: one a network read, empty for bytes without an event.

    Promise: the response is closed on every way out; its connection is kept for the next request only when the answer
    was read to its end. Raises: ProviderError, after a batch with what came before the failure.
    """
    with translating_errors(service, secrets):
        response = await open_response()
        chunks = _raw_chunks(response)
        decoder = SseDecoder()
        try:
            await _refuse_other_content(response, service)
            async for chunk in chunks:
                batch, failure = _decode(decoder.feed(chunk), dialect, service)
                if batch or failure is None:
                    yield batch
                if failure is not None:
                    raise failure
                if dialect.finished:
                    return
            batch, failure = _decode(decoder.finish(), dialect, service)
            if failure is None and not dialect.finished:
                dialect.end(batch, said_done=False)
            if batch:
                yield batch
            if failure is not None:
                raise failure
        finally:
            await _close(response, chunks, drain=dialect.finished)


def _raw_chunks(response: "httpx2.Response") -> AsyncIterator[bytes]:
    if response.headers.get("content-encoding", "identity") == "identity":
        return response.aiter_raw()
    # a proxy compressed although we asked it not to
    return response.aiter_bytes()


def _decode(
    events: list[tuple[str, bytes]], dialect: Dialect, service: str
) -> tuple[list[StreamEvent], ProviderError | None]:
    batch: list[StreamEvent] = []
    try:
        for name, data in events:
            if data == b"[DONE]":
                dialect.end(batch, said_done=True)
            else:
                value = orjson.loads(data)
                if isinstance(value, dict):
                    dialect.feed(name, value, batch)
            if dialect.finished:
                break
    except orjson.JSONDecodeError:
        return batch, broken_stream(service, "it sent something that is not JSON")
    except ProviderError as error:
        return batch, error
    return batch, None


async def _refuse_other_content(response: "httpx2.Response", service: str) -> None:
    """A success that is no event stream: a captive portal's page, or an error served as 200."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {"text/html", "application/xhtml+xml", "application/json", "application/problem+json"}:
        return
    text = b""
    async for chunk in response.aiter_bytes():
        text += chunk
        if len(text) > _EXPLANATION_BYTES:
            break
    if kind.endswith("json"):
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            value = None
        if isinstance(value, Mapping) and value.get("error"):
            raise event_error(service, value["error"])
    message = f"{service} answered with {kind} instead of an event stream. Is base_url right, is a proxy in between?"
    raise ProviderError("Provider", "Not a model's answer", message, status=response.status_code)


async def _close(response: "httpx2.Response", chunks: AsyncIterator[bytes], *, drain: bool) -> None:
    """Close; after a finished answer read its last bytes first, briefly, so that the connection can be used again."""
    try:
        if drain and not response.is_closed:
            async with asyncio.timeout(_DRAIN_S):
                async for _ in chunks:
                    pass
    except (TimeoutError, OSError, RuntimeError):
        return  # closing is all that is left to do
    finally:
        await response.aclose()
