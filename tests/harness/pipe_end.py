"""The client's end of two descriptors: reads as fast or as slowly as told, writes without ever waiting."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable


class PipeEnd:
    """Calls `on_data(bytes)` for what arrives and `on_end()` once at the end. Belongs to the running loop."""

    def __init__(
        self, read_fd: int, write_fd: int, on_data: Callable[[bytes], None], on_end: Callable[[], None]
    ) -> None:
        self._read_fd, self._write_fd = read_fd, write_fd
        self._on_data, self._on_end = on_data, on_end
        self._loop = asyncio.get_running_loop()
        self._out = bytearray()
        self._rate: float | None = None
        self._resume: asyncio.TimerHandle | None = None
        self._flushed = asyncio.Event()
        self._flushed.set()
        self._ended = False
        for fd in {read_fd, write_fd}:
            os.set_blocking(fd, False)
        self.resume_reading()

    def raw(self, data: bytes) -> None:
        """Send bytes as they are. Never waits; what the pipe does not take now goes later."""
        if self._write_fd < 0:
            return
        self._out += data
        self._flushed.clear()
        self._writable()

    async def flush(self, timeout: float = 20.0) -> None:
        """Wait until the pipe has taken everything."""
        async with asyncio.timeout(timeout):
            await self._flushed.wait()

    def pause_reading(self) -> None:
        """Read nothing until `resume_reading`."""
        self._stop_reading()

    def resume_reading(self) -> None:
        """Read as fast as possible (or as `throttle` says)."""
        if self._read_fd >= 0 and not self._ended:
            self._loop.add_reader(self._read_fd, self._readable)

    def throttle(self, bytes_per_s: float | None) -> None:
        """Read at most that fast; None = no limit."""
        self._rate = bytes_per_s

    def close_stdin(self) -> None:
        """No more input for the server (over a socket: half-closed)."""
        if self._write_fd < 0:
            return
        self._loop.remove_writer(self._write_fd)
        fd, self._write_fd = self._write_fd, -1
        if fd == self._read_fd:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as connection:
                connection.shutdown(socket.SHUT_WR)
        else:
            os.close(fd)

    def close_stdout(self) -> None:
        """Close the reading end: the server's next write fails. Over a socket it closes the connection."""
        if self._read_fd < 0:
            return
        self._stop_reading()
        fd, self._read_fd = self._read_fd, -1
        if fd == self._write_fd:
            self._loop.remove_writer(fd)
            self._write_fd = -1
        os.close(fd)
        self._end()

    def _stop_reading(self) -> None:
        if self._resume is not None:
            self._resume.cancel()
            self._resume = None
        if self._read_fd >= 0:
            self._loop.remove_reader(self._read_fd)

    def _readable(self) -> None:
        most = 65536 if self._rate is None else max(1, min(65536, int(self._rate * 0.02)))
        try:
            data = os.read(self._read_fd, most)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._stop_reading()
            self._end()
            return
        if self._rate is not None:
            self._stop_reading()
            self._resume = self._loop.call_later(len(data) / self._rate, self.resume_reading)
        self._on_data(data)

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._on_end()

    def _writable(self) -> None:
        try:
            while self._out:
                del self._out[: os.write(self._write_fd, self._out[:262144])]
        except BlockingIOError:
            self._loop.add_writer(self._write_fd, self._writable)
            return
        except OSError:
            self._out.clear()
        self._loop.remove_writer(self._write_fd)
        self._flushed.set()
