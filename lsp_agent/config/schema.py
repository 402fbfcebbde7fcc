"""The JSON Schema of `config.toml`, for editors that check TOML (`docs/config.schema.json`)."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from lsp_agent.config.keys import (
    HOOK_COMMAND_KEYS,
    HOOK_EVENTS,
    HOOK_KEYS,
    KEYS,
    MCP_KEYS,
    MODEL_KEYS,
    PROVIDER_KEYS,
    Key,
    Kind,
    Tighten,
)

_TYPES: Mapping[Kind, Mapping[str, Any]] = {
    Kind.TEXT: {"type": "string"},
    Kind.REF: {"type": "string", "pattern": "^[^/]+/.+$"},
    Kind.URL: {"type": "string", "pattern": r"^(https?://|\$)"},
    Kind.FLAG: {"type": "boolean"},
    Kind.WHOLE: {"type": "integer"},
    Kind.NUMBER: {"type": "number"},
    Kind.TEXTS: {"type": "array", "items": {"type": "string"}},
    Kind.TABLE: {"type": "object"},
    Kind.STRINGS: {"type": "object", "additionalProperties": {"type": "string"}},
}


def json_schema() -> dict[str, Any]:
    """The document. Unknown keys are allowed, as they are by the loader, which warns of them."""
    sections: dict[str, dict[str, Any]] = {}
    for name, key in KEYS.items():
        section, _, part = name.partition(".")
        sections.setdefault(section, {})[part] = _property(key)
    provider = _block(PROVIDER_KEYS.values())
    provider["properties"]["models"] = {"type": "array", "items": {**_block(MODEL_KEYS.values()), "required": ["id"]}}
    properties: dict[str, Any] = {name: {"type": "object", "properties": section} for name, section in sections.items()}
    properties["providers"] = {"type": "object", "additionalProperties": provider}
    properties["mcp"] = {"type": "object", "additionalProperties": _block(MCP_KEYS.values())}
    properties["hooks"] = _hooks()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lsp-agent configuration",
        "type": "object",
        "properties": properties,
    }


def json_schema_text() -> str:
    """`json_schema()` as it is checked in."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _hooks() -> dict[str, Any]:
    inner = {**_block(HOOK_COMMAND_KEYS.values()), "required": ["command"]}
    entry = _block(HOOK_KEYS.values())
    entry["properties"]["hooks"] = {"type": "array", "items": inner, "description": "Several commands"}
    entry["anyOf"] = [{"required": ["command"]}, {"required": ["hooks"]}]
    events: dict[str, Any] = {name: {"type": "array", "items": entry} for name in HOOK_EVENTS}
    about = "Also run the hooks of Claude Code's settings: true for the user's own file, or a path"
    return {
        "type": "object",
        "properties": {**events, "claude_settings": {"type": ["boolean", "string"], "description": about}},
    }


def _block(keys: Iterable[Key]) -> dict[str, Any]:
    return {"type": "object", "properties": {key.name: _property(key) for key in keys}}


def _property(key: Key) -> dict[str, Any]:
    described: dict[str, Any] = {**_TYPES[key.kind], "description": _description(key)}
    if key.choices:
        described["enum"] = list(key.choices)
    if key.minimum is not None:
        described["minimum"] = key.minimum
    if key.maximum is not None:
        described["maximum"] = key.maximum
    if key.default is not None:
        described["default"] = list(key.default) if isinstance(key.default, tuple) else key.default
    return described


def _description(key: Key) -> str:
    extra = []
    if key.env:
        extra.append(f"environment: {key.env}")
    if key.tighten is not Tighten.NEVER:
        extra.append(f"project and editor: {key.tighten.value}")
    return f"{key.summary} ({'; '.join(extra)})" if extra else key.summary
