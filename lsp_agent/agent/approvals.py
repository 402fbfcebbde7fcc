"""Permission questions: decided by policy where it can, else kept until somebody answers, the run is cancelled or a
deadline passes.

Each call has its own record and its own future, so no question waits for another one, and none holds a lock. The first
answer wins; every change of a record is announced once, in the order it happened. Nothing here is approval but a known
option of the record that was asked (PROTOCOL 5; RELIABILITY F27, F28, PR-25).
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from lsp_agent.agent.approval_records import Answer, GrantKey, grant_tool, parse_outcome, permission_record
from lsp_agent.agent.asking_rate import AskingRate
from lsp_agent.agent.attention import Attention
from lsp_agent.domain.run import Run
from lsp_agent.ports.approver import Decide, Decision, PermissionAsk, Verdict
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import Events
from lsp_agent.ports.store import PutGrant, Store

ANSWER_TIMEOUT_S = 1800.0
_REMEMBERED_ANSWERS = 2_000
_REFUSALS_BEFORE_SILENCE = 2
"""The same wish of the same run is not put to the user again after so many rejections (RELIABILITY PI-07)."""


def no_warning(_ask: PermissionAsk) -> str | None:
    """Nothing to say: the default of `Approvals`."""
    return None


class PermissionSurface(Protocol):
    """Something that can put a record before a person: a connection, a terminal. No method waits or raises."""

    def can_answer(self, session_id: str) -> bool:
        """Whether a person can answer for this session through it."""
        ...

    def asked(self, record: Mapping[str, Any]) -> None:
        """A new record waits. It is also announced as an event."""
        ...

    def closed(self, request_id: str) -> None:
        """A record waits no longer: take the prompt away."""
        ...


@dataclass(slots=True)
class _Pending:
    record: dict[str, Any]
    run: Run
    ask: PermissionAsk
    mode: str
    answer: "asyncio.Future[Answer]"


class Approvals:
    """Implements `ports.approver.Approver`, and the side that answers. Belongs to one workspace; call `load` first."""

    def __init__(
        self,
        *,
        store: Store,
        events: Events,
        clock: Clock,
        decide: Decide,
        roots: Callable[[], Sequence[Path]],
        answer_timeout_s: float | None = ANSWER_TIMEOUT_S,
        attention: Attention | None = None,
        warn: Callable[[PermissionAsk], str | None] = no_warning,
    ) -> None:
        """`warn`: a sentence of ours for the user about an ask that has no description."""
        self._store = store
        self._events = events
        self._clock = clock
        self._decide = decide
        self._roots = roots
        self._answer_timeout_s = answer_timeout_s
        self._pending: dict[str, _Pending] = {}
        self._attention = attention or Attention(events)
        self._warn = warn
        self._closed: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._grants: dict[GrantKey, bool] = {}
        self._refused: dict[str, tuple[str, Counter[tuple[str, str, str]]]] = {}
        """By session: the run, and how often it was refused what."""
        self._surfaces: list[PermissionSurface] = []
        self._rate = AskingRate()

    async def load(self) -> None:
        """Read the grants the user gave for ever."""
        for grant in await self._store.grants():
            if grant.session_id is None:
                self._grants[GrantKey(None, grant.root, grant.tool, grant.pattern)] = grant.allow

    async def ask(self, run: Run, tool_call_id: str, mode: str, ask: PermissionAsk) -> Decision:
        verdict = self._verdict(run.session_id, mode, ask)
        if verdict.effect == "allow":
            return Decision(True)
        if verdict.effect != "ask":
            return Decision(False, verdict.reason)
        if run.options.non_interactive and not any(surface.can_answer(run.session_id) for surface in self._surfaces):
            return Decision(False, f"{verdict.reason} Nobody can be asked for permission in this run.")
        if self._refusals(run)[_wish(ask)] >= _REFUSALS_BEFORE_SILENCE:
            return Decision(False, "The user has refused this more than once. Do not ask for it again.")
        pending = self._open(run, tool_call_id, mode, ask, grantable=not verdict.once_only)
        request_id = pending.record["requestId"]
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                answer = await pending.answer
        except TimeoutError:
            if pending.answer.done() and not pending.answer.cancelled():
                return _decision(pending.answer.result())  # it came in the very moment the time was up
            self._close(request_id, Answer("cancelled"), "timeout")
            return Decision(False, "Nobody answered the permission request in time.", asked=True)
        finally:
            self._close(request_id, Answer("cancelled"), "run", ends_run=True)
        return _decision(answer)

    def allows(self, run: Run, mode: str, ask: PermissionAsk) -> bool:
        """Whether a rule or an earlier grant allows this without a question."""
        return self._verdict(run.session_id, mode, ask).effect == "allow"

    def forbids(self, run: Run, mode: str, ask: PermissionAsk) -> str | None:
        """Why the rules, the mode or an earlier rejection rule this out; None when at most a question would be asked.

        For what the user has allowed as a whole and is not asked about one by one.
        """
        verdict = self._verdict(run.session_id, mode, ask)
        return verdict.reason if verdict.effect not in ("allow", "ask") else None

    def respond(self, request_id: str, outcome: object, by: str) -> dict[str, Any]:
        """An answer of the client `by`. Never waits, never raises.

        Shape: `{"accepted": True}`, or `{"accepted": False, "resolvedBy", "outcome"}` with the answer that was first.
        For an outcome the record does not offer, `outcome` is `pending` and the record goes on waiting; for a request
        nobody knows it is `unknown`.
        """
        pending = self._pending.get(request_id)
        if pending is None:
            choice, resolved_by = self._closed.get(request_id, ("unknown", None))
            return {"accepted": False, "resolvedBy": resolved_by, "outcome": choice}
        answer = parse_outcome(outcome, pending.record)
        if answer is None:
            return {"accepted": False, "resolvedBy": None, "outcome": "pending"}
        if not answer.allows:
            self._refusals(pending.run)[_wish(pending.ask)] += 1
        self._close(request_id, answer, by)
        self._grant(pending, answer)
        return {"accepted": True}

    def pending(self, session_id: str | None = None) -> list[dict[str, Any]]:
        """The records that wait, oldest first, of one session or of all; for `attach` and for a new surface."""
        return [
            dict(pending.record)
            for pending in self._pending.values()
            if session_id is None or pending.run.session_id == session_id
        ]

    def add_surface(self, surface: PermissionSurface) -> None:
        """From now on `surface` is told of records; those that wait already are in `pending()`."""
        self._surfaces.append(surface)

    def remove_surface(self, surface: PermissionSurface) -> None:
        """The connection is gone. What waits goes on waiting."""
        if surface in self._surfaces:
            self._surfaces.remove(surface)

    def forget_session(self, session_id: str) -> None:
        """Drop the grants of a deleted session."""
        self._grants = {key: allow for key, allow in self._grants.items() if key.session_id != session_id}
        self._refused.pop(session_id, None)

    def _open(self, run: Run, tool_call_id: str, mode: str, ask: PermissionAsk, *, grantable: bool) -> _Pending:
        request_id = self._clock.new_id()
        sentences = [ask.description or self._warn(ask) or "", self._rate.note(self._clock.monotonic_s())]
        ask = replace(ask, description=" ".join([sentence for sentence in sentences if sentence]) or None)
        record = permission_record(request_id, run, tool_call_id, ask, grantable=grantable, now_ms=self._clock.now_ms())
        pending = _Pending(record, run, ask, mode, asyncio.get_running_loop().create_future())
        self._pending[request_id] = pending
        self._events.durable(run.session_id, run, {"sessionUpdate": "permission_requested", **record})
        self._attention.begin(run)
        for surface in tuple(self._surfaces):
            surface.asked(record)
        return pending

    def _close(self, request_id: str, answer: Answer, by: str, *, ends_run: bool = False) -> None:
        """Take the record away and announce it; nothing when somebody else did."""
        pending = self._pending.pop(request_id, None)
        if pending is None:
            return
        session_id = pending.run.session_id
        if not pending.answer.done():
            pending.answer.set_result(answer)
        self._closed[request_id] = (answer.choice, by)
        while len(self._closed) > _REMEMBERED_ANSWERS:
            self._closed.popitem(last=False)
        update = {
            "sessionUpdate": "permission_resolved",
            "requestId": request_id,
            "outcome": answer.choice,
            "resolvedBy": by,
        }
        if answer.message is not None:
            update["message"] = answer.message
        self._events.durable(session_id, pending.run, update)
        self._attention.end(pending.run, ends_run=ends_run)
        for surface in tuple(self._surfaces):
            surface.closed(request_id)

    def _grant(self, pending: _Pending, answer: Answer) -> None:
        """Remember a lasting answer, and give it to the other questions it answers too."""
        if answer.choice not in ("allow_session", "allow_always", "reject_always") or not pending.ask.pattern:
            return
        session_id = pending.run.session_id if answer.choice == "allow_session" else None
        key = self._key(session_id, pending.ask)
        self._grants[key] = answer.allows
        if session_id is None:
            grant = PutGrant(None, key.root, key.tool, key.pattern, answer.allows, self._clock.now_ms())
            _ = self._store.write([grant])
        for request_id, other in list(self._pending.items()):
            verdict = self._verdict(other.run.session_id, other.mode, other.ask)
            if self._key(session_id, other.ask) == key and verdict.effect != "ask":
                allowed = verdict.effect == "allow"
                follow = Answer(answer.choice if allowed else "reject_always", None if allowed else verdict.reason)
                self._close(request_id, follow, "grant")

    def _verdict(self, session_id: str, mode: str, ask: PermissionAsk) -> Verdict:
        granted: bool | None = None
        if ask.pattern:
            answers = {
                self._grants[key] for key in (self._key(session_id, ask), self._key(None, ask)) if key in self._grants
            }
            granted = None if not answers else False not in answers
        return self._decide(ask, mode, self._shown(ask), granted)

    def _key(self, session_id: str | None, ask: PermissionAsk) -> GrantKey:
        root = self._root(ask)
        return GrantKey(session_id, str(root) if root else None, grant_tool(ask), ask.pattern or "")

    def _root(self, ask: PermissionAsk) -> Path | None:
        """The innermost root the path is below; the first one for what has no path."""
        roots = list(self._roots())
        if ask.path is None:
            return roots[0] if roots else None
        around = [root for root in roots if Path(ask.path).is_relative_to(root)]
        return max(around, key=lambda root: len(root.parts), default=None)

    def _shown(self, ask: PermissionAsk) -> str | None:
        root = self._root(ask)
        return Path(ask.path).relative_to(root).as_posix() if root is not None and ask.path else None

    def _refusals(self, run: Run) -> Counter[tuple[str, str, str]]:
        """Of this run; those of an earlier run of the session are forgotten."""
        run_key, counts = self._refused.get(run.session_id, ("", Counter()))
        if run_key != run.run_key:
            counts = Counter()
            self._refused[run.session_id] = (run.run_key, counts)
        return counts


def _decision(answer: Answer) -> Decision:
    return Decision(answer.allows, None if answer.allows else answer.message, asked=True)


def _wish(ask: PermissionAsk) -> tuple[str, str, str]:
    """What counts as asking for the same again."""
    subject = ask.subject
    what = ask.path or subject.get("command") or subject.get("url") or subject.get("input") or ""
    return grant_tool(ask), ask.action, str(what)
