"""`agent/steer`, `cancel`, `queue`, `status` and the answers to permissions (PROTOCOL 3 and 5).

Each is synchronous up to the lane's decision, as in `run_handlers`.
"""

from typing import Any

from lsp_agent import __version__
from lsp_agent.agent.submission import Submission
from lsp_agent.domain.errors import RequestRejected
from lsp_agent.protocol.accept import flatten, submitted
from lsp_agent.protocol.decisions import PermissionRespondParams
from lsp_agent.protocol.decode import decode
from lsp_agent.protocol.runs import CancelParams, QueueParams, StatusParams, SteerParams
from lsp_agent.server.connection import Connection
from lsp_agent.server.run_handlers import attachments_of, expansion_of, require_prompt
from lsp_agent.server.server import AgentServer
from lsp_agent.wire.request import Request


def steer(server: AgentServer, connection: Connection, request: Request) -> None:
    """`agent/steer`."""
    params = decode(SteerParams, request.params)
    content = submitted(params)
    submission = Submission(
        prompt=content.prompt,
        session_id=params.session_id,
        attachments=attachments_of(server, connection, content, params.session_id),
        expand=expansion_of(server.core(), content.prompt),
        content_hash=content.content_hash,
        subscriber=connection.subscriber,
    )
    require_prompt(content)
    server.core().agent.steer(
        submission,
        params.expected_run_id,
        params.otherwise or "reject",
        lambda answer: request.answer({"messageId": answer.message_id, "state": answer.state}),
        request.fail_with,
    )


def cancel(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/cancel`: idle or unknown session is a success that changes nothing."""
    params = decode(CancelParams, request.params)
    done = server.core().agent.cancel(params.session_id, params.run_id, drop_queue=params.queue != "keep")
    return {"cancelled": list(done.run_ids), "notRunning": list(done.not_running)}


def queue(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/queue`."""
    params = decode(QueueParams, request.params)
    operation = params.op or "list"
    item = params.run_id or params.message_id
    if operation in ("edit", "move", "remove", "sendNow") and item is None:
        raise RequestRejected("InvalidParams", "runId: this needs a runId or a messageId", path="runId")
    if operation == "move" and params.index is None:
        raise RequestRejected("InvalidParams", "index: is required to move", path="index")
    return server.core().agent.queue(
        params.session_id,
        operation,
        item=item or "",
        prompt="" if params.prompt is None else flatten(params.prompt)[0],
        index=params.index or 0,
        if_revision=params.if_revision,
    )


def status(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/status`."""
    params = decode(StatusParams, request.params)
    core = server.core()
    statistics = [endpoint.statistics() for endpoint in server.connections]
    return {
        **core.agent.status(params.session_id),
        "connections": len(server.connections),
        "droppedChunks": sum(each.dropped_chunks for each in statistics),
        "version": __version__,
        "instanceId": server.instance_id,
        "logPath": core.log_path,
    }


def permission_respond(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/permission/respond`: first answer wins, a late one is a result."""
    params = decode(PermissionRespondParams, request.params)
    outcome = params.outcome.model_dump(by_alias=True, exclude_none=True)
    return server.core().approvals.respond(params.request_id, outcome, connection.name)


REQUESTS = {
    "agent/steer": steer,
    "agent/cancel": cancel,
    "agent/queue": queue,
    "agent/status": status,
    "agent/permission/respond": permission_respond,
}
