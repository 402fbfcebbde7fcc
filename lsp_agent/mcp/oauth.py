"""A login at a server over HTTP: OAuth 2.1 by the SDK, tokens in a private file, the answer taken on loopback.

No browser is opened here. `Login.url` is where the user goes on; the answer comes to a listener on 127.0.0.1 that lives
for one login. Tokens are bound to the address they were made for (RELIABILITY MC-11, MC-12).
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from lsp_agent.mcp.pins import write_private

if TYPE_CHECKING:
    import httpx2
    from mcp.client.auth import AuthorizationCodeResult
    from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

_log = logging.getLogger(__name__)

LOGIN_S = 300.0
_REQUEST_S = 5.0
_MAX_REQUEST_BYTES = 16_384
_PATH = "/callback"
_DONE = b"<!doctype html><title>lsp-agent</title><p>You are logged in. This window can be closed.</p>"
_MAX_FILE_BYTES = 1 << 20


class NeedsLogin(Exception):
    """The server wants a login and there is no token that it accepts."""


class Tokens:
    """Implements the SDK's `TokenStorage` in one file of mode 0600 for one server at one address."""

    def __init__(self, path: Path, url: str) -> None:
        self._path = path
        self._url = url
        self._content: dict[str, Any] | None = None

    async def get_tokens(self) -> "OAuthToken | None":
        """What was stored for this address."""
        from mcp.shared.auth import OAuthToken

        found: OAuthToken | None = self._model(OAuthToken, (await self._load()).get("tokens"))
        return found

    async def set_tokens(self, tokens: "OAuthToken") -> None:
        """Store; called by the SDK at every exchange and refresh."""
        await self._store(tokens=tokens.model_dump(mode="json", exclude_none=True))

    async def get_client_info(self) -> "OAuthClientInformationFull | None":
        """The client as it was registered for this address."""
        from mcp.shared.auth import OAuthClientInformationFull

        found: OAuthClientInformationFull | None = self._model(
            OAuthClientInformationFull, (await self._load()).get("client")
        )
        return found

    async def set_client_info(self, client_info: "OAuthClientInformationFull") -> None:
        """Store."""
        await self._store(client=client_info.model_dump(mode="json", exclude_none=True))

    async def has_tokens(self) -> bool:
        """Whether there is anything to try."""
        return bool((await self._load()).get("tokens"))

    async def redirect_port(self) -> int:
        """The port of the registered redirect address; 0 when there is none."""
        for uri in (await self._load()).get("client", {}).get("redirect_uris") or ():
            with contextlib.suppress(ValueError):
                return urlsplit(str(uri)).port or 0
        return 0

    async def forget(self, *, client: bool = False) -> None:
        """Drop the tokens, and the registration too."""
        await self._store(tokens=None, **({"client": None} if client else {}))

    async def _load(self) -> dict[str, Any]:
        if self._content is None:
            content = await asyncio.to_thread(_read, self._path)
            # what was made for another address is never sent to this one
            self._content = content if content.get("url") == self._url else {"url": self._url}
        return self._content

    async def _store(self, **values: Any) -> None:
        content = {**await self._load(), **values}
        self._content = content
        data = json.dumps({key: value for key, value in content.items() if value is not None}).encode("utf-8")
        try:
            await asyncio.to_thread(write_private, self._path, data)
        except OSError as error:
            _log.error("a login could not be stored: %s", error.strerror)

    @staticmethod
    def _model(kind: Any, value: Any) -> Any:
        try:
            return kind.model_validate(value) if value else None
        except ValueError:
            return None


class Login:
    """One login: where the user goes, and what comes back."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.url: asyncio.Future[str] = loop.create_future()
        self.redirect_uri = ""
        self._answer: asyncio.Future[AuthorizationCodeResult] = loop.create_future()

    def offer(self, url: str) -> None:
        """The authorization address is known."""
        if not self.url.done():
            self.url.set_result(url)

    def answered(self, query: Mapping[str, list[str]]) -> bool:
        """The user came back; False for a query that is no answer. The SDK compares `state`."""
        from mcp.client.auth import AuthorizationCodeResult

        code, state = query.get("code", [""])[0], query.get("state", [None])[0]
        if self._answer.done() or not state or not (code or "error" in query):
            return False
        self._answer.set_result(AuthorizationCodeResult(code=code, state=state, iss=query.get("iss", [None])[0]))
        return True

    async def answer(self) -> "AuthorizationCodeResult":
        """Wait for the user. Raises: TimeoutError after `LOGIN_S`."""
        async with asyncio.timeout(LOGIN_S):
            return await asyncio.shield(self._answer)

    def close(self) -> None:
        """Nobody waits any more."""
        for future in (self.url, self._answer):
            future.cancel()


def provider(url: str, tokens: Tokens, login: Login | None) -> "httpx2.Auth":
    """The SDK's OAuth for one server. Without a login it uses and refreshes what is stored, and raises NeedsLogin
    where a person would be needed."""
    from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
    from mcp.shared.auth import OAuthClientMetadata

    async def redirect(where: str) -> None:
        if login is None:
            await tokens.forget()
            raise NeedsLogin
        if urlsplit(where).scheme not in ("http", "https"):
            raise NeedsLogin
        login.offer(where)

    async def callback() -> AuthorizationCodeResult:
        if login is None:
            raise NeedsLogin
        return await login.answer()

    metadata = OAuthClientMetadata.model_validate(
        {
            "client_name": "lsp-agent",
            "redirect_uris": [login.redirect_uri if login is not None else f"http://127.0.0.1{_PATH}"],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }
    )
    return OAuthClientProvider(url, metadata, tokens, redirect, callback)


@asynccontextmanager
async def listening(login: Login, tokens: Tokens) -> AsyncIterator[None]:
    """A listener on 127.0.0.1 for the answer of one login; sets `login.redirect_uri`. Raises: OSError.

    The port of an earlier registration is used again where it is free; else the client registers anew.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_respond(head, login, port))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            writer.close()

    wanted = await tokens.redirect_port()
    try:
        server = await asyncio.start_server(serve, "127.0.0.1", wanted, limit=_MAX_REQUEST_BYTES)
    except OSError:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_MAX_REQUEST_BYTES)
    port = int(server.sockets[0].getsockname()[1])
    if wanted and port != wanted:
        await tokens.forget(client=True)
    login.redirect_uri = f"http://127.0.0.1:{port}{_PATH}"
    try:
        yield
    finally:
        server.close()


def _respond(head: bytes, login: Login, port: int) -> bytes:
    """A navigation of the user's browser to our address is an answer; a request of a web page is not."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    target = urlsplit(rest.partition(" ")[0])
    headers = {name.strip().lower(): value.strip() for name, _, value in [line.partition(":") for line in lines]}
    is_ours = headers.get("host") in (f"127.0.0.1:{port}", f"localhost:{port}") and "origin" not in headers
    if method != "GET" or target.path != _PATH or not is_ours or not login.answered(parse_qs(target.query)):
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_DONE), _DONE)
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            return {}
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
