"""Domain objects as wire dicts, and a session as text. Pure, and importable without pydantic.

Fields that are not set are left out. `protocol.sessions` holds the same shapes as types; a test compares the two.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from lsp_agent.domain.message import (
    AttachmentPart,
    FinishPart,
    Message,
    Part,
    ReasoningPart,
    Role,
    ShellPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import Outcome
from lsp_agent.domain.session import Session, Todo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp(milliseconds: int) -> str:
    """RFC 3339 in UTC with milliseconds: `2026-11-22T22:22:59.123Z`. Out of range = the nearest end of the calendar."""
    try:
        moment = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return "9999-12-31T23:59:59.999Z" if milliseconds > 0 else "0001-01-01T00:00:00.000Z"
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def session_info(session: Session, *, is_busy: bool, queued: int, model: str | None) -> dict[str, Any]:
    """`SessionInfo` of PROTOCOL 4. `model` is the `provider/model` a run would use; None = not known."""
    info: dict[str, Any] = {
        "sessionId": session.session_id,
        "title": session.title,
        "createdAt": timestamp(session.created_at_ms),
        "updatedAt": timestamp(session.updated_at_ms),
        "messageCount": session.message_count,
        "promptTokens": session.prompt_tokens,
        "completionTokens": session.completion_tokens,
        "costUsd": session.cost_usd,
        "estimatedUsage": session.estimated_usage,
        "todos": todos(session.todos),
        "isBusy": is_busy,
        "queued": queued,
        "model": model,
        "seq": session.seq,
    }
    if session.parent_session_id is not None:
        info["parentSessionId"] = session.parent_session_id
    if session.root is not None:
        info["root"] = session.root
    return info


def todos(entries: Sequence[Todo]) -> list[dict[str, str]]:
    """The plan, as in `SessionInfo.todos` and `plan_update.entries`."""
    return [{"content": item.content, "status": item.status, "activeForm": item.active_form} for item in entries]


def message(value: Message) -> dict[str, Any]:
    """`Message` of PROTOCOL 4. Provider data of reasoning stays here."""
    wire: dict[str, Any] = {
        "messageId": value.message_id,
        "sessionId": value.session_id,
        "role": value.role.value,
        "parts": [shown for item in value.parts if (shown := part(item)) is not None],
        "isSummary": value.is_summary,
        "createdAt": timestamp(value.created_at_ms),
    }
    if value.model is not None:
        wire["model"] = value.model
    if value.provider is not None:
        wire["provider"] = value.provider
    if value.finish is not None:
        wire["finish"] = finish(value.finish)
    return wire


def finish(value: FinishPart) -> dict[str, str]:
    """How a message ended."""
    wire = {"reason": value.reason.value, "message": value.message, "details": value.details}
    return {key: text for key, text in wire.items() if text}


def part(value: Part) -> dict[str, Any] | None:
    """One part; None for a finish, which the wire shows beside the parts."""
    match value:
        case TextPart(text):
            return {"type": "text", "text": text}
        case ReasoningPart(text):
            return {"type": "reasoning", "text": text}
        case AttachmentPart():
            return {"type": "attachment", **attachment(value)}
        case ToolCallPart():
            return {
                "type": "tool_call",
                "toolCallId": value.tool_call_id,
                "name": value.name,
                "input": value.input,
                "finished": value.finished,
            }
        case ToolResultPart():
            return _tool_result(value)
        case ShellPart(command, output, exit_code):
            return {"type": "shell", "command": command, "output": output, "exitCode": exit_code}
        case FinishPart():
            return None


def attachment(value: AttachmentPart) -> dict[str, Any]:
    """An attachment with its place, as in a message and in `user_message.attachments`."""
    wire = {
        "kind": value.kind,
        "mimeType": value.mime_type,
        "uri": value.uri,
        "path": value.path,
        "name": value.name,
        "startLine": value.start_line,
        "endLine": value.end_line,
        "version": value.version,
        "text": value.text,
        "data": _base64(value.data),
    }
    return {key: item for key, item in wire.items() if item is not None}


def model_entry(value: Model) -> dict[str, Any]:
    """One entry of `agent/models/list`."""
    return {
        "id": value.ref,
        "name": value.name or value.model_id,
        "provider": value.provider_id,
        "contextWindow": value.context_window,
        "maxOutputTokens": value.max_output_tokens,
        "canReason": value.can_reason,
        "reasoningEfforts": list(value.reasoning_efforts),
        "supportsImages": value.supports_images,
        "inputUsdPerMtok": value.input_usd_per_mtok,
        "outputUsdPerMtok": value.output_usd_per_mtok,
        **({"notes": value.options["notes"]} if value.options.get("notes") else {}),
    }


def run_complete(session_id: str, run_id: str | None, seq: int, outcome: Outcome) -> dict[str, Any]:
    """The params of `agent/runComplete` (PROTOCOL 9)."""
    error = outcome.error
    return {
        "sessionId": session_id,
        "runId": run_id,
        "seq": seq,
        "messageId": outcome.message_id,
        "text": outcome.text,
        "stopReason": outcome.stop_reason.value,
        "cancelled": outcome.cancelled,
        "error": None
        if error is None or outcome.cancelled
        else {"kind": error.kind, "title": error.title, "message": error.message, "retryable": error.retryable},
        "usage": {
            "input": outcome.usage.input,
            "output": outcome.usage.output,
            "cacheRead": outcome.usage.cache_read,
            "cacheWrite": outcome.usage.cache_write,
            "costUsd": outcome.usage.cost_usd,
            "estimated": outcome.usage.estimated,
        },
        "changes": {
            "files": outcome.changes.files,
            "added": outcome.changes.added,
            "removed": outcome.changes.removed,
        },
        "steps": outcome.steps,
        "durationMs": outcome.duration_ms,
    }


def as_json(info: Mapping[str, Any], messages: Sequence[Message]) -> str:
    """A session as one JSON text: `{"session": SessionInfo, "messages": [Message]}`."""
    document = {"session": info, "messages": [message(item) for item in messages]}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def as_markdown(info: Mapping[str, Any], messages: Sequence[Message]) -> str:
    """A session as a text for people: a heading a speaker, tool calls and results fenced, thinking quoted."""
    blocks = [f"# {info['title']}"]
    for item in messages:
        body = [shown for value in item.parts if (shown := _markdown(value))]
        if not body:
            continue
        if item.role is not Role.TOOL:
            blocks.append("## Summary" if item.is_summary else _HEADINGS[item.role])
        blocks.extend(body)
    return "\n\n".join(blocks) + "\n"


_HEADINGS = {Role.USER: "## You", Role.ASSISTANT: "## Agent", Role.SYSTEM: "## System"}


def _markdown(value: Part) -> str:
    match value:
        case TextPart(text):
            return text.strip()
        case ReasoningPart(text):
            return "\n".join([f"> {line}".rstrip() for line in text.strip().splitlines()])
        case AttachmentPart():
            return f"*Attached: {_place(value)}*"
        case ToolCallPart(_, name, text):
            return f"**{name}**\n\n{_fenced(text, 'json')}"
        case ToolResultPart(content=text, is_error=is_error):
            return f"{'Error' if is_error else 'Result'}\n\n{_fenced(text)}" if text else ""
        case ShellPart(command, output, exit_code):
            return _fenced(f"$ {command}\n{output.rstrip()}\n[exit code {exit_code}]", "console")
        case FinishPart(message=title, details=details):
            return f"*{title}{': ' if title and details else ''}{details}*" if title or details else ""


def _place(value: AttachmentPart) -> str:
    name = value.path or value.name or value.uri or value.kind
    if value.start_line is None:
        return name
    last = value.end_line if value.end_line is not None else value.start_line
    return f"{name}, lines {value.start_line + 1}–{last + 1}"


def _fenced(text: str, language: str = "") -> str:
    """In a fence longer than any in the text."""
    longest, current = 2, 0
    for character in text:
        current = current + 1 if character == "`" else 0
        longest = max(longest, current)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _tool_result(value: ToolResultPart) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "type": "tool_result",
        "toolCallId": value.tool_call_id,
        "name": value.name,
        "content": value.content,
        "isError": value.is_error,
    }
    if value.metadata:
        wire["metadata"] = value.metadata
    if value.mime_type is not None:
        wire["mimeType"] = value.mime_type
    if value.data is not None:
        wire["data"] = _base64(value.data)
    return wire


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode("ascii")
