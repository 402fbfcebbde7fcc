"""Running one hook's command: bash, told what happens on its standard input, ended with its whole tree when it is late.

The command is the user's own and not confined. It gets the environment every command gets, so none of the server's
keys, and what `payload` adds. What it reads lies in a private file that is gone as soon as it has been opened.
"""

import asyncio
import contextlib
import os
import shlex
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lsp_agent.ports.clock import Clock
from lsp_agent.shell.environment import find_shell, system_binary
from lsp_agent.shell.spawner import Order, Running, Spawner

MAX_OUTPUT_CHARS = 64 << 10
"""Of each of the two streams; the rest is not kept."""
_MAX_OUTPUT_BYTES = 16 << 20
"""More than this ends the command."""
GRACE_S = 1.0
_CLOSE_S = 3.0


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended. `exit_code` None: it did not end by itself, and `error` says why."""

    exit_code: int | None
    stdout: str = ""
    stderr: str = ""
    error: str = ""
    duration_ms: int = 0


@dataclass(slots=True)
class _Output:
    text: dict[str, list[str]] = field(default_factory=lambda: {"stdout": [], "stderr": []})
    left: dict[str, int] = field(default_factory=lambda: {"stdout": MAX_OUTPUT_CHARS, "stderr": MAX_OUTPUT_CHARS})
    cut: set[str] = field(default_factory=set)

    def take(self, stream: str, text: str) -> None:
        if len(text) > self.left[stream]:
            self.cut.add(stream)
            text = text[: self.left[stream]]
        self.left[stream] -= len(text)
        self.text[stream].append(text)

    def joined(self, stream: str) -> str:
        return "".join(self.text[stream])


class HookProcesses:
    """Runs commands for hooks. `aclose` ends what is left of them."""

    def __init__(self, spawner: Spawner, clock: Clock, *, grace_s: float = GRACE_S) -> None:
        self._spawner = spawner
        self._clock = clock
        self._grace_s = grace_s
        self._directory: str | None = None
        self._making = threading.Lock()
        self._ending: set[asyncio.Task[object]] = set()

    async def run(self, command: str, stdin: bytes, *, env: Mapping[str, str], cwd: str, timeout_s: float) -> Ran:
        """Run `command` to its end, at most `timeout_s` and a second.

        Promise: raises nothing but a cancellation, which ends the command's whole tree.
        """
        started_s = self._clock.monotonic_s()
        shell = find_shell()
        if shell is None:
            return Ran(None, error="there is no bash on this machine")
        output = _Output()
        try:
            path = await asyncio.to_thread(self._put, stdin)
        except OSError as error:
            return Ran(None, error=f"its input could not be written: {error}")
        try:
            order = Order(_argv(shell, path, command), cwd, env, max_output_bytes=_MAX_OUTPUT_BYTES)
            exit_code, error_text = await self._watch(order, output, timeout_s)
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        if exit_code == 0 and "stdout" in output.cut:
            exit_code, error_text = None, "it said more than 64 KiB"
        duration_ms = int((self._clock.monotonic_s() - started_s) * 1000)
        return Ran(exit_code, output.joined("stdout"), output.joined("stderr"), error_text, duration_ms)

    async def aclose(self) -> None:
        """End what has not ended and remove what was written. Bounded; may be called twice."""
        if self._ending:
            await asyncio.wait(set(self._ending), timeout=_CLOSE_S)
        directory, self._directory = self._directory, None
        if directory is not None:
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)

    async def _watch(self, order: Order, output: _Output, timeout_s: float) -> tuple[int | None, str]:
        running: Running | None = None
        try:
            async with asyncio.timeout(timeout_s):
                running = await self._spawner.start(order, output.take)
                ended = await asyncio.shield(running.ended)
        except TimeoutError:
            if running is not None:
                await self._end(running)
            return None, f"it did not answer within {timeout_s:g} s"
        except asyncio.CancelledError:
            if running is not None:
                self._abandon(running)
            raise
        except OSError as error:
            return None, f"it could not be started: {error}"
        if ended.why:
            return None, f"it was ended ({ended.why})"
        return ended.exit_code, ""

    async def _end(self, running: Running) -> None:
        """Ask it to stop and give it a second; what takes longer is ended behind our back."""
        self._abandon(running)
        await asyncio.wait([running.ended], timeout=self._grace_s)

    def _abandon(self, running: Running) -> None:
        running.ask_to_stop()
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(running.stop(), name="hook ends")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _put(self, data: bytes) -> Path:
        """A private file with `data`."""
        with self._making:
            if self._directory is None:
                self._directory = tempfile.mkdtemp(prefix="lsp-agent-hooks-")
            directory = self._directory
        descriptor, name = tempfile.mkstemp(dir=directory)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        return Path(name)


def _argv(shell: str, path: Path, command: str) -> list[str]:
    """bash reading `path`, which has lost its name by the time `command` begins."""
    remove = system_binary("rm")
    forget = f'; {shlex.quote(remove)} -f -- "$1"' if remove else ""
    return [shell, "-c", f'exec <"$1" || exit 126{forget}; exec "$0" -c "$2"', shell, str(path), command]
