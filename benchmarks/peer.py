"""A server under measurement: the process, its figures in /proc, and a light client that stamps what arrives."""

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from benchmarks.model import now_us
from tests.harness.client import isolated_environment
from tests.harness.pipe_end import PipeEnd

ANSWER_S = 60.0
SETTLE_S = 0.4


class Wrong(Exception):
    """The contender did not do what it was measured for: bytes differ, an error, no end."""


@dataclass
class Running:
    """One run as the client saw it."""

    session_id: str
    sent_us: int
    answered_us: int = 0
    pieces: list[tuple[int, str]] = field(default_factory=list)
    """Arrival and text of every update."""
    ended_us: int = 0
    complete: dict[str, Any] = field(default_factory=dict)
    done: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    first: "asyncio.Event" = field(default_factory=asyncio.Event)

    @property
    def text(self) -> str:
        return "".join([piece for _, piece in self.pieces])

    def check(self) -> "Streamed":
        """Every byte of the text, and what it says. Raises: Wrong."""
        if self.complete.get("stopReason") != "end_turn":
            raise Wrong(f"the run ended with {self.complete.get('stopReason')}: {self.complete.get('error')}")
        text = self.text
        if self.complete.get("text") != text:
            raise Wrong("the text of runComplete is not the chunks joined")
        body, _, digest = text.rpartition("h")
        if digest != hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest() + ";":
            raise Wrong(f"the text is not what the model wrote ({len(text)} characters)")
        return Streamed.of(self)


@dataclass
class Streamed:
    """What a checked text tells. Microseconds."""

    request_us: int
    """From sending `agent/run` until the request was whole at the model."""
    tool_us: int | None
    first_us: int
    """From the first delta's writing to the first update here."""
    latencies_us: list[int]
    """Of every delta, in order; how far the update that ended with it came after its writing."""

    @classmethod
    def of(cls, run: Running) -> "Streamed":
        arrived = tool = None
        latencies: list[int] = []
        rest = ""
        for at_us, piece in run.pieces:
            *tokens, rest = (rest + piece).split(";")
            for token in tokens:
                if token.startswith("a"):
                    arrived = int(token[1:])
                elif token.startswith("t"):
                    tool = int(token[1:])
                elif not token.startswith("h"):
                    latencies.append(at_us - int(token.partition(",")[2]))
        assert arrived is not None
        return cls(arrived - run.sent_us, tool, latencies[0], latencies)


