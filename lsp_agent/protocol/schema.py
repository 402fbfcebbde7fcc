"""The JSON Schema of the whole protocol, for people who write clients (`lsp-agent schema`)."""

import json
from typing import Any

from pydantic.json_schema import JsonSchemaMode, models_json_schema

from lsp_agent.protocol.base import Wire
from lsp_agent.protocol.codes import CODES, EXTRA_FIELDS
from lsp_agent.protocol.events import UPDATES
from lsp_agent.protocol.methods import METHODS
from lsp_agent.protocol.negotiation import PROTOCOL_VERSION, ClientBlock, ServerBlock

_MODE: JsonSchemaMode = "validation"
_OPEN = frozenset({"#/$defs/UnknownPart", "#/$defs/OtherUpdate"})


def json_schema() -> dict[str, Any]:
    """One document: `methods`, `events`, `negotiation`, `errors`, and every type under `$defs`.

    Shape: `methods` maps a name to `{"direction", "kind", "params": {"$ref"}, "result": {"$ref"}}`; `events` maps a
    `sessionUpdate` to `{"class", "update": {"$ref"}}`. Promise: the same text every time.
    """
    types: set[type[Wire]] = {ClientBlock, ServerBlock}
    for method in METHODS.values():
        types.add(method.params)
        if method.result is not None:
            types.add(method.result)
    types.update(update for update, _ in UPDATES.values())
    ordered = sorted(types, key=lambda item: item.__name__)
    references, document = models_json_schema([(item, _MODE) for item in ordered], ref_template="#/$defs/{model}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lsp-agent wire protocol",
        "protocolVersion": PROTOCOL_VERSION,
        "methods": {method.name: _method(method.name, references) for method in METHODS.values()},
        "events": {
            name: {"class": event_class, "update": references[update, _MODE]}
            for name, (update, event_class) in UPDATES.items()
        },
        "negotiation": {"client": references[ClientBlock, _MODE], "server": references[ServerBlock, _MODE]},
        "errors": {kind: {"code": code, "data": list(EXTRA_FIELDS.get(kind, ()))} for kind, code in CODES.items()},
        "$defs": _with_open_unions(document["$defs"]),
    }


def json_schema_text() -> str:
    """`json_schema()` as it is checked in (`docs/protocol.schema.json`)."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _with_open_unions(value: Any) -> Any:
    """A union that takes values of later versions is an `anyOf`: what has a type of its own fits the open one, too."""
    if isinstance(value, list):
        return [_with_open_unions(item) for item in value]
    if not isinstance(value, dict):
        return value
    is_open = any(branch.get("$ref") in _OPEN for branch in value.get("oneOf", ()))
    return {("anyOf" if is_open and key == "oneOf" else key): _with_open_unions(item) for key, item in value.items()}


def _method(name: str, references: Any) -> dict[str, Any]:
    method = METHODS[name]
    entry: dict[str, Any] = {
        "direction": "client-to-server" if method.from_client else "server-to-client",
        "kind": "request" if method.is_request else "notification",
        "params": references[method.params, _MODE],
    }
    if method.result is not None:
        entry["result"] = references[method.result, _MODE]
    return entry
