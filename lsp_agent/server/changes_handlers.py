"""Changes and checkpoints (PROTOCOL 6)."""

from typing import Any

from lsp_agent.changes.choosing import Target
from lsp_agent.changes.ledger import Checkpoint
from lsp_agent.changes.review import Review
from lsp_agent.changes.service import Changes
from lsp_agent.changes.steps import Conflict
from lsp_agent.domain.errors import StoreError
from lsp_agent.protocol import changes as wire
from lsp_agent.protocol.convert import timestamp
from lsp_agent.protocol.decode import decode
from lsp_agent.server.connection import Connection
from lsp_agent.server.server import AgentServer, Handle
from lsp_agent.wire.request import Request


def changes_of(server: AgentServer) -> Changes:
    """The journal. Raises: RequestRejected when the agent could not start."""
    core: Any = server.core()
    found: Changes = core.changes
    return found


def list_(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/changes/list`."""
    params = decode(wire.ChangesListParams, request.params)
    review = changes_of(server).review

    async def answer() -> dict[str, Any]:
        files = await review.files(params.session_id, run_id=params.run_id, uri=params.uri, state=params.state)
        return {"files": files}

    return answer()


def resolve(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/changes/resolve`."""
    params = decode(wire.ChangesResolveParams, request.params)
    review = changes_of(server).review
    targets = [target_of(review, one) for one in params.targets]

    async def answer() -> dict[str, Any]:
        try:
            done = await review.resolve(params.session_id, params.action, targets, params.comment)
        except StoreError:
            await server.core().agent.hub.load(params.session_id)  # SessionNotFound when it was deleted meanwhile
            raise
        return {"done": list(done.done), "conflicts": [conflict(one) for one in done.conflicts]}

    return answer()


def checkpoints(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/checkpoint/list`."""
    params = decode(wire.CheckpointListParams, request.params)
    found = changes_of(server).checkpoints

    async def answer() -> dict[str, Any]:
        return {"checkpoints": [_checkpoint(params.session_id, one) for one in await found.list(params.session_id)]}

    return answer()


def restore(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/checkpoint/restore`."""
    params = decode(wire.CheckpointRestoreParams, request.params)
    found = changes_of(server).checkpoints

    async def answer() -> dict[str, Any]:
        done = await found.restore(
            params.checkpoint_id,
            files=params.files,
            conversation=params.conversation,
            dry_run=params.dry_run is True,
        )
        return {"undoCheckpointId": done.undo_checkpoint_id, "conflicts": [conflict(one) for one in done.conflicts]}

    return answer()


def target_of(review: Review, one: wire.ChangeTarget) -> Target:
    """A target of the wire in the journal's terms."""
    path = None if one.uri is None else review.path_of(one.uri)
    return Target(one.hunk_id, path, one.run_id, everything=one.all is True)


def conflict(one: Conflict) -> dict[str, Any]:
    """A hunk that was left as it is, JSON-ready."""
    shown = {"hunkId": one.hunk_id, "reason": one.reason, "current": one.current}
    return shown if one.uri is None else {**shown, "uri": one.uri}


def _checkpoint(session_id: str, one: Checkpoint) -> dict[str, Any]:
    return {
        "checkpointId": one.checkpoint_id,
        "sessionId": session_id,
        "runId": one.run_id,
        "messageId": one.message_id,
        "title": one.title,
        "createdAt": timestamp(one.created_at_ms),
        "kind": one.kind,
        "partial": one.partial,
    }


REQUESTS: dict[str, Handle] = {
    "agent/changes/list": list_,
    "agent/changes/resolve": resolve,
    "agent/checkpoint/list": checkpoints,
    "agent/checkpoint/restore": restore,
}
