"""`agent/mcp/*`: what is known of MCP servers, a new try, a login (PROTOCOL 7); and asking whether one may start."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from lsp_agent.protocol.catalogs import McpParams
from lsp_agent.protocol.decode import decode
from lsp_agent.server.connection import Connection
from lsp_agent.server.list_handlers import page
from lsp_agent.server.server import AgentServer, Handle
from lsp_agent.wire.outgoing import ConnectionClosed, RemoteError
from lsp_agent.wire.request import Request

APPROVAL_S = 120.0
_START, _NOT = "Start it", "Do not start it"


class McpCatalogue(Protocol):
    """The MCP servers, as far as a client may ask about them (`mcp.servers.McpServers`)."""

    def entries(self) -> list[dict[str, Any]]:
        """McpEntry objects by name."""
        ...

    async def restart(self, name: str) -> dict[str, Any]:
        """Connect again. Raises: RequestRejected for an unknown name."""
        ...

    async def login(self, name: str) -> dict[str, Any]:
        """Begin a login. Raises: RequestRejected."""
        ...


def servers(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/mcp/list`."""
    return page(request, "servers", _mcp(server).entries())


async def restart(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/mcp/restart`: acknowledged at once, the rest is told by `mcp_update`."""
    return await _mcp(server).restart(decode(McpParams, request.params).name)


async def login(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/mcp/login`: the address where the user goes on, when it is known within five seconds."""
    return await _mcp(server).login(decode(McpParams, request.params).name)


def _mcp(server: AgentServer) -> McpCatalogue:
    return server.core().mcp


REQUESTS: dict[str, Handle] = {
    "agent/mcp/list": servers,
    "agent/mcp/restart": restart,
    "agent/mcp/login": login,
}


class Asked(Protocol):
    """A connection that can put a question to its user."""

    async def request(self, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        """Ask the client. Raises: RemoteError, TimeoutError, ConnectionClosed."""
        ...


def approve_in_editor(
    connections: Callable[[], Sequence[Asked]],
) -> Callable[[str, str, Mapping[str, Any]], Awaitable[bool]]:
    """The `approve` of `McpServers`: a message with two buttons in the first editor that answers. No answer is no."""

    async def approve(title: str, description: str, subject: Mapping[str, Any]) -> bool:
        shown = subject.get("command") or subject.get("url") or ""
        params = {
            "type": 2,
            "message": f"{title}?\n{shown}\n{description}",
            "actions": [{"title": _START}, {"title": _NOT}],
        }
        for connection in connections():
            try:
                answer = await connection.request("window/showMessageRequest", params, APPROVAL_S)
            except (RemoteError, TimeoutError, ConnectionClosed):
                continue
            return isinstance(answer, Mapping) and answer.get("title") == _START
        return False

    return approve
