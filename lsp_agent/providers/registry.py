"""Which model answers, and how to reach it: `ports.provider.Providers` over the configuration and the environment.

Detection order (CONFIGURATION.md): what is configured, a key in the environment, a local server, the embedded engine
when it and weights are there, the scripted demonstration. A failed key never falls through to another provider.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.model import Model
from lsp_agent.ports.provider import Provider
from lsp_agent.providers.adapters import Preloadable, make_adapter, service_type
from lsp_agent.providers.catalog import SERVICES, KnownService, known_service, vendors_model
from lsp_agent.providers.constrained_fit import noted
from lsp_agent.providers.content import merged
from lsp_agent.providers.embedded import EMBEDDED_ID, Engines
from lsp_agent.providers.keys import is_template, missing_variables
from lsp_agent.providers.keys import resolve as resolve_template
from lsp_agent.providers.probe import LocalServer, probe_local
from lsp_agent.providers.settings import ADAPTER_OPTIONS, ProviderSettings, ProvidersSettings

_T = TypeVar("_T")
SCRIPTED_ID = "scripted"
_NEEDS_KEY = frozenset({"anthropic", "google", "openai", "openrouter", "vercel", "vertex"})
_HOSTS = frozenset({"azure", "bedrock", "vertex"})
"""Types that serve the models of others."""
_KEY_HEADERS = frozenset({"authorization", "x-api-key", "x-goog-api-key", "api-key"})
_REFRESH_HOLDS_S = 30.0
"""A refusal that comes this soon after new credentials were read is of a request that still had the old ones."""
_SECRET_HEADERS = ("authorization", "key", "token", "secret", "cookie")
_DEMO = Model(SCRIPTED_ID, "demo", name="Demonstration (no model)", context_window=0, flat_rate=True)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a run without a model of its own would use, and why."""

    large: Model
    small: Model
    reason: str
    """One sentence for people; never holds a key's value."""
    local: bool
    """True when no text leaves this machine."""
    is_configured: bool = False
    """The configuration names it, or its provider; otherwise the user is told once."""


@dataclass(slots=True)
class _Live:
    """An adapter and what it was made from."""

    settings: ProviderSettings
    key: str
    adapter: Preloadable


def _nobody(_: str) -> None:
    """Default of `on_secret`."""


