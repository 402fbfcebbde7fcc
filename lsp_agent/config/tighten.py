"""Project and editor values: usually written by whoever wrote the repository, so they may only tighten. Pure.

What would loosen, redirect or run something is left out and named in one notice a source.
"""

import re
from collections.abc import Mapping
from typing import Any

from lsp_agent.config import check
from lsp_agent.config.keys import KEYS, MODES, SECTIONS, SECURITY_SECTIONS, Key, Tighten
from lsp_agent.config.sections import Layer, Problem

EDITOR = "editor"
_MAX_NAMED = 30


def tightened(key: Key, current: Any, wanted: Any) -> Any | None:
    """The value in force when a repository wants `wanted`; None = refused. Never looser than `current`."""
    if wanted == current:
        return current
    match key.tighten:
        case Tighten.NEVER:
            return None
        case Tighten.LOWER:
            return wanted if wanted < current else None
        case Tighten.CAP:
            return wanted if wanted != 0 and (current == 0 or wanted < current) else None
        case Tighten.EXTEND:
            return (*current, *(item for item in wanted if item not in current))
        case Tighten.MODE:
            return wanted if MODES.index(wanted) < MODES.index(current) else None


def split_security(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The document without sections a repository can never set, and the names of those that asked for something."""
    asked = [name for name, section in document.items() if name in SECURITY_SECTIONS and section]
    return {name: section for name, section in document.items() if name not in SECURITY_SECTIONS}, asked


def apply(
    values: dict[str, Any], origins: dict[str, str], layer: Layer, refused: list[str], source: str
) -> Problem | None:
    """Tighten `values` in place by what `layer` says; the one notice about everything that was refused."""
    refused = list(refused)
    for name, wanted in layer.values.items():
        key = KEYS[name]
        if key.tighten is Tighten.NEVER and wanted in ((), None):
            continue
        result = tightened(key, values[name], wanted)
        if result is None:
            refused.append(name)
        elif result != values[name]:
            values[name] = result
            line = layer.lines.get(name)
            place = source if line is None else f"{source}:{line}"
            origins[name] = f"{origins[name]}, {place}" if key.tighten is Tighten.EXTEND else place
    if layer.tool_options:
        refused.extend([f"tools.{name}" for name in layer.tool_options])
    if not refused:
        return None
    names = ", ".join([check.dotted([name]) for name in sorted(set(refused))[:_MAX_NAMED]])
    return Problem(source, "", f"ignored, because only your own configuration may set or loosen it: {names}")


def editor_document(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Editor settings in the form of the file.

    Shape: accepts `{"lspAgent": {…}}`, nested sections, dotted keys (`"permissions.mode"`), camelCase; null = not set.
    The block `agent` of `initializationOptions` is also the protocol's; of it only the settings are kept.
    """
    inner = raw.get("lspAgent")
    document: dict[str, Any] = {}
    for name, value in (inner if isinstance(inner, Mapping) else raw).items():
        section, _, key = _snake(str(name)).partition(".")
        if section not in SECTIONS and section not in SECURITY_SECTIONS:
            continue
        if key:
            value = {key: value}
        if not isinstance(value, Mapping):
            continue
        kept = {_snake(str(part)): item for part, item in value.items() if item is not None}
        if section == "agent":
            kept = {part: item for part, item in kept.items() if f"agent.{part}" in KEYS}
        below = document.setdefault(section, {})
        below.update(kept)
    return document


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
