"""Asking before doing: how a tool puts a path to the approver, and what the model reads when the answer is no."""

from collections.abc import Mapping, Sequence
from typing import Any

from lsp_agent.ports.approver import Decision, PermissionAsk
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.ports.workspace import Place
from lsp_agent.tools.arguments import one_line

DENIED = "User denied permission"


async def may_look(context: ToolContext, tool: str, action: str, place: Place) -> ToolResult | None:
    """Ask to `read` or `list` a place. None = go on; else the result to return.

    Also asked inside the roots, where the mode allows it silently: a deny rule may say no.
    """
    verb = "Read" if action == "read" else "List"
    decision = await context.approver.ask(
        context.run,
        context.call.tool_call_id,
        context.mode,
        PermissionAsk(
            tool=tool,
            action=action,
            title=f"{verb} {one_line(place.shown, 200)}",
            subject={"type": "path", "path": str(place.path)},
            path=str(place.path),
            inside_workspace=place.inside,
            pattern=place.shown,
        ),
    )
    return None if decision.allowed else refusal(decision)


async def may_edit(
    context: ToolContext, tool: str, place: Place, *, title: str, changes: Sequence[Mapping[str, Any]]
) -> Decision:
    """Ask to change one file; the user sees `changes` as they will be made. A grant covers this file only."""
    return await context.approver.ask(
        context.run,
        context.call.tool_call_id,
        context.mode,
        PermissionAsk(
            tool=tool,
            action="write",
            title=title,
            subject={"type": "edit", "changes": [dict(change) for change in changes]},
            path=str(place.path),
            inside_workspace=place.inside,
            pattern=place.shown,
        ),
    )


def refusal(decision: Decision, metadata: Mapping[str, Any] | None = None) -> ToolResult:
    """The result of a call that was not allowed.

    Without a message the turn stops; with one the model reads it and goes on (PROTOCOL 5).
    """
    return ToolResult(
        content=decision.message or DENIED,
        is_error=True,
        metadata=dict(metadata or {}),
        stop_turn=not decision.message,
        status="rejected" if decision.asked or not decision.message else "",
    )
