"""Connections for httpcore that only the guard's addresses get: resolved once, checked, and then connected to.

The name stays what TLS verifies and what the `Host` header says. No proxy of the environment, no Unix socket, no
connection kept for later. Imported on first use: httpcore is not needed to start the server.
"""

import ssl
from collections.abc import Iterable

import httpcore2

from lsp_agent.web.addresses import parse_address
from lsp_agent.web.guard import Guard
from lsp_agent.web.urls import UrlRefused

_TRIES = 4
"""Addresses of one name that are tried; a name with more is not more reachable."""
SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Implements httpcore's network backend over the guard."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        failure: Exception | None = None
        for address in (await self._guard.addresses(host, port))[:_TRIES]:
            try:
                stream = await self._inner.connect_tcp(address, port, timeout=timeout, socket_options=socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
                continue
            return await _verified(stream, address)
        raise failure or httpcore2.ConnectError("no address")

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[SocketOption] | None = None
    ) -> httpcore2.AsyncNetworkStream:
        raise UrlRefused("A Unix socket is not fetched from.")


async def _verified(stream: httpcore2.AsyncNetworkStream, address: str) -> httpcore2.AsyncNetworkStream:
    """The stream, when its other end really is the address that was checked."""
    peer = stream.get_extra_info("server_addr")
    if peer is None or parse_address(str(peer[0])) != parse_address(address):
        await stream.aclose()
        raise UrlRefused("The connection did not end at the address that was checked.")
    return stream


def make_pool(guard: Guard, context: ssl.SSLContext | None) -> httpcore2.AsyncConnectionPool:
    """A pool for one request. `context`: None = the system's certificates."""
    return httpcore2.AsyncConnectionPool(
        ssl_context=context,
        network_backend=GuardedBackend(guard),
        max_connections=1,
        max_keepalive_connections=0,
        retries=0,
    )
