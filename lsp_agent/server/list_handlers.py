"""What there is to choose from (PROTOCOL 7): models, tools, terminals."""

from typing import Any

from lsp_agent.domain.errors import ProviderError, RequestRejected
from lsp_agent.protocol import catalogs, convert
from lsp_agent.protocol.catalogs import ListParams
from lsp_agent.protocol.decode import decode
from lsp_agent.server.connection import Connection
from lsp_agent.server.core import Core
from lsp_agent.server.server import AgentServer, Handle
from lsp_agent.wire.request import Request

PAGE = 200


def models(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/models/list`."""
    core = server.core()
    entries = [convert.model_entry(model) for model in core.providers.models()]
    return {
        **page(request, "models", entries),
        "large": _chosen(core, "large"),
        "small": _chosen(core, "small"),
        "mode": core.sessions.default_mode(),
    }


def tools(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/tools/list`."""
    core = server.core()
    found = core.tools.for_turn(mode=core.sessions.default_mode(), interactive=True)
    entries = [
        {
            "name": each.spec.name,
            "description": each.spec.description,
            "kind": each.kind,
            "readOnly": each.read_only,
            **({"server": server_name} if (server_name := getattr(each, "server", None)) else {}),
        }
        for each in found
    ]
    return page(request, "tools", entries)


def page(request: Request, name: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """One page of `entries`; the cursor is the number of the next one. Raises: RequestRejected for any other cursor."""
    params = decode(ListParams, request.params)
    if params.cursor is not None and not params.cursor.isdecimal():
        raise RequestRejected("InvalidParams", "cursor: is not one of ours", path="cursor")
    start = int(params.cursor or 0)
    end = start + min(params.limit or PAGE, PAGE)
    result: dict[str, Any] = {name: entries[start:end]}
    if end < len(entries):
        result["nextCursor"] = str(end)
    return result


def _chosen(core: Core, role: str) -> str | None:
    try:
        return core.providers.resolve(None, role=role).ref
    except ProviderError:
        return None


def terminals(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/terminal/list`: all of a session's commands; there are never more than a page."""
    params = decode(catalogs.TerminalListParams, request.params)
    return server.core().jobs.terminals(params.session_id)


def read_terminal(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/terminal/read`."""
    params = decode(catalogs.TerminalReadParams, request.params)
    return server.core().jobs.read_terminal(params.session_id, params.terminal_id, params.offset or 0)


def kill_terminal(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/terminal/kill`."""
    params = decode(catalogs.TerminalParams, request.params)
    return server.core().jobs.kill_terminal(params.session_id, params.terminal_id)


REQUESTS: dict[str, Handle] = {
    "agent/models/list": models,
    "agent/tools/list": tools,
    "agent/terminal/list": terminals,
    "agent/terminal/read": read_terminal,
    "agent/terminal/kill": kill_terminal,
}
