"""Accept, reject, undo and redo of the agent's changes as commands, for an editor with no plugin."""

from collections.abc import Mapping
from typing import Any

from lsp_agent.changes.choosing import Target
from lsp_agent.changes.review import Resolved, Review
from lsp_agent.domain.errors import RequestRejected
from lsp_agent.server.connection import Connection
from lsp_agent.server.server import AgentServer

_DONE = {"accept": "accepted", "reject": "rejected", "undo": "undone", "redo": "put back"}


class Decisions:
    """What the user of one connection decides about changes."""

    def __init__(self, server: AgentServer, connection: Connection) -> None:
        self._server = server
        self._connection = connection

    async def decide(self, action: str, argument: object) -> dict[str, Any]:
        """`argument`: `{hunkId | uri | runId, sessionId?, comment?}`, or nothing for all changes of the conversation.

        Returns `{done, conflicts, message}`. Raises: RequestRejected.
        """
        wanted: Mapping[str, Any] = argument if isinstance(argument, Mapping) else {}
        named = wanted.get("sessionId")
        session_id = named if isinstance(named, str) else self._connection.last_session
        review = self.review()
        if session_id is None or review is None:
            return {"done": [], "conflicts": [], "message": "nothing to decide"}
        comment = wanted.get("comment")
        target = _target(wanted, review)
        done = await review.resolve(session_id, action, [target], comment if isinstance(comment, str) else None)
        conflicts = [{"hunkId": one.hunk_id, "reason": one.reason, "current": one.current} for one in done.conflicts]
        return {"done": list(done.done), "conflicts": conflicts, "message": _sentence(action, done)}

    async def has_pending(self) -> bool:
        """Whether a change of this editor's conversation waits."""
        session_id, review = self._connection.last_session, self.review()
        if session_id is None or review is None:
            return False
        try:
            return bool(await review.files(session_id, state="pending"))
        except RequestRejected:
            return False

    def review(self) -> Review | None:
        """The journal; None where the server keeps none."""
        changes: Any = getattr(self._server.core(), "changes", None)
        return None if changes is None else changes.review


def _target(wanted: Mapping[str, Any], review: Review) -> Target:
    for key in ("hunkId", "uri", "runId"):
        value = wanted.get(key)
        if isinstance(value, str) and value:
            match key:
                case "hunkId":
                    return Target(hunk_id=value)
                case "uri":
                    return Target(path=review.path_of(value))
                case _:
                    return Target(run_id=value)
    return Target(everything=True)


def _sentence(action: str, done: Resolved) -> str:
    count, left = len(done.done), len(done.conflicts)
    parts = [f"{count} change{'' if count == 1 else 's'} {_DONE[action]}"] if count else []
    if left:
        parts.append(f"{left} left as {'it is' if left == 1 else 'they are'}: {done.conflicts[0].reason}")
    return "; ".join(parts) or f"there is nothing to {action}"
