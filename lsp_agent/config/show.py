"""The configuration as lines for people (`config show --origin`, doctor). A secret is never among them."""

from collections.abc import Iterator

from lsp_agent.config.keys import KEYS
from lsp_agent.config.sections import Config, ProviderSection

_HIDDEN = "set, not shown"


def shown(config: Config) -> list[tuple[str, str, str]]:
    """Dotted key, value as text, origin; plain settings first, then providers and MCP servers by name."""
    lines = [(name, _text(_value(config, name)), config.origins.get(name, "")) for name in KEYS]
    where = config.origins.get("providers", "")
    for provider in config.providers:
        lines.extend([(name, value, where) for name, value in _provider(provider)])
    for name, server in config.mcp.items():
        kind = server.get("type", "stdio")
        lines.append((f"mcp.{name}.type", str(kind), config.origins.get("mcp", "")))
    for name, entries in config.hooks.items():
        text = f"{len(entries)} configured" if isinstance(entries, list) else _text(entries)
        lines.append((f"hooks.{name}", text, config.origins.get("hooks", "")))
    return lines


def api_key_shown(template: str | None) -> str:
    """Where a key comes from: a template as it is written, a literal never."""
    if not template:
        return "not set"
    if template.startswith("$("):
        # a command line may hold a secret as well
        return "from a command"
    return template if template.startswith(("$", "keyring:")) else _HIDDEN


def _value(config: Config, name: str) -> object:
    section, _, key = name.partition(".")
    return getattr(config if section == "models" else getattr(config, section), key)


def _text(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join([str(item) for item in value]) if isinstance(value, tuple) else str(value)


def _provider(provider: ProviderSection) -> Iterator[tuple[str, str]]:
    prefix = f"providers.{provider.provider_id}"
    yield f"{prefix}.type", provider.type
    if provider.base_url:
        yield f"{prefix}.base_url", provider.base_url.partition("?")[0]
    yield f"{prefix}.api_key", api_key_shown(provider.api_key)
    if provider.headers:
        yield f"{prefix}.headers", f"{', '.join(provider.headers)} ({_HIDDEN})"
    if provider.models:
        yield f"{prefix}.models", ", ".join([model.model_id for model in provider.models])
