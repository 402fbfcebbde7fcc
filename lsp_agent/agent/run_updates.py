"""The JSON of what the conductor itself announces: queue, state, terminal events, prompts that never ran. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from lsp_agent.agent.actions import QueueItem
from lsp_agent.domain.message import AttachmentPart, FinishPart
from lsp_agent.domain.run import Outcome, Run

PREVIEW_CHARS = 80
WHOLE_CHARS = 1_000_000
"""Of prompts in one answer to `agent/queue`; items behind it have their preview alone."""
ANNOUNCED_ITEMS = 100
"""A `queue_update` carries at most this many items, so that a full queue does not cost megabytes an update."""


def queue_items(items: Sequence[QueueItem]) -> list[dict[str, Any]]:
    """Items of `agent/queue` and `queue_update` (PROTOCOL 3)."""
    return [
        {
            "runId": item.run.run_id,
            "messageId": item.run.message_id,
            "position": item.position,
            "preview": preview(item.run.prompt),
            "kind": item.kind,
            "acceptedAt": timestamp(item.run.accepted_at_ms),
        }
        for item in items
    ]


def whole_queue_items(items: Sequence[QueueItem], named: str | None) -> list[dict[str, Any]]:
    """The same with whole prompts, to be edited: that of the item `named`, the others as far as there is room."""
    shown, room = queue_items(items), WHOLE_CHARS
    for item, entry in zip(items, shown, strict=True):
        prompt, is_named = item.run.prompt, named is not None and named in (item.run.run_id, item.run.message_id)
        if is_named or len(prompt) <= room:
            entry["prompt"] = prompt
            room -= 0 if is_named else len(prompt)
    return shown


def queue_update(revision: int, items: Sequence[QueueItem]) -> dict[str, Any]:
    """`queue_update`; `count` tells the whole length when the list is cut."""
    shown = queue_items(items[:ANNOUNCED_ITEMS])
    return {"sessionUpdate": "queue_update", "revision": revision, "count": len(items), "items": shown}


def idle() -> dict[str, Any]:
    """`state_update` at the end of the last run."""
    return {"sessionUpdate": "state_update", "state": "idle"}


def user_message(message_id: str, prompt: str, attachments: Sequence[AttachmentPart]) -> dict[str, Any]:
    """`user_message` of a prompt that enters the conversation."""
    return {
        "sessionUpdate": "user_message",
        "messageId": message_id,
        "content": [{"type": "text", "text": prompt}],
        "attachments": [attachment_json(part) for part in attachments],
    }


def finished_message(
    message_id: str, text: str, finish: FinishPart, *, model: str | None = None, provider: str | None = None
) -> dict[str, Any]:
    """`agent_message` of a message that was ended from outside the turn."""
    return {
        "sessionUpdate": "agent_message",
        "messageId": message_id,
        "content": [{"type": "text", "text": text}] if text else [],
        "finish": {"reason": finish.reason.value, "message": finish.message, "details": finish.details},
        "model": model,
        "provider": provider,
    }


def run_complete(run: Run, outcome: Outcome, seq: int) -> dict[str, Any]:
    """Params of `agent/runComplete` (PROTOCOL 9)."""
    error = None if outcome.cancelled else outcome.error
    usage = outcome.usage
    return {
        "sessionId": run.session_id,
        "runId": run.run_id,
        "seq": seq,
        "messageId": outcome.message_id,
        "text": outcome.text,
        "stopReason": outcome.stop_reason.value,
        "cancelled": outcome.cancelled,
        "error": error
        and {"kind": error.kind, "title": error.title, "message": error.message, "retryable": error.retryable},
        "usage": {
            "input": usage.input,
            "output": usage.output,
            "cacheRead": usage.cache_read,
            "cacheWrite": usage.cache_write,
            "costUsd": usage.cost_usd,
            "estimated": usage.estimated,
        },
        "changes": {
            "files": outcome.changes.files,
            "added": outcome.changes.added,
            "removed": outcome.changes.removed,
        },
        "steps": outcome.steps,
        "durationMs": outcome.duration_ms,
    }


def preview(prompt: str) -> str:
    """The beginning of a prompt on one line."""
    line = " ".join(prompt[: PREVIEW_CHARS * 4].split())
    return line if len(line) <= PREVIEW_CHARS else line[: PREVIEW_CHARS - 1] + "…"


def timestamp(ms: int) -> str:
    """RFC 3339 UTC with milliseconds."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def attachment_json(part: AttachmentPart) -> dict[str, Any]:
    """What clients are told of an attachment; the text itself stays in the store."""
    shown = {
        "type": part.kind,
        "mimeType": part.mime_type,
        "uri": part.uri,
        "path": part.path,
        "name": part.name,
        "startLine": part.start_line,
        "endLine": part.end_line,
        "version": part.version,
    }
    return {key: value for key, value in shown.items() if value is not None}
