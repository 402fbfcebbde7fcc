"""A server that is a program: started by the spawner, spoken to through two named pipes, gone with its whole tree.

The spawner gives a command no standard input and cleans its output for people, so the program's own ends are opened by
a one-line shell in front of it, from a private directory. Standard error goes to the spawner's sink as ever. One JSON
object a line each way (MCP, transports, stdio).
"""

import asyncio
import contextlib
import errno
import json
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from lsp_agent.mcp.intake import Intake
from lsp_agent.shell.spawner import Order, Running, Spawner

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

    Incoming = MemoryObjectSendStream[SessionMessage | Exception]
    Outgoing = MemoryObjectReceiveStream[SessionMessage]
    Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]

_log = logging.getLogger(__name__)

MAX_LINE_BYTES = 16 << 20
MAX_BAD_LINES = 100
"""Lines that are no messages: some programs print a banner; one that never stops is not a server."""
MAX_STDERR_CHARS = 4_000
_LOGGED_LINES = 200
_CHUNK = 65_536
_PATIENCE_S = 0.5
"""For a program to end by itself once its input has ended."""
_START_S = 2.0
_SHELL = "/bin/sh"
_OPEN_ENDS = 'i=$1 o=$2; shift 2; exec "$@" <"$i" >"$o"'


class StreamBroken(Exception):
    """What the program sends is not the protocol; the text says why."""


@dataclass(slots=True)
class Complaints:
    """The end of a program's standard error, for the text of an error."""

    name: str
    text: str = ""
    tier: str = ""
    """What confines the program."""
    secrets: list[str] = field(default_factory=list)
    """Values that were looked up for it: never repeated, though the program may."""
    _lines: int = 0

    def add(self, _stream: str, text: str) -> None:
        """More of it (a `shell.spawner.Sink`). Logged, the first lines only."""
        text = self.hide(text)
        self.text = (self.text + text)[-MAX_STDERR_CHARS:]
        for line in text.splitlines():
            if line.strip() and self._lines < _LOGGED_LINES:
                self._lines += 1
                _log.info("MCP server %s: %s", self.name, line[:400])

    def hide(self, text: str) -> str:
        """`text` without the secrets."""
        for secret in self.secrets:
            text = text.replace(secret, "[hidden]")
        return text

    @property
    def tail(self) -> str:
        """The last lines, short enough for a message."""
        text = self.hide(self.text)  # one that came in two pieces
        return " ⏎ ".join([line.strip() for line in text.splitlines() if line.strip()][-6:])[-600:]


@dataclass(slots=True)
class Ends:
    """Our ends of the two pipes, and one more of each, so that neither reads as ended while the program starts."""

    directory: Path
    read: int = -1
    write: int = -1
    _extra: list[int] = field(default_factory=list)

    def open(self) -> None:
        """Make the pipes and open them. Blocks for nothing: every end is non-blocking. Raises: OSError."""
        flags = os.O_NONBLOCK | os.O_CLOEXEC
        for path in (self.input, self.output):
            os.mkfifo(path, 0o600)
        self.read = os.open(self.output, os.O_RDONLY | flags)
        self._extra = [os.open(self.output, os.O_WRONLY | flags), os.open(self.input, os.O_RDONLY | flags)]
        self.write = os.open(self.input, os.O_WRONLY | flags)

    @property
    def input(self) -> Path:
        """The program's standard input."""
        return self.directory / "in"

    @property
    def output(self) -> Path:
        """The program's standard output."""
        return self.directory / "out"

    def end_input(self) -> None:
        """The program reads the end of its input."""
        for descriptor in (self.write, *self._extra[1:]):
            _close(descriptor)
        self.write, self._extra[1:] = -1, []

    def end_output(self) -> None:
        """Once what is in the pipe is read, we read its end: nobody else can write any more."""
        for descriptor in self._extra[:1]:
            _close(descriptor)
        self._extra[:1] = []

    def close(self) -> None:
        """Close all ends. May be called twice."""
        for descriptor in (self.read, self.write, *self._extra):
            _close(descriptor)
        self.read = self.write = -1
        self._extra = []


@asynccontextmanager
async def pipes() -> AsyncIterator[Ends]:
    """A private directory with both pipes, for the time of one connection."""
    ends = Ends(Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="lsp-agent-mcp-")))
    try:
        ends.open()
        yield ends
    finally:
        ends.close()
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, ends.directory, True))


def with_pipes(order: Order, ends: Ends) -> Order:
    """The same command with its standard input and output opened from `ends`."""
    return replace(order, argv=[_SHELL, "-c", _OPEN_ENDS, "mcp", str(ends.input), str(ends.output), *order.argv])


