"""A program that is spoken to: raw bytes both ways, through the one `Spawner`, and the end of its standard error.

Knows no protocol. What is sent waits in memory up to a bound; what it writes is read no faster than it is taken. It
ends as polite programs expect: the end of its input, later TERM, later KILL for its whole tree; and like every command
it outlives neither that nor a server that was killed (the supervisor sees to it).
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from lsp_agent.shell.spawner import Ended, Order, Running, Spawner

MAX_WAITING_BYTES = 64 << 20
"""Sent and not read yet; a program that lets more pile up is taken for dead."""
ROOM_BYTES = 256 << 10
"""`write` waits above this, and so does a program that nobody listens to (and what the pipe holds, 64 KiB)."""
MAX_ERRORS_CHARS = 64 << 10
MAX_LINES = 200
"""Lines of standard error that are told as they come, of `MAX_LINE_CHARS` at most; the rest is only kept."""
MAX_LINE_CHARS = 4_000
END_S = 2.0
"""From the end of its input to TERM."""
GRACE_S = 2.0
"""From TERM to KILL."""
_DRAIN_S = 0.5
"""After its end: whoever still holds its output open then is not of its tree, and is not waited for."""
_NO_LIMIT_BYTES = 1 << 62

Heard = Callable[[str], None]
"""One clean line of standard error. Never waits, never raises."""


def unheard(_line: str) -> None:
    """Nobody wants to know what it complains of."""


class _Inbox(asyncio.Protocol):
    """What the program wrote and nobody has taken; above `ROOM_BYTES` no more is read."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._bytes = 0
        self._transport: asyncio.ReadTransport | None = None
        self._is_over = False
        self._is_ignored = False
        self._stirred = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.ReadTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._is_ignored:
            return
        self._pieces.append(data)
        self._bytes += len(data)
        if self._bytes > ROOM_BYTES and self._transport is not None:
            self._transport.pause_reading()
        self._stirred.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over = True
        self._stirred.set()

    async def take(self) -> bytes:
        """Everything there is; empty at the end. For one caller at a time."""
        while not self._pieces and not self._is_over:
            self._stirred.clear()
            await self._stirred.wait()
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._bytes = 0
        if self._transport is not None and not self._is_over:
            self._transport.resume_reading()
        return data

    def ignore(self) -> None:
        """Throw away what comes from now on, so that a program that ends is not kept by what it has to say."""
        self._is_ignored = True
        if self._transport is not None and not self._is_over:
            self._transport.resume_reading()

    def end_soon(self) -> None:
        """The program is gone: what is left in the pipe is still to be had, more is not waited for."""
        if self._transport is None or self._is_over:
            return
        if self._pieces:  # the taker is behind; it is asked again
            asyncio.get_running_loop().call_later(_DRAIN_S, self.end_soon)
        else:
            self._transport.close()

    def close(self) -> None:
        """Read no more."""
        if self._transport is not None and not self._is_over:
            self._transport.close()


class _Outbox(asyncio.BaseProtocol):
    """What the program has not read yet."""

    def __init__(self) -> None:
        self.transport: asyncio.WriteTransport | None = None
        self.has_room = asyncio.Event()
        self.has_room.set()
        self._is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        transport.set_write_buffer_limits(high=ROOM_BYTES)

    def pause_writing(self) -> None:
        self.has_room.clear()

    def resume_writing(self) -> None:
        self.has_room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over = True
        self.has_room.set()

    def abort(self) -> None:
        """Drop what waits, and the pipe."""
        if self.transport is not None and not self._is_over:
            self.transport.abort()


