"""A small proxy, the only way out of the sandbox for a domain the user has granted.

Listens on a Unix socket, on loopback with a token, or on a socket that somebody else has opened: the outlet of a
command (`shell.outlet`). Every tunnel passes the same guard as a fetch: exact labels, ports, addresses checked when the
connection is made; nothing is resolved before the host was granted. Knows nothing of TLS: it moves bytes, counts them
and ends on time (RELIABILITY EX-02, EX-08, EX-09; issue 3, per-domain grants).
"""

import asyncio
import base64
import contextlib
import hmac
import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from lsp_agent.web.addresses import parse_address
from lsp_agent.web.guard import Guard
from lsp_agent.web.proxy_request import BadRequest, ProxyRequest, parse_request
from lsp_agent.web.urls import UrlRefused

MAX_TUNNELS = 64
HEAD_S = 10.0
CONNECT_S = 10.0
TUNNEL_S = 600.0
IDLE_S = 120.0
MAX_TUNNEL_BYTES = 1 << 30
_MAX_HEAD_BYTES = 16_384
_PIECE_BYTES = 65_536
_CLOSE_S = 2.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class Traffic:
    """Counted since the start. Bytes are those inside the tunnels."""

    opened: int = 0
    refused: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0


@dataclass(frozen=True, slots=True)
class TunnelLimits:
    """Seconds and bytes of one tunnel, and how many there may be at once."""

    max_tunnels: int = MAX_TUNNELS
    head_s: float = HEAD_S
    connect_s: float = CONNECT_S
    tunnel_s: float = TUNNEL_S
    idle_s: float = IDLE_S
    max_bytes: int = MAX_TUNNEL_BYTES


