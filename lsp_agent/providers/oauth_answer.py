"""The browser's answer to a login: a listener on 127.0.0.1 that lives for one login and hears one request."""

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from lsp_agent.domain.errors import ProviderError

PATH = "/callback"
_REQUEST_S = 5.0
_MAX_REQUEST_BYTES = 16_384
_DONE = b"<!doctype html><title>lsp-agent</title><p>You are logged in. This window can be closed.</p>"


@dataclass(frozen=True, slots=True)
class Answer:
    """`redirect_uri`: where the browser is sent back to. `come`: code and error of the answer, one of them empty."""

    redirect_uri: str
    come: "asyncio.Future[tuple[str, str]]"


@contextlib.asynccontextmanager
async def listening(port: int, state: str) -> AsyncIterator[Answer]:
    """Listen at `port` (0 = any) for an answer that carries `state`. Raises: ProviderError when the port is taken."""
    come: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()
    bound = port

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_respond(head, bound, state, come))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # no browser
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(serve, "127.0.0.1", port, limit=_MAX_REQUEST_BYTES)
    except OSError as error:
        text = f"port {port} of this machine is in use, and the login needs it"
        raise ProviderError("ProviderAuth", "Login failed", f"{text} ({error.strerror}).") from error
    bound = int(server.sockets[0].getsockname()[1])
    host = "localhost" if port else "127.0.0.1"
    try:
        yield Answer(f"http://{host}:{bound}{PATH}", come)
    finally:
        server.close()
        come.cancel()


def _respond(head: bytes, port: int, state: str, come: "asyncio.Future[tuple[str, str]]") -> bytes:
    """A navigation of the user's browser with our state is an answer; a request of a web page is not."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    target = urlsplit(rest.partition(" ")[0])
    headers = {name.strip().lower(): value.strip() for name, _, value in [line.partition(":") for line in lines]}
    query = {name: values[0] for name, values in parse_qs(target.query).items()}
    is_ours = headers.get("host") in (f"127.0.0.1:{port}", f"localhost:{port}") and "origin" not in headers
    code, error = query.get("code", ""), query.get("error", "")
    told = query.get("state", "").encode()
    if (
        method != "GET"
        or target.path != PATH
        or not is_ours
        or not hmac.compare_digest(told, state.encode())
        or not (code or error)
        or come.done()
    ):
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    come.set_result((code, error))
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_DONE), _DONE)
    )