class Peer:
    """One contender's process. `start_us`: just before it was spawned."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, start_us: int) -> None:
        self.process = process
        self.start_us = start_us
        self._log = log
        assert process.stdout is not None
        assert process.stdin is not None
        read_fd, write_fd = os.dup(process.stdout.fileno()), os.dup(process.stdin.fileno())
        process.stdin.close()
        process.stdout.close()
        self._buffer = bytearray()
        self._ids = 0
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._runs: dict[str, Running] = {}
        self._starting: dict[int, Running] = {}
        self.on_request: Callable[[dict[str, Any]], Any] = lambda message: None
        """Result of a request of the server; NotImplemented = stay silent."""
        self.printed = asyncio.Event()
        """A command that runs has written something."""
        self._pipe = PipeEnd(read_fd, write_fd, self._received, self._ended)

    @classmethod
    def start(cls, argv: list[str], home: Path, env: Mapping[str, str], cwd: Path) -> "Peer":
        home.mkdir(parents=True, exist_ok=True)
        log = home / "stderr.log"
        start_us = now_us()
        with log.open("ab") as stderr:
            process = subprocess.Popen(
                [sys.executable, *argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=isolated_environment(home, env),
                cwd=cwd,
            )
        return cls(process, log, start_us)

    # ------------------------------------------------------------------------------------------------ talk

    async def initialize(self, root: Path) -> None:
        """`initialize` and `initialized`."""
        params = {
            "processId": os.getpid(),
            "rootUri": root.as_uri(),
            "workspaceFolders": [{"uri": root.as_uri(), "name": root.name}],
            "capabilities": {"workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}}},
            "initializationOptions": {"agent": {"protocolVersions": [1], "events": {"enabled": True}}},
        }
        await self.request("initialize", params)

    def initialized(self) -> None:
        self.notify("initialized", {})

    async def request(self, method: str, params: Any) -> Any:
        _, future = self._begin(method, params)
        async with asyncio.timeout(ANSWER_S):
            return await future

    def notify(self, method: str, params: Any) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    async def run(self, prompt: str, session_id: str | None = None) -> Running:
        """Send `agent/run`; returns when it is accepted."""
        params: dict[str, Any] = {"prompt": prompt}
        if session_id is not None:
            params["sessionId"] = session_id
        run = Running(session_id or "", now_us())
        if session_id is not None:
            self._runs[session_id] = run
        number, future = self._begin("agent/run", params)
        self._starting[number] = run
        async with asyncio.timeout(ANSWER_S):
            await future
        return run

    async def turn(self, prompt: str, session_id: str | None = None) -> Running:
        """A whole run, its text not yet checked."""
        run = await self.run(prompt, session_id)
        await self.finish(run)
        return run

    async def finish(self, run: Running) -> None:
        async with asyncio.timeout(ANSWER_S):
            await run.done

    async def close(self) -> None:
        """Ask it to leave, then make it."""
        self._pipe.close_stdin()
        try:
            await asyncio.to_thread(self.process.wait, 3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            await asyncio.to_thread(self.process.wait)
        self._pipe.close_stdout()

    # --------------------------------------------------------------------------------------------- figures

    def cpu_s(self) -> float:
        """CPU time of all threads, to the nanosecond where the kernel says so."""
        total = 0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def pss_mb(self) -> float:
        """Memory, shared pages divided by who shares them."""
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1000
        raise Wrong("no Pss")

    async def idle(self, quiet_s: float = SETTLE_S) -> None:
        """Wait until it has used no CPU to speak of for a while."""
        deadline_s = time.monotonic() + ANSWER_S
        before = self.cpu_s()
        while time.monotonic() < deadline_s:
            await asyncio.sleep(quiet_s)
            now = self.cpu_s()
            if now - before < 0.01 * quiet_s:
                return
            before = now
        raise Wrong("it is never idle")

    # --------------------------------------------------------------------------------------------- inside

    def _begin(self, method: str, params: Any) -> tuple[int, "asyncio.Future[Any]"]:
        self._ids += 1
        future = self._pending[self._ids] = asyncio.get_running_loop().create_future()
        self._send({"jsonrpc": "2.0", "id": self._ids, "method": method, "params": params})
        return self._ids, future

    def _send(self, message: Any) -> None:
        body = orjson.dumps(message)
        self._pipe.raw(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    def _received(self, data: bytes) -> None:
        at_us = now_us()
        buffer = self._buffer
        buffer += data
        start = 0
        while (end := buffer.find(b"\r\n\r\n", start)) >= 0:
            header = buffer[start:end].lower()
            at = header.index(b"content-length:") + 15
            length = int(header[at:].split(b"\r\n", 1)[0])
            if len(buffer) < end + 4 + length:
                break
            self._take(orjson.loads(bytes(buffer[end + 4 : end + 4 + length])), at_us)
            start = end + 4 + length
        del buffer[:start]

    def _take(self, message: dict[str, Any], at_us: int) -> None:
        method = message.get("method")
        if method == "agent/event":
            self._event(message["params"], at_us)
        elif method == "agent/runComplete":
            self._complete(message["params"], at_us)
        elif method is None:
            self._answered(message, at_us)
        elif "id" in message:
            result = self.on_request(message)
            if result is not NotImplemented:
                self._send({"jsonrpc": "2.0", "id": message["id"], "result": result})

    def _event(self, params: dict[str, Any], at_us: int) -> None:
        kind = params["update"]["sessionUpdate"]
        if kind == "terminal_output_chunk":
            self.printed.set()
        if kind == "agent_message_chunk":
            run = self._runs[params["sessionId"]]
            run.pieces.append((at_us, params["update"]["content"]["text"]))
            run.first.set()

    def _complete(self, params: dict[str, Any], at_us: int) -> None:
        run = self._runs[params["sessionId"]]
        run.complete, run.ended_us = params, at_us
        if not run.done.done():
            run.done.set_result(None)

    def _answered(self, message: dict[str, Any], at_us: int) -> None:
        future = self._pending.pop(message["id"])
        run = self._starting.pop(message["id"], None)
        if "error" in message:
            future.set_exception(Wrong(str(message["error"])))
            return
        if run is not None:
            run.answered_us = at_us
            run.session_id = message["result"]["sessionId"]
            self._runs[run.session_id] = run
        if not future.done():
            future.set_result(message["result"])

    def _ended(self) -> None:
        error = Wrong(f"the process ended: {self._log.read_text(errors='replace')[-600:]}")
        waiting: list[asyncio.Future[Any]] = [*self._pending.values(), *[run.done for run in self._runs.values()]]
        for future in waiting:
            if not future.done():
                future.set_exception(error)
                future.exception()
