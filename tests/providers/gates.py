"""What stands between a company's network and the services: a CONNECT proxy, and TLS with a certificate of its own."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import trustme


@dataclass
class Gate:
    """A proxy at `url`. `asked`: the first line of every request to it; `heads`: everything it said."""

    url: str
    asked: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    status: int = 200


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Move bytes between a client and `port` of this machine until both have ended."""
    their_reader, their_writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await asyncio.gather(_pipe(reader, their_writer), _pipe(their_reader, writer))
    finally:
        their_writer.transport.abort()


@contextlib.asynccontextmanager
async def _serving(handle, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handle(reader, writer)
        except asyncio.CancelledError:
            return  # the test is over
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def connect_proxy(port: int) -> AsyncIterator[Gate]:
    """A CONNECT proxy that leads every host to `port` of this machine."""
    gate = Gate("")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        gate.heads.append(head)
        gate.asked.append(head.split(b"\r\n")[0].decode())
        writer.write(b"HTTP/1.1 %d Said\r\n\r\n" % gate.status)
        await writer.drain()
        if gate.status == 200:
            await _lead(reader, writer, port)

    async with _serving(handle) as bound:
        gate.url = f"http://127.0.0.1:{bound}"
        yield gate


@contextlib.asynccontextmanager
async def tls(ca: trustme.CA, port: int, *names: str) -> AsyncIterator[int]:
    """A TLS server with a certificate for `names`, in front of the plain server at `port`; its own port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _lead(reader, writer, port)

    async with _serving(handle, context) as bound:
        yield bound
