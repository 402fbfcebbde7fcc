"""A server that is a program: its lines to the SDK's messages and back (MCP, transports, stdio).

One JSON object a line each way. Starting the program, its pipes, its standard error and its end are `shell.duplex`.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from lsp_agent.mcp.intake import Intake
from lsp_agent.shell.duplex import Duplex, start_duplex
from lsp_agent.shell.spawner import Order, Spawner

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
_LOGGED_CHARS = 400


class StreamBroken(Exception):
    """What the program sends is not the protocol; the text says why."""


@dataclass(slots=True)
class Complaints:
    """What a program said on its standard error, for the text of an error."""

    name: str
    program: Duplex | None = None
    """None until it runs."""
    verdict: str = ""
    """What we found wrong with it."""
    tier: str = ""
    """What confines the program."""
    secrets: list[str] = field(default_factory=list)
    """Values that were looked up for it: never repeated, though the program may."""

    def hear(self, line: str) -> None:
        """A line of it, for the log (`shell.duplex.Heard`)."""
        _log.info(
            "MCP server %s: %s", self.name, self.hide(line)[:_LOGGED_CHARS]
        )  # hidden first: half a secret is one, too

    def hide(self, text: str) -> str:
        """`text` without the secrets."""
        for secret in self.secrets:
            text = text.replace(secret, "[hidden]")
        return text

    @property
    def tail(self) -> str:
        """The last lines, short enough for a message."""
        said = self.hide(self.program.errors if self.program is not None else "").splitlines()
        return " ⏎ ".join([line.strip() for line in (*said, self.verdict) if line.strip()][-6:])[-600:]


@asynccontextmanager
async def program_streams(
    spawner: Spawner, order: Order, intake: Intake, complaints: Complaints
) -> "AsyncIterator[Streams]":
    """Start `order` and give the SDK's two streams. On leaving, its tree is gone: bounded.

    Raises: OSError when nothing can be started. The read stream ends when the program does.
    """
    import anyio

    to_sdk, incoming = anyio.create_memory_object_stream[Any](0)
    outgoing, from_sdk = anyio.create_memory_object_stream[Any](0)
    program = await start_duplex(spawner, order, complaints.hear)
    complaints.program = program
    tasks = [
        asyncio.create_task(_read(program, to_sdk, intake, complaints), name=f"mcp {complaints.name} reads"),
        asyncio.create_task(_write(program, from_sdk), name=f"mcp {complaints.name} writes"),
    ]
    try:
        yield incoming, outgoing
    finally:
        await _to_the_end(_end(program, tasks))
        for stream in (to_sdk, incoming, outgoing, from_sdk):
            stream.close()


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


async def _end(program: Duplex, tasks: "list[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    await program.close()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _read(program: Duplex, to_sdk: "Incoming", intake: Intake, complaints: Complaints) -> None:
    """Lines to messages, until the program's end or the first thing that cannot be forgiven."""
    buffer = bytearray()
    bad = 0
    try:
        async with to_sdk:
            while True:
                chunk = await program.receive()
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
        complaints.verdict = str(error)
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


async def _write(program: Duplex, from_sdk: "Outgoing") -> None:
    async with from_sdk:
        async for item in from_sdk:
            body = item.message.model_dump(by_alias=True, mode="json", exclude_unset=True)
            with contextlib.suppress(BrokenPipeError):  # it is gone; the reading side says so
                await program.write(json.dumps(body, ensure_ascii=True).encode("ascii") + b"\n")
