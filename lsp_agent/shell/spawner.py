"""The one place that starts processes for tools (RELIABILITY 7.1.6): argv only, through the supervisor.

Knows nothing of sandboxes but the order it is given, nothing of jobs, sessions or the model.
"""

import asyncio
import base64
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lsp_agent
from lsp_agent.shell.output import Cleaner

_log = logging.getLogger(__name__)
_PACKAGE_PARENT = str(Path(lsp_agent.__file__).resolve().parents[1])
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from lsp_agent.shell.supervisor import main; main()"
_NAMES: Mapping[int, str] = {1: "stdout", 2: "stderr"}
_TERM_GRACE_S = 1.5
"""What a command may take after TERM, before KILL."""
_STOP_MARGIN_S = 0.7
"""Beyond that the supervisor itself is taken down."""
_DRAIN_S = 0.5
LIMITS: Mapping[str, int] = {
    "RLIMIT_CORE": 0,
    "RLIMIT_FSIZE": 4 << 30,
    "RLIMIT_NOFILE": 4096,
    "RLIMIT_CPU": 4 * 3600,
    "RLIMIT_AS": 64 << 30,
    "RLIMIT_NPROC": 8192,
}
"""Bytes, descriptors, seconds of processor time; processes of the user in all."""
MAX_PROCESSES = 512
MAX_OUTPUT_BYTES = 1 << 30
MAX_MEMORY_SHARE = 0.75
"""Of the machine's memory, what one command with all its processes may hold."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to start and how it is confined. `argv[0]` is absolute."""

    argv: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    limits: Mapping[str, int] = field(default_factory=lambda: LIMITS)
    max_processes: int = MAX_PROCESSES
    max_output_bytes: int = MAX_OUTPUT_BYTES
    max_memory_bytes: int = 0
    """0 = `MAX_MEMORY_SHARE` of what there is."""
    seccomp: bytes = b""
    seccomp_at: int | None = None
    """Place in `argv` for the number of a descriptor that holds `seccomp`."""
    landlock: Mapping[str, Sequence[str]] | None = None
    walls: int = 0
    """Generations of processes that belong to the sandbox, not to the command."""
    placeholders: Sequence[str] = ()
    outlet_at: int | None = None
    """Place in `argv` for the number of a descriptor that leads to `Running.take_outlet`."""
    joined: bool = False
    """Its standard input and output are raw pipes to `Running.take_pipes`; see `shell.duplex`."""
    grace_s: float = _TERM_GRACE_S
    """How long it may take to end after TERM."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended. `why`: empty, `stopped`, `processes` (too many), `memory`, `output` (too much), `lost`."""

    exit_code: int
    signal: int = 0
    why: str = ""


_LOST = Ended(128 + signal.SIGKILL, signal.SIGKILL, "lost")
Sink = Callable[[str, str], None]
"""(`stdout` or `stderr`, clean text). Never waits, never raises."""


class _Ends:
    """The descriptors of one start: ours, and those that are handed on. Raises: OSError when there are no more."""

    def __init__(self, order: Order) -> None:
        self.outlet: socket.socket | None = None
        self.pipes: tuple[int, int] | None = None
        self.handed: dict[str, Any] = {"outlet_fd": None, "joined": None}
        """What the order says of them."""
        self.theirs: list[int] = []
        self.report, report = os.pipe()
        self._hand_on("report_fd", report)
        try:
            os.set_blocking(self.report, False)
            if order.outlet_at is not None:
                self.outlet, inner = socket.socketpair()
                self._hand_on("outlet_fd", inner.detach())
            if order.joined:
                their_input, our_output = os.pipe()
                self.theirs.append(their_input)
                self.pipes = (-1, our_output)
                our_input, their_output = os.pipe()
                self.theirs.append(their_output)
                self.pipes = (our_input, our_output)
                self.handed["joined"] = [their_input, their_output]
        except OSError:
            self.close_theirs()
            self.close_ours()
            raise

    def _hand_on(self, name: str, descriptor: int) -> None:
        self.handed[name] = descriptor
        self.theirs.append(descriptor)

    def close_theirs(self) -> None:
        """Ours are at their end once nobody else holds these."""
        while self.theirs:
            os.close(self.theirs.pop())

    def close_ours(self) -> None:
        """All that were not taken. May be called twice."""
        if self.outlet is not None:
            self.outlet.close()
        for descriptor in (self.report, *(self.pipes or ())):
            if descriptor >= 0:
                os.close(descriptor)
        self.report, self.pipes, self.outlet = -1, None, None


