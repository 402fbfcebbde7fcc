"""An answer in OpenAI's Responses dialect, event by event. Pure.

Sample: `{"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"delta":"Hi"}`. Source: "Streaming API
responses".
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lsp_agent.domain.message import FinishReason
from lsp_agent.domain.stream import (
    Finished,
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

_INCOMPLETE = {
    "max_output_tokens": FinishReason.MAX_TOKENS,
    "max_messages": FinishReason.MAX_TOKENS,
    "content_filter": FinishReason.CONTENT_FILTER,
}


@dataclass(slots=True)
class _Call:
    call_id: str
    name: str
    pieces: list[str] = field(default_factory=list)


class ResponsesStream:
    """Folds the events of one answer. `taken_ids`: call ids the conversation already holds."""

    def __init__(self, service: str, taken_ids: Iterable[str] = ()) -> None:
        self.finished = False
        self._service = service
        self._ids = CallIds(taken_ids)
        self._calls: dict[Any, _Call] = {}
        self._called = False
        self._reasoning_open: set[Any] = set()
        self._refusal: list[str] = []

    def feed(self, name: str, value: dict[str, Any], out: list[StreamEvent]) -> None:
        kind = value.get("type") or name
        if kind == "response.output_text.delta":
            if text := value.get("delta"):
                out.append(TextDelta(text))
        elif kind == "response.function_call_arguments.delta":
            self._arguments(value, out)
        elif kind in {"response.reasoning_summary_text.delta", "response.reasoning_text.delta"}:
            if text := value.get("delta"):
                self._reasoning_open.add(value.get("output_index"))
                out.append(ReasoningDelta(text))
        elif kind == "response.reasoning_summary_part.added":
            if value.get("output_index") in self._reasoning_open:
                out.append(ReasoningDelta("\n\n"))
        elif kind == "response.output_item.added":
            self._added(value, out)
        elif kind == "response.output_item.done":
            self._done(value, out)
        elif kind == "response.refusal.delta":
            if text := value.get("delta"):
                self._refusal.append(text)
                out.append(TextDelta(text))
        elif kind in {"response.completed", "response.incomplete", "response.failed", "response.done"}:
            self._terminal(value.get("response"), out)
        elif kind == "error":
            raise event_error(self._service, value.get("error") or value)

    def end(self, out: list[StreamEvent], *, said_done: bool) -> None:
        # this dialect always says how it ended; anything else is a broken stream
        if not self.finished:
            raise broken_stream(self._service)

    def _arguments(self, value: dict[str, Any], out: list[StreamEvent]) -> None:
        call = self._calls.get(value.get("output_index"))
        if call is None:
            raise broken_stream(self._service, "it sent tool input without a tool call")
        if piece := value.get("delta"):
            call.pieces.append(piece)
            out.append(ToolCallDelta(call.call_id, piece))

    def _added(self, value: dict[str, Any], out: list[StreamEvent]) -> None:
        item, index = value.get("item"), value.get("output_index")
        if isinstance(item, dict) and item.get("type") == "function_call" and index not in self._calls:
            call = _Call(self._ids.claim(item.get("call_id") or item.get("id")), str(item.get("name") or ""))
            self._calls[index] = call
            self._called = True
            out.append(ToolCallStart(call.call_id, call.name))

    def _done(self, value: dict[str, Any], out: list[StreamEvent]) -> None:
        item, index = value.get("item"), value.get("output_index")
        if not isinstance(item, dict):
            return
        if item.get("type") == "reasoning":
            self._reasoning_open.discard(index)
            out.append(ReasoningEnd({"openai": item}))
        elif item.get("type") == "function_call":
            # some servers announce a call only when it is whole
            self._added(value, out)
            call = self._calls.pop(index)
            whole = item.get("arguments")
            whole = whole if isinstance(whole, str) else ""
            out.append(ToolCallEnd(call.call_id, call.name, whole or "".join(call.pieces) or "{}"))

    def _terminal(self, response: object, out: list[StreamEvent]) -> None:
        response = response if isinstance(response, dict) else {}
        usage = response.get("usage")
        if isinstance(usage, dict):
            out.append(UsageReport(_usage(usage)))
        status = response.get("status")
        if status == "failed" or response.get("error"):
            raise event_error(self._service, response.get("error") or {"message": "the answer failed"})
        if status == "cancelled":
            raise broken_stream(self._service, "it cancelled the answer")
        calls = self._calls.values()
        out.extend([ToolCallEnd(call.call_id, call.name, "".join(call.pieces) or "{}") for call in calls])
        self._calls.clear()
        self.finished = True
        out.append(self._finish(status, response.get("incomplete_details")))

    def _finish(self, status: object, details: object) -> Finished:
        if status == "incomplete":
            why = details.get("reason") if isinstance(details, dict) else None
            reason = _INCOMPLETE.get(str(why), FinishReason.UNKNOWN)
            refusal = "The service's content filter stopped the answer." if why == "content_filter" else ""
            return Finished(reason, refusal)
        if self._refusal:
            return Finished(FinishReason.CONTENT_FILTER, "".join(self._refusal))
        return Finished(FinishReason.TOOL_USE if self._called else FinishReason.END_TURN)


def _usage(usage: dict[str, Any]) -> Usage:
    """OpenAI counts cached tokens inside `input_tokens`; ours are apart."""
    before, after = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    cached = count(before.get("cached_tokens")) if isinstance(before, dict) else 0
    written = count(before.get("cache_write_tokens")) if isinstance(before, dict) else 0
    return Usage(
        input=max(count(usage.get("input_tokens")) - cached - written, 0),
        output=count(usage.get("output_tokens")),
        cache_read=cached,
        cache_write=written,
        reasoning=count(after.get("reasoning_tokens")) if isinstance(after, dict) else 0,
    )
