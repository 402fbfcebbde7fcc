"""An answer in the Chat Completions dialect, chunk by chunk, tolerant of what compatible servers make of it. Pure.

Sample: `{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}`, at the end `[DONE]`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

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
from lsp_agent.providers.content import CallIds, count, money
from lsp_agent.providers.errors import broken_stream, event_error

_FINISH = {
    "stop": FinishReason.END_TURN,
    "end_turn": FinishReason.END_TURN,
    "eos": FinishReason.END_TURN,
    "tool_calls": FinishReason.TOOL_USE,
    "function_call": FinishReason.TOOL_USE,
    "length": FinishReason.MAX_TOKENS,
    "max_tokens": FinishReason.MAX_TOKENS,
    "content_filter": FinishReason.CONTENT_FILTER,
}
_JOINED = ("text", "summary", "data")
"""Fields of a `reasoning_details` entry that arrive in pieces."""


@dataclass(slots=True)
class _Call:
    """One call while it streams. `call_id` is empty until the name is known and the start was announced."""

    raw_id: str = ""
    name: str = ""
    call_id: str = ""
    pieces: list[str] = field(default_factory=list)
    extra: dict[str, Any] | None = None


class ChatStream:
    """Folds the chunks of one answer. `taken_ids`: call ids the conversation already holds."""

    def __init__(self, service: str, taken_ids: Iterable[str] = ()) -> None:
        self.finished = False
        self._service = service
        self._ids = CallIds(taken_ids)
        self._calls: list[_Call] = []
        self._by_index: dict[Any, _Call] = {}
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None
        self._thinking = False
        self._details: list[dict[str, Any]] = []
        self._refusal: list[str] = []
        self._heard = False

    def feed(self, name: str, value: dict[str, Any], out: list[StreamEvent]) -> None:
        if value.get("error") or name == "error":
            raise event_error(self._service, value.get("error") or value)
        usage = value.get("usage")
        if isinstance(usage, dict):
            self._usage = usage
        choices = value.get("choices")
        if not choices:
            return
        choice = choices[0]
        self._heard = True
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            self._delta(delta, out)
        if reason := choice.get("finish_reason"):
            self._finish_reason = reason
            if reason == "error":
                raise event_error(self._service, choice.get("error") or {"code": 502, "message": "the answer failed"})

    def end(self, out: list[StreamEvent], *, said_done: bool) -> None:
        if self.finished:
            return
        # either `[DONE]` or a finish reason may be missing, not both
        if self._finish_reason is None and not (said_done and self._heard):
            raise broken_stream(self._service)
        self._close_thinking(out)
        for call in self._calls:
            self._announce(call, out, even_nameless=True)
            if call.extra:
                out.append(ReasoningEnd({"google": {"tool_call_id": call.call_id, "extra_content": call.extra}}))
            out.append(ToolCallEnd(call.call_id, call.name, "".join(call.pieces) or "{}"))
        if self._usage is not None:
            out.append(UsageReport(_usage(self._usage)))
        self.finished = True
        out.append(self._finish())

    def _finish(self) -> Finished:
        if self._refusal:
            return Finished(FinishReason.CONTENT_FILTER, "".join(self._refusal))
        reason = FinishReason.END_TURN
        if self._finish_reason is not None:
            reason = _FINISH.get(self._finish_reason.lower(), FinishReason.UNKNOWN)
        if self._calls and reason in {FinishReason.END_TURN, FinishReason.UNKNOWN}:
            # many servers say "stop" although they called
            reason = FinishReason.TOOL_USE
        filtered = reason is FinishReason.CONTENT_FILTER
        return Finished(reason, "The service's content filter stopped the answer." if filtered else "")

    def _delta(self, delta: dict[str, Any], out: list[StreamEvent]) -> None:
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thought, str) and thought:
            self._thinking = True
            out.append(ReasoningDelta(thought))
        if details := delta.get("reasoning_details"):
            self._keep_details(details)
        content = delta.get("content")
        if content:
            self._close_thinking(out)
            if isinstance(content, str):
                out.append(TextDelta(content))
            elif isinstance(content, list):
                texts = [part.get("text") for part in content if isinstance(part, dict)]
                out.extend([TextDelta(text) for text in texts if isinstance(text, str) and text])
        if refusal := delta.get("refusal"):
            self._refusal.append(refusal)
            out.append(TextDelta(refusal))
        for position, piece in enumerate(delta.get("tool_calls") or ()):
            if isinstance(piece, dict):
                self._close_thinking(out)
                self._tool_call(piece, position, out)

    def _tool_call(self, piece: dict[str, Any], position: int, out: list[StreamEvent]) -> None:
        function = piece["function"] if isinstance(piece.get("function"), dict) else {}
        raw_id = piece.get("id") if isinstance(piece.get("id"), str) else ""
        call = self._call_for(piece.get("index", position), raw_id or "", bool(function.get("name")))
        call.name = call.name or str(function.get("name") or "")
        if isinstance(piece.get("extra_content"), dict):
            call.extra = piece["extra_content"]
        self._announce(call, out)
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = orjson.dumps(arguments).decode()
        if isinstance(arguments, str) and arguments:
            call.pieces.append(arguments)
            if call.call_id:
                out.append(ToolCallDelta(call.call_id, arguments))

    def _call_for(self, index: object, raw_id: str, named: bool) -> _Call:
        """The call a piece belongs to. Some servers give every call index 0 and tell them apart by id only."""
        call = self._by_index.get(index)
        if call is None or (raw_id and call.raw_id and raw_id != call.raw_id and named):
            call = _Call(raw_id)
            self._calls.append(call)
            self._by_index[index] = call
        call.raw_id = call.raw_id or raw_id
        return call

    def _announce(self, call: _Call, out: list[StreamEvent], *, even_nameless: bool = False) -> None:
        if call.call_id or not (call.name or even_nameless):
            return
        call.call_id = self._ids.claim(call.raw_id)
        out.append(ToolCallStart(call.call_id, call.name))
        out.extend([ToolCallDelta(call.call_id, piece) for piece in call.pieces])

    def _close_thinking(self, out: list[StreamEvent]) -> None:
        if self._thinking or self._details:
            out.append(ReasoningEnd({"openrouter": self._details} if self._details else {}))
            self._thinking = False
            self._details = []

    def _keep_details(self, details: object) -> None:
        """Pieces of one entry (same index and type) are joined; OpenRouter wants whole entries back."""
        for piece in details if isinstance(details, list) else ():
            if not isinstance(piece, dict):
                continue
            last = self._details[-1] if self._details else {}
            same = "index" in piece and (piece.get("index"), piece.get("type")) == (last.get("index"), last.get("type"))
            if not same:
                self._details.append(dict(piece))
                continue
            for key, value in piece.items():
                if key in _JOINED and isinstance(value, str) and isinstance(last.get(key), str):
                    last[key] += value
                elif value is not None:
                    last[key] = value


def _usage(usage: dict[str, Any]) -> Usage:
    """Cached tokens are counted inside `prompt_tokens`; ours are apart."""
    before, after = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    before = before if isinstance(before, dict) else {}
    cached = count(before.get("cached_tokens")) or count(usage.get("prompt_cache_hit_tokens"))
    written = count(before.get("cache_write_tokens"))
    return Usage(
        input=max(count(usage.get("prompt_tokens")) - cached - written, 0),
        output=count(usage.get("completion_tokens")),
        cache_read=cached,
        cache_write=written,
        reasoning=count(after.get("reasoning_tokens")) if isinstance(after, dict) else 0,
        reported_cost_usd=money(usage.get("cost")),
    )
