"""Floor: an asyncio loop on stdin and stdout, orjson, and the model over a raw socket (or httpx2 with --httpx2)."""

import asyncio
import os
import sys
from typing import Any
from urllib.parse import urlsplit

import orjson

from benchmarks.contenders.floor import (
    HEADERS,
    Answer,
    Ask,
    EventStream,
    chunk_params,
    complete_params,
    request_of,
    turn,
)

HOST = urlsplit(os.environ["BENCH_MODEL"])


class Http(asyncio.Protocol):
    """One connection to the model: chunked bodies, kept for the next request."""

    def __init__(self) -> None:
        self._buffer = b""
        self._in_body = False
        self._events: EventStream
        self._done: asyncio.Future[None]
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, body: bytes, answer: Answer) -> "asyncio.Future[None]":
        self._done = asyncio.get_running_loop().create_future()
        self._events = EventStream(answer)
        self._in_body = False
        lines = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        head = f"POST /v1/messages HTTP/1.1\r\nhost: {HOST.netloc}\r\n{lines}content-length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)
        return self._done

    def close(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data
        at = 0
        if not self._in_body:
            at = buffer.find(b"\r\n\r\n") + 4
            if at < 4:
                self._buffer = buffer
                return
            self._in_body = True
        whole: list[bytes] = []
        while (end := buffer.find(b"\r\n", at)) >= 0:
            size = int(buffer[at:end], 16)
            if len(buffer) < end + 4 + size:
                break
            at = end + 4 + size
            if not size:
                self._events.feed(b"".join(whole))
                self._buffer = b""
                self._done.set_result(None)
                return
            whole.append(buffer[end + 2 : end + 2 + size])
        self._buffer = buffer[at:]
        self._events.feed(b"".join(whole))


async def ask_raw(free: list[Http], history: list[dict[str, Any]], answer: Answer) -> None:
    """One model request over a raw socket."""
    if free:
        http = free.pop()
    else:
        _, http = await asyncio.get_running_loop().create_connection(Http, HOST.hostname or "", HOST.port or 0)
    try:
        await http.send(orjson.dumps(request_of(history)), answer)
    except asyncio.CancelledError:
        http.close()
        raise
    free.append(http)


class HttpxModel:
    """The model over httpx2, which is imported with the first request."""

    def __init__(self) -> None:
        self._client: Any = None

    async def ask(self, history: list[dict[str, Any]], answer: Answer) -> None:
        if self._client is None:
            import httpx2

            self._client = httpx2.AsyncClient(timeout=None)
        events = EventStream(answer)
        body = orjson.dumps(request_of(history))
        url = f"{HOST.geturl()}/v1/messages"
        async with self._client.stream("POST", url, content=body, headers=HEADERS) as response:
            async for data in response.aiter_raw():
                events.feed(data)


class Server:
    """The methods of the wire that the benchmarks use."""

    def __init__(self, ask: Ask, write: Any) -> None:
        self._ask = ask
        self._write = write
        self._histories: dict[str, list[dict[str, Any]]] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}

    def take(self, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params") or {}
        if method == "initialize":
            self._answer(message, {"capabilities": {}})
        elif method == "agent/run":
            session_id = params.get("sessionId") or f"s{len(self._histories)}"
            history = self._histories.setdefault(session_id, [])
            self._answer(message, {"sessionId": session_id, "runId": params.get("runId"), "state": "running"})
            run = self._run(session_id, params.get("runId"), history, params["prompt"])
            self._runs[session_id] = asyncio.get_running_loop().create_task(run)
        elif method == "agent/cancel":
            self._runs[params["sessionId"]].cancel()
            self._answer(message, {})

    def _answer(self, message: dict[str, Any], result: Any) -> None:
        self._send({"jsonrpc": "2.0", "id": message["id"], "result": result})

    def _notify(self, method: str, params: Any) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def _send(self, message: Any) -> None:
        body = orjson.dumps(message)
        self._write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    async def _run(self, session_id: str, run_id: str | None, history: list[dict[str, Any]], prompt: str) -> None:
        def say(text: str) -> None:
            self._notify("agent/event", chunk_params(session_id, text))

        try:
            text, reason = await turn(history, prompt, self._ask, say), "end_turn"
        except asyncio.CancelledError:
            text, reason = "", "cancelled"
        self._notify("agent/runComplete", complete_params(session_id, run_id, text, reason))


async def main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(1, "wb", buffering=0))
    free: list[Http] = []

    def ask(history: list[dict[str, Any]], answer: Answer) -> Any:
        return ask_raw(free, history, answer)

    server = Server(HttpxModel().ask if "--httpx2" in sys.argv else ask, transport.write)
    length = 0
    while header := await reader.readline():
        if header.lower().startswith(b"content-length:"):
            length = int(header[15:])
        elif header == b"\r\n":
            server.take(orjson.loads(await reader.readexactly(length)))


if __name__ == "__main__":
    asyncio.run(main())
