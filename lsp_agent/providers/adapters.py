"""From settings to the adapter that speaks the provider's dialect.

A dialect is imported when an adapter for it is made: most processes speak one of them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from lsp_agent.domain.errors import ProviderError
from lsp_agent.ports.provider import Provider
from lsp_agent.providers.copilot import HEADERS, is_copilot, request_headers
from lsp_agent.providers.proxies import TlsContexts
from lsp_agent.providers.sending import HTTP, TRANSPORTS, Reach
from lsp_agent.providers.settings import COMPATIBLE_ALIASES, SUPPORTED_TYPES, ProviderSettings
from lsp_agent.providers.specials import route_for, wants_bearer

if TYPE_CHECKING:
    from lsp_agent.providers.embedded import Engines
    from lsp_agent.providers.oauth import LoginDue

CACHE_SWITCH = "LSP_AGENT_DISABLE_ANTHROPIC_CACHE"
_WITHOUT_SDK = frozenset({"bedrock", "embedded", "google", "scripted", "vertex"})
_TRUE = frozenset({"1", "t", "true", "yes", "on"})
_GATEWAY_URLS = {"openrouter": "https://openrouter.ai/api/v1", "vercel": "https://ai-gateway.vercel.sh/v1"}


class Preloadable(Provider, Protocol):
    """An adapter of ours: it can import what it needs before it is asked."""

    async def preload(self) -> None:
        """Import and set up off the event loop."""
        ...


@runtime_checkable
class Renewable(Protocol):
    """An adapter that finds its own credentials, and may find others after a refusal."""

    @property
    def login_due(self) -> "LoginDue | None":
        """What a person has to do first; None = nothing."""
        ...

    async def renewed(self, timeout_s: float) -> bool:
        """Look for other credentials, for `timeout_s` if a login is due. True when there are some."""
        ...


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What an adapter is made from, everything resolved."""

    settings: ProviderSettings
    kind: str
    key: str
    base_url: str
    headers: Mapping[str, str]
    env: Mapping[str, str]
    engines: "Engines | None" = None
    contexts: TlsContexts | None = None

    @property
    def name(self) -> str:
        return self.settings.provider_id

    @property
    def cache(self) -> bool:
        return self.env.get(CACHE_SWITCH, "").lower() not in _TRUE

    @property
    def common(self) -> dict[str, Any]:
        """Arguments that every adapter takes."""
        own = HEADERS if is_copilot(self.name, self.base_url) else {}
        return {
            "headers": {**own, **self.headers},
            "extra_body": self.settings.extra_body,
            "reach": Reach(self.option("ca_file"), self.option("transport", HTTP), self.contexts),
        }

    def option(self, name: str, default: str = "") -> str:
        """An option of the provider's block as text."""
        return str(self.settings.options.get(name) or default)


def service_type(settings: ProviderSettings) -> str:
    """The type with its aliases resolved. Raises: ProviderError for a type without an adapter."""
    found = "openai-compat" if settings.type in COMPATIBLE_ALIASES else settings.type
    if found in SUPPORTED_TYPES:
        return found
    where = f"providers.{settings.provider_id}.type"
    message = f"{where}: {found!r} is not a provider type; known are {', '.join(sorted(SUPPORTED_TYPES))}."
    raise ProviderError("Provider", "Provider not supported", message)


def make_adapter(
    settings: ProviderSettings,
    *,
    key: str,
    base_url: str,
    headers: Mapping[str, str],
    env: Mapping[str, str],
    engines: "Engines | None" = None,
    contexts: TlsContexts | None = None,
) -> Preloadable:
    """The adapter for one provider; `key`, `base_url` and `headers` are the resolved values, `contexts` the
    certificates that services share.

    Raises: ProviderError for a type without an adapter, an address that is missing or none, a transport it has not.
    """
    wanted = _Wanted(settings, service_type(settings), key, base_url, headers, env, engines, contexts)
    _check_transport(wanted)
    _check_address(wanted)
    return _MAKERS.get(wanted.kind, _chat)(wanted)


