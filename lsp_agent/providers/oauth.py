"""Logging in at a service by OAuth 2: in the browser (code and PKCE, answer on loopback) or by a device code.

A login is made by a person at a terminal (`lsp-agent login`); a refresh happens by itself. No token is ever in the
message of an error. Addresses must be https, or on this machine.
"""

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import orjson

from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.oauth_answer import listening
from lsp_agent.providers.proxies import http_client
from lsp_agent.untrusted import clean

LOGIN_S = 300.0
REQUEST_S = 30.0
_MAX_BYTES = 1 << 20
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_MOST_SLOWDOWN_S = 60.0


@dataclass(frozen=True, slots=True)
class Token:
    """What a login brought. Times are seconds since the epoch."""

    access: str = field(repr=False)
    refresh: str = field(default="", repr=False)
    obtained_s: float = 0.0
    expires_s: float = 0.0
    """0 = it does not say; then it is used until it is refused."""
    address: str = ""
    """Where the service wants to be called with it; empty = at its usual address."""

    def is_stale(self, now_s: float) -> bool:
        """Expired, or so soon that a request might come too late: max(lifetime / 10, 30 s) (CORE 28.6)."""
        return bool(self.expires_s) and now_s >= self.expires_s - max((self.expires_s - self.obtained_s) / 10, 30.0)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the person has to do: go to `url`, and enter `code` there unless it is empty."""

    url: str
    code: str = ""


class LoginDue(ProviderError):
    """There is no login, or the service does not accept it any more: a person has to log in again."""

    def __init__(self, provider_id: str, why: str, command: str = "") -> None:
        self.provider_id = provider_id
        self.command = command or f"lsp-agent login {provider_id}"
        """What the person runs in a terminal."""
        super().__init__("ProviderAuth", "Login needed", f"{provider_id}: {why}; run: {self.command}")


Show = Callable[[Prompt], None]


class LoginService(Protocol):
    """One service that can be logged in at."""

    @property
    def provider_id(self) -> str:
        """The id of the provider's block."""
        ...

    async def login(self, show: Show) -> Token:
        """Wait for the person, at most `LOGIN_S`. Raises: ProviderError."""
        ...

    async def renewed(self, token: Token) -> Token:
        """A fresh token for an old one. Raises: LoginDue when the old one is worth nothing, ProviderError otherwise."""
        ...


