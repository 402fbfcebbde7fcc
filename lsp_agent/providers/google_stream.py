"""An answer in Gemini's dialect, chunk by chunk. Pure.

Sample: `{"candidates":[{"content":{"role":"model","parts":[{"text":"Hi"}]},"finishReason":"STOP"}],
"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":1}}`. A function call comes whole, in one part. Source:
"Generating content", "Thought signatures".
"""

from collections.abc import Iterable
from typing import Any

import orjson

from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.message import FinishReason
from lsp_agent.domain.stream import (
    Finished,
    ProviderWarning,
    ReasoningDelta,
    ReasoningEnd,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from lsp_agent.domain.usage import Usage
from lsp_agent.providers.content import CallIds, count
from lsp_agent.providers.errors import broken_stream, event_error

_FINISH = {"STOP": FinishReason.END_TURN, "MAX_TOKENS": FinishReason.MAX_TOKENS}
_FILTERED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "MODEL_ARMOR",
    }
)
_GARBLED = frozenset({"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE"})
"""The model wrote a call that the service could not read: nothing of it arrives, asking again usually helps."""


class GoogleStream:
    """Folds the chunks of one answer. `taken_ids`: call ids the conversation already holds."""

    def __init__(self, service: str, taken_ids: Iterable[str] = ()) -> None:
        self.finished = False
        self._service = service
        self._ids = CallIds(taken_ids)
        self._reason = ""
        self._why = ""
        self._usage: dict[str, Any] = {}
        self._thinking = False
        self._called = False
        self._blocked = ""

    def feed(self, name: str, value: dict[str, Any], out: list[StreamEvent]) -> None:
        if value.get("error"):
            raise event_error(self._service, value["error"])
        self._add_usage(value.get("usageMetadata"), out)
        feedback = value.get("promptFeedback")
        if isinstance(feedback, dict) and feedback.get("blockReason"):
            self._blocked = str(
                feedback.get("blockReasonMessage") or f"The prompt was blocked: {feedback['blockReason']}."
            )
        candidates = value.get("candidates")
        candidate = candidates[0] if isinstance(candidates, list) and candidates else None
        if not isinstance(candidate, dict):
            return
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                self._part(part, out)
        if candidate.get("finishReason"):
            self._reason = str(candidate["finishReason"])
            self._why = str(candidate.get("finishMessage") or "")

    def end(self, out: list[StreamEvent], *, said_done: bool) -> None:
        """The bytes ended. The dialect has no last event: a finish reason must have been among the chunks."""
        if self.finished:
            return
        if not self._reason and not self._blocked:
            raise broken_stream(self._service)
        if self._reason in _GARBLED:
            message = f"{self._service}: the model made a tool call that cannot be read ({self._reason.lower()})."
            raise ProviderError("Provider", "Malformed tool call", message, retryable=True)
        self._close_thinking(out)
        self.finished = True
        out.append(self._finish())

    def _finish(self) -> Finished:
        if self._blocked:
            return Finished(FinishReason.CONTENT_FILTER, self._blocked)
        if self._reason in _FILTERED:
            said = self._why or f"The service's content filter stopped the answer ({self._reason.lower()})."
            return Finished(FinishReason.CONTENT_FILTER, said)
        reason = _FINISH.get(self._reason, FinishReason.UNKNOWN)
        if self._called and reason is FinishReason.END_TURN:
            reason = FinishReason.TOOL_USE
        return Finished(reason)

    def _part(self, part: dict[str, Any], out: list[StreamEvent]) -> None:
        signature = part.get("thoughtSignature")
        signature = signature if isinstance(signature, str) and signature else None
        text, call = part.get("text"), part.get("functionCall")
        if isinstance(call, dict):
            self._close_thinking(out)
            self._call(call, signature, out)
            return
        if part.get("thought") is True:
            if isinstance(text, str) and text:
                self._thinking = True
                out.append(ReasoningDelta(text))
            if signature is not None:
                self._thinking = False
                out.append(ReasoningEnd({"google": {"thought": True, "thought_signature": signature}}))
            return
        if isinstance(text, str) and text:
            self._close_thinking(out)
            out.append(TextDelta(text))
        if signature is not None:
            self._close_thinking(out)
            out.append(ReasoningEnd({"google": {"thought_signature": signature}}))
        if "inlineData" in part:
            out.append(ProviderWarning("The model answered with media, which is not shown."))

    def _call(self, call: dict[str, Any], signature: str | None, out: list[StreamEvent]) -> None:
        call_id, name = self._ids.claim(call.get("id")), str(call.get("name") or "")
        arguments = call.get("args")
        text = orjson.dumps(arguments if isinstance(arguments, dict) else {}).decode()
        self._called = True
        if signature is not None:
            out.append(ReasoningEnd({"google": {"tool_call_id": call_id, "thought_signature": signature}}))
        out.append(ToolCallStart(call_id, name))
        out.append(ToolCallDelta(call_id, text))
        out.append(ToolCallEnd(call_id, name, text))

    def _close_thinking(self, out: list[StreamEvent]) -> None:
        if self._thinking:
            self._thinking = False
            out.append(ReasoningEnd())

    def _add_usage(self, usage: object, out: list[StreamEvent]) -> None:
        """Counts are cumulative; every chunk may repeat them."""
        if not isinstance(usage, dict) or usage == self._usage:
            return
        self._usage = usage
        out.append(UsageReport(_usage(usage)))


def _usage(usage: dict[str, Any]) -> Usage:
    """Cached tokens are counted inside the prompt's, thoughts beside the candidates'; ours are apart and together."""
    cached, thoughts = count(usage.get("cachedContentTokenCount")), count(usage.get("thoughtsTokenCount"))
    prompt = count(usage.get("promptTokenCount")) + count(usage.get("toolUsePromptTokenCount"))
    return Usage(
        input=max(prompt - cached, 0),
        output=count(usage.get("candidatesTokenCount")) + thoughts,
        cache_read=cached,
        reasoning=thoughts,
    )
