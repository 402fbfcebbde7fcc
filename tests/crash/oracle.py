"""What the client was told over all lives of one data directory, and what must therefore be true (PROTOCOL 10).

Written against the protocol only. Every broken promise becomes a sentence in `violations`.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

CHUNKS = ("agent_message_chunk", "agent_thought_chunk", "tool_input_chunk", "tool_call_content_chunk")
EPHEMERAL = ("usage_update",)
FINAL = ("completed", "failed", "rejected", "cancelled")


@dataclass
class Submitted:
    """One prompt the client has sent, perhaps more than once."""

    prompt: str
    run_id: str | None
    session_id: str | None
    """None: it asked for a new session, and nobody has said yet which that is."""
    message_id: str | None = None
    """Set once it was acknowledged."""
    was_new: bool = False

    @property
    def acknowledged(self) -> bool:
        return self.message_id is not None


@dataclass
class Oracle:
    """Fed with every frame, in order, life after life."""

    submitted: list[Submitted] = field(default_factory=list)
    logs: dict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    """Per session: every durable event as it was first seen, by its number."""
    completions: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    waiting_permissions: dict[str, str] = field(default_factory=dict)
    """Open permission requests: id → session."""
    open_calls: dict[tuple[str, str], str] = field(default_factory=dict)
    _next: dict[str, int] = field(default_factory=dict)
    """Per session of this life: the number the next durable event must have."""

    def new_life(self) -> None:
        """The server is another one; the connection is new."""
        self._next.clear()

    def last_seq(self, session_id: str) -> int:
        return max(self.logs[session_id], default=0)

    @property
    def sessions(self) -> list[str]:
        """Every session the client knows of."""
        named = {item.session_id for item in self.submitted if item.session_id is not None}
        return sorted(named | set(self.logs))

    def fault(self, text: str) -> None:
        self.violations.append(text)

    # ------------------------------------------------------------------------------------------------- requests

    def answered(self, item: Submitted, result: dict[str, Any]) -> None:
        """`agent/run` was acknowledged."""
        if result["runId"] != item.run_id:
            self.fault(f"{item.run_id} was answered as {result['runId']}")
        if item.acknowledged and item.message_id != result["messageId"]:
            self.fault(f"a retry of {item.run_id} became another message")
        if item.session_id not in (None, result["sessionId"]):
            self.fault(f"{item.run_id} moved from session {item.session_id} to {result['sessionId']}")
        item.message_id, item.session_id = result["messageId"], result["sessionId"]

    def attached(self, session_id: str, after_seq: int, result: dict[str, Any]) -> None:
        """`agent/session/attach` was answered: what follows begins right behind `after_seq`."""
        if result["mode"] != "replay":
            self.fault(f"attach to {session_id} after {after_seq} gave a {result['mode']}")
        if result["seq"] < self.last_seq(session_id):
            self.fault(f"{session_id} went back from {self.last_seq(session_id)} to {result['seq']}")
        self._next[session_id] = after_seq + 1

    # --------------------------------------------------------------------------------------------------- events

    def event(self, method: str, params: dict[str, Any]) -> None:
        """One `agent/event` or `agent/runComplete`."""
        session_id, seq, run_id = params["sessionId"], params["seq"], params.get("runId")
        update = params.get("update") or {"sessionUpdate": "run_complete"}
        kind = update["sessionUpdate"]
        done = self.completions.get(run_id) if run_id is not None else None
        if kind in CHUNKS or kind in EPHEMERAL:
            if done is not None and seq >= done:
                self.fault(f"{kind} (seq {seq}) of {run_id} after its end ({done})")
            return
        if kind == "resync":
            self.fault("resync without a slow client")
            return
        wanted = self._next.get(session_id, seq)
        if seq != wanted:
            self.fault(f"{session_id}: event {seq} ({kind}) where {wanted} was due")
        self._next[session_id] = seq + 1
        self._remember(session_id, seq, kind, params)
        if done is not None and seq > done:
            self.fault(f"{kind} {seq} of {run_id} after its end ({done})")
        if method == "agent/runComplete" and run_id is not None:
            if done not in (None, seq):
                self.fault(f"{run_id} ended twice: {done} and {seq}")
            self.completions[run_id] = seq
        self._follow(session_id, update)

    def _remember(self, session_id: str, seq: int, kind: str, params: dict[str, Any]) -> None:
        text = json.dumps(params, sort_keys=True)
        known = self.logs[session_id].setdefault(seq, text)
        if known != text:
            self.fault(f"{session_id}: event {seq} ({kind}) is not what it was: {known[:300]} | {text[:300]}")

    def _follow(self, session_id: str, update: dict[str, Any]) -> None:
        match update:
            case {"sessionUpdate": "permission_requested", "requestId": request_id}:
                self.waiting_permissions[request_id] = session_id
            case {"sessionUpdate": "permission_resolved", "requestId": request_id}:
                self.waiting_permissions.pop(request_id, None)
            case {"sessionUpdate": "tool_call_update", "toolCallId": call_id, "status": status}:
                self.open_calls[session_id, call_id] = status

    # ---------------------------------------------------------------------------------------------- in the end

    def judge_end(self) -> None:
        """Everything was attached and everything had time to end."""
        for item in self.submitted:
            if item.run_id is not None and item.acknowledged and item.run_id not in self.completions:
                self.fault(f"{item.run_id} ({item.prompt[:20]!r}) never ended")
        for request_id in self.waiting_permissions:
            self.fault(f"permission {request_id} was never resolved")
        for (session_id, call_id), status in self.open_calls.items():
            if status not in FINAL:
                self.fault(f"{session_id}: tool call {call_id} stayed {status}")
        for session_id, log in self.logs.items():
            if sorted(log) != list(range(1, len(log) + 1)):
                self.fault(f"{session_id}: the numbers have gaps: {sorted(log)[:3]} … {max(log)}, {len(log)} events")
