"""Which model answers, and how to reach it: `ports.provider.Providers` over the configuration and the environment.

Detection order (CONFIGURATION.md): what is configured, a key in the environment, a local server, the embedded engine
when it and weights are there, the scripted demonstration. A failed key never falls through to another provider.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.model import Model
from lsp_agent.ports.provider import Provider
from lsp_agent.providers.adapters import service_type
from lsp_agent.providers.catalog import SERVICES, KnownService, known_service, vendors_model
from lsp_agent.providers.connections import Connections, nobody
from lsp_agent.providers.content import merged
from lsp_agent.providers.embedded import EMBEDDED_ID, Engines
from lsp_agent.providers.notes import noted
from lsp_agent.providers.oauth import LoginDue
from lsp_agent.providers.oauth_tokens import PREFIX as OAUTH_PREFIX
from lsp_agent.providers.oauth_tokens import Logins, quiet
from lsp_agent.providers.prices import PriceList
from lsp_agent.providers.prices_file import Prices
from lsp_agent.providers.probe import LocalServer, probe_local
from lsp_agent.providers.settings import ADAPTER_OPTIONS, ProviderSettings, ProvidersSettings

SCRIPTED_ID = "scripted"
_HOSTS = frozenset({"azure", "bedrock", "vertex"})
"""Types that serve the models of others."""
_PRICES_S = 0.3
_MOST_MODELS = 1000
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
        on_secret: Callable[[str], None] = nobody,
        probe: Callable[[], Awaitable[LocalServer | None]] = probe_local,
        monotonic_s: Callable[[], float] = time.monotonic,
        prices: Prices | None = None,
        logins: Logins | None = None,
        on_login_due: Callable[[LoginDue], None] = quiet,
        engines: Engines | None = None,
    ) -> None:
        self._engines = engines
        self._settings = settings
        self._env = env
        self._prices = prices
        self._probe = probe
        self._probing: asyncio.Task[LocalServer | None] | None = None
        self._local: LocalServer | None = None
        self._connections = Connections(
            lambda provider_id: self._provider(provider_id, self._settings()),
            env,
            on_secret=on_secret,
            monotonic_s=monotonic_s,
            logins=logins,
            on_login_due=on_login_due,
            engines=engines,
        )

    async def prepare(self) -> None:
        """Look for a local server, once, when nothing else is configured. To be awaited before the first `resolve`.

        Promise: at most about 300 ms the first time, nothing afterwards.
        """
        if self._prices is not None:
            await self._prices.ready(_PRICES_S)
        settings = self._settings()
        if self._chosen(settings) is not None or not settings.probe_local:
            return
        if self._probing is None:
            self._probing = asyncio.ensure_future(self._probe())
        self._local = await asyncio.shield(self._probing)

    async def preload(self) -> None:
        """Import what reaches the default model and make its client, off the loop. For the idle time after start.

        What is wrong is reported when a run needs it, not here.
        """
        try:
            adapter = await self._connections.adapter(self.explain().large.provider_id)
            await adapter.preload()
        except (ProviderError, ImportError):
            pass  # the run that needs it will say so
        if self._prices is not None:
            await self._prices.load()
            if self._settings().refresh_prices:
                await self._prices.refresh()

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
        adapter = await self._connections.adapter(model.provider_id)
        await adapter.preload()
        return adapter

    async def refresh_credentials(self, model: Model) -> bool:
        """See the port. Sessions that are refused at the same time share one look-up, and its result."""
        return await self._connections.refresh(model.provider_id)

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
        reachable = [block.provider_id for block in settings.providers]
        reachable += [service.provider_id for service in SERVICES if self._key_name(service) and service.large]
        for provider_id in dict.fromkeys(reachable):
            found += self._priced_models(provider_id, settings)
        return list({model.ref: noted(model) for model in reversed(found)}.values())[::-1][:_MOST_MODELS]

    def _priced_models(self, provider_id: str, settings: ProvidersSettings) -> list[Model]:
        """What the price list knows of a service beyond the catalogue; whatever has no window writes no text."""
        block, listed = self._provider(provider_id, settings), self._price_list()
        sent = _sent_options(block)
        return [
            listed.priced(Model(provider_id, one.model_id, flat_rate=block.flat_rate, options=sent))
            for one in listed.listed(provider_id)
            if one.window and one.usd[1]
        ]

    async def close(self) -> None:
        """Close every adapter. Bounded, may be called twice."""
        if self._probing is not None:
            self._probing.cancel()
        await self._connections.close()
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
        unknown = Model(provider_id, model_id, name=name, flat_rate=flat_rate, options=_sent_options(block))
        return self._price_list().priced(unknown)

    def _price_list(self) -> PriceList:
        return PriceList() if self._prices is None else self._prices.current

    def _models_of(self, block: ProviderSettings) -> list[Model]:
        service = known_service(block.provider_id)
        known = [] if service is None else list(service.models)
        if block.type == EMBEDDED_ID and self._engines is not None:
            known = list(self._engines.models())
        own = {model.model_id for model in block.models}
        listed = self._price_list()
        models = [listed.priced(model) for model in block.models]
        models += [listed.priced(model, ours=True) for model in known if model.model_id not in own]
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
        name = self._key_name(service) or next(iter(service.key_names), "")
        proof = f"${name}" if service.needs_key or self._env.get(name) else ""
        kind = block.type or service.type
        default = service.base_url if kind == service.type else service.compat_url or service.base_url
        urls = [self._env[url] for url in service.base_url_names if self._env.get(url)]
        return replace(
            block,
            type=kind,
            api_key=block.api_key or (proof if name else OAUTH_PREFIX),
            base_url=block.base_url or (urls[0] if urls else default),
        )

    def _key_name(self, service: KnownService) -> str:
        return next((name for name in service.key_names if self._env.get(name)), "")

    def _stays_here(self, model: Model) -> bool:
        block = self._provider(model.provider_id, self._settings())
        hosts = ("http://127.0.0.1", "http://localhost", "http://[::1]")
        return block.type in {SCRIPTED_ID, EMBEDDED_ID} or block.base_url.startswith(hosts)


def _sent_options(block: ProviderSettings) -> dict[str, object]:
    """The block's options that are sent with every request."""
    return {name: value for name, value in block.options.items() if name not in ADAPTER_OPTIONS}
