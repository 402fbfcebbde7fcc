"""An answer in Anthropic's Messages dialect, event by event. Pure.

Sample: `event: content_block_delta` / `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",
"text":"Hi"}}`. Source: "Streaming Messages".
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

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

_FINISH = {
    "end_turn": FinishReason.END_TURN,
    "stop_sequence": FinishReason.END_TURN,
    "pause_turn": FinishReason.END_TURN,
    "tool_use": FinishReason.TOOL_USE,
    "max_tokens": FinishReason.MAX_TOKENS,
    "model_context_window_exceeded": FinishReason.MAX_TOKENS,
    "refusal": FinishReason.CONTENT_FILTER,
}


@dataclass(slots=True)
class _Block:
    """One content block while it streams."""

    kind: str
    value: dict[str, Any]
    """The block as `content_block_start` gave it."""
    call_id: str = ""
    pieces: list[str] = field(default_factory=list)
    signature: list[str] = field(default_factory=list)


class AnthropicStream:
    """Folds the events of one answer. `taken_ids`: call ids the conversation already holds."""

    def __init__(self, service: str, taken_ids: Iterable[str] = ()) -> None:
        self.finished = False
        self._service = service
        self._ids = CallIds(taken_ids)
        self._blocks: dict[Any, _Block] = {}
        self._usage: dict[str, Any] = {}
        self._stop_reason: str | None = None
        self._stop_details: dict[str, Any] = {}

    def feed(self, name: str, value: dict[str, Any], out: list[StreamEvent]) -> None:
        kind = value.get("type") or name
        if kind == "content_block_delta":
            self._delta(value, out)
        elif kind == "content_block_start":
            self._start(value, out)
        elif kind == "content_block_stop":
            self._stop(value.get("index"), out)
        elif kind == "message_start":
            message = value.get("message")
            self._add_usage(message.get("usage") if isinstance(message, dict) else None, out)
        elif kind == "message_delta":
            self._message_delta(value, out)
        elif kind == "message_stop":
            self.end(out, said_done=True)
        elif kind == "error":
            raise event_error(self._service, value.get("error") or value)

    def end(self, out: list[StreamEvent], *, said_done: bool) -> None:
        if self.finished:
            return
        if self._stop_reason is None:
            raise broken_stream(self._service)
        for index in list(self._blocks):
            self._stop(index, out)
        refusal = ""
        if self._stop_reason == "refusal":
            refusal = str(self._stop_details.get("explanation") or "The model declined to answer.")
        elif self._stop_reason == "pause_turn":
            out.append(ProviderWarning("The service paused the turn; ask to continue."))
        self.finished = True
        out.append(Finished(_FINISH.get(self._stop_reason, FinishReason.UNKNOWN), refusal))

    def _start(self, value: dict[str, Any], out: list[StreamEvent]) -> None:
        index, block = value.get("index"), value.get("content_block")
        if not isinstance(block, dict) or index in self._blocks:
            # a start that comes twice changes nothing
            return
        kind = str(block.get("type"))
        opened = self._blocks[index] = _Block(kind, block)
        if kind == "tool_use":
            opened.call_id = self._ids.claim(block.get("id"))
            out.append(ToolCallStart(opened.call_id, str(block.get("name") or "")))
        elif kind == "text" and block.get("text"):
            out.append(TextDelta(block["text"]))
        elif kind == "thinking" and block.get("thinking"):
            opened.pieces.append(block["thinking"])
            out.append(ReasoningDelta(block["thinking"]))

    def _delta(self, value: dict[str, Any], out: list[StreamEvent]) -> None:
        delta = value["delta"] if isinstance(value.get("delta"), dict) else {}
        kind = delta.get("type")
        if kind == "text_delta":
            # needs no open block: some compatible servers never announce one
            if text := delta.get("text"):
                out.append(TextDelta(text))
            return
        block = self._blocks.get(value.get("index"))
        if block is None:
            if kind == "input_json_delta":
                raise broken_stream(self._service, "it sent tool input without a tool call")
            return
        if kind == "input_json_delta" and block.kind == "tool_use":
            if piece := delta.get("partial_json"):
                block.pieces.append(piece)
                out.append(ToolCallDelta(block.call_id, piece))
        elif kind == "thinking_delta":
            if piece := delta.get("thinking"):
                block.pieces.append(piece)
                out.append(ReasoningDelta(piece))
        elif kind == "signature_delta":
            block.signature.append(str(delta.get("signature") or ""))

    def _stop(self, index: object, out: list[StreamEvent]) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        if block.kind == "tool_use":
            given = block.value.get("input")
            text = "".join(block.pieces) or (orjson.dumps(given).decode() if given else "{}")
            out.append(ToolCallEnd(block.call_id, str(block.value.get("name") or ""), text))
        elif block.kind == "thinking":
            whole = {**block.value, "thinking": "".join(block.pieces)}
            if block.signature:
                whole["signature"] = "".join(block.signature)
            # unsigned thinking is not taken back
            out.append(ReasoningEnd({"anthropic": [whole]} if whole.get("signature") else {}))
        elif block.kind == "redacted_thinking":
            out.append(ReasoningEnd({"anthropic": [block.value]}))

    def _message_delta(self, value: dict[str, Any], out: list[StreamEvent]) -> None:
        delta = value.get("delta")
        if isinstance(delta, dict):
            self._stop_reason = delta.get("stop_reason") or self._stop_reason
            details = delta.get("stop_details")
            self._stop_details = details if isinstance(details, dict) else self._stop_details
        self._add_usage(value.get("usage"), out)

    def _add_usage(self, usage: object, out: list[StreamEvent]) -> None:
        """Counts are cumulative; a later one replaces an earlier one, an absent one does not."""
        if not isinstance(usage, dict):
            return
        self._usage.update({key: item for key, item in usage.items() if item is not None})
        details = self._usage.get("output_tokens_details")
        out.append(
            UsageReport(
                Usage(
                    input=count(self._usage.get("input_tokens")),
                    output=count(self._usage.get("output_tokens")),
                    cache_read=count(self._usage.get("cache_read_input_tokens")),
                    cache_write=count(self._usage.get("cache_creation_input_tokens")),
                    reasoning=count(details.get("thinking_tokens")) if isinstance(details, dict) else 0,
                )
            )
        )