@asynccontextmanager
async def program_streams(
    spawner: Spawner, order: Order, ends: Ends, intake: Intake, complaints: Complaints
) -> "AsyncIterator[Streams]":
    """Start `order` (made with `with_pipes`) and give the SDK's two streams. On leaving, its tree is gone: bounded.

    Raises: OSError when nothing can be started. The read stream ends when the program does.
    """
    import anyio

    to_sdk, incoming = anyio.create_memory_object_stream[Any](0)
    outgoing, from_sdk = anyio.create_memory_object_stream[Any](0)
    running = await _started(spawner, order, complaints)
    tasks = [
        asyncio.create_task(_read(ends, to_sdk, intake, complaints), name=f"mcp {complaints.name} reads"),
        asyncio.create_task(_write(ends, from_sdk), name=f"mcp {complaints.name} writes"),
        asyncio.create_task(_watch(running, ends), name=f"mcp {complaints.name} watches"),
    ]
    try:
        yield incoming, outgoing
    finally:
        await _to_the_end(_end(running, ends, tasks))
        for stream in (to_sdk, incoming, outgoing, from_sdk):
            stream.close()


async def _started(spawner: Spawner, order: Order, complaints: Complaints) -> Running:
    """Start it; a cancellation meanwhile ends it first, so that no process is left to nobody."""
    starting = asyncio.ensure_future(spawner.start(order, complaints.add))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting], timeout=_START_S)
        if starting.done() and not starting.cancelled() and starting.exception() is None:
            await starting.result().stop()
        raise


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for bounded clean-up even when cancelled, also twice; a cancellation is passed on afterwards."""
    task = asyncio.ensure_future(work)
    was_cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            was_cancelled = True
    if was_cancelled:
        raise asyncio.CancelledError


async def _end(running: Running, ends: Ends, tasks: "list[asyncio.Task[None]]") -> None:
    """The end of its input, half a second, TERM, KILL."""
    tasks[1].cancel()
    ends.end_input()
    await asyncio.wait([running.ended], timeout=_PATIENCE_S)
    if not running.ended.done():
        await running.stop()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(running: Running, ends: Ends) -> None:
    await asyncio.shield(running.ended)
    ends.end_output()


async def _read(ends: Ends, to_sdk: "Incoming", intake: Intake, complaints: Complaints) -> None:
    """Lines to messages, until the program's end or the first thing that cannot be forgiven."""
    buffer = bytearray()
    bad = 0
    try:
        async with to_sdk:
            while True:
                chunk = await _receive(ends.read)
                if not chunk:
                    return
                scanned = len(buffer)
                buffer += chunk
                if b"\n" not in chunk:
                    if scanned + len(chunk) > MAX_LINE_BYTES:
                        raise StreamBroken(f"it sent a line of more than {MAX_LINE_BYTES} bytes")
                    continue
                *lines, rest = bytes(buffer).split(b"\n")
                buffer = bytearray(rest)
                for line in lines:
                    if line.strip():
                        bad += not await _deliver(line, to_sdk, intake)
                if bad > MAX_BAD_LINES:
                    raise StreamBroken("it writes other things than messages to its standard output")
    except StreamBroken as error:
        complaints.text += f"\n{error}\n"
        _log.warning("MCP server %s: %s", complaints.name, error)


async def _deliver(line: bytes, to_sdk: "Incoming", intake: Intake) -> bool:
    """Hand one line on; False when it is no message."""
    import anyio
    from mcp.shared.message import SessionMessage
    from mcp_types import jsonrpc_message_adapter

    try:
        content = orjson.loads(line)
    except ValueError:
        return False
    if not isinstance(content, dict):
        return False
    method = content.get("method")
    if not intake.admits(method if isinstance(method, str) else None, has_id=content.get("id") is not None):
        return True
    try:
        message = jsonrpc_message_adapter.validate_python(content, by_name=False)
    except (ValueError, RecursionError):
        return False
    with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await to_sdk.send(SessionMessage(message))
    return True


async def _write(ends: Ends, from_sdk: "Outgoing") -> None:
    async with from_sdk:
        async for item in from_sdk:
            body = item.message.model_dump(by_alias=True, mode="json", exclude_unset=True)
            await _send(ends.write, json.dumps(body, ensure_ascii=True).encode("ascii") + b"\n")


async def _receive(descriptor: int) -> bytes:
    """The next bytes; empty at the end."""
    while True:
        try:
            return os.read(descriptor, _CHUNK)
        except BlockingIOError:
            await _ready(descriptor, asyncio.get_running_loop().add_reader, asyncio.get_running_loop().remove_reader)


async def _send(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            await _ready(descriptor, asyncio.get_running_loop().add_writer, asyncio.get_running_loop().remove_writer)
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EBADF):
                return  # it is gone; the reading side says so
            raise


async def _ready(descriptor: int, add: Callable[..., Any], remove: Callable[[int], Any]) -> None:
    woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    add(descriptor, wake)
    try:
        await woken
    finally:
        remove(descriptor)


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        with contextlib.suppress(OSError):
            os.close(descriptor)
