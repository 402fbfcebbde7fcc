"""A stand-in for the model services: an HTTP server that plays scripts in their dialects. Standard library and orjson.

    async with FakeProvider([[text("Hi", deltas=2), usage(10, 2)], [http(429, {"retry-after": "1"})]]) as fake:
        ... talk to fake.url ("http://127.0.0.1:PORT"; OpenAI clients take fake.url + "/v1") ...
        assert fake.requests[0].body["model"] == "m"

The dialect follows from the path: `…/messages` Anthropic (`…:streamRawPredict` Vertex, `…/invoke-with-response-stream`
Bedrock), `…/responses` OpenAI Responses, `…/chat/completions` Chat, `…:streamGenerateContent` Gemini.
A **turn** (answer to one request) is a list of **steps**, plain dicts, so that scripts can be JSON:

    {"text": "…", "deltas": n}               text, cut into n deltas
    {"burst": n, "text": "x"}                n equal deltas at once
    {"paced": n, "per_s": 91, "text": "x"}   n equal deltas at that rate
    {"think": "…", "deltas": n, "signature": "s"}          {"redacted": "…"}  encrypted thinking
    {"tool": "view", "input": {…} or "raw", "id": "t1", "pieces": n}
    {"usage": {input, output, cache_read, cache_write, reasoning, cost}}
    {"finish": "end_turn|tool_use|max_tokens|refusal|…"}   default: tool_use after a tool, else end_turn
    {"ping": n}                              signs of life without content
    {"stall": seconds}                       silence       {"hold": "name"}   silence until release(name)
    {"gap": seconds}                         pause after every delta that follows
    {"error_event": {"type", "message"}}     an error inside the stream
    {"badjson": true}                        a broken data line
    {"bigline": n}                           one text delta of n bytes
    {"unknown": true}                        an event nobody knows
    {"raw": "…"}                             literal stream text
    {"http": 429, "headers": {…}, "body": …} no stream at all
    {"html": 200}                            a page instead of a stream
    {"cut": n}                               connection dropped after n bytes of the stream
    {"split": n}                             the stream in writes of n bytes
    {"dup": true}  every frame twice         {"crlf": true}  CRLF line ends
    {"end": "abrupt|no_done|no_finish"}      connection dropped at the end, or closing events left out

The last five, and `http` and `html`, count for the whole turn. Turns are used up in order; then `fallback` answers.
With `aside=turn`, requests without tools (titles, summaries) get that turn and use up nothing.

As a process, printing its port on the first line:  python -m tests.harness.fake_provider --port 0 --script FILE
FILE: JSON, `[turn, …]` or `{"turns": […], "fallback": turn, "aside": turn, "routes": {"/path": json}}`.
Control over HTTP: GET /__requests (list), POST /__turns (body: list of turns, appended), POST /__release/NAME,
POST /__reset.
"""

import argparse
import asyncio
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson

from tests.harness.fake_dialects import DIALECTS, Dialect

Step = dict[str, Any]
Turn = list[Step]


def text(value: str, *, deltas: int = 1) -> Step:
    return {"text": value, "deltas": deltas}


def think(value: str, *, deltas: int = 1, signature: str = "sig") -> Step:
    return {"think": value, "deltas": deltas, "signature": signature}


def tool(name: str, arguments: Mapping[str, Any] | str, *, call_id: str | None = None, pieces: int = 2) -> Step:
    step: Step = {"tool": name, "input": arguments, "pieces": pieces}
    return step if call_id is None else {**step, "id": call_id}


def usage(input_tokens: int, output_tokens: int, **more: float) -> Step:
    return {"usage": {"input": input_tokens, "output": output_tokens, **more}}


def http(status: int, headers: Mapping[str, str] | None = None, body: Any = None) -> Step:
    return {"http": status, "headers": dict(headers or {}), "body": body}


