"""`agent/question/respond` (PROTOCOL 5): the first answer wins, a late one is a result."""

from typing import Any

from lsp_agent.protocol.decisions import QuestionRespondParams
from lsp_agent.protocol.decode import decode
from lsp_agent.server.connection import Connection
from lsp_agent.server.server import AgentServer, Handle
from lsp_agent.wire.request import Request


def respond(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/question/respond`."""
    params = decode(QuestionRespondParams, request.params)
    return server.core().questions.respond(params.request_id, params.action, params.content, connection.name)


REQUESTS: dict[str, Handle] = {"agent/question/respond": respond}
