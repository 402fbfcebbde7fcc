"""From settings to the adapter that speaks the provider's dialect. An SDK is imported by its first use, not here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from lsp_agent.domain.errors import ProviderError
from lsp_agent.ports.provider import Provider
from lsp_agent.providers.anthropic import AnthropicProvider
from lsp_agent.providers.openai_chat import OpenAIChatProvider
from lsp_agent.providers.openai_responses import OpenAIResponsesProvider
from lsp_agent.providers.scripted import ScriptedProvider
from lsp_agent.providers.settings import COMPATIBLE_ALIASES, PLANNED_TYPES, SUPPORTED_TYPES, ProviderSettings

CACHE_SWITCH = "LSP_AGENT_DISABLE_ANTHROPIC_CACHE"
_TRUE = frozenset({"1", "t", "true", "yes", "on"})
_GATEWAY_URLS = {"openrouter": "https://openrouter.ai/api/v1", "vercel": "https://ai-gateway.vercel.sh/v1"}


class Preloadable(Provider, Protocol):
    """An adapter of ours: it can import what it needs before it is asked."""

    async def preload(self) -> None:
        """Import and set up off the event loop."""
        ...


def service_type(settings: ProviderSettings) -> str:
    """The type with its aliases resolved. Raises: ProviderError for a type without an adapter."""
    found = "openai-compat" if settings.type in COMPATIBLE_ALIASES else settings.type
    if found in SUPPORTED_TYPES:
        return found
    where = f"providers.{settings.provider_id}.type"
    if found in PLANNED_TYPES:
        message = f"{where}: this version has no adapter for {found!r}; {PLANNED_TYPES[found]}."
    else:
        message = f"{where}: {found!r} is not a provider type; known are {', '.join(sorted(SUPPORTED_TYPES))}."
    raise ProviderError("Provider", "Provider not supported", message)


def make_adapter(
    settings: ProviderSettings, *, key: str, base_url: str, headers: Mapping[str, str], env: Mapping[str, str]
) -> Preloadable:
    """The adapter for one provider; `key`, `base_url` and `headers` are the resolved values.

    Raises: ProviderError for a type without an adapter, or an address that is missing.
    """
    kind = service_type(settings)
    name, extra = settings.provider_id, settings.extra_body
    if kind == "scripted":
        return _scripted(settings, env)
    if kind == "anthropic":
        cache = env.get(CACHE_SWITCH, "").lower() not in _TRUE
        return AnthropicProvider(name, api_key=key, base_url=base_url, headers=headers, extra_body=extra, cache=cache)
    if kind == "openai" and settings.options.get("api", "responses") == "responses":
        return OpenAIResponsesProvider(name, api_key=key, base_url=base_url, headers=headers, extra_body=extra)
    if kind == "openai-compat" and not base_url:
        message = f"providers.{name}.base_url is missing: where is the server?"
        raise ProviderError("Provider", "No address", message)
    return OpenAIChatProvider(
        name,
        api_key=key,
        base_url=base_url or _GATEWAY_URLS.get(kind, ""),
        service_type=kind,
        headers=headers,
        extra_body=extra,
        replay_reasoning=bool(settings.options.get("replay_reasoning")),
    )


def _scripted(settings: ProviderSettings, env: Mapping[str, str]) -> ScriptedProvider:
    script, holds = settings.options.get("script"), settings.options.get("hold_dir")
    home = env.get("HOME", "")
    return ScriptedProvider(
        settings.provider_id,
        script=_user_path(str(script), home) if script else None,
        hold_dir=_user_path(str(holds), home) if holds else None,
    )


def _user_path(text: str, home: str) -> Path:
    return Path(home) / text[2:] if text.startswith("~/") and home else Path(text)
