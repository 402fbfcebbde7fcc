"""A conversation, its todo list and its counters (CORE 20)."""

from dataclasses import dataclass, field
from typing import Any

UNTITLED = "Untitled Session"


@dataclass(frozen=True, slots=True)
class Todo:
    """One entry of the model's plan. `status`: pending, in_progress, completed."""

    content: str
    status: str
    active_form: str = ""


@dataclass(slots=True)
class Session:
    """One session as stored. Times are milliseconds since the epoch; token counts describe the current context."""

    session_id: str
    title: str = UNTITLED
    title_is_users: bool = False
    """True once the user named it: a generated title never overwrites that (CORE 0.6)."""
    parent_session_id: str | None = None
    parent_tool_call_id: str | None = None
    root: str | None = None
    """Workspace root (file URI) the session belongs to."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    estimated_usage: bool = False
    summary_message_id: str | None = None
    todos: tuple[Todo, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    """`model.large`, `model.small`, `mode`, `thinking` as set by `agent/session/configure`."""
    created_at_ms: int = 0
    updated_at_ms: int = 0
    message_count: int = 0
    seq: int = 0
    """Last durable event number (PROTOCOL 10.2); 0 = none yet."""
