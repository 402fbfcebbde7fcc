"""Questions to the user: kept until somebody answers, the run is cancelled or a deadline passes (CORE 24, PROTOCOL 5).

Like permissions, and beside them: every form has its own record and its own future, several are open at once, the first
answer wins, a lost connection changes nothing, and each is closed by exactly one `question_resolved`.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from lsp_agent.agent.attention import Attention
from lsp_agent.agent.question_records import question_record, read_reply
from lsp_agent.domain.run import Run
from lsp_agent.ports.asker import Form, Reply
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import Events

ANSWER_TIMEOUT_S = 1800.0
_REMEMBERED_ANSWERS = 2_000
_CANCELLED = "cancelled"


class QuestionSurface(Protocol):
    """Something that can put a record before a person. No method waits or raises."""

    def can_answer(self, session_id: str) -> bool:
        """Whether a person can answer for this session through it."""
        ...

    def asked(self, record: Mapping[str, Any]) -> None:
        """A new record waits. It is also announced as an event."""
        ...

    def closed(self, request_id: str) -> None:
        """A record waits no longer: take it away."""
        ...


@dataclass(slots=True)
class _Open:
    record: dict[str, Any]
    run: Run
    form: Form
    reply: "asyncio.Future[Reply]"


class Questions:
    """Implements `ports.asker.Asker`, and the side that answers."""

    def __init__(
        self,
        *,
        events: Events,
        clock: Clock,
        attention: Attention | None = None,
        answer_timeout_s: float | None = ANSWER_TIMEOUT_S,
    ) -> None:
        self._events = events
        self._clock = clock
        self._attention = attention or Attention(events)
        self._answer_timeout_s = answer_timeout_s
        self._open: dict[str, _Open] = {}
        self._closed: OrderedDict[str, tuple[str, str | None]] = OrderedDict()
        self._surfaces: list[QuestionSurface] = []

    async def ask(self, run: Run, form: Form, *, tool_call_id: str | None = None) -> Reply:
        """See the port. `nobody` at once: the run is not interactive, or no client that follows it takes questions."""
        if run.options.non_interactive or not any(surface.can_answer(run.session_id) for surface in self._surfaces):
            return Reply("nobody")
        opened = self._begin(run, form, tool_call_id)
        request_id = opened.record["requestId"]
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                return await opened.reply
        except TimeoutError:
            if opened.reply.done() and not opened.reply.cancelled():
                return opened.reply.result()  # it came in the very moment the time was up
            self._close(request_id, Reply("timeout"), _CANCELLED, "timeout")
            return Reply("timeout")
        finally:
            self._close(request_id, Reply("cancel"), _CANCELLED, "run", ends_run=True)

    def respond(self, request_id: str, action: str, content: object, by: str) -> dict[str, Any]:
        """An answer of the client `by`: accept, decline or cancel. Never waits, never raises.

        Shape: `{"accepted": True}`, or `{"accepted": False, "resolvedBy", "outcome"}` with what was first. For content
        that does not fit, `outcome` is `pending` and the question stays; for one nobody knows it is `unknown`.
        """
        opened = self._open.get(request_id)
        if opened is None:
            outcome, resolved_by = self._closed.get(request_id, ("unknown", None))
            return {"accepted": False, "resolvedBy": resolved_by, "outcome": outcome}
        reply = read_reply(opened.form, content) if action == "accept" else Reply(action)
        if reply is None or action not in ("accept", "decline", "cancel"):
            return {"accepted": False, "resolvedBy": None, "outcome": "pending"}
        self._close(request_id, reply, _CANCELLED if action == "cancel" else action, by)
        return {"accepted": True}

    def pending(self, session_id: str | None = None) -> list[dict[str, Any]]:
        """The records that wait, oldest first, of one session or of all."""
        return [
            dict(opened.record)
            for opened in self._open.values()
            if session_id is None or opened.run.session_id == session_id
        ]

    def add_surface(self, surface: QuestionSurface) -> None:
        """From now on `surface` is told of records; those that wait already are in `pending()`."""
        self._surfaces.append(surface)

    def remove_surface(self, surface: QuestionSurface) -> None:
        """The connection is gone. What waits goes on waiting."""
        if surface in self._surfaces:
            self._surfaces.remove(surface)

    def _begin(self, run: Run, form: Form, tool_call_id: str | None) -> _Open:
        request_id = self._clock.new_id()
        record = question_record(request_id, run, tool_call_id, form, now_ms=self._clock.now_ms())
        opened = _Open(record, run, form, asyncio.get_running_loop().create_future())
        self._open[request_id] = opened
        self._events.durable(run.session_id, run, {"sessionUpdate": "question_requested", **record})
        self._attention.begin(run)
        for surface in tuple(self._surfaces):
            surface.asked(record)
        return opened

    def _close(self, request_id: str, reply: Reply, outcome: str, by: str, *, ends_run: bool = False) -> None:
        """Take the record away and announce it; nothing when somebody else did."""
        opened = self._open.pop(request_id, None)
        if opened is None:
            return
        if not opened.reply.done():
            opened.reply.set_result(reply)
        self._closed[request_id] = (outcome, by)
        while len(self._closed) > _REMEMBERED_ANSWERS:
            self._closed.popitem(last=False)
        update = {
            "sessionUpdate": "question_resolved",
            "requestId": request_id,
            "outcome": outcome,
            "resolvedBy": by,
        }
        self._events.durable(opened.run.session_id, opened.run, update)
        self._attention.end(opened.run, ends_run=ends_run)
        for surface in tuple(self._surfaces):
            surface.closed(request_id)
