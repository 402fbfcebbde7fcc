"""A tool's JSON Schema, reduced to the words Gemini understands. Pure.

What is left out only loosens what the model may write; the tool's own check of its arguments stays as strict as it was.
"""

from collections.abc import Mapping
from typing import Any

_KEPT = frozenset(
    {"type", "description", "title", "enum", "required", "minimum", "maximum", "minItems", "maxItems", "$ref"}
)
_SCHEMAS_BY_NAME = frozenset({"properties", "$defs"})
_LISTS = frozenset({"anyOf", "prefixItems"})


def parameters_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A new schema; the given one is not changed. `const` becomes an `enum` of one, `oneOf` becomes `anyOf`."""
    out: dict[str, Any] = {}
    for word, value in schema.items():
        name = "anyOf" if word == "oneOf" else word
        if word == "const":
            out.setdefault("enum", [value])
        elif name in _KEPT:
            out[name] = value
        elif name in _SCHEMAS_BY_NAME and isinstance(value, Mapping):
            out[name] = {key: _inner(inner) for key, inner in value.items()}
        elif name in _LISTS and isinstance(value, list):
            out[name] = [_inner(inner) for inner in value]
        elif name in {"items", "additionalProperties"}:
            out[name] = _inner(value)
    return out


def _inner(value: Any) -> Any:
    return parameters_schema(value) if isinstance(value, Mapping) else value
