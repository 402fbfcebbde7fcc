"""One session's stream of events: what waits for its commit, what is on its way, who listens. No store, no tasks.

Everything leaves in the order it was issued: a chunk behind a durable event that is not committed yet waits for it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lsp_agent.ports.events import Subscriber, Update
from lsp_agent.ports.store import Write

ENDED_KEPT = 256
FINAL_STATUSES = ("completed", "failed", "rejected", "cancelled")


@dataclass(slots=True, eq=False)
class Item:
    """Something to send. `kind`: D durable, T terminal, C chunk, E ephemeral."""

    kind: str
    run_key: str | None = None
    run_id: str | None = None
    name: str = ""
    """`sessionUpdate` of the update, or the chunk's kind."""
    key: str = ""
    seq: int = 0
    payload: bytes = b""
    pieces: list[str] = field(default_factory=list)
    update: Any = None
    writes: Sequence[Write] = ()
    submitted: bool = False
    ready: bool = False
    """Committed, or given up on; always true for C and E."""


@dataclass(slots=True)
class Streaming:
    """Text of a message that has no full upsert yet."""

    run_key: str | None
    run_id: str | None
    pieces: list[str] = field(default_factory=list)


class Channel:
    """State of one session's stream."""

    def __init__(self, session_id: str, seq: int) -> None:
        self.session_id = session_id
        self.assigned = seq
        """Last number given to a durable event."""
        self.sent = seq
        """Last number that left."""
        self.waiting: deque[Item] = deque()
        self.failed: list[Item] = []
        """Durable items whose write was refused, to be tried again in order; while there are any, later ones hold."""
        self.unstored: dict[int, Item] = {}
        """Items that were sent although the store has not taken them, by number."""
        self.subscribers: dict[int, Subscriber] = {}
        self.attaching: dict[int, int] = {}
        """Subscribers in the middle of attaching, with how often at once."""
        self.streaming: dict[tuple[str, str], Streaming] = {}
        self.latest: dict[str, Item] = {}
        """Ephemeral values by name."""
        self.recordings: list[list[Item]] = []
        """Numbered items are also put here while somebody attaches."""
        self._open_calls: dict[str, dict[str, None]] = {}
        """By run key, the tool calls that have no final status yet."""
        self.stored_ends: deque[str] = deque(maxlen=ENDED_KEPT)
        """Run keys whose terminal event is committed."""
        self.is_gone = False
        """The session was deleted."""
        self.ended: deque[str] = deque(maxlen=ENDED_KEPT)
        """Run keys whose terminal event has been issued."""

    def next_seq(self) -> int:
        """Number the next durable event."""
        self.assigned += 1
        return self.assigned

    def stop_attaching(self, subscriber: int) -> bool:
        """One attach is over; False when the subscriber left meanwhile."""
        if subscriber not in self.attaching:
            return False
        self.attaching[subscriber] -= 1
        if not self.attaching[subscriber]:
            del self.attaching[subscriber]
        return True

    def take_ready(self) -> list[Item]:
        """Items that may leave now, in order; numbers and streaming text are accounted for by `note_sent`."""
        ready: list[Item] = []
        while self.waiting and self.waiting[0].ready:
            ready.append(self.waiting.popleft())
        return ready

    def note_sent(self, item: Item) -> None:
        """Keep what a later attach needs to know of `item`."""
        if item.kind == "C":
            self.note_text(item.name, item.key, item.run_key, item.run_id, item.pieces)
            return
        if item.kind == "E":
            self.latest[item.name] = item
            return
        self.sent = item.seq
        for recording in self.recordings:
            recording.append(item)
        if item.kind == "T":
            gone = [key for key, text in self.streaming.items() if text.run_key == item.run_key]
            for key in gone:
                del self.streaming[key]
            for value in self.latest.values():
                if value.run_key == item.run_key:  # shown again to whoever attaches: nothing names an ended run
                    value.run_key = value.run_id = None
        elif item.name in ("agent_message", "agent_thought"):
            self.streaming.pop((item.name + "_chunk", str(item.update.get("messageId"))), None)

    def note_call(self, run_key: str, update: Update) -> None:
        """Follow a tool call's status."""
        calls = self._open_calls.setdefault(run_key, {})
        if update.get("status") in FINAL_STATUSES:
            calls.pop(update["toolCallId"], None)
        else:
            calls[update["toolCallId"]] = None

    def calls_left_open(self, run_key: str) -> list[str]:
        """Tool calls of a run that ends now, oldest first; they are not followed any more."""
        return list(self._open_calls.pop(run_key, ()))

    def note_text(self, name: str, key: str, run_key: str | None, run_id: str | None, pieces: list[str]) -> None:
        """Remember a message's text until its full upsert."""
        if name not in ("agent_message_chunk", "agent_thought_chunk"):
            return
        text = self.streaming.get((name, key))
        if text is None:
            text = self.streaming[name, key] = Streaming(run_key, run_id)
        text.pieces += pieces
