"""Permissions and questions (PROTOCOL 5). An outcome nobody here knows is never an approval."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from lsp_agent.protocol.base import Identifier, JsonObject, Short, Text, Timestamp, Wire, known, open_enum


class PermissionOption(Wire):
    """One answer the user may choose; `name` is shown verbatim."""

    option_id: str
    kind: Annotated[str, open_enum("allow_once", "allow_session", "allow_always", "reject_once", "reject_always")]
    name: str
    pattern: str | None = None
    scope: str | None = None


class PermissionRecord(Wire):
    """A decision that waits. `subject` by `type`: command, edit, tool, url, path."""

    request_id: str
    session_id: str
    run_id: str | None
    tool_call_id: str
    tool: str
    title: str
    description: str | None = None
    subject: JsonObject
    options: list[PermissionOption]
    created_at: Timestamp


class QuestionRecord(Wire):
    """A question of the model. `content` of the answer fits `schema`, a flat JSON Schema object, where there is one."""

    request_id: str
    session_id: str
    run_id: str | None
    tool_call_id: str | None = None
    message: str
    description: str | None = None
    options: list[JsonObject] | None = None
    questions: list[JsonObject] | None = None
    """`{key, type, text, description?, choices?: [{id, label, description}]}`; absent for a form of a schema alone."""
    answer_schema: Annotated[JsonObject | None, Field(alias="schema")] = None
    created_at: Timestamp


class PermissionOutcome(Wire):
    """What the user chose. An unknown `type` reads as `cancelled`."""

    type: Annotated[
        str, AfterValidator(known("selected", "cancelled", otherwise="cancelled")), open_enum("selected", "cancelled")
    ]
    option_id: Annotated[Identifier | None, Field(validate_default=True)] = None
    message: Text | None = None

    @field_validator("option_id")
    @classmethod
    def _selects_something(cls, option_id: str | None, info: ValidationInfo) -> str | None:
        if option_id is None and info.data.get("type") == "selected":
            raise ValueError("is required")
        return option_id


class PermissionRespondParams(Wire):
    """`agent/permission/respond`."""

    request_id: Identifier
    outcome: PermissionOutcome


class RespondResult(Wire):
    """Whether this answer was the first; else who answered and what."""

    accepted: bool
    resolved_by: str | None = None
    outcome: Any = None


class QuestionRespondParams(Wire):
    """`agent/question/respond`. An unknown `action` reads as `cancel`."""

    request_id: Identifier
    action: Annotated[
        str,
        AfterValidator(known("accept", "decline", "cancel", otherwise="cancel")),
        open_enum("accept", "decline", "cancel"),
    ]
    content: Any = None


class PermissionAnswer(Wire):
    """The `outcome` a `permission_resolved` tells."""

    type: str
    option_id: Short | None = None
    message: str | None = None