@dataclass
class Recorded:
    """One request as it came in. Header names are lower case; `at_s` is time.monotonic()."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    at_s: float
    connection: int
    body: Any = None
    first_write_s: float = 0.0
    last_write_s: float = 0.0
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """The whole turn was written."""
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)
    """The client went away before the turn was written."""


class FakeProvider:
    """The server. `requests` grows with every request for a model."""

    def __init__(
        self,
        turns: Sequence[Turn] = (),
        *,
        fallback: Turn | None = None,
        aside: Turn | None = None,
        routes: Mapping[str, Any] | None = None,
        port: int = 0,
    ) -> None:
        self.turns: deque[Turn] = deque(turns)
        self.fallback = fallback if fallback is not None else [text("ok"), usage(1, 1)]
        self.aside = aside
        self.routes = dict(routes or {})
        self.requests: list[Recorded] = []
        self.connections = 0
        self.port = port
        self._holds: dict[str, asyncio.Event] = {}
        self._arrival = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self._open):
            connection.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # aborted transports close with the next turn of the loop
        await asyncio.sleep(0)

    def push(self, *turns: Turn) -> None:
        self.turns.extend(turns)

    def release(self, name: str) -> None:
        """Let every `hold` of that name go on, now and later."""
        self._holds.setdefault(name, asyncio.Event()).set()

    async def wait_for(self, count: int, timeout_s: float = 5.0) -> Recorded:
        """Wait until `count` requests have come; the last of them."""
        async with asyncio.timeout(timeout_s), self._arrival:
            await self._arrival.wait_for(lambda: len(self.requests) >= count)
        return self.requests[count - 1]

    def turn_for(self, recorded: Recorded) -> Turn:
        if self.aside is not None and not (recorded.body or {}).get("tools"):
            return self.aside
        return self.turns.popleft() if self.turns else self.fallback

    async def hold(self, name: str) -> None:
        await self._holds.setdefault(name, asyncio.Event()).wait()

    def start(self, connection: "_Connection", recorded: Recorded) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(connection, recorded))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, connection: "_Connection", recorded: Recorded) -> None:
        dialect = next((make for end, make in DIALECTS.items() if recorded.path.partition("?")[0].endswith(end)), None)
        if recorded.path.startswith("/__"):
            connection.send_json(200, self._control(recorded))
        elif recorded.path in self.routes:
            connection.send_json(200, self.routes[recorded.path])
        elif dialect is None or recorded.method != "POST":
            connection.send_json(404, {"error": {"message": "no such route"}})
        else:
            async with self._arrival:
                self.requests.append(recorded)
                self._arrival.notify_all()
            try:
                await _Player(self, connection, recorded, dialect()).play(self.turn_for(recorded))
                recorded.answered.set()
            except ConnectionError:
                recorded.disconnected.set()
        connection.done()

    def _control(self, recorded: Recorded) -> Any:
        if recorded.path == "/__turns":
            self.turns.extend(recorded.body)
        elif recorded.path == "/__reset":
            self.turns.clear()
            self.requests.clear()
        elif recorded.path.startswith("/__release/"):
            self.release(recorded.path.rpartition("/")[2])
        elif recorded.path == "/__requests":
            return [
                {
                    "path": item.path,
                    "headers": item.headers,
                    "body": item.body,
                    "at_s": item.at_s,
                    "connection": item.connection,
                    "first_write_s": item.first_write_s,
                    "last_write_s": item.last_write_s,
                    "answered": item.answered.is_set(),
                    "disconnected": item.disconnected.is_set(),
                }
                for item in self.requests
            ]
        return {"ok": True}


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive and Content-Length bodies; one request at a time."""

    def __init__(self, owner: FakeProvider) -> None:
        self._owner = owner
        self._buffer = bytearray()
        self._busy = False
        self._writable = asyncio.Event()
        self._writable.set()
        self.lost = asyncio.Event()
        owner.connections += 1
        self._number = owner.connections
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._owner._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()
        self._writable.set()
        self._owner._open.discard(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if self._busy or end < 0:
            return
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        pairs = [line.partition(":") for line in lines]
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length", "0"))
        if len(self._buffer) < end + 4 + length:
            return
        raw = bytes(self._buffer[end + 4 : end + 4 + length])
        del self._buffer[: end + 4 + length]
        self._busy = True
        recorded = Recorded(method, path, headers, raw, time.monotonic(), self._number)
        if raw:
            recorded.body = orjson.loads(raw)
        self._owner.start(self, recorded)

    def done(self) -> None:
        self._busy = False
        if not self.lost.is_set():
            self._next()

    async def write(self, data: bytes) -> None:
        if self.lost.is_set() or self.transport.is_closing():
            raise ConnectionError
        self.transport.write(data)
        await self._writable.wait()
        if self.lost.is_set():
            raise ConnectionError

    def send_json(self, status: int, value: Any) -> None:
        self.send(status, {"content-type": "application/json"}, orjson.dumps(value))

    def send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        head = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        if not self.lost.is_set():
            self.transport.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)


