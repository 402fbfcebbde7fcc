"""One message of a bent client: a valid one of some method, then perhaps spoilt, and what has to come of it."""

import json
import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from lsp_agent.protocol.schema import json_schema
from tests.fuzz.plain import ARGUMENT_MAKERS, COMMANDS, DOCUMENT_METHODS, Plain
from tests.fuzz.pools import Pools
from tests.fuzz.values import KEYS, PROMPTS, Values

MAX_STARTED = 300
MAX_MADE = 400
MAX_DEPTH = 64
_STARTING = frozenset({"agent/run", "agent/steer"})
_MAKING = frozenset({"agent/session/new", "agent/session/fork"})


@dataclass(slots=True)
class Case:
    """`owed`: the id whose request gets one answer, if it is readable; otherwise at most one without an id comes."""

    data: bytes
    method: str = ""
    owed: int | str | None = None


class Generator:
    """Makes cases from a seed; `live` holds the ids that are not answered yet."""

    def __init__(self, seed: int, pools: Pools, live: Collection[int | str], total: int) -> None:
        self.random = random.Random(seed)
        self.pools = pools
        schema = json_schema()
        self.values = Values(self.random, pools, schema["$defs"])
        self._plain = Plain(self.random, self.values)
        ours = {name: entry for name, entry in schema["methods"].items() if entry["direction"] == "client-to-server"}
        self._params = {name: entry["params"] for name, entry in ours.items()}
        self._notifications = {name for name, entry in ours.items() if entry["kind"] == "notification"}
        self._methods = [*ours, *DOCUMENT_METHODS, *ARGUMENT_MAKERS]
        self._methods += ["agent/run", "agent/run", "agent/cancel", "agent/cancel", "agent/permission/respond"]
        self._live = live
        self._total = max(total, 1)
        self._count = 0

    def case(self) -> Case:
        """The next one."""
        self._count += 1
        roll = self.random.random()
        if roll < 0.02:
            return Case(encode(self.random.choice(["", 0, None, [], [self._message("agent/status", {})], "x", True])))
        if roll < 0.03:
            return case_of(self._torn())
        if roll < 0.05:
            method = self.random.choice(
                ["$/cancelRequest", "no/such", "$/progress", "initialize", "agent/Run", "\x00", ""]
            )
            if method == "$/cancelRequest" and self._live:
                victim = self.random.choice(list(self._live)[-20:])
                return Case(encode({"jsonrpc": "2.0", "method": method, "params": {"id": victim}}))
            return close(self._message(method, self.values.junk()))
        method = self.random.choice(self._methods)
        params = self._valid(method)
        if self.random.random() < 0.6:
            for _ in range(self.random.choice([1, 1, 2, 3])):
                params = self.values.bend(params)
        params, method = self._tamed(method, params)
        message = self._message(method, params)
        if self.random.random() < 0.06:
            self._bend_envelope(message)
        return close(message)

    # ---------------------------------------------------------------------------------------------------- inside

    def _valid(self, method: str) -> Any:
        if method in self._params:
            params = self.values.of(self._params[method])
            if method == "agent/run" and self.random.random() < 0.4:
                params = {"prompt": self.random.choice(PROMPTS), "runId": self.pools.new_run_id()}
                if self.pools.sessions and self.random.random() < 0.6:
                    params["sessionId"] = self.random.choice(self.pools.sessions[-10:])
            if self.random.random() < 0.03:
                params["_meta"] = {"trace": [1, {"jsonrpc": "2.0"}]}
            return params
        return self._plain.params(method)

    def _tamed(self, method: str, params: Any) -> tuple[Any, str]:
        """A process starts and makes only so many: beyond that a session is named that does not exist."""
        allowed = 20 + MAX_STARTED * self._count / self._total
        may_start = self.pools.started < min(allowed, MAX_STARTED)
        if method in _MAKING and self.pools.made >= MAX_MADE:
            return params, "agent/session/get"
        if may_start or not isinstance(params, dict):
            return params, method
        if method in _STARTING:
            params["sessionId"] = "gone"
        elif method == "workspace/executeCommand" and params.get("command") in ("lspAgent.ask", "lspAgent.send"):
            params["command"] = COMMANDS[self._count % len(COMMANDS)]
        return params, method

    def _message(self, method: str, params: Any) -> dict[str, Any]:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        quiet = method in self._notifications or method in DOCUMENT_METHODS or method.startswith("$/")
        if quiet == (self.random.random() < 0.02):  # now and then a notification as a request and the other way round
            message["id"] = self._id()
        if params is not None or self.random.random() < 0.5:
            message["params"] = params
        return message

    def _id(self) -> int | str:
        roll = self.random.random()
        if roll < 0.5:
            return self._count
        if roll < 0.9:
            return f"id-{self._count}"
        if roll < 0.94 and self._live:
            return self.random.choice(list(self._live)[-20:])  # in use already
        odd: list[int | str] = [0, -1, 2**53, 2**63 - 1, -(2**63), "", "é\x00", "\ud800", "null", "x" * 2000, "1"]
        return self.random.choice(odd)

    def _bend_envelope(self, message: dict[str, Any]) -> None:
        match self.random.choice(["drop", "extra", "junk", "both"]):
            case "drop":
                message.pop(self.random.choice(["jsonrpc", "method", "params"]), None)
            case "extra":
                message[self.random.choice([key for key in KEYS if key not in message])] = self.values.junk()
            case "both":
                message[self.random.choice(["result", "error"])] = self.values.junk()
            case _:
                message[self.random.choice(["jsonrpc", "id", "method", "params"])] = self.values.junk()
        if message.get("method") in ("exit", "shutdown"):
            message["method"] = "no/such"

    def _torn(self) -> bytes:
        body = bytearray(dumps(self._message("agent/status", {"sessionId": "x"})))
        body[self.random.randrange(len(body)) :] = self.random.choice([b"", b"\xff", b"}", b"\x00\x00", b"]]"])
        return bytes(body)


def close(message: dict[str, Any]) -> Case:
    """The case of a message: what is owed for it (PROTOCOL 1)."""
    return case_of(dumps(message), message)


def case_of(body: bytes, message: Any = None) -> Case:
    """The case of a body; `message` is what it says, when that is known."""
    if message is None:
        try:
            message = json.loads(body)
        except ValueError:
            return Case(frame(body))
    if not isinstance(message, dict):
        return Case(frame(body))
    case = Case(frame(body), str(message.get("method", "")))
    request_id = message.get("id")
    readable = isinstance(request_id, int | str) and not isinstance(request_id, bool)
    is_answer = "method" not in message and ("result" in message or "error" in message)
    if not readable or is_answer or (len(body) > 60 and nesting(message) > MAX_DEPTH):
        return case
    if isinstance(request_id, int) and not -(2**63) <= request_id < 2**63:
        return case
    case.owed = _heard(request_id) if isinstance(request_id, str) else request_id
    return case


def _heard(text: str) -> str:
    """How the server hears it: pairs of surrogates joined, lone ones replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def nesting(value: Any) -> int:
    """Arrays and objects inside each other."""
    depth, level = 0, [value]
    while level := [node for node in level if isinstance(node, dict | list)]:
        depth += 1
        level = [child for node in level for child in (node.values() if isinstance(node, dict) else node)]
    return depth


def dumps(value: Any) -> bytes:
    """JSON as a careless client writes it: `NaN`, any integer, lone surrogates as escapes."""
    return json.dumps(value, separators=(",", ":")).encode()


def frame(body: bytes) -> bytes:
    """With its header."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def encode(value: Any) -> bytes:
    """A framed message."""
    return frame(dumps(value))