class Duplex:
    """One running program. Made by `start_duplex`; whoever made it calls `close`."""

    def __init__(self, heard: Heard = unheard) -> None:
        self._heard = heard
        self._inbox = _Inbox()
        self._outbox = _Outbox()
        self._running: Running | None = None
        self._closing: asyncio.Task[Ended] | None = None
        self._errors = ""
        self._line = ""
        self._lines = 0

    @property
    def ended(self) -> "asyncio.Future[Ended]":
        """How it ended, as soon as its whole tree is gone. Wait for it by `asyncio.wait` or shielded."""
        assert self._running is not None
        return self._running.ended

    @property
    def alive(self) -> bool:
        """It runs and can be written to."""
        out = self._outbox.transport
        return out is not None and not out.is_closing() and not self.ended.done()

    @property
    def errors(self) -> str:
        """The end of its standard error, as clean text of at most `MAX_ERRORS_CHARS`. Stays when it is gone."""
        return self._errors

    # ---------------------------------------------------------------------------------------------------- both ways

    def send(self, data: bytes) -> None:
        """Give it bytes. Never waits. Raises: BrokenPipeError when it is gone, or does not read what it is sent."""
        out = self._outbox.transport
        if out is None or not self.alive:
            raise BrokenPipeError("the program has ended, or reads no more")
        if out.get_write_buffer_size() + len(data) > MAX_WAITING_BYTES:
            self.ask_to_stop()
            raise BrokenPipeError("the program does not read what it is sent")
        out.write(data)

    async def write(self, data: bytes) -> None:
        """The same, and wait until it has read most of it; the caller sets the deadline. Raises: BrokenPipeError."""
        self.send(data)
        await self._outbox.has_room.wait()
        if not self.alive:
            raise BrokenPipeError("the program has ended, or reads no more")

    async def receive(self) -> bytes:
        """The next bytes it writes, as many as there are; empty at the end. For one caller at a time."""
        return await self._inbox.take()

    # ------------------------------------------------------------------------------------------------------ its end

    def end_input(self) -> None:
        """It reads the end of its input after what it was sent. Never waits."""
        out = self._outbox.transport
        if out is not None and not out.is_closing():
            out.write_eof()

    def ask_to_stop(self) -> None:
        """TERM for its tree now, KILL after `GRACE_S`. Returns at once."""
        if self._running is not None:
            self._running.ask_to_stop()

    async def close(self, patience_s: float = END_S) -> Ended:
        """End its input, after `patience_s` seconds its tree, and wait until that is gone.

        Bounded (`patience_s` + `GRACE_S` and a moment). What it still writes is thrown away. May be called again: all
        wait for the same end. Cancelled, it goes on by itself.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(patience_s), name="end of a program")
        return await asyncio.shield(self._closing)

    async def _close(self, patience_s: float) -> Ended:
        assert self._running is not None
        self._inbox.ignore()
        self.end_input()
        await asyncio.wait([self.ended], timeout=patience_s)
        ended = self.ended.result() if self.ended.done() else await self._running.stop()
        self._outbox.abort()
        self._inbox.close()
        return ended

    # ------------------------------------------------------------------------------------------------------- inside

    def say(self, _stream: str, text: str) -> None:
        """More of its standard error (a `shell.spawner.Sink`)."""
        self._errors = (self._errors + text)[-MAX_ERRORS_CHARS:]
        if self._lines >= MAX_LINES:
            return
        *lines, self._line = (self._line + text).split("\n")
        self._line = self._line[:MAX_LINE_CHARS]
        for line in lines:
            self._tell(line)

    def _tell(self, line: str) -> None:
        if line.strip() and self._lines < MAX_LINES:
            self._lines += 1
            self._heard(line.strip()[:MAX_LINE_CHARS])

    async def join(self, running: Running) -> None:
        """Take the pipes of a program that was started for it. Raises: OSError."""
        self._running = running
        running.ended.add_done_callback(lambda _: self._gone())
        loop = asyncio.get_running_loop()
        pipes = running.take_pipes()
        assert pipes is not None
        output, input_ = os.fdopen(pipes[0], "rb", buffering=0), os.fdopen(pipes[1], "wb", buffering=0)
        try:
            await loop.connect_read_pipe(lambda: self._inbox, output)
            await loop.connect_write_pipe(lambda: self._outbox, input_)
        except BaseException:
            self._inbox.close()
            self._outbox.abort()
            output.close()
            input_.close()
            raise
        if running.ended.done():
            self._gone()

    def _gone(self) -> None:
        """It has ended: nothing can be sent; what it said last can be read."""
        line, self._line = self._line, ""
        self._tell(line)
        self._outbox.abort()
        asyncio.get_running_loop().call_later(_DRAIN_S, self._inbox.end_soon)


async def start_duplex(spawner: Spawner, order: Order, heard: Heard = unheard) -> Duplex:
    """Start `order` with its standard input and output joined to us; all else of it stands. Raises: OSError.

    `heard` is told what it writes to its standard error, a line at a time: the first `MAX_LINES`, as clean text.
    """
    duplex = Duplex(heard)
    joined = replace(order, joined=True, grace_s=GRACE_S, max_output_bytes=_NO_LIMIT_BYTES)
    running = await spawner.start(joined, duplex.say)
    try:
        await duplex.join(running)
    except BaseException:
        await asyncio.shield(running.stop())
        raise
    return duplex