class _Player:
    """Plays one turn to one client."""

    def __init__(self, owner: FakeProvider, connection: _Connection, recorded: Recorded, dialect: Dialect) -> None:
        self._owner = owner
        self._connection = connection
        self._recorded = recorded
        self._dialect = dialect
        self._split = self._cut = 0
        self._dup = self._crlf = False
        self._sent = 0
        self._gap = 0.0
        self._partial = b""

    async def play(self, turn: Turn) -> None:
        whole: Step = {}
        for step in turn:
            whole |= {key: step[key] for key in ("split", "cut", "dup", "crlf", "end") if key in step}
        self._split, self._cut = int(whole.get("split", 0)), int(whole.get("cut", 0))
        self._dup, self._crlf = bool(whole.get("dup")), bool(whole.get("crlf"))
        for step in turn:
            if "http" in step or "html" in step:
                self._plain(step)
                return
        self._connection.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n"
            b"request-id: req_fake\r\ntransfer-encoding: chunked\r\n\r\n"
            % getattr(self._dialect, "content_type", "text/event-stream").encode()
        )
        await self._frames(self._dialect.begin(self._recorded.body or {}))
        for step in turn:
            await self._step(step)
        end = str(whole.get("end", ""))
        if end == "abrupt":
            self._connection.transport.abort()
            raise ConnectionError
        await self._frames(self._dialect.finish(end))
        if self._partial:
            await self._chunk(self._partial)
        await self._connection.write(b"0\r\n\r\n")

    def _plain(self, step: Step) -> None:
        if "html" in step:
            page = b"<!doctype html><title>Sign in</title>"
            self._connection.send(int(step["html"]), {"content-type": "text/html"}, page)
            return
        body = step.get("body")
        if body is None:
            body = {"type": "error", "error": {"type": "fake_error", "message": f"fake {step['http']}"}}
        data = body.encode() if isinstance(body, str) else orjson.dumps(body)
        self._connection.send(int(step["http"]), {"content-type": "application/json", **step.get("headers", {})}, data)

    async def _step(self, step: Step) -> None:
        dialect = self._dialect
        if "burst" in step:
            await self._frames(dialect.text([step.get("text", "x")] * step["burst"]))
        elif "paced" in step:
            await self._paced(dialect.text([step.get("text", "x")] * step["paced"]), float(step["per_s"]))
        elif "text" in step:
            await self._frames(dialect.text(cut(step["text"], step.get("deltas", 1))))
        elif "think" in step:
            pieces = cut(step["think"], step.get("deltas", 1))
            await self._frames(dialect.think(pieces, step.get("signature", "sig")))
        elif "redacted" in step:
            await self._frames(dialect.redacted(step["redacted"]))
        elif "tool" in step:
            raw = step["input"] if isinstance(step["input"], str) else orjson.dumps(step["input"]).decode()
            await self._frames(dialect.tool(step["tool"], step.get("id"), cut(raw, step.get("pieces", 2))))
        elif "usage" in step:
            dialect.usage = step["usage"]
        elif "finish" in step:
            dialect.stop = step["finish"]
        elif "ping" in step:
            await self._frames([dialect.ping()] * step["ping"])
        elif "stall" in step:
            await self._wait(asyncio.sleep(step["stall"]))
        elif "hold" in step:
            await self._wait(self._owner.hold(step["hold"]))
        elif "gap" in step:
            self._gap = step["gap"]
        elif "badjson" in step:
            await self._frames([b'data: {"type": "content_block_delta", "index\n\n'])
        elif "bigline" in step:
            await self._frames(dialect.text(["x" * step["bigline"]]))
        elif "error_event" in step:
            await self._frames([dialect.error(step["error_event"])])
        elif "unknown" in step:
            await self._frames([dialect.unknown()])
        elif "raw" in step:
            await self._frames([step["raw"].encode()])

    async def _wait(self, what: Any) -> None:
        """Wait, unless the client leaves first."""
        waiting = asyncio.ensure_future(what)
        lost = asyncio.ensure_future(self._connection.lost.wait())
        try:
            await asyncio.wait({waiting, lost}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            lost.cancel()
        if self._connection.lost.is_set():
            raise ConnectionError

    async def _paced(self, frames: Sequence[bytes], per_s: float) -> None:
        start = time.monotonic()
        for number, frame in enumerate(frames):
            delay = start + number / per_s - time.monotonic()
            if delay > 0:
                await self._wait(asyncio.sleep(delay))
            await self._frames([frame])

    async def _frames(self, frames: Sequence[bytes]) -> None:
        if not frames:
            return
        self._recorded.first_write_s = self._recorded.first_write_s or time.monotonic()
        if wrap := getattr(self._dialect, "wrap", None):
            # another framing than server-sent events: line ends are data there
            self._crlf = False
            frames = [wrap(frame) for frame in frames]
        if self._gap or self._cut or self._split or self._dup or self._crlf:
            for frame in frames:
                await self._special(frame)
        else:
            # one HTTP chunk an event, as the services do, but few writes
            for first in range(0, len(frames), 500):
                part = frames[first : first + 500]
                await self._connection.write(b"".join([b"%x\r\n%b\r\n" % (len(frame), frame) for frame in part]))
        self._recorded.last_write_s = time.monotonic()

    async def _special(self, frame: bytes) -> None:
        if self._crlf:
            frame = frame.replace(b"\n", b"\r\n")
        for _ in range(2 if self._dup else 1):
            if self._cut and self._sent + len(frame) > self._cut:
                rest = frame[: self._cut - self._sent]
                if rest:
                    await self._chunk(rest)
                self._connection.transport.close()
                raise ConnectionError
            self._sent += len(frame)
            if self._split:
                self._partial += frame
                while len(self._partial) >= self._split:
                    await self._chunk(self._partial[: self._split])
                    self._partial = self._partial[self._split :]
            else:
                await self._chunk(frame)
        if self._gap:
            await self._wait(asyncio.sleep(self._gap))

    async def _chunk(self, data: bytes) -> None:
        await self._connection.write(b"%x\r\n%b\r\n" % (len(data), data))


def cut(value: str, pieces: int) -> list[str]:
    """`value` in about `pieces` parts; never an empty part."""
    size = max(1, -(-len(value) // max(pieces, 1)))
    return [value[at : at + size] for at in range(0, len(value), size)]


async def _serve(port: int, script: Path | None) -> None:
    plan: Any = orjson.loads(script.read_bytes()) if script else []
    plan = plan if isinstance(plan, dict) else {"turns": plan}
    options = {key: plan[key] for key in ("fallback", "aside", "routes") if key in plan}
    async with FakeProvider(plan.get("turns", []), port=port, **options) as fake:
        print(fake.port, flush=True)
        # ends with its parent: closed standard input is the signal
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser(description="stand-in for the model services")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", type=Path)
    options = parser.parse_args()
    asyncio.run(_serve(options.port, options.script))


if __name__ == "__main__":
    main()
