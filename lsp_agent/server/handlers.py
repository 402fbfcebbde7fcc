"""Every method the server answers, from one place."""

from collections.abc import Mapping
from typing import Any

from lsp_agent.server import document_handlers
from lsp_agent.server.connection import Connection
from lsp_agent.server.server import AgentServer, Handle, Notify
from lsp_agent.wire.request import Request

_AGENT_METHODS = {
    "run_handlers": ("run",),
    "steering_handlers": ("steer", "cancel", "queue", "status", "permission/respond"),
    "question_handlers": ("question/respond",),
    "session_handlers": (
        *(f"session/{name}" for name in ("new", "list", "get", "read", "rename", "delete", "fork", "export")),
        *(f"session/{name}" for name in ("compact", "configure", "attach", "detach")),
    ),
    "list_handlers": (
        "models/list",
        "tools/list",
        "terminal/list",
        "terminal/read",
        "terminal/kill",
    ),
    "context_handlers": ("rules/list", "commands/list", "mention/complete"),
    "mcp_handlers": ("mcp/list", "mcp/restart", "mcp/login"),
    "trust_handlers": ("trust/get", "trust/set"),
    "changes_handlers": ("changes/list", "changes/resolve", "checkpoint/list", "checkpoint/restore"),
    "language_handlers": (),
}
"""Modules of this package and the methods they answer. All but a plain `agent/run` validate with pydantic: they are
imported with the first request that needs them, not before `initialize` is answered."""
_LANGUAGE_METHODS = (
    "textDocument/codeAction",
    "textDocument/codeLens",
    "textDocument/hover",
    "workspace/executeCommand",
)


def _late(module: str, method: str) -> Handle:
    found: list[Handle] = []

    def handle(server: AgentServer, connection: Connection, request: Request) -> Any:
        if not found:
            found.append(_load(module)[method])
        return found[0](server, connection, request)

    return handle


def _load(module: str) -> dict[str, Handle]:
    from importlib import import_module

    requests: dict[str, Handle] = import_module(f"lsp_agent.server.{module}").REQUESTS
    return requests


LATE_MODULES = tuple(f"lsp_agent.server.{module}" for module in _AGENT_METHODS)
"""What the first request of each method imports, unless it was done before in an idle moment."""

REQUESTS: dict[str, Handle] = {
    **{f"agent/{name}": _late(module, f"agent/{name}") for module, names in _AGENT_METHODS.items() for name in names},
    **{name: _late("language_handlers", name) for name in _LANGUAGE_METHODS},
    "textDocument/completion": _late("context_handlers", "textDocument/completion"),
}


def _cancel_progress(_server: AgentServer, connection: Connection, params: Mapping[str, Any]) -> None:
    """`window/workDoneProgress/cancel`: the user stops the run that the token shows."""
    if connection.companion is not None:
        connection.companion.cancel_progress(params.get("token"))


NOTIFICATIONS: dict[str, Notify] = {
    **document_handlers.NOTIFICATIONS,
    "window/workDoneProgress/cancel": _cancel_progress,
}

__all__ = ["LATE_MODULES", "NOTIFICATIONS", "REQUESTS"]