class ConnectProxy:
    """`allow`: of a host in canonical spelling, whether it was granted; asked for each tunnel, never waits.

    `ask`: what is not granted may be granted now; waits. Never asked for numbers, nor for what the guard refuses. Given
    up when the client goes away. `refused` is told of each host that was asked for in vain, and why.
    """

    def __init__(
        self,
        allow: Callable[[str], bool],
        guard: Guard,
        *,
        limits: TunnelLimits | None = None,
        ask: Callable[[str], Awaitable[bool]] | None = None,
        refused: Callable[[str, str], None] = lambda host, why: None,
    ) -> None:
        self._allow = allow
        self._guard = guard
        self._limits = limits or TunnelLimits()
        self._ask = ask
        self._tell_refused = refused
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._token = ""
        self._tunnels: set[asyncio.Task[None]] = set()
        self.traffic = Traffic()

    @property
    def url(self) -> str:
        """For `HTTPS_PROXY`, token included; empty unless it listens on loopback."""
        if self._server is None or not self._token:
            return ""
        port = self._server.sockets[0].getsockname()[1]
        return f"http://lsp-agent:{self._token}@127.0.0.1:{port}"

    async def start(self, place: Path | socket.socket | int = 0) -> None:
        """Listen on a new Unix socket (mode 0600), on an open listening socket, which is the proxy's from now on, or on
        a port of 127.0.0.1 (0 = any). Raises: OSError."""
        if isinstance(place, Path):
            self._path = place
            self._server = await asyncio.start_unix_server(self._accept, path=place, limit=_MAX_HEAD_BYTES)
            place.chmod(0o600)
        elif isinstance(place, socket.socket):
            self._server = await asyncio.start_server(self._accept, sock=place, limit=_MAX_HEAD_BYTES)
        else:
            self._token = secrets.token_urlsafe(24)
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", place, limit=_MAX_HEAD_BYTES)

    async def close(self) -> None:
        """Stop listening and end every tunnel. Bounded; may be called twice."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for task in self._tunnels:
            task.cancel()
        if self._tunnels:
            await asyncio.wait(self._tunnels, timeout=_CLOSE_S)
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="proxy tunnel")
        self._tunnels.add(task)
        task.add_done_callback(self._tunnels.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        outer: asyncio.StreamWriter | None = None
        try:
            if len(self._tunnels) > self._limits.max_tunnels:
                await self._refuse(writer, 503, "Too many tunnels")
                return
            opened = await self._open(reader, writer)
            if opened is None:
                return
            request, early, (inner, outer) = opened
            self.traffic.opened += 1
            if request.is_tunnel:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            async with asyncio.timeout(self._limits.tunnel_s):
                await self._carry(request, early, (reader, writer), (inner, outer))
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return  # a tunnel that ends early is no event of ours
        finally:
            for one in (writer, outer):
                if one is not None:
                    one.close()

    # ---------------------------------------------------------------------------------------------------- the request

    async def _open(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[ProxyRequest, bytes, Streams] | None:
        """The connection that was asked for, and what the client said early; None when it was refused."""
        try:
            async with asyncio.timeout(self._limits.head_s):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            await self._refuse(writer, 431, "Request too large")
            return None
        host = ""
        try:
            request = parse_request(head)
            if not self._is_ours(request):
                raise BadRequest(407, "Proxy authentication required")
            host = request.host
            self._guard.check_endpoint(host, request.port)
            early = await self._permitted(host, reader)
            addresses = await self._guard.addresses(host, request.port)
            return request, early, await self._connect(addresses, request.port)
        except BadRequest as error:
            await self._refuse(writer, error.status, error.reason)
        except UrlRefused as error:
            if host:
                self._tell_refused(host, str(error))
            await self._refuse(writer, 403, "Host not allowed", f"lsp-agent: {error}\n" if host else "")
        except (OSError, TimeoutError):
            await self._refuse(writer, 502, "Host not reached")
        return None

    def _is_ours(self, request: ProxyRequest) -> bool:
        """Whether it knows the token, where there is one."""
        if not self._token:
            return True
        wanted = base64.b64encode(f"lsp-agent:{self._token}".encode())
        scheme, _, said = request.authorization.partition(b" ")
        return scheme.lower() == b"basic" and hmac.compare_digest(said.strip(), wanted)

    async def _permitted(self, host: str, reader: asyncio.StreamReader) -> bytes:
        """Wait until `host` is granted. What the client sent meanwhile. Raises: UrlRefused; OSError when it went."""
        if self._allow(host):
            return b""
        if self._ask is None or parse_address(host) is not None:
            raise UrlRefused(f"{host} was not granted to this command.")
        asking = asyncio.ensure_future(self._ask(host))
        listening = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait([asking, listening], return_when=asyncio.FIRST_COMPLETED)
            if not asking.done() and listening.result() == b"":
                raise OSError("the client is gone")
            if not await asking:
                raise UrlRefused(f"{host} was not granted to this command.")
            return listening.result() if listening.done() else b""
        finally:
            for one in (asking, listening):
                one.cancel()
            await asyncio.gather(asking, listening, return_exceptions=True)

    async def _connect(self, addresses: list[str], port: int) -> Streams:
        async with asyncio.timeout(self._limits.connect_s):
            failure: OSError | None = None
            for address in addresses[:4]:
                try:
                    return await asyncio.open_connection(address, port, limit=_PIECE_BYTES)
                except OSError as error:
                    failure = error
        raise failure or OSError("no address")

    async def _refuse(self, writer: asyncio.StreamWriter, status: int, reason: str, text: str = "") -> None:
        self.traffic.refused += 1
        body = text.encode("ascii", "replace")
        challenge = 'Proxy-Authenticate: Basic realm="lsp-agent"\r\n' if status == 407 else ""
        head = f"HTTP/1.1 {status} {reason}\r\n{challenge}Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        async with asyncio.timeout(self._limits.head_s):
            await writer.drain()

    # ------------------------------------------------------------------------------------------------------ the bytes

    async def _carry(self, request: ProxyRequest, early: bytes, inside: Streams, outside: Streams) -> None:
        """Both ways until both are at their end, one breaks, or a limit is reached."""
        left = [self._limits.max_bytes]
        loop = asyncio.get_running_loop()
        quiet = asyncio.timeout(self._limits.idle_s)

        def alive() -> None:
            if not quiet.expired():
                quiet.reschedule(loop.time() + self._limits.idle_s)

        def count_sent(size: int) -> None:
            self.traffic.sent_bytes += size
            alive()

        def count_received(size: int) -> None:
            self.traffic.received_bytes += size
            alive()

        first = request.head + early[: request.body_bytes]
        body_bytes = None if request.body_bytes is None else max(request.body_bytes - len(early), 0)
        if first:
            self.traffic.sent_bytes += len(first)
            outside[1].write(first)
        ways = [
            asyncio.ensure_future(self._pump(inside[0], outside[1], left, count_sent, body_bytes)),
            asyncio.ensure_future(self._pump(outside[0], inside[1], left, count_received)),
        ]
        try:
            async with quiet:
                await asyncio.gather(*ways)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        drain: asyncio.StreamWriter,
        left: list[int],
        count: Callable[[int], None],
        most: int | None = None,
    ) -> None:
        """Bytes one way until the end, or until `most` of them: a plain request is over then, and nothing follows."""
        while most is None or most > 0:
            data = await source.read(_PIECE_BYTES if most is None else min(most, _PIECE_BYTES))
            if not data:
                break
            if most is not None:
                most -= len(data)
            left[0] -= len(data)
            if left[0] < 0:
                raise OSError("the tunnel has carried as much as it may")
            count(len(data))
            drain.write(data)
            await drain.drain()
        if most is None:
            with contextlib.suppress(OSError):
                drain.write_eof()
