"""What a hook's command said, by its exit code and its output, and what all of one event said together. Pure.

Exit codes: 0 with JSON, or plain text; 2 forbids; 49 ends the turn; any other one, and a command that was not in time,
has no opinion (CORE 25). The JSON may speak our words or Claude Code's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from lsp_agent.hooks.config import Hook
from lsp_agent.ports.hooks import HookResult
from lsp_agent.untrusted import clean

DENY_CODE = 2
HALT_CODE = 49
NO_REASON = "it gave no reason"
_DECISIONS = {"allow": "allow", "approve": "allow", "deny": "deny", "block": "deny", "ask": "ask"}
_STRENGTH = ("", "allow", "ask", "deny")
_PLAIN_TEXT_IS_CONTEXT = frozenset({"UserPromptSubmit", "SessionStart"})
_MAX_MESSAGE_CHARS = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What one hook said."""

    decision: str = ""
    """`allow`, `ask`, `deny` or empty."""
    halt: bool = False
    reason: str = ""
    context: str = ""
    patch: Mapping[str, Any] | None = None
    """Arguments to replace."""
    message: str = ""
    """For the user."""
    error: str = ""
    """Why it had no opinion, when something went wrong."""


def read_answer(event: str, exit_code: int, stdout: str, stderr: str) -> Answer:
    """The meaning of a command that has ended by itself."""
    if exit_code in (DENY_CODE, HALT_CODE):
        reason = clean(stderr).strip() or NO_REASON
        return Answer("deny", exit_code == HALT_CODE, reason)
    if exit_code != 0:
        detail = clean(stderr).strip()[:200]
        return Answer(error=f"it ended with exit code {exit_code}{f': {detail}' if detail else ''}")
    text = stdout.strip()
    if text.startswith("{"):
        try:
            said = orjson.loads(text)
        except orjson.JSONDecodeError:
            said = None
        if isinstance(said, dict):
            return _read_json(said)
    if event in _PLAIN_TEXT_IS_CONTEXT:
        return Answer(context=clean(text))
    return Answer()


def combined(event: str, said: Sequence[tuple[Hook, Answer, int]], tool_input: Mapping[str, Any] | None) -> HookResult:
    """One result of all answers, which come in the order of the configuration, each with its milliseconds."""
    answers = [answer for _, answer, _ in said]
    decision = max((answer.decision for answer in answers), key=_STRENGTH.index, default="")
    halt = any(answer.halt for answer in answers)
    if halt:
        decision = "deny"
    patched = dict(tool_input) if tool_input is not None else None
    for answer in answers:
        if patched is not None and answer.patch:
            patched.update(answer.patch)
    rewritten = decision != "deny" and patched is not None and patched != tool_input
    reason = "\n".join([one.reason for one in answers if one.reason and (one.halt or one.decision == decision)])
    metadata: dict[str, Any] = {
        "event": event,
        "count": len(said),
        "decision": decision,
        "halt": halt,
        "reason": reason,
        "input_rewrite": rewritten,
        "hooks": [_described(hook, answer, duration_ms) for hook, answer, duration_ms in said],
    }
    messages = [answer.message for answer in answers if answer.message]
    if messages:
        metadata["messages"] = messages
    return HookResult(
        decision=decision,
        halt=halt,
        reason=reason if decision in ("deny", "ask") else "",
        context="\n".join([answer.context for answer in answers if answer.context]),
        input=patched if rewritten else None,
        metadata=metadata,
    )


def _read_json(said: Mapping[str, Any]) -> Answer:
    special = said.get("hookSpecificOutput")
    special = special if isinstance(special, Mapping) else {}
    decisions = [_decision(said.get("decision")), _decision(special.get("permissionDecision"))]
    decision = max(decisions, key=_STRENGTH.index)
    stopped = said.get("continue") is False
    halt = said.get("halt") is True or stopped
    reason = (
        _text(special.get("permissionDecisionReason"))
        or _text(said.get("reason"))
        or (_text(said.get("stopReason")) if stopped else "")
    )
    if (halt or decision == "deny") and not reason:
        reason = NO_REASON
    contexts = [_joined(said.get("context")), _joined(said.get("additionalContext"))]
    contexts.append(_joined(special.get("additionalContext")))
    return Answer(
        decision="deny" if halt else decision,
        halt=halt,
        reason=reason,
        context="\n".join([text for text in contexts if text]),
        patch=_patch(said.get("updated_input", special.get("updatedInput", said.get("updatedInput")))),
        message=_text(said.get("systemMessage"))[:_MAX_MESSAGE_CHARS],
    )


def _decision(value: Any) -> str:
    return _DECISIONS.get(value.strip().casefold(), "") if isinstance(value, str) else ""


def _text(value: Any) -> str:
    return clean(value).strip() if isinstance(value, str) else ""


def _joined(value: Any) -> str:
    """Text, or a list of texts, one a line without the empty ones; anything else is nothing."""
    if isinstance(value, list):
        return "\n".join([text for text in map(_text, value) if text])
    return _text(value)


def _patch(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
    return value if isinstance(value, dict) else None


def _described(hook: Hook, answer: Answer, duration_ms: int) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": hook.label,
        "matcher": hook.matcher,
        "decision": answer.decision,
        "halt": answer.halt,
        "reason": answer.reason,
        "input_rewrite": bool(answer.patch),
        "duration_ms": duration_ms,
    }
    if answer.error:
        fields["error"] = answer.error
    return fields
