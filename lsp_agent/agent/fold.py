"""The assistant's message while it streams: events in, parts and what to tell clients out.

Pure: no clock, no store, no loop. Text is kept as a list of pieces and joined only when somebody looks, so a long
answer costs what it weighs. **Leading newline**: exactly one is taken off the very first text of a message that has no
parts yet, before anything else sees it, so the chunk and the stored text are the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lsp_agent.agent.arguments import read_object
from lsp_agent.domain.message import (
    FinishPart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
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

TEXT, THOUGHT, THOUGHT_END, CALL, CALL_INPUT, CALL_END = (
    "text",
    "thought",
    "thought_end",
    "call",
    "call_input",
    "call_end",
)
STRUCTURAL = frozenset({THOUGHT_END, CALL, CALL_END})
"""Changes that are stored at once (CORE 5, debounce and flush)."""

Emission = tuple[str, str, list[str]]
"""(kind, tool call id or empty, pieces of text). Neighbours of one kind and id are already merged."""


def speakable(text: str) -> str:
    """The text without lone surrogates, which neither JSON nor SQLite can hold; a pair becomes its character."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class Fold:
    """Folds the events of one step into `message`. `taken` are the tool call ids the session has used already.

    Services promise unique ids within a step only; an id that was used before gets a suffix, in the call and everywhere
    after it.
    """

    __slots__ = (
        "_alias",
        "_pieces",
        "_reasoning",
        "_taken",
        "_text",
        "arguments",
        "finished",
        "message",
        "size",
        "usage",
        "warnings",
    )

    def __init__(self, message: Message, taken: Iterable[str] = ()) -> None:
        self.message = message
        self.usage: Usage | None = None
        self.finished: Finished | None = None
        self.warnings: list[str] = []
        self.arguments: dict[str, Mapping[str, Any]] = {}
        """What each finished call was given, by id; a call whose input is no JSON object, even mended, is missing."""
        self.size = 0
        """Characters folded so far; what a row costs to store grows with it."""
        self._taken = set(taken)
        self._alias: dict[str, ToolCallPart] = {}
        self._text: TextPart | None = None
        self._reasoning: ReasoningPart | None = None
        self._pieces: list[str] = []

    def apply(self, batch: Sequence[StreamEvent], now_ms: int) -> list[Emission]:
        """Take in one batch; returns what clients should hear, in order."""
        out: list[Emission] = []
        for event in batch:
            kind = type(event)
            if kind is TextDelta:
                self._add_text(event.text, now_ms, out)  # type: ignore[union-attr]  # `type() is` is quicker than match
            elif kind is ToolCallDelta:
                self._add_input(event, out)  # type: ignore[arg-type]  # as above
            elif kind is ReasoningDelta:
                self._add_reasoning(event.text, now_ms, out)  # type: ignore[union-attr]  # as above
            else:
                self._apply_rare(event, now_ms, out)
        return out

    def snapshot(self) -> Message:
        """An independent copy as of now."""
        self._join()
        return self.message.copy()

    def close(self, now_ms: int) -> list[Emission]:
        """End every open part: thinking gets its end, an unfinished call becomes an empty one."""
        out: list[Emission] = []
        self._close_text()
        self._close_reasoning(now_ms, out)
        for call in self.message.tool_calls:
            if not call.finished:
                call.input, call.finished = "{}", True
        return out

    def finish(self, part: FinishPart) -> None:
        """Put the finish part in its place. Call `close` first."""
        self.message.set_finish(part)

    def reset(self) -> None:
        """Forget what a failed attempt said; its call ids stay taken."""
        self._taken.update(call.tool_call_id for call in self.message.tool_calls)
        self.message.parts = []
        self.usage = self.finished = self._text = self._reasoning = None
        self.size = 0
        self._pieces, self._alias, self.arguments = [], {}, {}

    # ------------------------------------------------------------------------------------------------------ text

    def _add_text(self, text: str, now_ms: int, out: list[Emission]) -> None:
        text = speakable(text)
        if self._text is None:
            if not text:
                return
            self._close_reasoning(now_ms, out)
            if not self.message.parts:
                text = text.removeprefix("\n")
            self._text = TextPart("")
            self.message.parts.append(self._text)
        if text:
            self._grow(TEXT, text, out)

    def _add_reasoning(self, text: str, now_ms: int, out: list[Emission]) -> None:
        text = speakable(text)
        if not text:
            return
        if self._reasoning is None:
            self._close_text()
            self._reasoning = ReasoningPart(started_at_ms=now_ms)
            self.message.parts.append(self._reasoning)
        self._grow(THOUGHT, text, out)

    def _grow(self, kind: str, text: str, out: list[Emission]) -> None:
        self._pieces.append(text)
        self.size += len(text)
        if out and out[-1][0] == kind:
            out[-1][2].append(text)
        else:
            out.append((kind, "", [text]))

    def _join(self) -> None:
        part = self._text or self._reasoning
        if part is not None and self._pieces:
            part.text += "".join(self._pieces)
            self._pieces = []

    def _close_text(self) -> None:
        if self._text is not None:
            self._join()
            self._text = None

    def _close_reasoning(self, now_ms: int, out: list[Emission]) -> None:
        if self._reasoning is not None:
            self._join()
            self._reasoning.finished_at_ms = now_ms
            self._reasoning = None
            out.append((THOUGHT_END, "", []))

    # ------------------------------------------------------------------------------------------------------ rare

    def _apply_rare(self, event: StreamEvent, now_ms: int, out: list[Emission]) -> None:
        match event:
            case ReasoningEnd(provider_data):
                if self._reasoning is None and provider_data:
                    self._close_text()
                    self._reasoning = ReasoningPart(started_at_ms=now_ms)
                    self.message.parts.append(self._reasoning)
                if self._reasoning is not None:
                    self._reasoning.provider_data = {**self._reasoning.provider_data, **provider_data}
                self._close_reasoning(now_ms, out)
            case ToolCallStart(tool_call_id, name):
                self._open_call(tool_call_id, name, now_ms, out)
            case ToolCallEnd(tool_call_id, name, text):
                call = self._alias.get(tool_call_id) or self._open_call(tool_call_id, name, now_ms, out)
                call.name, call.finished = speakable(name) or call.name, True
                call.input = self._understand(call.tool_call_id, speakable(text))
                self.size += len(text)
                out.append((CALL_END, call.tool_call_id, []))
            case UsageReport(usage):
                self.usage = usage
            case ProviderWarning(message):
                self.warnings.append(message)
            case Finished():
                self.finished = event
            case _:  # the three frequent ones were taken by `apply`
                pass

    def _understand(self, tool_call_id: str, text: str) -> str:
        """The input to keep: what the model wrote when that is an object, its mended text, or `{}`."""
        value, input_text = read_object(text)
        if value is not None:
            self.arguments[tool_call_id] = value
        return input_text

    def _open_call(self, tool_call_id: str, name: str, now_ms: int, out: list[Emission]) -> ToolCallPart:
        known = self._alias.get(tool_call_id)
        if known is not None and not known.finished:
            return known
        self._close_text()
        self._close_reasoning(now_ms, out)
        unique, number = speakable(tool_call_id) or "call", 2
        while unique in self._taken:
            unique, number = f"{tool_call_id or 'call'}-{number}", number + 1
        self._taken.add(unique)
        call = ToolCallPart(unique, speakable(name))
        self._alias[tool_call_id] = call
        self.message.parts.append(call)
        out.append((CALL, unique, []))
        return call

    def _add_input(self, event: ToolCallDelta, out: list[Emission]) -> None:
        call = self._alias.get(event.tool_call_id)
        if call is None or not event.text:
            return
        if out and out[-1][0] == CALL_INPUT and out[-1][1] == call.tool_call_id:
            out[-1][2].append(speakable(event.text))
        else:
            out.append((CALL_INPUT, call.tool_call_id, [speakable(event.text)]))
