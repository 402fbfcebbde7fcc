"""`agent/run`, `steer`, `cancel`, `queue`, `status` and the answers to permissions (PROTOCOL 3 and 5).

Each is synchronous up to the lane's decision: wire order is accept order. What an attachment shows is taken at the same
moment, so that a `didChange` right behind the request changes nothing.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from lsp_agent import __version__
from lsp_agent.agent.submission import RunAnswer, Submission
from lsp_agent.domain.errors import RequestRejected
from lsp_agent.domain.message import AttachmentPart
from lsp_agent.protocol.accept import Submitted, flatten, submitted
from lsp_agent.protocol.decisions import PermissionRespondParams
from lsp_agent.protocol.decode import decode
from lsp_agent.protocol.runs import CancelParams, QueueParams, RunParams, StatusParams, SteerParams
from lsp_agent.server.connection import Connection
from lsp_agent.server.core import Core
from lsp_agent.server.frozen import FrozenDocuments
from lsp_agent.server.provided import providers_of
from lsp_agent.server.server import AgentServer
from lsp_agent.wire.request import Request
from lsp_agent.workspace.attachments import AttachmentContext, resolve_attachments


def run(server: AgentServer, connection: Connection, request: Request) -> None:
    """`agent/run`."""
    params = decode(RunParams, request.params)
    content = submitted(params)
    submission = Submission(
        prompt=content.prompt,
        session_id=params.session_id,
        run_id=params.run_id,
        attachments=attachments_of(server, connection, content, params.session_id),
        expand=expansion_of(server.core(), content.prompt),
        when_busy=params.when_busy,
        options=content.options,
        content_hash=content.content_hash,
        root=_root(connection),
        title=content.options.title,
        subscriber=connection.subscriber,
    )
    _require_prompt(content)
    server.core().agent.run(submission, lambda answer: request.answer(_run_result(answer)), request.fail_with)


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
    _require_prompt(content)
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
    "agent/run": run,
    "agent/steer": steer,
    "agent/cancel": cancel,
    "agent/queue": queue,
    "agent/status": status,
    "agent/permission/respond": permission_respond,
}


def expansion_of(core: Core, prompt: str) -> Callable[[], Awaitable[str]] | None:
    """What puts a custom command's text in place of `/name …`; None for a prompt that cannot be one."""
    if not prompt.lstrip().startswith("/"):
        return None
    return lambda: core.context.commands.expand(prompt)


def attachments_of(server: AgentServer, connection: Connection, content: Submitted, session_id: str | None) -> Any:
    """What reads the attachments, with the open documents as they are now; None when there are none."""
    if not content.attachments:
        return None
    items = content.attachments
    frozen = FrozenDocuments(connection.documents, items)

    async def resolve() -> tuple[AttachmentPart, ...]:
        core = server.core()
        context = AttachmentContext(frozen, core.workspace, providers=providers_of(core, session_id))
        return await resolve_attachments(items, context)

    return resolve


def _require_prompt(content: Submitted) -> None:
    """CORE 1: text, or at least one attachment that is text (an image alone is not enough)."""
    if not content.prompt.strip() and all(item["type"] == "image" for item in content.attachments):
        raise RequestRejected("EmptyPrompt", "the prompt is empty", path="prompt")


def _run_result(answer: RunAnswer) -> dict[str, Any]:
    result = {
        "sessionId": answer.session_id,
        "runId": answer.run_id,
        "messageId": answer.message_id,
        "state": answer.state,
        "seq": answer.seq,
    }
    if answer.position is not None:
        result["position"] = answer.position
    return result


def _root(connection: Connection) -> str:
    from pathlib import Path

    return Path(connection.roots[0]).as_uri()
