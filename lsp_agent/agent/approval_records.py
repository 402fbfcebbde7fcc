"""A permission question as data: the record clients are shown, its options, and what an answer means. Pure.

Knows neither policy nor waiting; see `approvals` for both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lsp_agent.domain.run import Run
from lsp_agent.ports.approver import PermissionAsk

ALLOWING = frozenset({"allow_once", "allow_session", "allow_always"})
KINDS = ("allow_once", "allow_session", "allow_always", "reject_once", "reject_always")


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody chose: an option kind, or `cancelled` when they closed the question without choosing."""

    choice: str
    message: str | None = None

    @property
    def allows(self) -> bool:
        """Only the three kinds of allowing do; anything unknown does not."""
        return self.choice in ALLOWING


@dataclass(frozen=True, slots=True)
class GrantKey:
    """What a grant covers. `session_id` None = every session; `root` None = no root."""

    session_id: str | None
    root: str | None
    tool: str
    pattern: str


def permission_record(
    request_id: str, run: Run, tool_call_id: str, ask: PermissionAsk, *, grantable: bool, now_ms: int
) -> dict[str, Any]:
    """The record of PROTOCOL 5."""
    record: dict[str, Any] = {
        "requestId": request_id,
        "sessionId": run.session_id,
        "runId": run.run_id,
        "toolCallId": tool_call_id,
        "tool": ask.tool,
        "title": ask.title,
        "subject": dict(ask.subject),
        "options": options(ask, grantable=grantable),
        "createdAt": timestamp(now_ms),
    }
    if ask.description:
        record["description"] = ask.description
    return record


def options(ask: PermissionAsk, *, grantable: bool) -> list[dict[str, Any]]:
    """The answers offered. Without a pattern, with one that cannot be shown as it is, or when this must be asked every
    time, only the two that count once."""
    once = [_option("allow_once", "Allow once"), _option("reject_once", "Reject")]
    if not grantable or not ask.pattern or not ask.pattern.isprintable():
        return once
    what = f"{_verb(ask)} {ask.pattern}"
    more = {"pattern": ask.pattern}
    return [
        once[0],
        _option("allow_session", f"Allow {what} in this session", **more, scope="session"),
        _option("allow_always", f"Always allow {what}", **more, scope="always"),
        once[1],
        _option("reject_always", f"Never allow {what}", **more, scope="always"),
    ]


def parse_outcome(outcome: object, record: Mapping[str, Any]) -> Answer | None:
    """The answer in a client's `outcome`; None when it is not one this record offers, which is never approval."""
    if not isinstance(outcome, Mapping):
        return None
    if outcome.get("type") == "cancelled":
        return Answer("cancelled")
    chosen = outcome.get("optionId")
    offered = [option["optionId"] for option in record["options"]]
    if outcome.get("type") != "selected" or not isinstance(chosen, str) or chosen not in offered:
        return None
    message = outcome.get("message")
    return Answer(chosen, message if isinstance(message, str) and message.strip() else None)


def grant_tool(ask: PermissionAsk) -> str:
    """The tool a grant is for. Whatever edits files is one: the user allowed edits to a file, not a tool's name."""
    return "edit" if ask.action == "write" else ask.tool


def timestamp(now_ms: int) -> str:
    """RFC 3339 UTC with milliseconds."""
    moment = datetime.fromtimestamp(now_ms / 1000, tz=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now_ms % 1000:03d}Z"


def _verb(ask: PermissionAsk) -> str:
    verbs = {"write": "edits to", "read": "reading", "list": "listing", "execute": "running"}
    return verbs.get(ask.action, f"{ask.tool} for")


def _option(kind: str, name: str, **more: str) -> dict[str, Any]:
    return {"optionId": kind, "kind": kind, "name": name, **more}
