"""What the server tells by itself: `agent/event` and `agent/runComplete` (PROTOCOL 8 and 9).

The server writes events as plain dicts; these types are their contract, for the JSON Schema, for tests, and for clients
written in Python.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from lsp_agent.protocol.base import Amount, Count, Int, JsonObject, Wire, open_enum
from lsp_agent.protocol.catalogs import CommandEntry, McpEntry
from lsp_agent.protocol.changes import ChangedFile
from lsp_agent.protocol.decisions import PermissionRecord, QuestionRecord
from lsp_agent.protocol.runs import QueueItem
from lsp_agent.protocol.sessions import ConfigOption, Finish, TodoEntry


class TextContent(Wire):
    """Text of a chunk or a message."""

    type: Literal["text"]
    text: str


class UserMessage(Wire):
    """D. Sent when the prompt really enters the conversation."""

    session_update: Literal["user_message"]
    message_id: str
    content: list[JsonObject]
    attachments: list[JsonObject]
    synthetic: bool | None = None
    """True for words of ours to the model, which no user wrote."""


class MessageChunk(Wire):
    """C. Text to append to a message."""

    session_update: Literal["agent_message_chunk", "agent_thought_chunk"]
    message_id: str
    content: TextContent


class FullMessage(Wire):
    """D. The whole message, equal to its chunks joined; empty `content` = a retry, start again."""

    session_update: Literal["agent_message", "agent_thought"]
    message_id: str
    content: list[JsonObject]
    finish: Finish | None = None
    model: str | None = None
    provider: str | None = None


class ToolCallUpdate(Wire):
    """D. An upsert: absent = unchanged, null = cleared."""

    session_update: Literal["tool_call_update"]
    tool_call_id: str
    message_id: str | None = None
    name: str | None = None
    title: str | None = None
    kind: str | None = None
    status: Annotated[
        str | None, open_enum("pending", "in_progress", "completed", "failed", "rejected", "cancelled")
    ] = None
    locations: list[JsonObject] | None = None
    raw_input: Any = None
    raw_output: Any = None
    content: Any = None


class ToolChunk(Wire):
    """C. Input of a call while it is written (opt-in), or output of a call or terminal while it runs."""

    session_update: Literal["tool_input_chunk", "tool_call_content_chunk", "terminal_output_chunk"]
    tool_call_id: str | None = None
    terminal_id: str | None = None
    content: TextContent


class TerminalUpdate(Wire):
    """D. A command of the model, as it starts and as it ends."""

    session_update: Literal["terminal_update"]
    terminal_id: str
    tool_call_id: str | None = None
    command: str | None = None
    cwd: str | None = None
    status: Annotated[str | None, open_enum("running", "completed", "killed")] = None
    exit_code: Int | None = None
    background: bool | None = None


class PlanEntry(Wire):
    """One entry of the plan."""

    content: str
    status: Annotated[str, open_enum("pending", "in_progress", "completed")]
    active_form: str | None = None


class PlanUpdate(Wire):
    """D. The whole plan."""

    session_update: Literal["plan_update"]
    entries: list[PlanEntry]


class UsageUpdate(Wire):
    """E. The context and the money so far. `context_window` 0 = unknown."""

    session_update: Literal["usage_update"]
    used_tokens: Count
    context_window: Count
    cost_usd: Amount
    estimated: bool


class StateUpdate(Wire):
    """D. What the session does."""

    session_update: Literal["state_update"]
    state: Annotated[str, open_enum("running", "idle", "requires_action")]


class QueueUpdate(Wire):
    """D. The whole queue."""

    session_update: Literal["queue_update"]
    revision: Count
    count: Count | None = None
    """How many there are, when `items` are only the first."""
    items: list[QueueItem]


class PermissionRequested(PermissionRecord):
    """D. The record."""

    session_update: Literal["permission_requested"]


class QuestionRequested(QuestionRecord):
    """D. The record."""

    session_update: Literal["question_requested"]


class DecisionResolved(Wire):
    """D. The decision was made, by whom ever."""

    session_update: Literal["permission_resolved", "question_resolved"]
    request_id: str
    outcome: Any
    resolved_by: str | None
    message: str | None = None
    """What the user wrote with a rejection."""


class ChangesUpdate(Wire):
    """D. Files with their hunks."""

    session_update: Literal["changes_update"]
    files: list[ChangedFile]


class SessionInfoUpdate(Wire):
    """D. What changed of `SessionInfo`; absent = unchanged."""

    session_update: Literal["session_info_update"]
    title: str | None = None
    todos: list[TodoEntry] | None = None
    message_count: Count | None = None
    last_message_id: str | None = None
    """After a conversation was taken back: its last message now, null when it is empty. Read the session again."""


class ConfigOptionUpdate(Wire):
    """D. Every option with its value."""

    session_update: Literal["config_option_update"]
    options: list[ConfigOption]


class CompactionUpdate(Wire):
    """D. Exactly one final status after `started`."""

    session_update: Literal["compaction_update"]
    status: Annotated[str, open_enum("started", "completed", "failed", "cancelled")]
    message_id: str | None = None


class Notice(Wire):
    """D. Something the user should know."""

    session_update: Literal["notice"]
    level: Annotated[str, open_enum("info", "warning", "error")]
    code: str
    message: str
    files: list[JsonObject] | None = None
    """Of code `rules`: the files in force, as `agent/rules/list` shows them."""
    tokens: Count | None = None
    context_tokens: Count | None = None


class Resync(Wire):
    """This connection missed chunks; attach again."""

    session_update: Literal["resync"]
    after_seq: Count


class AvailableCommand(CommandEntry):
    """A command; `input.hint` says what may follow its name (as in ACP)."""

    input: JsonObject | None = None


class AvailableCommandsUpdate(Wire):
    """D. Every command a user can call now."""

    session_update: Literal["available_commands_update"]
    available_commands: list[AvailableCommand]


class McpUpdate(McpEntry):
    """D. One MCP server, as in `agent/mcp/list`; its state is `removed` when it is no longer configured."""

    session_update: Literal["mcp_update"]


class OtherUpdate(Wire):
    """An update of a later version, or one whose fields are free (`auth_update`, …)."""

    session_update: str


UPDATES: Mapping[str, tuple[type[Wire], str]] = MappingProxyType(
    {
        "user_message": (UserMessage, "D"),
        "agent_message_chunk": (MessageChunk, "C"),
        "agent_thought_chunk": (MessageChunk, "C"),
        "agent_message": (FullMessage, "D"),
        "agent_thought": (FullMessage, "D"),
        "tool_call_update": (ToolCallUpdate, "D"),
        "tool_input_chunk": (ToolChunk, "C"),
        "tool_call_content_chunk": (ToolChunk, "C"),
        "terminal_output_chunk": (ToolChunk, "C"),
        "terminal_update": (TerminalUpdate, "D"),
        "plan_update": (PlanUpdate, "D"),
        "usage_update": (UsageUpdate, "E"),
        "state_update": (StateUpdate, "D"),
        "queue_update": (QueueUpdate, "D"),
        "permission_requested": (PermissionRequested, "D"),
        "permission_resolved": (DecisionResolved, "D"),
        "question_requested": (QuestionRequested, "D"),
        "question_resolved": (DecisionResolved, "D"),
        "changes_update": (ChangesUpdate, "D"),
        "session_info_update": (SessionInfoUpdate, "D"),
        "config_option_update": (ConfigOptionUpdate, "D"),
        "available_commands_update": (AvailableCommandsUpdate, "D"),
        "mcp_update": (McpUpdate, "D"),
        "auth_update": (OtherUpdate, "D"),
        "compaction_update": (CompactionUpdate, "D"),
        "notice": (Notice, "D"),
        "resync": (Resync, "-"),
    }
)
"""`sessionUpdate` to its type and class: D durable, C chunk, E latest value wins, - of the connection only."""


def _update_tag(value: Any) -> str | None:
    name = value.get("sessionUpdate") if isinstance(value, dict) else getattr(value, "session_update", None)
    if not isinstance(name, str):
        return None
    return f"<{UPDATES[name][0].__name__}>" if name in UPDATES else "<OtherUpdate>"


Update = Annotated[
    Annotated[UserMessage, Tag("<UserMessage>")]
    | Annotated[MessageChunk, Tag("<MessageChunk>")]
    | Annotated[FullMessage, Tag("<FullMessage>")]
    | Annotated[ToolCallUpdate, Tag("<ToolCallUpdate>")]
    | Annotated[ToolChunk, Tag("<ToolChunk>")]
    | Annotated[TerminalUpdate, Tag("<TerminalUpdate>")]
    | Annotated[PlanUpdate, Tag("<PlanUpdate>")]
    | Annotated[UsageUpdate, Tag("<UsageUpdate>")]
    | Annotated[StateUpdate, Tag("<StateUpdate>")]
    | Annotated[QueueUpdate, Tag("<QueueUpdate>")]
    | Annotated[PermissionRequested, Tag("<PermissionRequested>")]
    | Annotated[QuestionRequested, Tag("<QuestionRequested>")]
    | Annotated[DecisionResolved, Tag("<DecisionResolved>")]
    | Annotated[ChangesUpdate, Tag("<ChangesUpdate>")]
    | Annotated[SessionInfoUpdate, Tag("<SessionInfoUpdate>")]
    | Annotated[ConfigOptionUpdate, Tag("<ConfigOptionUpdate>")]
    | Annotated[CompactionUpdate, Tag("<CompactionUpdate>")]
    | Annotated[Notice, Tag("<Notice>")]
    | Annotated[AvailableCommandsUpdate, Tag("<AvailableCommandsUpdate>")]
    | Annotated[McpUpdate, Tag("<McpUpdate>")]
    | Annotated[Resync, Tag("<Resync>")]
    | Annotated[OtherUpdate, Tag("<OtherUpdate>")],
    Discriminator(_update_tag),
]


class Parent(Wire):
    """The call that started a sub-agent's session."""

    session_id: str
    tool_call_id: str | None = None


