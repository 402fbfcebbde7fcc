"""Messages and their parts, and the JSON they are stored as (CORE 19).

A message is a list of parts. The assistant's current message is mutable while it streams and belongs to the turn that
writes it; everybody else gets `Message.copy()`. Stored parts are a JSON array of `{"type", "data"}`; an unknown type is
an error on load, so that nothing is dropped in silence.
"""

import base64
import copy
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """Who speaks."""

    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    SYSTEM = "system"


class FinishReason(StrEnum):
    """Why a message ended (PROTOCOL 4). User and tool messages end with `STOP`."""

    END_TURN = "end_turn"
    MAX_TOKENS = "max_tokens"
    TOOL_USE = "tool_use"
    CANCELED = "canceled"
    ERROR = "error"
    CONTENT_FILTER = "content_filter"
    UNKNOWN = "unknown"
    STOP = "stop"


@dataclass(slots=True)
class TextPart:
    """Plain text (markdown)."""

    text: str


@dataclass(slots=True)
class ReasoningPart:
    """The model's thinking. `provider_data` survives storage and replay byte for byte (CORE 0.15).

    `provider_data` keys in use: `anthropic` (list of content blocks exactly as received, signatures included),
    `openai` (the Responses `reasoning` item exactly as received), `google` (thought signature and tool id),
    `openrouter` (`reasoning_details`). It is replayed only to the dialect whose key it is.
    """

    text: str = ""
    provider_data: dict[str, Any] = field(default_factory=dict)
    started_at_ms: int = 0
    finished_at_ms: int = 0


@dataclass(slots=True)
class AttachmentPart:
    """What the user attached: text with its place, or an image. Exactly one of `text` and `data` is set."""

    mime_type: str
    text: str | None = None
    data: bytes | None = None
    uri: str | None = None
    path: str | None = None
    """Shown to the model: relative to its root where it has one."""
    name: str | None = None
    start_line: int | None = None
    """First line, zero-based; None = the whole text."""
    end_line: int | None = None
    """Last line, zero-based, inclusive."""
    version: int | None = None
    """Document version of an open buffer."""
    kind: str = "file"
    """The PROTOCOL 13 type it came from: buffer, selection, file, text, image, diagnostics, symbol, …"""
    deferred: dict[str, Any] = field(default_factory=dict)
    """Set while a path outside the roots waits for its permission: what was asked for (`workspace.outside`). `text`
    says meanwhile that nothing was read, so that a part nobody settles any more reads right."""
    held: str | None = None
    """With `deferred`: the text an open document had when the run was accepted. In memory only, never stored."""

    @property
    def is_text(self) -> bool:
        """True when it is inlined into the prompt; False when it is an image."""
        return self.text is not None


@dataclass(slots=True)
class ToolCallPart:
    """A call the model made. `input` is a JSON object as text; `{}` while or when it is not valid JSON."""

    tool_call_id: str
    name: str
    input: str = ""
    finished: bool = False
    provider_executed: bool = False


@dataclass(slots=True)
class ToolResultPart:
    """What a tool answered. `data` is raw bytes of a media result; `metadata` is for user interfaces only."""

    tool_call_id: str
    name: str
    content: str
    is_error: bool = False
    data: bytes | None = None
    mime_type: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class ShellPart:
    """A command the user ran in the session, with its output."""

    command: str
    output: str
    exit_code: int


@dataclass(slots=True)
class FinishPart:
    """How the message ended. `message` is a short title, `details` the long text."""

    reason: FinishReason
    message: str = ""
    details: str = ""
    time_ms: int = 0


Part = TextPart | ReasoningPart | AttachmentPart | ToolCallPart | ToolResultPart | ShellPart | FinishPart

_TYPES: dict[str, type] = {
    "text": TextPart,
    "reasoning": ReasoningPart,
    "attachment": AttachmentPart,
    "tool_call": ToolCallPart,
    "tool_result": ToolResultPart,
    "shell_command": ShellPart,
    "finish": FinishPart,
}
_NAMES = {cls: name for name, cls in _TYPES.items()}


@dataclass(slots=True)
class Message:
    """One message of a session. Times are milliseconds since the epoch; ids are ULIDs and sort in order of creation."""

    message_id: str
    session_id: str
    role: Role
    parts: list[Part] = field(default_factory=list)
    model: str | None = None
    provider: str | None = None
    is_summary: bool = False
    created_at_ms: int = 0
    updated_at_ms: int = 0
    run_key: str | None = None
    """The run that made it (internal key, see `domain.run`)."""

    @property
    def text(self) -> str:
        """The text parts joined."""
        return "".join([part.text for part in self.parts if isinstance(part, TextPart)])

    @property
    def reasoning(self) -> str:
        """The reasoning parts joined."""
        return "".join([part.text for part in self.parts if isinstance(part, ReasoningPart)])

    @property
    def tool_calls(self) -> list[ToolCallPart]:
        """The calls, in the order the model made them."""
        return [part for part in self.parts if isinstance(part, ToolCallPart)]

    @property
    def tool_results(self) -> list[ToolResultPart]:
        """The results a tool message carries."""
        return [part for part in self.parts if isinstance(part, ToolResultPart)]

    @property
    def finish(self) -> FinishPart | None:
        """How it ended; None while it is being written."""
        for part in reversed(self.parts):
            if isinstance(part, FinishPart):
                return part
        return None

    def set_finish(self, finish: FinishPart) -> None:
        """Put `finish` in place of an earlier one, or at the end."""
        self.parts = [part for part in self.parts if not isinstance(part, FinishPart)]
        self.parts.append(finish)

    def copy(self) -> "Message":
        """An independent copy."""
        return Message(
            self.message_id,
            self.session_id,
            self.role,
            [_copied(part) for part in self.parts],
            self.model,
            self.provider,
            self.is_summary,
            self.created_at_ms,
            self.updated_at_ms,
            self.run_key,
        )


def _copied(part: Part) -> Part:
    """A streaming message is copied thirty times a second: only values that can change are worth `deepcopy`."""
    match part:
        case TextPart():
            return TextPart(part.text)
        case ToolCallPart():
            return ToolCallPart(part.tool_call_id, part.name, part.input, part.finished, part.provider_executed)
        case ReasoningPart(provider_data=data) if not data:
            return ReasoningPart(part.text, {}, part.started_at_ms, part.finished_at_ms)
        case FinishPart():
            return FinishPart(part.reason, part.message, part.details, part.time_ms)
        case _:
            return copy.deepcopy(part)


def part_to_json(part: Part) -> dict[str, Any]:
    """`{"type": …, "data": {…}}`; bytes become base64 text; fields at their default, and `held`, are left out."""
    data: dict[str, Any] = {}
    for name in part.__dataclass_fields__:
        value = getattr(part, name)
        if value is None or value == {} or name == "held":
            continue
        data[name] = base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value
    return {"type": _NAMES[type(part)], "data": data}


def part_from_json(value: dict[str, Any]) -> Part:
    """The inverse of `part_to_json`.

    Raises: ValueError for an unknown type or fields that do not fit.
    """
    cls = _TYPES.get(value.get("type", ""))
    if cls is None:
        raise ValueError(f"unknown message part {value.get('type')!r}")
    data = dict(value.get("data") or {})
    try:
        if isinstance(data.get("data"), str):
            data["data"] = base64.b64decode(data["data"], validate=True)
        if cls is FinishPart:
            data["reason"] = FinishReason(data["reason"])
        part: Part = cls(**data)
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"message part {value['type']!r} does not fit its type") from error
    return part
