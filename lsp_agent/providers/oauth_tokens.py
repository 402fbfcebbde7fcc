"""Tokens in force: kept in private files, refreshed once for everybody who needs one (CORE 28.6).

In a process all sessions wait for one exchange; between processes a lock file makes them take turns, and whoever comes
second finds a fresher token on the disk and exchanges nothing. A refresh token that the server rotated is thereby never
used twice.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import orjson

from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.oauth import LoginDue, LoginService, Show, Token

_log = logging.getLogger(__name__)

LOCK_S = 45.0
PREFIX = "oauth:"
"""`api_key = "oauth:"` in a provider's block: its key is a login's token."""
WAIT_FOR_LOGIN_S = 300.0
_LOOK_EVERY_S = 0.5
_LOCK_EVERY_S = 0.05
_MAX_FILE_BYTES = 1 << 20
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def _nobody(_: str) -> None:
    """Default of `on_secret`."""


def quiet(_: LoginDue) -> None:
    """Default of `on_login_due`."""


class Logins:
    """The logins of this user, one file a provider in `directory` (made when missing, mode 0700).

    `services`: by provider id. `on_secret` hears every token before it is used; `on_login_due` is told when a person
    has to log in again, for `auth_update` and a notice.
    """

    def __init__(
        self,
        directory: Path,
        services: Callable[[], Mapping[str, LoginService]],
        *,
        on_secret: Callable[[str], None] = _nobody,
        on_login_due: Callable[[LoginDue], None] = quiet,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._services = services
        self._on_secret = on_secret
        self._on_login_due = on_login_due
        self._now_s = now_s
        self._running: dict[str, asyncio.Task[Token]] = {}
        self._known: dict[str, Token] = {}

    def service(self, provider_id: str) -> LoginService | None:
        """How this provider is logged in at; None when it is not."""
        return self._services().get(provider_id)

    def is_stale(self, provider_id: str) -> bool:
        """Whether the token given out last should be asked for again. Never waits."""
        token = self._known.get(provider_id)
        return token is not None and token.is_stale(self._now_s())

    async def token(self, provider_id: str, *, refused: str = "") -> Token:
        """The token now; exchanged when it is stale, or when it is the one the service has just `refused`.

        A failed exchange of a token that is still good for a while is logged, and the token is used (CORE 16.6).
        Raises: LoginDue, ProviderError.
        """
        token = await self._read(provider_id)
        if token is not None and not token.is_stale(self._now_s()) and token.access != refused:
            return self._given(provider_id, token)
        running = self._running.get(provider_id)
        if running is None:
            running = asyncio.create_task(self._exchange(provider_id, refused), name=f"login {provider_id}")
            self._running[provider_id] = running
            running.add_done_callback(lambda task: self._settled(provider_id, task))
        # a cancelled session must not take the exchange of the others with it
        return self._given(provider_id, await asyncio.shield(running))

    async def wait_for_login(self, provider_id: str, refused: str, timeout_s: float = WAIT_FOR_LOGIN_S) -> bool:
        """After LoginDue: wait until somebody has logged in again, here or in a terminal. Ends with a cancellation."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    token = await self._read(provider_id)
                    if token is not None and token.access != refused and not token.is_stale(self._now_s()):
                        return True
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            return False

    async def login(self, provider_id: str, show: Show) -> None:
        """Log a person in and keep the token. Raises: ProviderError."""
        service = self._must(provider_id)
        token = await service.login(show)
        async with self._locked(provider_id):
            await asyncio.to_thread(self._write, provider_id, token)
        self._given(provider_id, token)

    async def logout(self, provider_id: str) -> bool:
        """Forget the login; False when there was none."""
        self._known.pop(provider_id, None)
        path = self._path(provider_id)
        async with self._locked(provider_id):
            was_there = await asyncio.to_thread(path.exists)
            await asyncio.to_thread(path.unlink, missing_ok=True)
        return was_there

    async def close(self) -> None:
        """Give up what is under way. May be called twice."""
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    # ------------------------------------------------------------------------------------------------------ exchange

    async def _exchange(self, provider_id: str, refused: str) -> Token:
        service = self._must(provider_id)
        async with self._locked(provider_id):
            # whoever held the lock may have done the work
            token = await self._read(provider_id)
            if token is None:
                raise self._due(LoginDue(provider_id, "nobody is logged in"))
            if not token.is_stale(self._now_s()) and token.access != refused:
                return token
            try:
                fresh = await service.renewed(token)
            except LoginDue as error:
                raise self._due(error) from error
            except ProviderError:
                if token.access != refused and (not token.expires_s or self._now_s() < token.expires_s):
                    _log.warning("the login of %s was not refreshed and is used as it is", provider_id)
                    return token
                raise
            self._on_secret(fresh.access)
            self._on_secret(fresh.refresh)
            await asyncio.shield(asyncio.to_thread(self._write, provider_id, fresh))
            return fresh

    def _due(self, error: LoginDue) -> LoginDue:
        self._on_login_due(error)
        return error

    def _must(self, provider_id: str) -> LoginService:
        service = self.service(provider_id)
        if service is None:
            message = f"{provider_id} has no login: give it a key, or options.oauth in the configuration file."
            raise ProviderError("ProviderAuth", "No login", message)
        return service

    def _given(self, provider_id: str, token: Token) -> Token:
        self._on_secret(token.access)
        self._on_secret(token.refresh)
        self._known[provider_id] = token
        return token

    def _settled(self, provider_id: str, task: asyncio.Task[Token]) -> None:
        self._running.pop(provider_id, None)
        if not task.cancelled():
            task.exception()  # looked at, also when everybody who waited has gone

    # --------------------------------------------------------------------------------------------------------- files

    def _path(self, provider_id: str) -> Path:
        if _PLAIN.fullmatch(provider_id) is None:
            raise ProviderError("ProviderAuth", "No login", "A provider with such an id cannot have a login.")
        return self._directory / f"{provider_id}.json"

    async def _read(self, provider_id: str) -> Token | None:
        return await asyncio.to_thread(_token_of, self._path(provider_id))

    def _write(self, provider_id: str, token: Token) -> None:
        path = self._path(provider_id)
        content = {
            "access": token.access,
            "refresh": token.refresh,
            "obtained_s": token.obtained_s,
            "expires_s": token.expires_s,
            "address": token.address,
        }
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(orjson.dumps(content))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            message = f"{provider_id}: the login could not be kept ({error.strerror})."
            raise ProviderError("ProviderAuth", "Login not kept", message) from error

    @contextlib.asynccontextmanager
    async def _locked(self, provider_id: str) -> AsyncIterator[None]:
        """Between processes; gone with its process, however that ends. Raises: ProviderError after `LOCK_S`."""
        path = self._path(provider_id).with_suffix(".lock")
        try:
            descriptor = await asyncio.to_thread(_open_lock, path)
        except OSError as error:
            message = f"{provider_id}: the login cannot be kept in {path.parent} ({error.strerror})."
            raise ProviderError("ProviderAuth", "Login not kept", message) from error
        try:
            await _take(provider_id, descriptor)
            yield
        finally:
            os.close(descriptor)


def _open_lock(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


async def _take(provider_id: str, descriptor: int) -> None:
    # the system can only be asked, or waited for in a thread that cannot be cancelled
    until_s = time.monotonic() + LOCK_S
    while not _taken(descriptor):
        if time.monotonic() >= until_s:
            message = f"{provider_id}: another process has been logging in for too long."
            raise ProviderError("ProviderAuth", "Login busy", message, retryable=True)
        await asyncio.sleep(_LOCK_EVERY_S)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _token_of(path: Path) -> Token | None:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            return None
        content = orjson.loads(path.read_bytes())
        return Token(
            str(content["access"]),
            str(content["refresh"]),
            float(content["obtained_s"]),
            float(content["expires_s"]),
            str(content["address"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