@dataclass(frozen=True, slots=True)
class OAuthService:
    """An OAuth server as RFC 6749, 7636 and 8628 describe it; with `device_url` the device code is used."""

    provider_id: str
    client_id: str
    token_url: str
    authorize_url: str = ""
    device_url: str = ""
    scopes: tuple[str, ...] = ()
    redirect_port: int = 0
    """For servers that accept one port only; 0 = any."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """More parameters of the first request, for example `audience`."""
    now_s: Callable[[], float] = time.time
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def login(self, show: Show) -> Token:
        try:
            async with asyncio.timeout(LOGIN_S):
                return await (self._by_device(show) if self.device_url else self._by_browser(show))
        except TimeoutError as error:
            raise _failed(self.provider_id, "nobody answered the login in time") from error

    async def renewed(self, token: Token) -> Token:
        if not token.refresh:
            raise LoginDue(self.provider_id, "the login has run out")
        form = {"grant_type": "refresh_token", "refresh_token": token.refresh, "client_id": self.client_id}
        made = self._token(await self.ask(self.token_url, form))
        # a server that does not rotate says nothing: the old one stays good
        return made if made.refresh else replace(made, refresh=token.refresh)

    async def _by_browser(self, show: Show) -> Token:
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
        digest = hashlib.sha256(verifier.encode()).digest()
        async with listening(self.redirect_port, state) as answer:
            query = {
                "response_type": "code",
                "client_id": self.client_id,
                "redirect_uri": answer.redirect_uri,
                "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
                "code_challenge_method": "S256",
                "state": state,
                **({"scope": " ".join(self.scopes)} if self.scopes else {}),
                **self.extra,
            }
            sign = "&" if "?" in self.authorize_url else "?"
            show(Prompt(f"{secure(self.provider_id, self.authorize_url)}{sign}{urlencode(query)}"))
            code, error = await answer.come
        if error or not code:
            raise _failed(self.provider_id, f"the login was refused ({_shown(error)})")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": answer.redirect_uri,
            "client_id": self.client_id,
            "code_verifier": verifier,
        }
        return self._token(await self.ask(self.token_url, form))

    async def _by_device(self, show: Show) -> Token:
        form = {"client_id": self.client_id, **({"scope": " ".join(self.scopes)} if self.scopes else {}), **self.extra}
        told = await self.ask(self.device_url, form)
        device_code, url = _text(told, "device_code"), _text(told, "verification_uri")
        if not device_code or urlsplit(url).scheme not in ("http", "https"):
            raise _failed(self.provider_id, "the service offered no device code")
        show(Prompt(clean(url), clean(_text(told, "user_code"))))
        every_s = _seconds(told, "interval", 5.0)
        until_s = self.now_s() + _seconds(told, "expires_in", 900.0)
        form = {"grant_type": _DEVICE_GRANT, "device_code": device_code, "client_id": self.client_id}
        while self.now_s() < until_s:
            await self.pause(every_s)
            said = await self.ask(self.token_url, form, quiet=("authorization_pending", "slow_down"))
            match _text(said, "error"):
                case "authorization_pending":
                    continue
                case "slow_down":
                    every_s = min(max(every_s + 5.0, _seconds(said, "interval", 0.0)), _MOST_SLOWDOWN_S)
                case _:
                    return self._token(said)
        raise _failed(self.provider_id, "the device code has run out")

    async def ask(self, url: str, form: Mapping[str, str], *, quiet: tuple[str, ...] = ()) -> Mapping[str, Any]:
        """POST a form. Errors named in `quiet` are returned. Raises: LoginDue for a dead grant, else ProviderError."""
        status, said = await exchange(self.provider_id, "POST", url, form=form)
        error = _text(said, "error")
        if error in quiet:
            return said
        if error in ("invalid_grant", "invalid_client", "unauthorized_client", "bad_refresh_token"):
            raise LoginDue(self.provider_id, "the service does not accept the login any more")
        if error or status != 200:
            why = _shown(error) if error else f"status {status}"
            raise _failed(self.provider_id, f"the login server said {why}", retryable=status >= 500)
        return said

    def _token(self, said: Mapping[str, Any]) -> Token:
        now_s, access = self.now_s(), _text(said, "access_token")
        if not access:
            raise _failed(self.provider_id, "the login server sent no token")
        lifetime = _seconds(said, "expires_in", 0.0)
        return Token(access, _text(said, "refresh_token"), now_s, now_s + lifetime if lifetime else 0.0)


async def exchange(
    provider_id: str,
    method: str,
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    json: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Mapping[str, Any]]:
    """One small request: status and JSON object (empty when it is none). No redirects. Raises: ProviderError."""
    import httpx2

    secure(provider_id, url)
    client = await asyncio.to_thread(http_client, url)
    body: dict[str, Any] = {"data": dict(form)} if form is not None else {}
    if json is not None:
        body = {"json": dict(json)}
    sent = {"accept": "application/json", **(headers or {})}
    try:
        async with (
            asyncio.timeout(REQUEST_S),
            client.stream(method, url, headers=sent, follow_redirects=False, **body) as response,
        ):
            data = b""
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > _MAX_BYTES:
                    raise _failed(provider_id, "the login server said too much")
            status = response.status_code
    except (httpx2.HTTPError, OSError, TimeoutError) as error:
        why = f"the login server could not be reached ({type(error).__name__})"
        raise _failed(provider_id, why, retryable=True) from error
    finally:
        await client.aclose()
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = {}
    return status, found if isinstance(found, dict) else {}


def secure(provider_id: str, url: str) -> str:
    """`url`, when a secret may be sent there. Raises: ProviderError."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return url
    raise _failed(provider_id, "the address of the login server is not https")


def _failed(provider_id: str, why: str, *, retryable: bool = False) -> ProviderError:
    return ProviderError("ProviderAuth", "Login failed", f"{provider_id}: {why}.", retryable=retryable)


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""


def _seconds(said: Mapping[str, Any], name: str, default: float) -> float:
    """A time span the server names; nonsense is the default."""
    try:
        value = float(said.get(name, default))
    except (TypeError, ValueError):
        return default
    return value if 0 <= value < 1e9 else default


def _shown(error: str) -> str:
    """An error code of the server, never its free text: that may quote what was sent."""
    return error if error.replace("_", "").isalnum() and error.isascii() and len(error) <= 60 else "an error"
