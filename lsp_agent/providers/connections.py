"""From a provider's settings to its live adapter: keys looked up when they are needed, once for everybody who waits.

An adapter is kept until its settings or its key change; one that a run may still be streaming from is closed at the
end. A refused key is looked up again, or its login's token exchanged, once for all sessions.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from lsp_agent.domain.errors import ProviderError
from lsp_agent.ports.provider import Provider
from lsp_agent.providers.adapters import Preloadable, Renewable, make_adapter
from lsp_agent.providers.embedded import EMBEDDED_ID, Engines
from lsp_agent.providers.keys import is_template, missing_variables
from lsp_agent.providers.keys import resolve as resolve_template
from lsp_agent.providers.oauth import LoginDue, Token
from lsp_agent.providers.oauth_tokens import PREFIX as OAUTH_PREFIX
from lsp_agent.providers.oauth_tokens import WAIT_FOR_LOGIN_S, Logins, quiet
from lsp_agent.providers.proxies import TlsContexts
from lsp_agent.providers.settings import ProviderSettings

_T = TypeVar("_T")
_NEEDS_KEY = frozenset({"anthropic", "google", "openai", "openrouter", "vercel", "vertex"})
_KEY_HEADERS = frozenset({"authorization", "x-api-key", "x-goog-api-key", "api-key"})
_REFRESH_HOLDS_S = 30.0
"""A refusal that comes this soon after new credentials were read is of a request that still had the old ones."""
_SECRET_HEADERS = ("authorization", "key", "token", "secret", "cookie")
_KEYLESS = frozenset({"scripted", EMBEDDED_ID})


@dataclass(slots=True)
class _Live:
    """An adapter and what it was made from."""

    settings: ProviderSettings
    key: str
    adapter: Preloadable


def nobody(_: str) -> None:
    """Default of `on_secret`."""


class Connections:
    """The adapters in use. `settings_of` is asked at every call, so a reload takes effect with the next request.

    `on_secret` gets every key and secret header before it is used.
    """

    def __init__(
        self,
        settings_of: Callable[[str], ProviderSettings],
        env: Mapping[str, str],
        *,
        on_secret: Callable[[str], None] = nobody,
        monotonic_s: Callable[[], float] = time.monotonic,
        logins: Logins | None = None,
        engines: Engines | None = None,
        on_login_due: Callable[[LoginDue], None] = quiet,
    ) -> None:
        self._settings_of = settings_of
        self._env = env
        self._on_secret = on_secret
        self._monotonic_s = monotonic_s
        self._logins = logins
        self._on_login_due = on_login_due
        self._engines = engines
        self._contexts = TlsContexts()
        self._live: dict[str, _Live] = {}
        self._addresses: dict[str, str] = {}
        """Where logins said that their accounts are served."""
        self._retired: list[Provider] = []
        self._making: dict[str, asyncio.Task[_Live]] = {}
        self._refreshing: dict[str, asyncio.Task[bool]] = {}
        self._refreshed_at_s: dict[str, float] = {}

    async def refresh(self, provider_id: str) -> bool:
        """After a refusal: read the credentials again. True when they changed. Sessions that are refused at the same
        time share one look-up, and its result."""
        running = self._refreshing.get(provider_id)
        if running is None:
            running = self._refreshing[provider_id] = asyncio.ensure_future(self._refresh(provider_id))
            running.add_done_callback(lambda task: _forget(self._refreshing, provider_id, task))
        # a cancelled session must not take the look-up of the others with it
        return await asyncio.shield(running)

    async def _refresh(self, provider_id: str) -> bool:
        last = self._refreshed_at_s.get(provider_id)
        if last is not None and self._monotonic_s() - last < _REFRESH_HOLDS_S:
            return True
        live = self._live.get(provider_id)
        settings = self._settings_of(provider_id)
        try:
            key = await self._key(settings, refused=live.key if live is not None else "")
            if live is None:
                return False
            if key == live.key:
                return await self._renewed(live.adapter)
            # made here: another look-up of the key would cost again, and might bring another one
            self._install(await self._made(settings, key))
        except LoginDue:
            if live is None or self._logins is None or not await self._logins.wait_for_login(provider_id, live.key):
                return False
            self._retire(provider_id)
        except ProviderError:
            return False
        self._refreshed_at_s[provider_id] = self._monotonic_s()
        return True

    async def adapter(self, provider_id: str) -> Preloadable:
        """The live adapter, or a new one; sessions that need it at the same time wait for one look-up of its key.

        Raises: ProviderError.
        """
        while True:
            settings = self._settings_of(provider_id)
            live = self._live.get(provider_id)
            if live is not None and live.settings == settings and not self._is_stale(settings):
                return live.adapter
            making = self._making.get(provider_id)
            if making is None:
                making = self._making[provider_id] = asyncio.ensure_future(self._make(settings))
                making.add_done_callback(lambda task: _forget(self._making, provider_id, task))
            made = await asyncio.shield(making)
            # the settings may have changed meanwhile
            if made.settings == settings:
                return made.adapter

    def _is_stale(self, settings: ProviderSettings) -> bool:
        """Whether the key is a login's and about to run out."""
        return self._logins is not None and _is_login(settings) and self._logins.is_stale(settings.provider_id)

    async def _renewed(self, adapter: Preloadable) -> bool:
        """An adapter that finds its own credentials may find others; a login that is due is told of and waited for."""
        if not isinstance(adapter, Renewable):
            return False
        if adapter.login_due is not None:
            self._on_login_due(adapter.login_due)
        return await adapter.renewed(WAIT_FOR_LOGIN_S)

    async def _make(self, settings: ProviderSettings) -> _Live:
        made = await self._made(settings, await self._key(settings))
        self._install(made)
        return made

    async def _login(self, settings: ProviderSettings, refused: str) -> Token:
        """Raises: ProviderError(ProviderAuth)."""
        if self._logins is None:
            raise ProviderError("ProviderAuth", "No login", f"{settings.provider_id}: logins are not available here.")
        token = await self._logins.token(settings.provider_id, refused=refused)
        self._addresses[settings.provider_id] = token.address
        return token

    async def _made(self, settings: ProviderSettings, key: str) -> _Live:
        where = f"providers.{settings.provider_id}"
        base_url = await resolve_template(settings.base_url, self._env, owner=f"{where}.base_url")
        base_url = self._addresses.get(settings.provider_id) or base_url
        headers = {
            name: await resolve_template(value, self._env, owner=f"{where}.headers.{name}")
            for name, value in settings.headers.items()
        }
        for name, value in headers.items():
            if value and (is_template(settings.headers[name]) or any(word in name.lower() for word in _SECRET_HEADERS)):
                self._on_secret(value)
        adapter = make_adapter(
            settings,
            key=key,
            base_url=base_url,
            headers=headers,
            env=self._env,
            engines=self._engines,
            contexts=self._contexts,
        )
        return _Live(settings, key, adapter)

    def _install(self, made: _Live) -> None:
        provider_id = made.settings.provider_id
        self._retire(provider_id)
        self._live[provider_id] = made

    async def _key(self, settings: ProviderSettings, *, refused: str = "") -> str:
        """The key now. Raises: ProviderError(ProviderAuth) that says what to configure."""
        if settings.type in _KEYLESS:
            return ""
        if _is_login(settings):
            return (await self._login(settings, refused)).access
        owner = f"providers.{settings.provider_id}.api_key"
        missing = missing_variables(settings.api_key, self._env)
        named = any(name.lower() in _KEY_HEADERS for name in settings.headers)
        # a server of the user's own may do without
        if missing or (not settings.api_key and not settings.base_url and settings.type in _NEEDS_KEY):
            if named:
                return ""
            what = f"set {missing[0]} in the editor's environment" if missing else "set a key"
            message = f"No key for {settings.provider_id}: {what}, or {owner} in the configuration file."
            raise ProviderError("ProviderAuth", "No key", message)
        key = await resolve_template(settings.api_key, self._env, owner=owner)
        if key:
            self._on_secret(key)
        return key

    def _retire(self, provider_id: str) -> None:
        """A run may still be streaming from it: it is closed at the end, not now."""
        live = self._live.pop(provider_id, None)
        if live is not None:
            self._retired.append(live.adapter)

    async def close(self) -> None:
        """Close every adapter. Bounded, may be called twice."""
        for task in [*self._refreshing.values(), *self._making.values()]:
            task.cancel()
        if self._logins is not None:
            await self._logins.close()
        for provider_id in list(self._live):
            self._retire(provider_id)
        retired, self._retired = self._retired, []
        await asyncio.gather(*[provider.close() for provider in retired], return_exceptions=True)


def _is_login(settings: ProviderSettings) -> bool:
    return settings.api_key.startswith(OAUTH_PREFIX)


def _forget(running: dict[str, asyncio.Task[_T]], provider_id: str, task: asyncio.Task[_T]) -> None:
    running.pop(provider_id, None)
    if not task.cancelled():
        # looked at, also when everybody who waited has gone: their next run will hear of it
        task.exception()
