"""`agent/trust/get` and `agent/trust/set` (PROTOCOL 7). Nothing but these, and the user's own command line, trusts."""

from typing import Any

from lsp_agent.domain.errors import RequestRejected
from lsp_agent.protocol.catalogs import TrustGetParams, TrustSetParams
from lsp_agent.protocol.decode import decode
from lsp_agent.server.command_news import with_news
from lsp_agent.server.connection import Connection
from lsp_agent.server.server import AgentServer, Handle
from lsp_agent.wire.request import Request


def get(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/trust/get`."""
    params = decode(TrustGetParams, request.params)
    return server.core().trust.get(params.root)


def set_(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/trust/set`. A client that can ask nobody may take trust back and never give it (RELIABILITY CF-10)."""
    params = decode(TrustSetParams, request.params)
    if params.trusted and connection.agreed.permission_ui == "none":
        raise RequestRejected(
            "CapabilityMissing", "only a client that can ask a person may trust", capability="ui.permission"
        )
    core = server.core()
    return with_news(core, lambda: core.trust.set(params.root, params.trusted))


REQUESTS: dict[str, Handle] = {"agent/trust/get": get, "agent/trust/set": set_}
