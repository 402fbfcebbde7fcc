"""What was really sent, held against the published schema (`docs/protocol.schema.json`).

`check_contract(client)` looks at every result, event and terminal event one client got. A field the schema does not
know is reported too: it may be added freely, but it belongs in the contract then.
"""

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from tests.harness.client import Client

SCHEMA = Path(__file__).parents[2] / "docs" / "protocol.schema.json"
FREE = {"_meta"}
ENOUGH = 40
"""Events of one kind that are looked at; a full queue announces itself a thousand times."""


class Recording(Client):
    """A client that remembers which method each of its requests named."""

    asked: dict[int, str]

    def begin(self, method: str, params: Any = None) -> Any:
        number, future = super().begin(method, params)
        if not hasattr(self, "asked"):
            self.asked = {}
        self.asked[number] = method
        return number, future


@cache
def document() -> dict[str, Any]:
    """The schema as checked in."""
    return dict(json.loads(SCHEMA.read_text()))


@cache
def _validator(reference: str) -> Any:
    return jsonschema.Draft202012Validator({"$ref": reference, "$defs": document()["$defs"]})


def problems(reference: str, value: Any) -> list[str]:
    """Why `value` is not what `reference` (`#/$defs/…`) says, undocumented fields included."""
    found = [f"{error.json_path}: {error.message[:300]}" for error in _validator(reference).iter_errors(value)]
    return found + [f"{path}: is in no schema" for path in unknown({"$ref": reference}, value, "$")]


def unknown(schema: dict[str, Any], value: Any, path: str) -> list[str]:
    """Paths of fields the schema does not name. Free objects (no `properties`) may hold anything."""
    options = _options(schema)
    if isinstance(value, list):
        items = next((option["items"] for option in options if isinstance(option.get("items"), dict)), {})
        return [text for at, item in enumerate(value) for text in unknown(items, item, f"{path}[{at}]")]
    if not isinstance(value, dict):
        return []
    objects = [option for option in options if option.get("type") == "object" and "properties" in option]
    if not objects:
        return []
    return min([_unknown_in(option, value, path) for option in objects], key=len)


def _unknown_in(option: dict[str, Any], value: dict[str, Any], path: str) -> list[str]:
    found: list[str] = []
    for name, item in value.items():
        here = f"{path}.{name}"
        known = option["properties"].get(name)
        if known is not None:
            const = known.get("const")
            found += [here] * 100 if const is not None and const != item else unknown(known, item, here)
        elif name not in FREE:
            found.append(here)
    return found


def _options(schema: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _options(document()["$defs"][name])
    branches = schema.get("oneOf") or schema.get("anyOf")
    if branches and "properties" not in schema:
        return [option for branch in branches for option in _options(branch)]
    return [schema]


def check_contract(client: Client) -> None:
    """Raises AssertionError naming the first message that is not as published."""
    asked = getattr(client, "asked", {})
    seen: Counter[str] = Counter()
    for message in client.messages:
        method = message.get("method")
        if method == "agent/event":
            kind = message["params"]["update"]["sessionUpdate"]
            seen[kind] += 1
            if seen[kind] <= ENOUGH:
                _event(message["params"])
        elif method == "agent/runComplete":
            _hold(method, document()["methods"][method]["params"]["$ref"], message["params"])
        elif method is None and "result" in message:
            entry = document()["methods"].get(asked.get(message["id"], ""))
            if entry is not None:
                _hold(asked[message["id"]], entry["result"]["$ref"], message["result"])
        elif method is None and "error" in message:
            _error(message["error"])
    block = client.server.get("capabilities", {}).get("experimental", {}).get("agent")
    if block is not None:
        _hold("initialize", document()["negotiation"]["server"]["$ref"], block)


def _event(params: dict[str, Any]) -> None:
    kind = params["update"]["sessionUpdate"]
    assert kind in document()["events"], f"{kind} is no published update"
    _hold(kind, document()["events"][kind]["update"]["$ref"], params["update"])
    _hold("agent/event", "#/$defs/EventParams", {**params, "update": {"sessionUpdate": "of no interest"}})


def _error(error: dict[str, Any]) -> None:
    known = document()["errors"]
    kind = error["data"]["kind"]
    assert kind in known, f"{kind} is no published kind of error: {error}"
    codes = {known[kind]["code"], *((-32600,) if kind == "ShuttingDown" else ())}  # LSP's word for LSP's own methods
    assert error["code"] in codes, error
    missing = set(known[kind]["data"]) - set(error["data"])
    assert not missing, f"{kind} lacks {missing}: {error}"


def _hold(name: str, reference: str, value: Any) -> None:
    found = problems(reference, value)
    assert not found, f"{name}: {'; '.join(found[:8])}\n{json.dumps(value)[:1500]}"
