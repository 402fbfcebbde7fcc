"""A program that is talked to: raw bytes both ways, over two named pipes, through the one `Spawner`.

The spawner gives a command no standard input and cleans its output, which is right for commands and wrong for a
protocol. So a shell of one line joins the program to two named pipes in a private directory; everything else (walls,
limits, the whole tree killed, nothing outliving the server) is the spawner's. The pipes are unlinked once open.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lsp_agent.shell.spawner import Ended, Order, Running, Spawner

_log = logging.getLogger(__name__)

_JOIN = 'exec "$@" <"$0/in" >"$0/out"'
MAX_WAITING_BYTES = 64 << 20
"""Bytes the program has not read yet; beyond that it is taken for dead."""
MAX_LOG_CHARS = 20_000
_READ_BYTES = 1 << 16

Confine = Callable[[Order, Path], Order]
"""(order, directory it may write to) → the order inside walls."""


class Piped:
    """One running program. `ended` is done when its whole tree is gone."""

    def __init__(self, directory: Path, on_data: Callable[[bytes], None]) -> None:
        self._directory = directory
        self._on_data = on_data
        self._input = _open_pipe(directory / "in")
        self._output = _open_pipe(directory / "out")
        self._waiting: list[memoryview] = []
        self._waiting_bytes = 0
        self._running: Running | None = None
        self._logged = 0
        self._closed = False
        self.name = ""

    @property
    def ended(self) -> "asyncio.Future[Ended]":
        """How it ended."""
        assert self._running is not None
        return self._running.ended

    @property
    def alive(self) -> bool:
        """It runs and can be written to."""
        return not self._closed and self._running is not None and not self._running.ended.done()

    def send(self, data: bytes) -> None:
        """Give it bytes. Never waits. Raises: BrokenPipeError when it is gone or reads no more."""
        if not self.alive:
            raise BrokenPipeError("the program has ended")
        if self._waiting_bytes + len(data) > MAX_WAITING_BYTES:
            self.ask_to_stop()
            raise BrokenPipeError("the program does not read what it is sent")
        self._waiting.append(memoryview(data))
        self._waiting_bytes += len(data)
        if len(self._waiting) == 1:
            self._flush()

    def ask_to_stop(self) -> None:
        """End it and everything it started. Returns at once."""
        if self._running is not None:
            self._running.ask_to_stop()

    async def stop(self) -> None:
        """End it and wait until it is gone; bounded by the spawner."""
        if self._running is not None:
            await self._running.stop()
        self._close()

    def opened(self) -> None:
        """It has answered: both ends are open, the names in the file system are needed no more."""
        for name in ("in", "out"):
            with contextlib.suppress(OSError):
                (self._directory / name).unlink()

    # ------------------------------------------------------------------------------------------------------ inside

    def _take(self, running: Running) -> None:
        self._running = running
        asyncio.get_running_loop().add_reader(self._output, self._readable)
        running.ended.add_done_callback(lambda _: self._close())

    def _readable(self) -> None:
        try:
            data = os.read(self._output, _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            _log.warning("%s cannot be read: %s", self.name, error.strerror)
            self.ask_to_stop()
            return
        if data:
            self._on_data(data)

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            piece = self._waiting[0]
            try:
                count = os.write(self._input, piece)
            except (BlockingIOError, InterruptedError):
                loop.add_writer(self._input, self._flush)
                return
            except OSError as error:
                _log.warning("%s cannot be written to: %s", self.name, error.strerror)
                self._waiting.clear()
                self.ask_to_stop()
                break
            self._waiting_bytes -= count
            if count == len(piece):
                self._waiting.pop(0)
            else:
                self._waiting[0] = piece[count:]
        loop.remove_writer(self._input)

    def say(self, stream: str, text: str) -> None:
        """What it writes to its standard error goes to the log, up to a limit."""
        if text.strip() and self._logged < MAX_LOG_CHARS:
            self._logged += len(text)
            _log.info("%s: %s", self.name, text.strip()[:2000])

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._output)
        loop.remove_writer(self._input)
        os.close(self._input)
        os.close(self._output)
        self._waiting.clear()
        _ = loop.run_in_executor(None, shutil.rmtree, self._directory, True)


async def start_piped(
    spawner: Spawner, order: Order, on_data: Callable[[bytes], None], *, name: str, confine: Confine | None = None
) -> Piped:
    """Start `order` with its standard input and output joined to us.

    `confine` puts it inside walls; the private directory it is given may be written to. Raises: OSError.
    """
    directory = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="lsp-agent-"))
    try:
        piped = Piped(directory, on_data)
    except OSError:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    piped.name = name
    env = {**order.env, "TMPDIR": str(directory), "XDG_CACHE_HOME": str(directory / "cache")}
    joined = replace(order, argv=["/bin/sh", "-c", _JOIN, str(directory), *order.argv], env=env)
    try:
        piped._take(await spawner.start(confine(joined, directory) if confine else joined, piped.say))
    except BaseException:
        piped._close()
        raise
    return piped


def _open_pipe(path: Path) -> int:
    """Both ways, so that opening never waits for the program and a program that is late sees no end."""
    os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
