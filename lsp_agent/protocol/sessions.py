"""Sessions and messages as clients see them (PROTOCOL 4)."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from lsp_agent.protocol.base import (
    Amount,
    Count,
    Empty,
    Identifier,
    Int,
    JsonObject,
    Page,
    Paging,
    Short,
    Timestamp,
    Uri,
    Wire,
    open_enum,
)
from lsp_agent.protocol.content import kind_tag
from lsp_agent.protocol.decisions import PermissionRecord, QuestionRecord

FinishReason = Annotated[
    str,
    open_enum("end_turn", "max_tokens", "tool_use", "canceled", "error", "content_filter", "unknown", "stop"),
]

# ---------------------------------------------------------------------------------------------------------- messages


class TextPart(Wire):
    """Text (markdown)."""

    type: Literal["text"]
    text: str


class ReasoningPart(Wire):
    """The model's thinking."""

    type: Literal["reasoning"]
    text: str


class AttachmentPart(Wire):
    """What the user attached, with its place. An image's `data` is base64."""

    type: Literal["attachment"]
    kind: str
    mime_type: str
    uri: str | None = None
    path: str | None = None
    name: str | None = None
    start_line: Count | None = None
    end_line: Count | None = None
    version: Int | None = None
    text: str | None = None
    data: str | None = None


class ToolCall(Wire):
    """A call the model made; `input` is JSON as text."""

    type: Literal["tool_call"]
    tool_call_id: str
    name: str
    input: str
    finished: bool


class ToolResult(Wire):
    """What a tool answered; `data` is base64."""

    type: Literal["tool_result"]
    tool_call_id: str
    name: str
    content: str
    is_error: bool
    metadata: JsonObject | None = None
    mime_type: str | None = None
    data: str | None = None


class Shell(Wire):
    """A command the user ran in the session."""

    type: Literal["shell"]
    command: str
    output: str
    exit_code: Int


class UnknownPart(Wire):
    """A part of a later version."""

    type: str


_PARTS = frozenset({"text", "reasoning", "attachment", "tool_call", "tool_result", "shell"})


def _part_tag(value: Any) -> str | None:
    tag = kind_tag(value)
    return tag if tag is None or tag[1:-1] in _PARTS else "<other>"


Part = Annotated[
    Annotated[TextPart, Tag("<text>")]
    | Annotated[ReasoningPart, Tag("<reasoning>")]
    | Annotated[AttachmentPart, Tag("<attachment>")]
    | Annotated[ToolCall, Tag("<tool_call>")]
    | Annotated[ToolResult, Tag("<tool_result>")]
    | Annotated[Shell, Tag("<shell>")]
    | Annotated[UnknownPart, Tag("<other>")],
    Discriminator(_part_tag),
]


class Finish(Wire):
    """How a message ended."""

    reason: FinishReason
    message: str | None = None
    details: str | None = None


class Message(Wire):
    """One message of a session."""

    message_id: str
    session_id: str
    role: Annotated[str, open_enum("user", "assistant", "tool")]
    parts: list[Part]
    model: str | None = None
    provider: str | None = None
    is_summary: bool
    created_at: Timestamp
    finish: Finish | None = None


class TodoEntry(Wire):
    """One entry of the model's plan."""

    content: str
    status: Annotated[str, open_enum("pending", "in_progress", "completed")]
    active_form: str


class SessionInfo(Wire):
    """A session without its messages. Token counts describe the current context; `options` from `session/get` alone."""

    session_id: str
    parent_session_id: str | None = None
    title: str
    root: str | None = None
    created_at: Timestamp
    updated_at: Timestamp
    message_count: Count
    prompt_tokens: Count
    completion_tokens: Count
    cost_usd: Amount
    estimated_usage: bool
    todos: list[TodoEntry]
    is_busy: bool
    queued: Count
    model: str | None
    seq: Count
    options: "list[ConfigOption] | None" = None


# ----------------------------------------------------------------------------------------------------------- methods


class SessionParams(Wire):
    """A request about one session."""

    session_id: Identifier


class SessionNewParams(Wire):
    """`agent/session/new`."""

    title: Short | None = None
    root: Uri | None = None


class SessionResult(Wire):
    """The session that was made."""

    session_id: str


class SessionListParams(Paging):
    """`agent/session/list`."""

    query: Short | None = None
    root: Uri | None = None


class SessionListResult(Page):
    """Newest first, no child sessions."""

    sessions: list[SessionInfo]


class SessionReadParams(Paging):
    """`agent/session/read`."""

    session_id: Identifier


class SessionReadResult(Page):
    """Oldest first."""

    messages: list[Message]


class SessionRenameParams(Wire):
    """`agent/session/rename`."""

    session_id: Identifier
    title: Short


class SessionForkParams(Wire):
    """`agent/session/fork`: up to and including `at_message_id`, or everything."""

    session_id: Identifier
    at_message_id: Identifier | None = None


class SessionExportParams(Wire):
    """`agent/session/export`."""

    session_id: Identifier
    format: Literal["markdown", "json"]


class SessionExportResult(Wire):
    """The whole session as one text."""

    text: str


class SessionCompactResult(Wire):
    """`nothing` when there was too little to summarize."""

    state: Annotated[str, open_enum("started", "nothing")]


class SessionConfigureParams(Wire):
    """`agent/session/configure`. `value` null = back to the configuration's value."""

    session_id: Identifier
    option_id: Identifier
    value: str | bool | None = None


class ConfigOption(Wire):
    """One option of a session: what it is and what it may be."""

    option_id: str
    name: str
    value: str | None
    choices: list[str] | None = None


class SessionConfigureResult(Wire):
    """Every option with its value after the change."""

    options: list[ConfigOption]


class SessionAttachParams(Wire):
    """`agent/session/attach`: `after_seq` is the last number the client has."""

    session_id: Identifier
    after_seq: Count | None = None


class Pending(Wire):
    """Decisions that wait for the user."""

    permissions: list[PermissionRecord]
    questions: list[QuestionRecord]


class SessionAttachResult(Wire):
    """The response comes first, then the events after `after_seq`."""

    seq: Count
    mode: Annotated[str, open_enum("replay", "snapshot")]
    snapshot: JsonObject | None = None
    pending: Pending
    active_run_id: str | None = Field(default=None)
    queue_revision: Count


class SessionDetachParams(SessionParams):
    """`agent/session/detach`."""


class SessionDoneResult(Empty):
    """Nothing to say but that it is done."""
