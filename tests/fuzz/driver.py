"""One real server and its bent client, over pipes, with up to `WINDOW` requests outstanding."""

import os
import select
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import orjson

from tests.fuzz.cases import Case, Generator, case_of, encode
from tests.fuzz.oracle import ROOT, Oracle
from tests.fuzz.pools import Pools
from tests.harness.client import isolated_environment

WINDOW = 48
PENDING_BYTES = 96 * 1024
STUCK_S = 20.0
PROBE_S = 2.0
PROBE_EVERY = 5000
RUNS_S = 1.0
KEPT_FRAMES = 300
MAX_RSS_MIB = 600
CONFIG = """
[models]
large = "play/demo"
[providers.play]
type = "scripted"
script = "script.json"
[[providers.play.models]]
id = "demo"
context_window = 200000
[permissions]
mode = "ask"
[limits]
retry_base_s = 0.02
"""
SCRIPT: dict[str, Any] = {
    "turn": [
        {"aside": True, "times": 0, "do": [{"text": "A title"}]},
        {
            "when": "^write",
            "after": "user",
            "times": 0,
            "do": [{"tool": "write", "input": {"file_path": "f0.txt", "content": "{{last_user}}\n"}}],
        },
        {
            "when": "^ask",
            "after": "user",
            "times": 0,
            "do": [{"text": "May I?"}, {"tool": "view", "input": {"file_path": "../outside.txt"}}],
        },
        {"when": "^stall", "times": 0, "do": [{"text": "wait "}, {"stall": 3600}]},
        {"when": "^fail", "times": 0, "do": [{"text": "oh "}, {"error": {"kind": "Provider", "retryable": False}}]},
        {"when": "^talk", "times": 0, "do": [{"think": "Hm. "}, {"text": "word ", "repeat": 10, "deltas": 1}]},
        {"times": 0, "do": [{"text": "Done.", "deltas": 2}]},
    ]
}


class Gone(Exception):
    """The server is not there any more, or does not answer."""