class EventParams(Wire):
    """`agent/event`."""

    session_id: str
    run_id: str | None = None
    seq: Count
    chunk: Count | None = None
    parent: Parent | None = None
    update: Update


class RunFailure(Wire):
    """Why a run failed."""

    kind: Annotated[
        str,
        open_enum(
            "ProviderAuth", "RateLimited", "Overloaded", "ContextOverflow", "Provider", "Timeout", "Store", "Internal"
        ),
    ]
    title: str
    message: str
    retryable: bool


class RunUsage(Wire):
    """Tokens and money of a run."""

    input: Count
    output: Count
    cache_read: Count
    cache_write: Count
    cost_usd: Amount
    estimated: bool


class RunChanges(Wire):
    """Files touched, lines added and removed."""

    files: Count
    added: Count
    removed: Count


class RunCompleteParams(Wire):
    """`agent/runComplete`: exactly one a run, after its last event."""

    session_id: str
    run_id: str | None
    seq: Count
    message_id: str | None
    text: str
    stop_reason: Annotated[
        str,
        open_enum(
            "end_turn",
            "max_tokens",
            "max_steps",
            "budget",
            "refusal",
            "loop",
            "cancelled",
            "interrupted",
            "error",
        ),
    ]
    cancelled: bool
    error: RunFailure | None = Field(default=None)
    usage: RunUsage
    changes: RunChanges
    steps: Count
    duration_ms: Count
