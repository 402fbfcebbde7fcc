"""A server at an address: streamable HTTP or SSE through the SDK, with a client that goes nowhere else.

The configured address is what the user chose. Whatever the server makes us fetch besides (metadata of a login) must be
https at a public address, or loopback when the server itself is (RELIABILITY MC-11). No body is read without end.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lsp_agent.mcp.entry import Entry, EntryProblem, check_url
from lsp_agent.mcp.intake import Intake
from lsp_agent.mcp.oauth import NeedsLogin

if TYPE_CHECKING:
    import httpx2

    from lsp_agent.mcp.stdio import Streams

MAX_BODY_BYTES = 32 << 20
_STREAM_READ_S = 300.0
_LOOKUP_S = 5.0
_GOODBYE_S = 1.0
_SESSION = "mcp-session-id"
_DEFAULT_PORTS = {"http": 80, "https": 443}


class AddressRefused(Exception):
    """A request that the server caused leads to where it must not."""


@dataclass(slots=True)
class Guard:
    """Watches every request and response of one connection."""

    url: str
    """The configured address, resolved."""
    status: int = 0
    """Of the last refusal (401, 403) at the configured address; 0 = none."""
    session_id: str = ""
    """What the server calls this session (streamable HTTP)."""
    _checked: set[tuple[str, str, int]] = field(default_factory=set)

    async def request(self, request: "httpx2.Request") -> None:
        """An `httpx2` event hook. Raises: AddressRefused."""
        import httpx2

        mine, origin = _origin(httpx2.URL(self.url)), _origin(request.url)
        if origin == mine or origin in self._checked:
            return
        if is_loopback(mine[1]) and is_loopback(origin[1]):
            return  # a server on this machine may have its login on this machine
        if origin[0] != "https":
            raise AddressRefused(f"the server leads to {origin[1]}, which is not https")
        if not await _is_public(origin[1], origin[2]):
            raise AddressRefused(f"the server leads to {origin[1]}, which is no public address")
        self._checked.add(origin)

    async def response(self, response: "httpx2.Response") -> None:
        """An `httpx2` event hook: notes refusals, bounds the body. Raises: AddressRefused for a compressed one."""
        import httpx2

        if response.status_code in (401, 403) and _origin(response.request.url) == _origin(httpx2.URL(self.url)):
            self.status = response.status_code
        self.session_id = response.headers.get(_SESSION, self.session_id)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise AddressRefused("the server compresses its answers, which we did not ask for")
        if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
            response.stream = _bounded(response.stream)


def check_remote(entry: Entry, url: str, headers: Mapping[str, str]) -> None:
    """Raises: EntryProblem. Headers and logins travel over https, or not beyond this machine."""
    import httpx2

    check_url(url)
    parsed = httpx2.URL(url)
    if parsed.scheme == "http" and not is_loopback(parsed.host) and (headers or entry.oauth):
        raise EntryProblem("url: must be https when headers or a login are sent")


@asynccontextmanager
async def remote_streams(
    entry: Entry, url: str, headers: Mapping[str, str], auth: "httpx2.Auth | None", guard: Guard, intake: Intake
) -> "AsyncIterator[Streams]":
    """Connect and give the SDK's two streams. Raises: what httpx2 and the SDK raise, in groups too."""
    import httpx2
    from mcp.client.sse import sse_client
    from mcp.client.streamable_http import streamable_http_client

    def make_client(
        headers: dict[str, str] | None = None, timeout: httpx2.Timeout | None = None, auth: httpx2.Auth | None = None
    ) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            headers={"Accept-Encoding": "identity", **(headers or {})},
            timeout=timeout or httpx2.Timeout(entry.timeout_s, read=_STREAM_READ_S),
            auth=auth,
            follow_redirects=False,
            event_hooks={"request": [guard.request], "response": [guard.response]},
        )

    async with AsyncExitStack() as stack:
        if entry.type == "sse":
            sse = sse_client(
                url,
                dict(headers),
                timeout=entry.timeout_s,
                sse_read_timeout=86_400.0,
                httpx_client_factory=make_client,
                auth=auth,
            )
            read, write = await stack.enter_async_context(sse)
        else:
            client = await stack.enter_async_context(make_client(dict(headers), auth=auth))
            stack.push_async_callback(_say_goodbye, client, guard)
            read, write = await stack.enter_async_context(
                streamable_http_client(
                    url, http_client=client, terminate_on_close=False, max_sse_event_size=MAX_BODY_BYTES
                )
            )
        yield await stack.enter_async_context(_filtered(read, intake)), write


async def _say_goodbye(client: "httpx2.AsyncClient", guard: Guard) -> None:
    """End the session at the server, if it takes no time: it may be gone, and the SDK would wait long for it."""
    import httpx2

    if not guard.session_id:
        return
    try:
        async with asyncio.timeout(_GOODBYE_S):
            await client.delete(guard.url, headers={_SESSION: guard.session_id})
    except (TimeoutError, httpx2.HTTPError, AddressRefused, NeedsLogin):
        return


@asynccontextmanager
async def _filtered(read: Any, intake: Intake) -> AsyncIterator[Any]:
    """The read stream without what `intake` does not admit."""
    import anyio

    to_sdk, incoming = anyio.create_memory_object_stream[Any](0)

    async def pump() -> None:
        try:
            async with to_sdk:
                async for item in read:
                    message = getattr(item, "message", None)
                    method = getattr(message, "method", None)
                    if intake.admits(method, has_id=getattr(message, "id", None) is not None):
                        await to_sdk.send(item)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # the session is over

    task = asyncio.create_task(pump(), name="mcp pump")
    try:
        yield incoming
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        incoming.close()


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _is_public(host: str, port: int) -> bool:
    """Whether every address of a host is public. TLS holds what is looked up again later to the name."""
    try:
        async with asyncio.timeout(_LOOKUP_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return False
    addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    return bool(addresses) and all(
        (getattr(address, "ipv4_mapped", None) or address).is_global and not address.is_multicast
        for address in addresses
    )


def _origin(url: "httpx2.URL") -> tuple[str, str, int]:
    return url.scheme, url.host.casefold(), url.port or _DEFAULT_PORTS.get(url.scheme, 0)


def _bounded(stream: Any) -> Any:
    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            total = 0
            async for chunk in stream:
                total += len(chunk)
                if total > MAX_BODY_BYTES:
                    raise httpx2.ReadError(f"the answer has more than {MAX_BODY_BYTES} bytes")
                yield chunk

        async def aclose(self) -> None:
            await stream.aclose()

    return Bounded()