class Driver:
    """Start, `initialize`, then `play` or `send`, then `finish`. `plugin` False = a plain editor (tier 0)."""

    def __init__(self, home: Path, seed: int, count: int, *, plugin: bool) -> None:
        self.home = home
        (home / "project").mkdir(parents=True)
        (home / "config.toml").write_text(CONFIG)
        (home / "script.json").write_bytes(orjson.dumps(SCRIPT))
        self.pools = Pools(home / "project")
        self.oracle = Oracle([str(home / "data")])
        self.recent: deque[bytes] = deque(maxlen=KEPT_FRAMES)
        self.sent = 0
        self.rss_mib: list[float] = []
        self.slowest_probe_s = 0.0
        self._generator = Generator(seed, self.pools, self.oracle.owed.keys(), count)
        self._random = self._generator.random
        self._plugin = plugin
        self._stderr = home / "stderr.log"
        with self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lsp_agent", "serve"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=home / "project",
                env=isolated_environment(
                    home, {"LSP_AGENT_CONFIG": str(home / "config.toml"), "PYTHONPATH": str(ROOT)}
                ),
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._in, self._out = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)
        self._pending = bytearray()
        self._received = bytearray()
        self._results: dict[int | str, Any] = {}
        self._asked: set[int | str] = set()
        self._asks = 0
        self._moved_s = time.monotonic()

    # ------------------------------------------------------------------------------------------------------ talk

    def initialize(self) -> None:
        """`initialize`, `initialized`, and one session that exists."""
        root = (self.home / "project").as_uri()
        agent = {"protocolVersions": [1], "events": {"enabled": True}} if self._plugin else {}
        params = {
            "processId": os.getpid(),
            "rootUri": root,
            "workspaceFolders": [{"uri": root, "name": "project"}],
            "capabilities": {
                "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}},
                "window": {"workDoneProgress": True, "showDocument": {"support": True}},
            },
            "initializationOptions": {"agent": agent} if agent else {},
        }
        self.ask("initialize", params)
        self._put(encode({"jsonrpc": "2.0", "method": "initialized", "params": {}}))
        self.ask("agent/session/new", {})
        self.measure()

    def ask(self, method: str, params: Any, timeout_s: float = STUCK_S) -> Any:
        """A request and its answer (the whole message). Raises: Gone."""
        self._asks += 1
        request_id = f"ask-{self._asks}"
        data = encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
        self._asked.add(request_id)
        self._send(Case(data, method, request_id))
        deadline_s = time.monotonic() + timeout_s
        while request_id not in self._results:
            if time.monotonic() > deadline_s:
                raise Gone(f"{method} was not answered in {timeout_s} s")
            self._pump()
        self._asked.discard(request_id)
        return self._results.pop(request_id)

    def play(self, count: int) -> None:
        """Send `count` cases, with a probe every `PROBE_EVERY`. Raises: Gone."""
        for _ in range(count):
            while self.oracle.outstanding >= WINDOW or len(self._pending) > PENDING_BYTES:
                self._pump()
            case = self._generator.case()
            self.recent.append(case.data)
            self._send(case)
            if self.sent % 16 == 0:
                self._pump(wait_s=0)
            if self.sent % PROBE_EVERY == 0:
                self.probe()
        self.settle()

    def replay(self, bodies: list[bytes]) -> None:
        """Send saved bodies, wait for their answers and, for a while, for the runs they start. Raises: Gone."""
        for body in bodies:
            self._send(case_of(body))
            self._pump(wait_s=0)
        self.settle()
        self.probe()
        deadline_s = time.monotonic() + RUNS_S
        while self.ask("agent/status", {})["result"]["busy"] and time.monotonic() < deadline_s:
            self._pump(wait_s=0.02)

    def settle(self) -> None:
        """Wait until nothing is owed. Raises: Gone."""
        while self.oracle.outstanding or self._pending:
            self._pump()

    def probe(self) -> None:
        """A valid request has to be answered soon, whatever is outstanding."""
        began_s = time.monotonic()
        answer = self.ask("agent/status", {})
        took_s = time.monotonic() - began_s
        self.slowest_probe_s = max(self.slowest_probe_s, took_s)
        if took_s > PROBE_S:
            self.oracle.blame("a probe was slow", list(self.recent), f"{took_s:.1f} s")
        if "result" not in answer and answer["error"]["data"].get("kind") != "Overloaded":
            self.oracle.blame("a probe was refused", list(self.recent), str(answer)[:300])
        self.measure()

    def finish(self) -> None:
        """`shutdown`, `exit`; the status has to be 0 and stderr and log clean."""
        answer = self.ask("shutdown", {})
        if "error" in answer:
            self.oracle.blame("shutdown was refused", [], str(answer))
        self._put(encode({"jsonrpc": "2.0", "method": "exit"}))
        while self._pending:
            self._pump()
        try:
            status = self.process.wait(STUCK_S)
        except subprocess.TimeoutExpired:
            self.oracle.blame("the process did not end after exit", [])
        else:
            if status != 0:
                self.oracle.blame(f"exit status {status}", [])

    def close(self) -> None:
        """End it, and look at what it wrote."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        for log in (self.home / "data").rglob("*.log*"):
            self.oracle.logged(log.read_text("utf-8", "replace"), list(self.recent))
        if "Traceback" in (text := self._stderr.read_text("utf-8", "replace")):
            self.oracle.blame("stderr: Traceback", list(self.recent), text[-1000:])

    def measure(self) -> None:
        """Take the process's resident size."""
        text = Path(f"/proc/{self.process.pid}/statm").read_text()
        self.rss_mib.append(int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)
        if self.rss_mib[-1] > MAX_RSS_MIB:
            self.oracle.blame("too much memory", list(self.recent), f"{self.rss_mib[-1]:.0f} MiB")

    # ---------------------------------------------------------------------------------------------------- inside

    def _send(self, case: Case) -> None:
        self.oracle.sent(case.data, case.method, case.owed)
        self.sent += 1
        self._put(case.data)

    def _put(self, data: bytes) -> None:
        self._pending += data

    def _pump(self, wait_s: float = 0.5) -> None:
        writers = [self._in] if self._pending else []
        readable, writable, _ = select.select([self._out], writers, [], wait_s)
        try:
            if writable:
                del self._pending[: os.write(self._in, self._pending[: 64 * 1024])]
                self._moved_s = time.monotonic()
            if readable:
                data = os.read(self._out, 1 << 20)
                if not data:
                    raise Gone(f"the server has gone (status {self._status()})")
                self._received += data
                self._moved_s = time.monotonic()
                self._take_all()
        except BrokenPipeError:
            raise Gone(f"the server has gone (status {self._status()})") from None
        if time.monotonic() - self._moved_s > STUCK_S:
            waiting = [entry for entries in self.oracle.owed.values() for entry in entries]
            names = sorted({method for method, _ in waiting})
            self.oracle.blame(f"nothing moves; unanswered: {names}", [frame for _, frame in waiting])
            raise Gone("nothing moves any more")

    def _status(self) -> int | None:
        try:
            return self.process.wait(5)
        except subprocess.TimeoutExpired:
            return None

    def _take_all(self) -> None:
        received, start = bytes(self._received), 0
        while (end := received.find(b"\r\n\r\n", start)) >= 0:
            stop = end + 4 + int(received[start + 16 : end])
            if len(received) < stop:
                break
            self._take(orjson.loads(received[end + 4 : stop]))
            start = stop
        del self._received[:start]

    def _take(self, message: dict[str, Any]) -> None:
        method = message.get("method")
        if method is None:
            request_id = message.get("id")
            if request_id in self._asked:
                self._results[request_id] = message
            self.pools.learn(self.oracle.answered(message), message.get("result"))
        elif "id" in message:
            self._answer(message["id"], method)
        elif method == "agent/event":
            self.pools.learn_event(message["params"]["update"])

    def _answer(self, request_id: Any, method: str) -> None:
        roll = self._random.random()
        if roll < 0.05:
            return  # an editor that never answers
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request_id}
        if roll < 0.2:
            answer["error"] = self._generator.values.junk() if roll < 0.12 else {"code": -32601, "message": "no"}
        elif roll < 0.4:
            answer["result"] = self._generator.values.junk()
        else:
            answer["result"] = (
                {"applied": roll < 0.9, "success": True} if method.endswith(("Edit", "Document")) else None
            )
        self.oracle.nameless += 1  # nonsense may be refused without an id
        self._put(encode(answer))
