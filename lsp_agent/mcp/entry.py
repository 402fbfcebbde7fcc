"""One `[mcp.<name>]` block of the user's file as a value, and what identifies it (RELIABILITY CF-06, MC-02). Pure."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

TYPES = ("stdio", "http", "sse")
TIMEOUT_S = 10.0
OAUTH_TIMEOUT_S = 30.0
CALL_TIMEOUT_S = 300.0
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]|_(?!_)){0,30}[A-Za-z0-9]|[A-Za-z0-9]")


class EntryProblem(Exception):
    """A block cannot be used. The text names the field and never its value."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A server as the user configured it. Values of `env` and `headers`, and `url`, are templates, not yet resolved."""

    name: str
    type: str = "stdio"
    command: tuple[str, ...] = ()
    url: str = ""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = TIMEOUT_S
    """To connect, to list, to answer a ping."""
    call_timeout_s: float = CALL_TIMEOUT_S
    """One tool call."""
    disabled: bool = False
    enabled_tools: tuple[str, ...] = ()
    """The server's own names; empty = all."""
    disabled_tools: tuple[str, ...] = ()
    cwd: str | None = None
    """None = a directory of its own, outside every workspace."""
    oauth: bool | None = None
    """None = a login is offered when the server asks for one."""
    sandbox: bool = True
    network: bool = False
    """Whether a sandboxed program may use the network."""
    instructions: bool = True


def read_entry(name: str, raw: Mapping[str, Any]) -> Entry:
    """The block as an `Entry`. Raises: EntryProblem."""
    if not _NAME.fullmatch(name):
        raise EntryProblem("name: 1 to 32 of A-Z, a-z, 0-9, - and single _ inside")
    fields = _Fields(raw)
    oauth = raw.get("oauth")
    kind = fields.text("type") or "stdio"
    if kind not in TYPES:
        raise EntryProblem(f"type: must be one of {', '.join(TYPES)}")
    entry = Entry(
        name=name,
        type=kind,
        command=fields.texts("command") or (),
        url=fields.text("url") or "",
        env=fields.strings("env"),
        headers=fields.strings("headers"),
        timeout_s=fields.seconds("timeout_s", OAUTH_TIMEOUT_S if oauth else TIMEOUT_S),
        call_timeout_s=fields.seconds("call_timeout_s", CALL_TIMEOUT_S),
        disabled=fields.flag("disabled", default=False),
        enabled_tools=fields.texts("enabled_tools") or (),
        disabled_tools=fields.texts("disabled_tools") or (),
        cwd=fields.text("cwd"),
        oauth=None if oauth is None else fields.flag("oauth", default=False),
        sandbox=fields.flag("sandbox", default=True),
        network=fields.flag("network", default=False),
        instructions=fields.flag("instructions", default=True),
    )
    _require(entry)
    return entry


def fingerprint(entry: Entry, program: str) -> str:
    """What an approval is bound to, as hex SHA-256. `program`: the real path of the program a stdio entry starts.

    Templates count, not what they resolve to: a new token is not a new server. Filters and time-outs do not count.
    """
    identity = {
        "type": entry.type,
        "command": list(entry.command),
        "program": program,
        "cwd": entry.cwd,
        "url": entry.url,
        "env": dict(entry.env),
        "headers": dict(entry.headers),
        "sandbox": entry.sandbox,
        "network": entry.network,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def _require(entry: Entry) -> None:
    if entry.type == "stdio":
        if not entry.command or not entry.command[0].strip():
            raise EntryProblem("command: is missing or empty")
        if any("\0" in word for word in entry.command):
            raise EntryProblem("command: holds a NUL character")
        return
    if not entry.url.strip():
        raise EntryProblem("url: is missing or empty")
    if "$" not in entry.url:
        check_url(entry.url)


def check_url(url: str) -> None:
    """Raises: EntryProblem for what is not an http or https URL with a host and without a user."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
        parts = urlsplit("")
    if not usable:
        raise EntryProblem("url: is not an http or https address")
    if parts.username or parts.password:
        raise EntryProblem("url: must not hold a user or password; use headers")


class _Fields:
    """Values of a block, each of the type it must have."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw

    def text(self, key: str) -> str | None:
        value = self._raw.get(key)
        if value is not None and not isinstance(value, str):
            raise EntryProblem(f"{key}: must be text")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._raw.get(key, default)
        if not isinstance(value, bool):
            raise EntryProblem(f"{key}: must be true or false")
        return value

    def seconds(self, key: str, default: float) -> float:
        value = self._raw.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0.05 <= value <= 86_400:
            raise EntryProblem(f"{key}: must be a number of seconds from 0.05 to 86400")
        return float(value)

    def texts(self, key: str) -> tuple[str, ...] | None:
        value = self._raw.get(key)
        if value is None:
            return None
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise EntryProblem(f"{key}: must be a list of strings")
        return tuple(value)

    def strings(self, key: str) -> Mapping[str, str]:
        value = self._raw.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping) or not all(
            isinstance(name, str) and isinstance(item, str) for name, item in value.items()
        ):
            raise EntryProblem(f"{key}: must be a table of strings")
        return dict(value)