class Running(asyncio.SubprocessProtocol):
    """One started command. `ended` is done when its whole tree is gone and its output read."""

    def __init__(self, ends: _Ends, order: Order, sink: Sink) -> None:
        self._ends = ends
        self._most = order.max_output_bytes
        self._stop_s = order.grace_s + _STOP_MARGIN_S
        self._sink = sink
        self._cleaners = {1: Cleaner(), 2: Cleaner()}
        self._open = {1, 2}
        self._bytes = 0
        self._transport: asyncio.SubprocessTransport | None = None
        self._exited = False
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()

    # ------------------------------------------------------------------------------------------- SubprocessProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.SubprocessTransport):
            self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        if self._bytes > self._most or not isinstance(data, bytes):
            return
        self._bytes += len(data)
        self._sink(_NAMES[fd], self._cleaners[fd].feed(data))
        if self._bytes > self._most:
            self.ask_to_stop()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd in self._open:
            self._open.discard(fd)
            if rest := self._cleaners[fd].feed(b"", last=True):
                self._sink(_NAMES[fd], rest)
            self._finish_when_done()

    def process_exited(self) -> None:
        self._exited = True
        # whoever still holds a pipe open now is not of the tree: it is not waited for
        asyncio.get_running_loop().call_later(_DRAIN_S, self._finish)
        self._finish_when_done()

    # ---------------------------------------------------------------------------------------------------- the owner

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        return self._transport.get_pid() if self._transport is not None else 0

    def take_outlet(self) -> socket.socket | None:
        """Our end of the pair whose other end the command was given (`Order.outlet_at`); from now on the caller's."""
        outlet, self._ends.outlet = self._ends.outlet, None
        return outlet

    def take_pipes(self) -> tuple[int, int] | None:
        """What it writes and what it reads, as descriptors (`Order.joined`); from now on the caller's to close."""
        pipes, self._ends.pipes = self._ends.pipes, None
        return pipes

    def ask_to_stop(self) -> None:
        """TERM, and KILL after its grace. Returns at once; may be called twice."""
        if self._transport is not None and not self._exited:
            with contextlib.suppress(ProcessLookupError):
                self._transport.send_signal(signal.SIGTERM)

    async def stop(self) -> Ended:
        """End it and wait until it is gone; bounded, also when the supervisor no longer answers."""
        self.ask_to_stop()
        done, _ = await asyncio.wait([self.ended], timeout=self._stop_s)
        if not done:
            await asyncio.to_thread(kill_tree, self.pid)
        return await asyncio.shield(self.ended)

    def send(self, text: bytes) -> None:
        """Give the supervisor its order."""
        pipe = self._transport.get_pipe_transport(0) if self._transport is not None else None
        if isinstance(pipe, asyncio.WriteTransport):
            pipe.write(text)
            pipe.write_eof()

    def _finish_when_done(self) -> None:
        if self._exited and not self._open:
            self._finish()

    def abandon(self) -> None:
        """It was given no order, and nobody waits for it: kill the supervisor, close what is ours."""
        self._finish(_LOST)

    def _finish(self, known: Ended | None = None) -> None:
        if self.ended.done():
            return
        ended = known or self._read_report()
        self._ends.close_ours()
        if self._transport is not None:
            self._transport.close()
        self.ended.set_result(ended)

    def _read_report(self) -> Ended:
        try:
            report = json.loads(os.read(self._ends.report, 4096) or b"{}")
        except (OSError, ValueError):
            report = {}
        if "exit" not in report:
            _log.warning("the supervisor of a command ended without a report")
            return _LOST
        why = "output" if self._bytes > self._most else str(report["why"])
        return Ended(int(report["exit"]), int(report["signal"]), why)


class Spawner:
    """Starts commands. Has no state but its interpreter's path."""

    def __init__(self, python: str | None = None) -> None:
        self._python = python or sys.executable

    async def start(self, order: Order, sink: Sink) -> Running:
        """Start a command; its output goes to `sink`. Raises: OSError when no process can be started at all."""
        ends = _Ends(order)
        text = _text_of(order, ends.handed)
        running = Running(ends, order, sink)
        try:
            await asyncio.get_running_loop().subprocess_exec(
                lambda: running,
                self._python,
                *("-I", "-S", "-c", _BOOT, _PACKAGE_PARENT),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=tuple(ends.theirs),
                start_new_session=True,
                cwd="/",
                env={"LC_ALL": "C.UTF-8", "PATH": ""},
            )
        except OSError:
            ends.close_ours()
            raise
        except asyncio.CancelledError:
            running.abandon()
            raise
        finally:
            ends.close_theirs()
        running.send(text)
        return running


def _text_of(order: Order, handed: Mapping[str, Any]) -> bytes:
    fields: dict[str, Any] = {
        "argv": list(order.argv),
        "cwd": order.cwd,
        "env": dict(order.env),
        "limits": dict(order.limits),
        "max_processes": order.max_processes,
        "max_memory_bytes": order.max_memory_bytes or _memory_limit(),
        "seccomp": base64.b64encode(order.seccomp).decode("ascii"),
        "seccomp_at": order.seccomp_at,
        "landlock": dict(order.landlock) if order.landlock is not None else None,
        "walls": order.walls,
        "placeholders": list(order.placeholders),
        "outlet_at": order.outlet_at,
        "grace_s": order.grace_s,
        **handed,
    }
    return json.dumps(fields).encode("utf-8")


def _memory_limit() -> int:
    return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * MAX_MEMORY_SHARE)


def kill_tree(pid: int) -> None:
    """KILL for a process and all its descendants. Blocks for a moment; for a supervisor that does not answer."""
    import psutil

    try:
        top = psutil.Process(pid)
        family = [*top.children(recursive=True), top]
    except psutil.Error:
        return
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.kill()
