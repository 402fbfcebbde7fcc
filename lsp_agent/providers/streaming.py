"""The part of a streamed answer that all HTTP dialects share: bytes in, batches of events out, the connection closed.

Reads the raw bytes of a response with our own decoder; typed events of an SDK cost too much a delta. Knows no dialect.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from lsp_agent import __version__
from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.stream import ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta
from lsp_agent.ports.provider import Request
from lsp_agent.providers.errors import broken_stream, event_error, translating_errors
from lsp_agent.providers.sse import SseDecoder, SseEvent

if TYPE_CHECKING:
    import httpx2

_DRAIN_S = 0.05
_TEXTS = (TextDelta, ReasoningDelta, ToolCallDelta)
_EXPLANATION_BYTES = 65_536
_AHEAD_BYTES = 262_144
"""More than that is not read ahead of who takes it."""


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


class Decoder(Protocol):
    """Turns chunks of bytes into named events: server-sent events, or another framing that is shaped like them."""

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Every event that `chunk` completes. Raises: ProviderError when the bytes make no sense."""
        ...

    def finish(self) -> list[SseEvent]:
        """What is left when the bytes have ended."""
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


async def answer(
    open_response: Callable[[], "Awaitable[httpx2.Response]"],
    dialect: Dialect,
    service: str,
    secrets: Callable[[], Iterable[str]],
    *,
    make_decoder: Callable[[], Decoder] = SseDecoder,
) -> AsyncGenerator[Sequence[StreamEvent], None]:
    """Send, and yield batches: one a network read, empty for bytes without an event.

    Promise: the response is closed on every way out; its connection is kept for the next request only when the answer
    was read to its end. Raises: ProviderError, after a batch with what came before the failure.
    """
    with translating_errors(service, secrets):
        response = await open_response()
        reads = Reads(_raw_chunks(response))
        decoder = make_decoder()
        try:
            await _refuse_other_content(response, service)
            async for data in reads:
                batch, failure = decode_events(decoder.feed(data), dialect, service)
                if batch or failure is None:
                    yield batch
                if failure is not None:
                    raise failure
                if dialect.finished:
                    return
            batch, failure = decode_events(decoder.finish(), dialect, service)
            if failure is None and not dialect.finished:
                dialect.end(batch, said_done=False)
            if batch:
                yield batch
            if failure is not None:
                raise failure
        finally:
            await _close(response, reads, drain=dialect.finished)


def _raw_chunks(response: "httpx2.Response") -> AsyncIterator[bytes]:
    if response.headers.get("content-encoding", "identity") == "identity":
        return response.aiter_raw()
    # a proxy compressed although we asked it not to
    return response.aiter_bytes()


def decode_events(
    events: list[SseEvent], dialect: Dialect, service: str
) -> tuple[list[StreamEvent], ProviderError | None]:
    """The batch that whole events make, and what went wrong after it.

    Promise: whatever JSON a service sends, nothing but a ProviderError comes of it, and texts are texts.
    """
    batch: list[StreamEvent] = []
    failure = _feed(events, dialect, service, batch)
    for index, event in enumerate(batch):
        if isinstance(event, _TEXTS) and not isinstance(event.text, str):
            del batch[index:]
            return batch, _garbled(service)
    return batch, failure


def _feed(events: list[SseEvent], dialect: Dialect, service: str, batch: list[StreamEvent]) -> ProviderError | None:
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
        return broken_stream(service, "it sent something that is not JSON")
    except ProviderError as error:
        return error
    except (TypeError, AttributeError, LookupError, ValueError):
        # a list where an object belongs, and the like
        return _garbled(service)
    return None


def _garbled(service: str) -> ProviderError:
    return broken_stream(service, "it sent something that cannot be understood")


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


async def _close(response: "httpx2.Response", reads: "Reads", *, drain: bool) -> None:
    """Close; after a finished answer read its last bytes first, briefly, so that the connection can be used again."""
    try:
        await reads.close(_DRAIN_S if drain else 0.0)
    finally:
        await response.aclose()


class Reads:
    """The bytes of a stream, joined to what one network read has brought.

    An HTTP client gives out every chunk by itself, and services send one an event: hundreds may lie ready. A task of
    its own collects them while none has to be waited for, so everything behind it works once a read, not once a delta.
    Nothing is read before the first item is asked for.
    """

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._ready: list[bytes] = []
        self._size = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __aiter__(self) -> "Reads":
        return self

    async def __anext__(self) -> bytes:
        """Raises: what reading raised, after everything that came before it."""
        if self._task is None:
            self._task = asyncio.create_task(self._collect(), name="provider reads")
        while not self._ready:
            if self._task.done():
                self._task.result()
                raise StopAsyncIteration
            await self._arrived.wait()
            self._arrived.clear()
        data = self._ready[0] if len(self._ready) == 1 else b"".join(self._ready)
        self._ready.clear()
        self._size = 0
        self._room.set()
        return data

    async def close(self, drain_s: float) -> None:
        """Stop reading, after up to `drain_s` seconds for the end to come. May be called twice."""
        task = self._task
        if task is None:
            return
        try:
            self._size = 0  # nobody takes what still comes: room for the last bytes
            self._room.set()
            if drain_s and not task.done():
                await asyncio.wait({task}, timeout=drain_s)
        finally:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # taken: closing is all that is left to do

    async def _collect(self) -> None:
        try:
            async for chunk in self._chunks:
                self._ready.append(chunk)
                self._size += len(chunk)
                self._arrived.set()
                if self._size > _AHEAD_BYTES:
                    self._room.clear()
                    await self._room.wait()
        finally:
            # the task must be done when whoever waits looks at it
            asyncio.get_running_loop().call_soon(self._arrived.set)
