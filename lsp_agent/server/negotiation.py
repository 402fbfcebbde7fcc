"""What two sides agree on in `initialize` (PROTOCOL 2), from plain data.

Pure, and light on purpose: this is all that is needed to answer `initialize`, before anything heavy is imported. Knows
nothing of runs or stores. Wrong types in the client's block are read as absent: a half-broken client still gets a
server.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lsp_agent import __version__

PROTOCOL_VERSION = 1
QUEUE_MAX = 1000
MAX_MESSAGE_BYTES = 33_554_432
REPLAY_EVENTS = 20_000
OPT_IN = frozenset({"tool_input_chunk"})
"""Updates a client gets only when `events.optIn` names them (PROTOCOL 8)."""
ENCODINGS = ("utf-32", "utf-16", "utf-8")
"""What we can speak; the client's order decides."""
ACTION_KINDS = ("quickfix", "refactor.rewrite", "source.agent")
COMMANDS = tuple(
    f"lspAgent.{name}"
    for name in (
        *("ask", "steer", "stop", "accept", "reject", "permissions", "undo", "redo", "sessions", "status"),
        *("transcript", "prompt", "send", "model", "mode"),
    )
)
_ADVERTISED: Mapping[str, tuple[str, ...]] = {
    "workspace/applyEdit": ("workspace", "applyEdit"),
    "workspace/configuration": ("workspace", "configuration"),
    "workspace/workspaceFolders": ("workspace", "workspaceFolders"),
    "window/workDoneProgress/create": ("window", "workDoneProgress"),
    "window/showDocument": ("window", "showDocument", "support"),
    "workspace/codeLens/refresh": ("workspace", "codeLens", "refreshSupport"),
    "window/showMessageRequest": (),
}
"""Requests of ours and the client capability each needs; an empty path needs none (LSP 3.17)."""


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What this client can do and wants."""

    capabilities: Mapping[str, Any]
    """The client's LSP capabilities as sent."""
    roots: tuple[str, ...]
    """Workspace folders as local paths, in the client's order."""
    process_id: int | None = None
    position_encoding: str = "utf-16"
    client_id: str = ""
    client_name: str = ""
    has_agent_block: bool = False
    version_agreed: bool = True
    events: bool = False
    """Wants `agent/event` and `agent/runComplete`."""
    opt_out: frozenset[str] = frozenset()
    max_latency_ms: int = 0
    permission_ui: str = "showMessage"
    """event, showMessage or none."""
    question_ui: str = "showMessage"
    editor_lsp: tuple[str, ...] = ()
    """LSP methods the editor answers for its other servers through `agent/editor/lsp`."""
    attach: tuple[Mapping[str, Any], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    """Settings the editor sent: they may only tighten (CONFIGURATION)."""
    initialize_params: Mapping[str, Any] = field(default_factory=dict)

    def can(self, *path: str) -> bool:
        """True when the client's capabilities hold a true value at this path: `("workspace", "applyEdit")`."""
        value: Any = self.capabilities
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return bool(value)

    def allows(self, method: str) -> bool:
        """Whether the client may be sent this request: it is of the base protocol, or the client advertised it."""
        if method == "agent/editor/lsp":
            return bool(self.editor_lsp)
        path = _ADVERTISED.get(method)
        return path is not None and (not path or self.can(*path))


def negotiate(params: Mapping[str, Any]) -> Negotiated:
    """Read `InitializeParams`. Never raises."""
    capabilities = _mapping(params.get("capabilities"))
    options = _mapping(params.get("initializationOptions"))
    plugin = _mapping(_mapping(capabilities.get("experimental")).get("agent"))
    block = {**plugin, **_mapping(options.get("agent"))}
    present = bool(block)
    client, events, ui, editor = (_mapping(block.get(key)) for key in ("client", "events", "ui", "editor"))
    versions = block.get("protocolVersions")
    default_ui = "event" if present else "showMessage"
    latency = events.get("maxLatencyMs")
    process_id = params.get("processId")
    info = _mapping(params.get("clientInfo"))
    return Negotiated(
        capabilities=capabilities,
        roots=_roots(params),
        process_id=process_id if isinstance(process_id, int) and not isinstance(process_id, bool) else None,
        position_encoding=_encoding(capabilities),
        client_id=_text(client.get("id")),
        client_name=_text(client.get("name")) or _text(info.get("name")),
        has_agent_block=present,
        version_agreed=not present or not isinstance(versions, list) or PROTOCOL_VERSION in versions,
        events=present and events.get("enabled") is not False,
        opt_out=frozenset(_texts(events.get("optOut"))) | OPT_IN.difference(_texts(events.get("optIn"))),
        max_latency_ms=min(max(int(latency), 0), 1000) if isinstance(latency, int | float) else 0,
        permission_ui=_choice(ui.get("permission"), default_ui),
        question_ui=_choice(ui.get("question"), default_ui),
        editor_lsp=tuple(_texts(editor.get("lsp"))),
        attach=tuple(entry for entry in block.get("attach") or () if isinstance(entry, Mapping))
        if isinstance(block.get("attach"), list)
        else (),
        options={key: value for key, value in options.items() if key != "agent"},
        initialize_params=params,
    )


def initialize_result(agreed: Negotiated, instance_id: str) -> dict[str, Any]:
    """The `InitializeResult`, JSON-ready."""
    if agreed.version_agreed:
        agent: dict[str, Any] = {
            "protocolVersion": PROTOCOL_VERSION,
            "instanceId": instance_id,
            "version": __version__,
            "prompt": {"image": True, "bufferRef": True},
            "session": {"list": {}, "read": {}, "attach": {}, "fork": {}, "compact": {}, "export": {}},
            "run": {"queueMax": QUEUE_MAX, "steer": {}},
            "changes": {"hunk": True, "undo": True},
            "checkpoint": {},
            "limits": {"maxMessageBytes": MAX_MESSAGE_BYTES, "replayEvents": REPLAY_EVENTS},
        }
    else:
        agent = {"error": {"kind": "UnsupportedVersion", "supportedVersions": [PROTOCOL_VERSION]}}
    literals = agreed.can("textDocument", "codeAction", "codeActionLiteralSupport")
    # a plug-in asks for mentions itself; a plain editor completes in the prompt document
    completion = {} if agreed.has_agent_block else {"completionProvider": {"triggerCharacters": ["@", "/", "#"]}}
    return {
        "serverInfo": {"name": "lsp-agent", "version": __version__},
        "capabilities": {
            **completion,
            "positionEncoding": agreed.position_encoding,
            "textDocumentSync": {"openClose": True, "change": 2, "save": {"includeText": False}},
            "codeActionProvider": {"codeActionKinds": list(ACTION_KINDS)} if literals else True,
            **_review_capabilities(agreed),
            "executeCommandProvider": {"commands": list(COMMANDS), "workDoneProgress": True},
            "workspace": {"workspaceFolders": {"supported": True, "changeNotifications": True}},
            "experimental": {"agent": agent},
        },
    }


def _review_capabilities(agreed: Negotiated) -> dict[str, Any]:
    """Lenses and hovers over the agent's changes, for a client that has them and no plugin that draws its own."""
    if agreed.events:
        return {}
    said = _mapping(agreed.capabilities.get("textDocument"))
    lenses = {"codeLensProvider": {"resolveProvider": False}} if isinstance(said.get("codeLens"), Mapping) else {}
    return {**lenses, **({"hoverProvider": True} if isinstance(said.get("hover"), Mapping) else {})}


def path_of(uri: str) -> str | None:
    """The local path of a `file:` URI; None for anything else."""
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    path = unquote(parts.path)
    return path if path.startswith("/") and "\0" not in path else None


def _roots(params: Mapping[str, Any]) -> tuple[str, ...]:
    folders = params.get("workspaceFolders")
    named: Sequence[Any] = folders if isinstance(folders, list) else ()
    paths = [path_of(_text(_mapping(folder).get("uri"))) for folder in named]
    if not any(paths):
        paths = [path_of(_text(params.get("rootUri"))) or _text(params.get("rootPath")) or None]
    found = [path for path in paths if path and os.path.isabs(path)]  # noqa: PTH117 - a string in, a bool out
    return tuple(dict.fromkeys(found)) or (str(Path.cwd()),)


def _encoding(capabilities: Mapping[str, Any]) -> str:
    offered = _texts(_mapping(capabilities.get("general")).get("positionEncodings"))
    return next((name for name in offered if name in ENCODINGS), "utf-16")


def _choice(value: Any, default: str) -> str:
    return value if value in ("event", "showMessage", "none") else default


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
