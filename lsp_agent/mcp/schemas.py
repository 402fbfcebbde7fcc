"""A tool as its server describes it, made fit to hand to a model, and what a change of it is measured by.

Pure. Everything here was written by the server: text is cleaned and cut, references that lead out of the schema are
taken out, and what is too large or too deep is refused whole (RELIABILITY MC-01, MC-02, MC-05).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lsp_agent.untrusted import clean

MAX_SCHEMA_BYTES = 65_536
MAX_OFFERED_CHARS = 120_000
"""Of the tools of one server together, as the model is told of them with every request: some 30,000 tokens."""
MAX_DEPTH = 24
MAX_DESCRIPTION_CHARS = 2_000
_MAX_TEXT_CHARS = 1_000
_DROPPED = frozenset({"$schema", "$id", "$comment", "$anchor", "$dynamicAnchor", "$vocabulary", "contentMediaType"})


class SchemaRefused(Exception):
    """A tool cannot be offered; the text says why."""


@dataclass(frozen=True, slots=True)
class ToolInfo:
    """One tool of one server."""

    server: str
    tool: str
    """The server's own name."""
    name: str
    """Ours."""
    description: str
    """Clean, at most `MAX_DESCRIPTION_CHARS`."""
    schema: Mapping[str, Any]
    digest: str
    """Of everything the server says about it."""
    change: str = ""
    """Empty while it is what was approved; else what is different, for the person who is asked."""


def digest(raw: Mapping[str, Any]) -> str:
    """Hex SHA-256 of a tool as listed (a JSON object). Any change of description or schema changes it."""
    return hashlib.sha256(json.dumps(raw, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def describe(text: str | None) -> str:
    """A description as the model may read it."""
    body = clean(text or "").strip()
    return body if len(body) <= MAX_DESCRIPTION_CHARS else f"{body[:MAX_DESCRIPTION_CHARS]} … (cut)"


def usable_schema(raw: Any) -> dict[str, Any]:
    """The input schema for a model: an object schema that refers to nothing outside itself.

    Raises: SchemaRefused when it is no object schema, larger than `MAX_SCHEMA_BYTES`, or too deep.
    """
    if not isinstance(raw, Mapping):
        raise SchemaRefused("its input schema is not an object")
    _check_depth(raw)
    try:
        size = len(json.dumps(raw))
    except (ValueError, TypeError, RecursionError) as error:
        raise SchemaRefused("its input schema is not JSON") from error
    if size > MAX_SCHEMA_BYTES:
        raise SchemaRefused(f"its input schema has {size} bytes, {MAX_SCHEMA_BYTES} are allowed")
    schema = _schema(raw)
    if schema.get("type", "object") != "object":
        raise SchemaRefused("its input schema does not describe an object")
    schema["type"] = "object"
    if not isinstance(schema.get("properties"), dict):
        schema["properties"] = {}
    if not isinstance(schema.get("required", []), list):
        schema.pop("required")
    for name in schema["properties"]:
        if not name or clean(name) != name or not name.isprintable():
            raise SchemaRefused("it has an argument whose name cannot be shown")
    return schema


def affordable(tools: Sequence[ToolInfo]) -> tuple[list[ToolInfo], list[str]]:
    """(those there is room for in every request, in their order; the server's own names of the others)."""
    kept: list[ToolInfo] = []
    left_out: list[str] = []
    room = MAX_OFFERED_CHARS
    for info in tools:
        cost = len(info.name) + len(info.description) + len(json.dumps(info.schema))
        if cost <= room:
            room -= cost
            kept.append(info)
        else:
            left_out.append(info.tool)
    return kept, left_out


def _check_depth(value: Any) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for one in level
            for child in (one.values() if isinstance(one, Mapping) else one if isinstance(one, list) else ())
        ]
        if not level:
            return
    raise SchemaRefused(f"its input schema is more than {MAX_DEPTH} levels deep")


def _schema(value: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, item in value.items():
        if key in _DROPPED or not isinstance(key, str):
            continue
        if key in ("$ref", "$dynamicRef"):
            if isinstance(item, str) and item.startswith("#"):
                out[key] = item
        elif key in ("description", "title"):
            if isinstance(item, str):
                out[key] = clean(item)[:_MAX_TEXT_CHARS]
        elif key in ("properties", "$defs", "definitions", "patternProperties") and isinstance(item, Mapping):
            # the keys below are names, not keywords: a property may well be called `title`
            out[key] = {name: _value(child) for name, child in item.items() if isinstance(name, str)}
        else:
            out[key] = _value(item)
    return out


def _value(item: Any) -> Any:
    if isinstance(item, Mapping):
        return _schema(item)
    if isinstance(item, list):
        return [_value(child) for child in item]
    return clean(item) if isinstance(item, str) else item


def what_changed(before: Mapping[str, Any] | None, description: str, schema: Mapping[str, Any]) -> str:
    """What is different from what was approved, in sentences. `before`: `{"description", "arguments"}` of a pin."""
    if before is None:
        return "This tool is new: it was not there when the server was approved."
    said = []
    if before.get("description") != description:
        said.append(f"Its description was: “{str(before.get('description', ''))[:600]}”.")
    was, now = set(before.get("arguments") or ()), set(schema["properties"])
    for word, names in (("New arguments", now - was), ("Arguments gone", was - now)):
        if names:
            said.append(f"{word}: {', '.join(sorted(names))}.")
    return " ".join(["This tool has changed since it was approved.", *(said or ["Its input schema is different."])])
