"""Calls that a model wrote as text become calls: around an adapter, for models that are known to do so."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from lsp_agent.domain.message import FinishReason
from lsp_agent.domain.stream import (
    Finished,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from lsp_agent.ports.provider import Request
from lsp_agent.providers.lenient_parser import Piece, Text, TextCalls

if TYPE_CHECKING:
    from lsp_agent.providers.adapters import Preloadable


class LenientProvider:
    """Reads the text of `chat`'s answers. Answers with calls of the proper kind, and requests without tools, pass."""

    def __init__(self, chat: "Preloadable") -> None:
        self.provider_id = chat.provider_id
        self.media_in_tool_results = chat.media_in_tool_results
        self._chat = chat

    async def preload(self) -> None:
        """As the adapter inside."""
        await self._chat.preload()

    async def stream(self, request: Request) -> AsyncIterator[Sequence[StreamEvent]]:
        reader = TextCalls([tool.name for tool in request.tools])
        called = False
        stream: Any = self._chat.stream(request)
        async with aclosing(stream) as batches:
            async for batch in batches:
                if not request.tools:
                    yield batch
                    continue
                out: list[StreamEvent] = []
                for event in batch:
                    if isinstance(event, TextDelta):
                        called = _add(reader.feed(event.text), out) or called
                        continue
                    if isinstance(event, ToolCallStart | Finished):
                        called = _add(reader.end(), out) or called
                    out.append(_finished(event, called=called) if isinstance(event, Finished) else event)
                yield out

    async def close(self) -> None:
        await self._chat.close()


def _add(pieces: Sequence[Piece], out: list[StreamEvent]) -> bool:
    """Append the events of what was read; True when a call was among them."""
    called = False
    for piece in pieces:
        if isinstance(piece, Text):
            out.append(TextDelta(piece.text))
            continue
        call_id = f"call_{secrets.token_hex(12)}"
        out += [
            ToolCallStart(call_id, piece.name),
            ToolCallDelta(call_id, piece.arguments),
            ToolCallEnd(call_id, piece.name, piece.arguments),
        ]
        called = True
    return called


def _finished(event: Finished, *, called: bool) -> Finished:
    ordinary = event.reason in {FinishReason.END_TURN, FinishReason.STOP, FinishReason.UNKNOWN}
    return Finished(FinishReason.TOOL_USE, event.refusal) if called and ordinary else event