def _check_transport(wanted: _Wanted) -> None:
    found = wanted.option("transport", HTTP)
    known = (HTTP,) if wanted.kind in _WITHOUT_SDK else TRANSPORTS
    if found not in known:
        where = f"providers.{wanted.name}.options.transport"
        message = f"{where}: {found!r} is no way to reach a service of type {wanted.kind}; known: {', '.join(known)}."
        raise ProviderError("Provider", "No such transport", message)


def _check_address(wanted: _Wanted) -> None:
    try:
        urlsplit(wanted.base_url)
    except ValueError as error:
        message = f"providers.{wanted.name}.base_url is not an address."
        raise ProviderError("Provider", "Bad address", message) from error


def _anthropic(wanted: _Wanted) -> Preloadable:
    from lsp_agent.providers.anthropic import AnthropicProvider

    key = wanted.key
    if key and not key.startswith("Bearer ") and wants_bearer(wanted.name, wanted.base_url):
        key = f"Bearer {key}"
    return AnthropicProvider(wanted.name, api_key=key, base_url=wanted.base_url, cache=wanted.cache, **wanted.common)


def _openai(wanted: _Wanted) -> Preloadable:
    if wanted.option("api", "responses") == "responses":
        return _responses(wanted)
    return _plain_chat(wanted)


def _responses(wanted: _Wanted) -> Preloadable:
    from lsp_agent.providers.openai_responses import OpenAIResponsesProvider

    return OpenAIResponsesProvider(
        wanted.name, api_key=wanted.key, base_url=wanted.base_url, **wanted.common, **_said_of_requests(wanted)
    )


def _chat(wanted: _Wanted) -> Preloadable:
    """Chat Completions; at some services a few models speak another dialect."""
    if wanted.kind == "openai-compat" and not wanted.base_url:
        raise _no_address(wanted)
    chat: Preloadable = _plain_chat(wanted)
    if wanted.kind == "openai-compat":
        chat = _fitted(wanted, chat)
    route = route_for(wanted.name, wanted.base_url) if wanted.kind == "openai-compat" else None
    if route is None:
        return chat
    from lsp_agent.providers.routed import RoutedProvider

    other = _responses(wanted) if route.dialect == "responses" else _anthropic(wanted)
    models = re.compile(route.models)
    return RoutedProvider(
        wanted.name,
        lambda model_id: "other" if models.fullmatch(model_id) else "chat",
        {"chat": chat, "other": other},
    )


def _fitted(wanted: _Wanted, chat: Preloadable) -> Preloadable:
    """Some models of a compatible server cannot call tools; an Ollama server says which."""
    from lsp_agent.providers.constrained_fit import FittedProvider, OllamaAbilities

    asks = wanted.settings.type == "ollama" or wanted.name == "ollama"
    headers = {**wanted.headers, **({"authorization": f"Bearer {wanted.key}"} if wanted.key else {})}
    return FittedProvider(chat, abilities=OllamaAbilities(wanted.name, wanted.base_url, headers) if asks else None)


def _embedded(wanted: _Wanted) -> Preloadable:
    if wanted.engines is None:
        raise ProviderError("Provider", "The embedded engine", "The embedded engine cannot be used here.")
    from lsp_agent.providers.constrained_fit import FittedProvider
    from lsp_agent.providers.embedded import EmbeddedProvider

    chat = EmbeddedProvider(wanted.name, wanted.engines, extra_body=wanted.settings.extra_body)
    return FittedProvider(chat, constrained=True)


def _plain_chat(wanted: _Wanted) -> Preloadable:
    from lsp_agent.providers.openai_chat import OpenAIChatProvider

    return OpenAIChatProvider(
        wanted.name,
        api_key=wanted.key,
        base_url=wanted.base_url or _GATEWAY_URLS.get(wanted.kind, ""),
        service_type=wanted.kind,
        replay_reasoning=bool(wanted.settings.options.get("replay_reasoning")),
        **wanted.common,
        **_said_of_requests(wanted),
    )


