"""The assistant's message on its way out: chunks at once, rows debounced, upserts when something is whole.

Text goes to clients the moment it is folded; the row follows after 33 ms, later for a long text, so that storing stays
a small share of streaming whatever the length. A change of structure is stored at once, in the transaction that
announces it.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from lsp_agent.agent.fold import CALL, CALL_INPUT, STRUCTURAL, TEXT, THOUGHT, THOUGHT_END, Emission, Fold
from lsp_agent.agent.turn_state import TurnState
from lsp_agent.domain.message import FinishPart, FinishReason, Message
from lsp_agent.domain.stream import StreamEvent
from lsp_agent.ports.store import DropMessage, PutMessage

_CHARS_PER_MS = 3000
"""A streaming row waits a millisecond for every so many characters it holds: 3 MB are stored once a second."""


class LiveMessage:
    """One assistant message of a turn, from its first event to its finish."""

    def __init__(self, state: TurnState, message: Message) -> None:
        self._state = state
        self._fold = Fold(message, state.taken_ids)
        self._timer: asyncio.TimerHandle | None = None
        self._thoughts: list[str] = []

    @property
    def message(self) -> Message:
        """The message itself; its text is current after `finish`."""
        return self._fold.message

    @property
    def fold(self) -> Fold:
        """What was said so far."""
        return self._fold

    def feed(self, batch: Sequence[StreamEvent]) -> None:
        """Take in one batch of the stream. Never waits."""
        if self._state.sealed:
            return
        emissions = self._fold.apply(batch, self._state.services.clock.now_ms())
        if emissions:
            self._send(emissions)

    def restart(self) -> None:
        """A failed attempt is taken back: clients see the text shrink once, its calls end, chunks begin anew."""
        self._stop_timer()
        for call in self.message.tool_calls:
            opened = self._state.open_calls.pop(call.tool_call_id, None)
            if opened is not None:
                self._state.durable(opened.update("cancelled"))
        said = bool(self.message.parts)
        self._fold.reset()
        if self._thoughts:
            self._thoughts = []
            self._state.durable(self._upsert("agent_thought", ""))
        if said:
            self._state.durable(self._upsert("agent_message", ""), PutMessage(self._snapshot()))

    def withdraw(self) -> None:
        """The message never was: its request was too long. What was announced or stored of it goes."""
        if self.message.parts:
            self.restart()
            self._state.save(DropMessage(self.message.message_id))
        self._stop_timer()

    def flush(self) -> None:
        """Store now what waits for the debounce."""
        if self._timer is not None:
            self._stop_timer()
            self._store()

    def finish(self, reason: FinishReason, title: str = "", details: str = "") -> None:
        """Close what is open and say how the message ended. May be called again with another reason."""
        now = self._state.services.clock.now_ms()
        closing = self._fold.close(now)
        self._fold.finish(FinishPart(reason, title, details, now))
        if closing:
            self._send(closing)
        self._stop_timer()
        finish = {"reason": reason.value, "message": title, "details": details}
        update = self._upsert("agent_message", self.message.text)
        update["finish"] = {name: value for name, value in finish.items() if value}
        self._state.durable(update, PutMessage(self._snapshot()))

    # --------------------------------------------------------------------------------------------------- sending

    def _send(self, emissions: Sequence[Emission]) -> None:
        structural = any(emission[0] in STRUCTURAL for emission in emissions)
        writes = [PutMessage(self._snapshot())] if structural else []
        message_id = self.message.message_id
        for kind, key, pieces in emissions:
            if kind == TEXT:
                self._state.chunk("agent_message_chunk", message_id, "".join(pieces))
            elif kind == THOUGHT:
                self._thoughts.extend(pieces)
                self._state.chunk("agent_thought_chunk", message_id, "".join(pieces))
            elif kind == CALL_INPUT:
                self._state.chunk("tool_input_chunk", key, "".join(pieces))
            elif kind == THOUGHT_END and self._thoughts:
                self._state.durable(self._upsert("agent_thought", "".join(self._thoughts)), *writes)
                writes = []
            elif kind == CALL:
                call = next(call for call in self.message.tool_calls if call.tool_call_id == key)
                self._state.durable(self._state.open_call(call, message_id).update("pending"), *writes)
                writes = []
        if writes:
            self._state.save(*writes)
        if structural:
            self._stop_timer()
        else:
            self._store_soon()

    def _upsert(self, kind: str, text: str) -> dict[str, Any]:
        return {
            "sessionUpdate": kind,
            "messageId": self.message.message_id,
            "content": [{"type": "text", "text": text}] if text else [],
            "model": self.message.model,
            "provider": self.message.provider,
        }

    # --------------------------------------------------------------------------------------------------- storing

    def _store_soon(self) -> None:
        interval_ms = self._state.limits.update_interval_ms
        if interval_ms <= 0:
            self._store()
        elif self._timer is None:
            wait_ms = max(interval_ms, self._fold.size / _CHARS_PER_MS)
            self._timer = asyncio.get_running_loop().call_later(wait_ms / 1000, self._store)

    def _store(self) -> None:
        self._timer = None
        self._state.save(PutMessage(self._snapshot()))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _snapshot(self) -> Message:
        self.message.updated_at_ms = self._state.services.clock.now_ms()
        return self._fold.snapshot()