class ProviderRegistry:
    """The configured providers. Settings are asked for again at every call, so a reload takes effect with the next run.

    `on_secret` gets every key and secret header as soon as it is known, for the log's redaction. `engines`: the models
    of this machine that we run ourselves; they are closed with the registry.
    """

    def __init__(
        self,
        settings: Callable[[], ProvidersSettings],
        env: Mapping[str, str],
        *,
        on_secret: Callable[[str], None] = _nobody,
        probe: Callable[[], Awaitable[LocalServer | None]] = probe_local,
        monotonic_s: Callable[[], float] = time.monotonic,
        engines: Engines | None = None,
    ) -> None:
        self._engines = engines
        self._settings = settings
        self._env = env
        self._on_secret = on_secret
        self._probe = probe
        self._probing: asyncio.Task[LocalServer | None] | None = None
        self._local: LocalServer | None = None
        self._live: dict[str, _Live] = {}
        self._retired: list[Provider] = []
        self._monotonic_s = monotonic_s
        self._making: dict[str, asyncio.Task[_Live]] = {}
        self._refreshing: dict[str, asyncio.Task[bool]] = {}
        self._refreshed_at_s: dict[str, float] = {}

    async def prepare(self) -> None:
        """Look for a local server, once, when nothing else is configured. To be awaited before the first `resolve`.

        Promise: at most about 300 ms the first time, nothing afterwards.
        """
        settings = self._settings()
        if self._chosen(settings) is not None or not settings.probe_local:
            return
        if self._probing is None:
            self._probing = asyncio.ensure_future(self._probe())
        self._local = await asyncio.shield(self._probing)

    async def preload(self) -> None:
        """Import the SDK of the default model and make its client, off the loop. For the idle time after start.

        What is wrong is reported when a run needs it, not here.
        """
        try:
            live = await self._adapter(self.explain().large.provider_id)
            await live.adapter.preload()
        except (ProviderError, ImportError):
            return  # the run that needs it will say so

    def explain(self) -> Choice:
        """The model of a run that names none, and why it is that one. Raises: ProviderError."""
        settings = self._settings()
        chosen = self._chosen(settings)
        if chosen is not None:
            return chosen
        if self._local is not None:
            model = self._local.settings.models[0]
            reason = f"{self._local.name} answers on this machine and nothing else is configured"
            return Choice(model, model, reason, local=True)
        embedded = self._engines.models() if self._engines is not None else ()
        if embedded:
            reason = "its weights are here, and no key, no local server and no configuration were found"
            return Choice(embedded[0], embedded[0], reason, local=True)
        scripted = next((block for block in settings.providers if block.type == SCRIPTED_ID), None)
        demo = _DEMO if scripted is None else replace(_DEMO, provider_id=scripted.provider_id)
        return Choice(demo, demo, "no key, no local server and no configuration were found", local=True)

    def resolve(self, ref: str | None, *, role: str = "large") -> Model:
        if ref:
            return self._named(ref, self._settings())
        choice = self.explain()
        return choice.small if role == "small" else choice.large

    async def provider_for(self, model: Model) -> Provider:
        live = await self._adapter(model.provider_id)
        await live.adapter.preload()
        return live.adapter

    async def refresh_credentials(self, model: Model) -> bool:
        """See the port. Sessions that are refused at the same time share one look-up, and its result."""
        provider_id = model.provider_id
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
        settings = self._provider(provider_id, self._settings())
        try:
            key = await self._key(settings)
            if live is None or key == live.key:
                return False
            # made here: another look-up of the key would cost again, and might bring another one
            self._install(await self._made(settings, key))
        except ProviderError:
            return False
        self._refreshed_at_s[provider_id] = self._monotonic_s()
        return True

    def models(self) -> Sequence[Model]:
        settings = self._settings()
        found: list[Model] = []
        try:
            choice = self.explain()
            found += [choice.large, choice.small]
        except ProviderError:
            found.clear()  # a broken choice must not hide the rest
        for block in settings.providers:
            found += self._models_of(self._provider(block.provider_id, settings))
        for service in SERVICES:
            if self._key_name(service) and service.large:
                found += self._models_of(self._provider(service.provider_id, settings))
        if self._local is not None:
            found += self._local.settings.models
        if self._engines is not None:
            found += self._engines.models()
        return list({model.ref: noted(model) for model in reversed(found)}.values())[::-1]

    async def close(self) -> None:
        """Close every adapter. Bounded, may be called twice."""
        if self._probing is not None:
            self._probing.cancel()
        for task in [*self._refreshing.values(), *self._making.values()]:
            task.cancel()
        for provider_id in list(self._live):
            self._retire(provider_id)
        retired, self._retired = self._retired, []
        await asyncio.gather(*[provider.close() for provider in retired], return_exceptions=True)
        if self._engines is not None:
            await self._engines.close()

    # ------------------------------------------------------------------------------------------------ which model

    def _chosen(self, settings: ProvidersSettings) -> Choice | None:
        """By configuration or by a key in the environment; None when there is neither."""
        if settings.large:
            large = self._named(settings.large, settings)
            small = self._named(settings.small, settings) if settings.small else large
            return Choice(large, small, "the configuration says so (models.large)", self._stays_here(large), True)
        for block in settings.providers:
            models = self._models_of(self._provider(block.provider_id, settings))
            if block.type != SCRIPTED_ID and models:
                small = self._named(settings.small, settings) if settings.small else models[0]
                reason = f"it is the first model of the configured provider {block.provider_id!r}"
                return Choice(models[0], small, reason, self._stays_here(models[0]), is_configured=True)
        scripted = next((block for block in settings.providers if block.type == SCRIPTED_ID), None)
        if scripted is not None and scripted.options.get("script"):
            model = replace(_DEMO, provider_id=scripted.provider_id, model_id="script", name="Script (no model)")
            model = scripted.models[0] if scripted.models else model
            return Choice(model, model, "a script is configured", local=True, is_configured=True)
        for service in SERVICES:
            name = self._key_name(service)
            if name and service.large:
                large = self._named(f"{service.provider_id}/{service.large}", settings)
                small_ref = settings.small or f"{service.provider_id}/{service.small}"
                reason = f"{name} is set in the environment"
                return Choice(large, self._named(small_ref, settings), reason, local=False)
        return None

    def _named(self, ref: str, settings: ProvidersSettings) -> Model:
        provider_id, slash, model_id = ref.partition("/")
        if not slash or not model_id:
            raise ProviderError("Provider", "No such model", f"{ref!r} is not of the form provider/model.")
        block = self._provider(provider_id, settings)
        service_type(block)
        for model in self._models_of(block):
            if model.model_id == model_id:
                return model
        like = vendors_model(model_id) if block.type in _HOSTS else None
        if like is not None:
            # window, prices and abilities are the vendor's; options are its own interface's
            flat_rate, sent = block.flat_rate, _sent_options(block)
            return replace(like, provider_id=provider_id, model_id=model_id, flat_rate=flat_rate, options=sent)
        name = "Demonstration (no model)" if block.type == SCRIPTED_ID else model_id
        flat_rate = block.flat_rate or block.type == SCRIPTED_ID
        return Model(provider_id, model_id, name=name, flat_rate=flat_rate, options=_sent_options(block))

    def _models_of(self, block: ProviderSettings) -> list[Model]:
        service = known_service(block.provider_id)
        known = [] if service is None else list(service.models)
        if block.type == EMBEDDED_ID and self._engines is not None:
            known = list(self._engines.models())
        own = {model.model_id for model in block.models}
        models = [*block.models, *[model for model in known if model.model_id not in own]]
        sent = _sent_options(block)
        if sent:
            # catalogue < provider < model (CORE 17.3)
            models = [
                replace(
                    model,
                    options=merged(sent, model.options) if model.model_id in own else merged(model.options, sent),
                )
                for model in models
            ]
        if block.flat_rate:
            models = [replace(model, flat_rate=True) for model in models]
        return [
            model if model.provider_id == block.provider_id else replace(model, provider_id=block.provider_id)
            for model in models
        ]

    def _provider(self, provider_id: str, settings: ProvidersSettings) -> ProviderSettings:
        """A provider's settings, completed by what is known of a service of that id. Raises: ProviderError."""
        block = next((item for item in settings.providers if item.provider_id == provider_id), None)
        service = known_service(provider_id)
        if block is None and self._local is not None and self._local.settings.provider_id == provider_id:
            return self._local.settings
        if block is None and provider_id in {SCRIPTED_ID, EMBEDDED_ID}:
            return ProviderSettings(provider_id, provider_id)
        if service is None:
            if block is None:
                message = f"No provider {provider_id!r} is configured: add [providers.{provider_id}]."
                raise ProviderError("Provider", "No such provider", message)
            return block
        block = block or ProviderSettings(provider_id, service.type)
        name = self._key_name(service) or service.key_names[0]
        kind = block.type or service.type
        default = service.base_url if kind == service.type else service.compat_url or service.base_url
        urls = [self._env[url] for url in service.base_url_names if self._env.get(url)]
        return replace(
            block,
            type=kind,
            api_key=block.api_key or (f"${name}" if service.needs_key or self._env.get(name) else ""),
            base_url=block.base_url or (urls[0] if urls else default),
        )

    def _key_name(self, service: KnownService) -> str:
        return next((name for name in service.key_names if self._env.get(name)), "")

    def _stays_here(self, model: Model) -> bool:
        block = self._provider(model.provider_id, self._settings())
        hosts = ("http://127.0.0.1", "http://localhost", "http://[::1]")
        return block.type in {SCRIPTED_ID, EMBEDDED_ID} or block.base_url.startswith(hosts)

    # ------------------------------------------------------------------------------------------------ how to reach it

    async def _adapter(self, provider_id: str) -> _Live:
        """The live adapter, or a new one; sessions that need it at the same time wait for one look-up of its key."""
        while True:
            settings = self._provider(provider_id, self._settings())
            live = self._live.get(provider_id)
            if live is not None and live.settings == settings:
                return live
            making = self._making.get(provider_id)
            if making is None:
                making = self._making[provider_id] = asyncio.ensure_future(self._make(settings))
                making.add_done_callback(lambda task: _forget(self._making, provider_id, task))
            made = await asyncio.shield(making)
            # the settings may have changed meanwhile
            if made.settings == settings:
                return made

    async def _make(self, settings: ProviderSettings) -> _Live:
        made = await self._made(settings, await self._key(settings))
        self._install(made)
        return made

    async def _made(self, settings: ProviderSettings, key: str) -> _Live:
        where = f"providers.{settings.provider_id}"
        base_url = await resolve_template(settings.base_url, self._env, owner=f"{where}.base_url")
        headers = {
            name: await resolve_template(value, self._env, owner=f"{where}.headers.{name}")
            for name, value in settings.headers.items()
        }
        for name, value in headers.items():
            if value and (is_template(settings.headers[name]) or any(word in name.lower() for word in _SECRET_HEADERS)):
                self._on_secret(value)
        adapter = make_adapter(
            settings, key=key, base_url=base_url, headers=headers, env=self._env, engines=self._engines
        )
        return _Live(settings, key, adapter)

    def _install(self, made: _Live) -> None:
        provider_id = made.settings.provider_id
        self._retire(provider_id)
        self._live[provider_id] = made

    async def _key(self, settings: ProviderSettings) -> str:
        """The key now. Raises: ProviderError(ProviderAuth) that says what to configure."""
        if settings.type in {SCRIPTED_ID, EMBEDDED_ID}:
            return ""
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


def _sent_options(block: ProviderSettings) -> dict[str, object]:
    """The block's options that are sent with every request."""
    return {name: value for name, value in block.options.items() if name not in ADAPTER_OPTIONS}


def _forget(running: dict[str, asyncio.Task[_T]], provider_id: str, task: asyncio.Task[_T]) -> None:
    running.pop(provider_id, None)
    if not task.cancelled():
        # looked at, also when everybody who waited has gone: their next run will hear of it
        task.exception()