def _said_of_requests(wanted: _Wanted) -> dict[str, Any]:
    return {"more_headers": request_headers} if is_copilot(wanted.name, wanted.base_url) else {}


def _azure(wanted: _Wanted) -> Preloadable:
    if not wanted.base_url:
        raise _no_address(wanted)
    from lsp_agent.providers.azure import KEY_HEADER, azure_address
    from lsp_agent.providers.openai_chat import OpenAIChatProvider
    from lsp_agent.providers.openai_responses import OpenAIResponsesProvider

    address = azure_address(wanted.base_url, wanted.option("api_version"))
    common = {**wanted.common, "api_key": wanted.key, "base_url": address.base_url}
    if wanted.option("api", "responses") == "responses":
        return OpenAIResponsesProvider(wanted.name, key_header=KEY_HEADER, query=address.query, **common)
    return OpenAIChatProvider(
        wanted.name,
        service_type="azure",
        path=address.chat_path,
        key_header=KEY_HEADER,
        query=address.query,
        **common,
    )


def _bedrock(wanted: _Wanted) -> Preloadable:
    from lsp_agent.providers.bedrock import make_bedrock

    return make_bedrock(
        wanted.name,
        api_key=wanted.key,
        base_url=wanted.base_url,
        options=wanted.settings.options,
        env=wanted.env,
        cache=wanted.cache,
        **wanted.common,
    )


def _google(wanted: _Wanted) -> Preloadable:
    from lsp_agent.providers.google import GoogleProvider

    return GoogleProvider(wanted.name, api_key=wanted.key, base_url=wanted.base_url, **wanted.common)


def _vertex(wanted: _Wanted) -> Preloadable:
    from lsp_agent.providers.google import GoogleProvider
    from lsp_agent.providers.hosted_anthropic import BearerCredentials, HostedAnthropicProvider, Hosting
    from lsp_agent.providers.routed import RoutedProvider
    from lsp_agent.providers.vertex import ANTHROPIC_VERSION, vertex_address

    base_url, publishers = vertex_address(wanted.name, wanted.settings.options, wanted.base_url, wanted.env)
    gemini = GoogleProvider(
        wanted.name,
        api_key=wanted.key,
        base_url=base_url,
        models_path=f"{publishers}/google/models",
        bearer=True,
        **wanted.common,
    )
    hosting = Hosting(base_url, f"{publishers}/anthropic/models/{{}}:streamRawPredict", ANTHROPIC_VERSION)
    claude = HostedAnthropicProvider(
        wanted.name,
        hosting=hosting,
        credentials=BearerCredentials(wanted.key),
        cache=wanted.cache,
        **wanted.common,
    )
    return RoutedProvider(
        wanted.name,
        lambda model_id: "claude" if model_id.startswith("claude") else "gemini",
        {"gemini": gemini, "claude": claude},
    )


def _scripted(wanted: _Wanted) -> Preloadable:
    from lsp_agent.providers.scripted import ScriptedProvider

    script, holds = wanted.settings.options.get("script"), wanted.settings.options.get("hold_dir")
    home = wanted.env.get("HOME", "")
    return ScriptedProvider(
        wanted.name,
        script=_user_path(str(script), home) if script else None,
        hold_dir=_user_path(str(holds), home) if holds else None,
    )


def _no_address(wanted: _Wanted) -> ProviderError:
    return ProviderError("Provider", "No address", f"providers.{wanted.name}.base_url is missing: where is the server?")


def _user_path(text: str, home: str) -> Path:
    return Path(home) / text[2:] if text.startswith("~/") and home else Path(text)


_MAKERS: Mapping[str, Callable[[_Wanted], Preloadable]] = {
    "anthropic": _anthropic,
    "azure": _azure,
    "bedrock": _bedrock,
    "embedded": _embedded,
    "google": _google,
    "openai": _openai,
    "scripted": _scripted,
    "vertex": _vertex,
}
"""Makers by type; every other type speaks Chat Completions."""
