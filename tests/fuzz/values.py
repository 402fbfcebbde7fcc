"""Values for params: what a type of the schema allows, and what nobody should ever send."""

import copy
import random
from typing import Any

from tests.fuzz.pools import Pools

JUNK: list[Any] = [
    *(None, True, False, 0, -1, 1, 1.0, -0.0, 1.5, 1e15, 1e300, 5e-324, 2**31, 2**32, 2**53 - 1, 2**53, 2**63 - 1),
    *(-(2**63), 2**63, 2**64, 10**400, float("nan"), float("inf"), float("-inf")),
    *(
        "",
        " ",
        "\n",
        "\x00",
        "a\x00b",
        "\ud800",
        "x\udfffy",
        "\ud83d\ude00",
        "é",
        "e\u0301",
        "\u202e",
        "\u2028",
        "\ufeff",
    ),
    *("../../etc/passwd", "/etc/passwd", "~", "$HOME", "%00", "%s%n", "{{last_user}}", "file:///", "null", "-1", "NaN"),
    *("2026-13-45T99:99:99.999Z", "'; DROP TABLE sessions; --", "__proto__", "constructor", "*", "[", "(?:a+)+$", "٣"),
    *([], {}, [[]], [None], {"": {}}, {"type": "text"}, {"type": None}, {"type": "\ud800"}, {"_meta": {"x": [1]}}),
]
KEYS = ["_meta", "jsonrpc", "id", "method", "params", "type", "sessionId", "", "\x00", "\ud800", "__class__", "é", "x"]
PROMPTS = ["hello", "talk", "stall now", "ask me", "write f0", "fail", "fix é \U0001f600", "ask again"]
MAX_TEXT = 20_000


class Values:
    """Draws from one random source; knows the names that are real from `pools`."""

    def __init__(self, source: random.Random, pools: Pools, types: dict[str, Any]) -> None:
        self.random = source
        self.pools = pools
        self._types = types

    # ------------------------------------------------------------------------------------------------------ valid

    def of(self, schema: dict[str, Any], name: str = "", depth: int = 0) -> Any:
        """A value the schema allows. `name`: of the property, which says what kind of text it is."""
        if "$ref" in schema:
            return self.of(self._types[schema["$ref"].rpartition("/")[2]], name, depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        for union in ("oneOf", "anyOf"):
            if union in schema:
                members = [member for member in schema[union] if member] or [{"type": "string"}]
                if len(members) < len(schema[union]) and self.random.random() < 0.1:
                    return self.text(name)  # an open enum with a value nobody knows
                return self.of(self.random.choice(members), name, depth)
        return self._plain(schema, name, depth)

    def _plain(self, schema: dict[str, Any], name: str, depth: int) -> Any:
        match schema.get("type"):
            case "object":
                required = schema.get("required", ())
                chosen = [
                    (key, inner)
                    for key, inner in schema.get("properties", {}).items()
                    if key in required or self.random.random() < 0.45
                ]
                return {key: self.of(inner, key, depth + 1) for key, inner in chosen}
            case "array":
                count = self.random.choice([0, 1, 1, 2, 3]) if depth < 4 else 1
                return [self.of(schema["items"], name, depth + 1) for _ in range(max(count, schema.get("minItems", 0)))]
            case "integer":
                return self.random.choice([0, 1, 2, 3, 5, 40, 1.0, 7])
            case "number":
                return self.random.choice([0, 0.5, 1, 1.25])
            case "boolean":
                return self.random.random() < 0.5
            case "null":
                return None
            case _:
                return self.text(name)

    def text(self, name: str) -> str:
        """A text that fits a property of this name; now and then one that only looks like it."""
        pools = self.pools
        match name:
            case "sessionId":
                return self._known(pools.sessions)
            case "runId" | "expectedRunId":
                return self.random.choice([*pools.runs[-8:], pools.new_run_id()])
            case "requestId":
                return self._known(pools.permissions)
            case "messageId" | "atMessageId":
                return self._known(pools.messages)
            case "uri" | "root":
                return self.random.choice(pools.uris)
            case "prompt":
                return self.random.choice(PROMPTS)
            case "optionId":
                return self.random.choice(
                    ["allow_once", "allow_session", "reject_once", "mode", "model.large", "thinking", "odd"]
                )
            case "value" | "mode":
                return self.random.choice(["ask", "plan", "accept-edits", "full-auto", "play/demo", "high", "nothing"])
            case "model":
                return self.random.choice(["play/demo", "play/none", "demo", "a/b/c"])
            case "cursor":
                return self.random.choice([*pools.cursors[-5:], "0", "1", "zzz", ""])
            case "data" | "blob":
                return self.random.choice(["aGVsbG8=", "iVBORw0KGgo=", "!!"])
            case "mimeType":
                return self.random.choice(["image/png", "text/plain", "application/x-odd"])
            case _:
                return self.random.choice(["a", "hello world", "é\U0001f600", "x" * self.random.randrange(300), "-"])

    def _known(self, names: list[str]) -> str:
        return self.random.choice(names[-40:]) if names and self.random.random() < 0.85 else "no-such-id"

    # -------------------------------------------------------------------------------------------------- nonsense

    def junk(self, depth: int = 0) -> Any:
        """Any JSON value, and some that are none."""
        roll = self.random.random()
        if depth < 3 and roll < 0.08:
            return [self.junk(depth + 1) for _ in range(self.random.randrange(5))]
        if depth < 3 and roll < 0.16:
            return {self.random.choice(KEYS): self.junk(depth + 1) for _ in range(self.random.randrange(4))}
        if roll < 0.18:
            return self.random.choice(["x", "é", "\n", "a/", "\x00"]) * self.random.randrange(MAX_TEXT // 2)
        if roll < 0.20:
            return deep(self.random.choice([20, 50, 62, 70, 300, 1500]), as_object=self.random.random() < 0.5)
        if roll < 0.30:
            return self.text(self.random.choice(["sessionId", "runId", "uri", "requestId", "messageId", "cursor"]))
        return copy.deepcopy(self.random.choice(JUNK))

    def bend(self, tree: Any) -> Any:
        """`tree` with one place changed: replaced, dropped, doubled, wrapped, or given what does not belong there."""
        places = list(_places(tree))
        if not places or self.random.random() < 0.04:
            return self.junk()
        holder, key = self.random.choice(places)
        match self.random.choice(["replace", "replace", "replace", "drop", "extra", "wrap", "double"]):
            case "replace":
                holder[key] = self.junk()
            case "drop":
                del holder[key]
            case "wrap":
                holder[key] = [holder[key]] if self.random.random() < 0.5 else {"value": holder[key]}
            case "double" if isinstance(holder, list):
                holder.extend([holder[key]] * self.random.choice([1, 40]))
            case _ if isinstance(holder, dict):
                holder[self.random.choice(KEYS)] = self.junk()
            case _:
                holder.append(self.junk())
        return tree


def deep(depth: int, *, as_object: bool) -> Any:
    """`depth` arrays or objects inside each other."""
    value: Any = None
    for _ in range(depth):
        value = {"a": value} if as_object else [value]
    return value


def _places(tree: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting and len(found) < 500:
        node = waiting.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in keys:
            found.append((node, key))
            if isinstance(node[key], dict | list):
                waiting.append(node[key])
    return found
