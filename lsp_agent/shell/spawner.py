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
_READ_BYTES = 1 << 16
_STOP_S = 2.6
"""After this the supervisor itself is taken down: it allows the command 1.9 s after TERM."""
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


@dataclass(frozen=True, slots=True)
class Order:
    """What to start and how it is confined. `argv[0]` is absolute."""

    argv: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    limits: Mapping[str, int] = field(default_factory=lambda: LIMITS)
    max_processes: int = MAX_PROCESSES
    max_output_bytes: int = MAX_OUTPUT_BYTES
    seccomp: bytes = b""
    seccomp_at: int | None = None
    """Place in `argv` for the number of a descriptor that holds `seccomp`."""
    landlock: Mapping[str, Sequence[str]] | None = None
    walls: int = 0
    """Generations of processes that belong to the sandbox, not to the command."""
    placeholders: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended. `why`: empty, `stopped`, `processes` (too many), `output` (too much), `lost` (its supervisor died)."""

    exit_code: int
    signal: int = 0
    why: str = ""


Sink = Callable[[str, str], None]
"""(`stdout` or `stderr`, clean text). Never waits, never raises."""


class Running:
    """One started command. `ended` is done when its whole tree is gone and its output read."""

    def __init__(self, process: asyncio.subprocess.Process, report: int, order: Order, sink: Sink) -> None:
        self._process = process
        self._report = report
        self._order = order
        self._sink = sink
        self._bytes = 0
        self._too_much = False
        self.pid = process.pid
        self.ended: asyncio.Task[Ended] = asyncio.create_task(self._follow(), name=f"command {process.pid}")

    def ask_to_stop(self) -> None:
        """TERM, and KILL two seconds later. Returns at once; may be called twice."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    async def stop(self) -> Ended:
        """End it and wait until it is gone; bounded, also when the supervisor no longer answers."""
        self.ask_to_stop()
        done, _ = await asyncio.wait([self.ended], timeout=_STOP_S)
        if not done:
            await asyncio.to_thread(kill_tree, self.pid)
        return await asyncio.shield(self.ended)

    async def _follow(self) -> Ended:
        out, err = self._process.stdout, self._process.stderr
        if out is None or err is None:
            raise RuntimeError("the command has no pipes")
        readers = [
            asyncio.create_task(self._read(out, "stdout"), name="command stdout"),
            asyncio.create_task(self._read(err, "stderr"), name="command stderr"),
        ]
        try:
            code = await self._process.wait()
            await asyncio.wait(readers, timeout=_DRAIN_S)  # whoever still holds a pipe open was not of the tree
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
            self._process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001  # else a held pipe keeps it open
        return self._read_report(code)

    async def _read(self, stream: asyncio.StreamReader, name: str) -> None:
        cleaner = Cleaner()
        while data := await stream.read(_READ_BYTES):
            self._bytes += len(data)
            if self._too_much:
                continue
            self._sink(name, cleaner.feed(data))
            if self._bytes > self._order.max_output_bytes:
                self._too_much = True
                self.ask_to_stop()
        if rest := cleaner.feed(b"", last=True):
            self._sink(name, rest)

    def _read_report(self, code: int) -> Ended:
        try:
            report = json.loads(os.read(self._report, 4096) or b"{}")
        except (OSError, ValueError):
            report = {}
        finally:
            os.close(self._report)
        if "exit" not in report:
            _log.warning("the supervisor of a command ended with %s and no report", code)
            return Ended(128 + signal.SIGKILL, signal.SIGKILL, "lost")
        why = "output" if self._too_much else str(report["why"])
        return Ended(int(report["exit"]), int(report["signal"]), why)


class Spawner:
    """Starts commands. Has no state but its interpreter's path."""

    def __init__(self, python: str | None = None) -> None:
        self._python = python or sys.executable

    async def start(self, order: Order, sink: Sink) -> Running:
        """Start a command; its output goes to `sink`. Raises: OSError when no process can be started at all."""
        report_read, report_write = os.pipe()
        os.set_blocking(report_read, False)
        try:
            process = await asyncio.create_subprocess_exec(
                self._python,
                *("-I", "-S", "-c", _BOOT, _PACKAGE_PARENT),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(report_write,),
                start_new_session=True,
                cwd="/",
                env={"LC_ALL": "C.UTF-8", "PATH": ""},
            )
        except BaseException:
            os.close(report_read)
            raise
        finally:
            os.close(report_write)
        running = Running(process, report_read, order, sink)
        try:
            await _send(process, _text_of(order, report_write))
        except BaseException:
            running.ask_to_stop()
            raise
        return running


async def _send(process: asyncio.subprocess.Process, text: bytes) -> None:
    if process.stdin is None:
        return
    process.stdin.write(text)
    with contextlib.suppress(ConnectionError):  # it died before reading: `ended` says so
        await process.stdin.drain()
    process.stdin.close()


def _text_of(order: Order, report_fd: int) -> bytes:
    fields: dict[str, Any] = {
        "argv": list(order.argv),
        "cwd": order.cwd,
        "env": dict(order.env),
        "limits": dict(order.limits),
        "max_processes": order.max_processes,
        "report_fd": report_fd,
        "seccomp": base64.b64encode(order.seccomp).decode("ascii"),
        "seccomp_at": order.seccomp_at,
        "landlock": dict(order.landlock) if order.landlock is not None else None,
        "walls": order.walls,
        "placeholders": list(order.placeholders),
    }
    return json.dumps(fields).encode("utf-8")


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
