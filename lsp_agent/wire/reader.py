"""The reader thread of one connection: reads, cuts into frames, decodes, and hands messages to the event loop in order.

Decoding happens here, so that a message of many megabytes does not stop the loop. When the loop falls behind, this
thread waits (and with it the client's pipe); the loop never does.
"""

import asyncio
import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lsp_agent.wire.framing import Frame, FrameError, FrameParser
from lsp_agent.wire.json_decode import NotJson, decode
from lsp_agent.wire.limits import Limits
from lsp_agent.wire.stdio import Pipes

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Incoming:
    """One decoded message, or the reason why there is none."""

    value: Any
    exact: bool
    """False: `value` held a number that JSON or 64 bits cannot (read as None)."""
    code: int = 0
    """Not 0: there is no value; the JSON-RPC error code to answer with."""
    reason: str = ""
    size: int = 0
    """Bytes of the body."""


class Reader:
    """Feeds `handle(message)` on the loop, in wire order, and calls `on_end()` there after the last one.

    Promise: at most `limits.ingress_messages` messages and about `limits.ingress_bytes` wait; handling gives the loop
    back after `limits.turn_s`.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pipes: Pipes,
        limits: Limits,
        handle: Callable[[Incoming], None],
        on_end: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._pipes = pipes
        self._limits = limits
        self._handle = handle
        self._on_end = on_end
        self._queue: deque[Incoming] = deque()
        self._room = threading.Condition()  # guards the four fields below, which both threads change
        self._waiting = 0
        self._waiting_bytes = 0
        self._scheduled = False
        self._stopped = False
        self._ended = False
        self.parser = FrameParser(limits.max_body_bytes, limits.max_header_bytes)
        self._thread = threading.Thread(target=self._run, name="lsp-agent-reader", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Hand over nothing more."""
        with self._room:
            self._stopped = True
            self._queue.clear()
            self._room.notify()

    # ------------------------------------------------------------------------------------------ reader thread

    def _run(self) -> None:
        try:
            while data := self._read():
                for item in self.parser.feed(data):
                    self._offer(self._decode(item))
        except Exception as error:  # noqa: BLE001 - the boundary of a thread: to the loop it is the end of input
            _log.error("the reader thread failed: %s", type(error).__name__)
        finally:
            self._ended = True
            self._schedule()
            self._pipes.leave()

    def _read(self) -> bytes:
        """The next bytes; empty at the end."""
        fd = self._pipes.read_fd
        while not self._stopped and self._pipes.wait(fd, select.POLLIN):
            try:
                return os.read(fd, self._limits.read_bytes)
            except BlockingIOError:
                continue
            except OSError as error:
                _log.info("the client cannot be read any more: %s", type(error).__name__)
                break
        return b""

    def _decode(self, item: Frame | FrameError) -> Incoming:
        if isinstance(item, FrameError):
            return Incoming(None, exact=False, code=-32600, reason=item.reason)
        try:
            value, exact = decode(item.body, self._limits.max_depth)
        except NotJson as error:
            return Incoming(None, exact=False, code=-32700, reason=str(error), size=len(item.body))
        return Incoming(value, exact, size=len(item.body))

    def _offer(self, message: Incoming) -> None:
        with self._room:
            while not self._stopped and (
                self._waiting >= self._limits.ingress_messages or self._waiting_bytes > self._limits.ingress_bytes
            ):
                self._room.wait()
            if self._stopped:
                return
            self._queue.append(message)
            self._waiting += 1
            self._waiting_bytes += message.size
        self._schedule()

    def _schedule(self) -> None:
        with self._room:
            if self._scheduled:
                return
            self._scheduled = True
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:  # the loop is closed: nobody is left to hear it
            self._stopped = True

    # ------------------------------------------------------------------------------------------------- loop

    def _drain(self) -> None:
        """Handle what has come, for at most `turn_s`; then let others run."""
        deadline_s = self._loop.time() + self._limits.turn_s
        handled = handled_bytes = 0
        while self._queue and not self._stopped:
            message = self._queue.popleft()
            handled += 1
            handled_bytes += message.size
            self._handle(message)
            if self._loop.time() > deadline_s:
                break
        with self._room:
            self._waiting -= handled
            self._waiting_bytes -= handled_bytes
            self._room.notify()
            again = bool(self._queue) and not self._stopped
            self._scheduled = again
        if again:
            self._loop.call_soon(self._drain)
        elif self._ended and not self._stopped and not self._queue:
            self._stopped = True
            self._on_end()
