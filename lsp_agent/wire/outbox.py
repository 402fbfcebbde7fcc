"""What one connection still has to send: a bounded, merging queue between the event loop and one writer thread.

Order of enqueueing is order on the wire. Text of the same message that piles up goes as one chunk, an ephemeral value
replaces an older one, and a client that cannot keep up loses only those two, never an answer or a durable event
(PROTOCOL 11). Knows nothing of file descriptors and JSON-RPC.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from lsp_agent.wire.limits import Limits


class Ready:
    """A message whose JSON is finished; it leaves as the pieces joined."""

    __slots__ = ("key", "pieces", "serial", "session_id", "size")

    def __init__(self, pieces: tuple[bytes, ...], size: int, session_id: str, key: str) -> None:
        self.pieces = pieces
        self.size = size
        self.session_id = session_id
        self.key = key
        """Of an ephemeral event; otherwise empty."""
        self.serial = 0


class Chunk:
    """Text of one message, tool call or terminal, still growing."""

    __slots__ = ("due_s", "key", "kind", "parent", "parts", "run_id", "seq", "session_id", "size")

    def __init__(
        self,
        session_id: str,
        run_id: str | None,
        kind: str,
        key: str,
        text: str,
        seq: int,
        parent: Mapping[str, Any] | None,
    ) -> None:
        self.session_id = session_id
        self.run_id = run_id
        self.kind = kind
        self.key = key
        self.parts = [text]
        self.seq = seq
        self.parent = parent
        self.size = 0
        self.due_s = 0.0
        """Not before this monotonic time, unless something else has to leave; 0 = at once."""


class Marker:
    """Nothing to send: `reached` is called in the writer thread when everything before it has been written."""

    __slots__ = ("reached",)

    def __init__(self, reached: Callable[[], None]) -> None:
        self.reached = reached


Entry = Ready | Chunk | Marker


@dataclass(slots=True)
class Gap:
    """A session of which this connection missed chunks."""

    after_seq: int
    """The last durable event that was enqueued before the first dropped chunk."""
    seq: int
    """The last durable event known by now."""


_ENVELOPE_BYTES = 200
"""About what surrounds a chunk's text."""


class Outbox:
    """The queue. Every method but `take` is quick and may be called on the loop; `take` belongs to the writer thread.

    One lock guards everything below; nobody holds it across a wait or a write.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._wake = threading.Lock()  # a binary semaphore: held = the writer sleeps, released = it should look
        self._wake.acquire()
        self._sleeping = False
        self._entries: deque[Entry] = deque()
        self._urgent = 0
        """Entries that are not held back."""
        self._waiting_bytes = 0
        self._in_flight_bytes = 0
        self._progress_s = clock()
        self._serial = 0
        self._last: dict[str, Entry] = {}
        """The newest pending entry of a session: a chunk may grow only while it is that."""
        self._barrier: dict[str, int] = {}
        """Serial of the newest durable event pending of a session: older ephemeral values stay as they are."""
        self._ephemeral: dict[tuple[str, str], Ready] = {}
        self._gaps: dict[str, Gap] = {}
        self._closed = False
        self.max_latency_s = 0.0
        self.lagging = False
        self.dropped_chunks = 0
        self.peak_bytes = 0

    @property
    def waiting_bytes(self) -> int:
        """About how much is queued or being written."""
        return self._waiting_bytes + self._in_flight_bytes

    @property
    def closed(self) -> bool:
        """Nothing is taken any more."""
        return self._closed

    # ------------------------------------------------------------------------------------------- loop side

    def put(self, pieces: tuple[bytes, ...], session_id: str = "", params: bytes | None = None) -> bool:
        """Enqueue an answer, a request, a plain notification or a durable event: never dropped, never reordered.

        `params` are given for an event of a session (its seq is read while the session has a gap). False when the
        connection is closed, or so far behind that it has to be given up.
        """
        entry = Ready(pieces, sum(map(len, pieces)) + 32, session_id, "")
        with self._lock:
            if self._closed:
                return False
            if session_id:
                self._barrier[session_id] = self._serial + 1
                self._last[session_id] = entry
                if params is not None and session_id in self._gaps:
                    self._gaps[session_id].seq = _seq_of(params, self._gaps[session_id].seq)
            self._append(entry)
            if self.waiting_bytes > self._limits.lag_bytes:
                self.lagging = True
            return self.waiting_bytes <= self._limits.abandon_bytes

    def put_ephemeral(self, pieces: tuple[bytes, ...], session_id: str, key: str) -> None:
        """Enqueue a value, in the place of a pending older one when no durable event of the session came between."""
        size = sum(map(len, pieces)) + 32
        with self._lock:
            if self._closed or self._is_dropping(session_id):
                self.dropped_chunks += not self._closed
                return
            old = self._ephemeral.get((session_id, key))
            if old is not None and old.serial > self._barrier.get(session_id, 0):
                self._waiting_bytes += size - old.size
                old.pieces, old.size = pieces, size
                return
            entry = Ready(pieces, size, session_id, key)
            self._ephemeral[session_id, key] = entry
            self._last[session_id] = entry
            self._append(entry)

    def put_droppable(self, pieces: tuple[bytes, ...], session_id: str, params: bytes) -> None:
        """Enqueue a ready chunk event: dropped when the client is too far behind, never merged."""
        with self._lock:
            if self._closed:
                return
            if self._is_dropping(session_id):
                self._drop_chunk(session_id, _seq_of(params, 0))
                return
            entry = Ready(pieces, sum(map(len, pieces)) + 32, session_id, "")
            self._last[session_id] = entry
            self._append(entry)

    def put_chunk(
        self,
        session_id: str,
        run_id: str | None,
        kind: str,
        key: str,
        text: str,
        seq: int,
        parent: Mapping[str, Any] | None = None,
    ) -> None:
        """Enqueue text; it joins the pending chunk of the same key when nothing of its session was queued after it."""
        size = len(text) if text.isascii() else 3 * len(text)
        with self._lock:
            if self._closed:
                return
            if (self._waiting_bytes or self._in_flight_bytes or self._gaps) and self._is_dropping(session_id):
                self._drop_chunk(session_id, seq)
                return
            last = self._last.get(session_id)
            if (
                type(last) is Chunk
                and last.key == key
                and last.kind == kind
                and last.seq == seq
                and last.run_id == run_id
                and last.parent == parent
                and last.size < self._limits.chunk_bytes
            ):
                last.parts.append(text)
                last.size += size
                self._waiting_bytes += size
                return
            entry = Chunk(session_id, run_id, kind, key, text, seq, parent)
            entry.size = size + _ENVELOPE_BYTES
            hold_s = self.max_latency_s
            if self.waiting_bytes > self._limits.coalesce_bytes:
                hold_s = max(hold_s, self._limits.coalesce_s)
            if hold_s:
                entry.due_s = self._clock() + hold_s
            self._last[session_id] = entry
            self._append(entry)

    def mark(self, reached: Callable[[], None]) -> None:
        """Call `reached` (in the writer thread) when all that was enqueued before is written; at once when closed."""
        with self._lock:
            if not self._closed:
                self._append(Marker(reached))
                return
        reached()

    def close(self) -> None:
        """Forget what waits and let the writer end. May be called twice, from any thread."""
        with self._lock:
            self._closed = True
            markers = [entry for entry in self._entries if isinstance(entry, Marker)]
            self._entries.clear()
            self._forget_order()
            self._gaps.clear()
            self._waiting_bytes = self._urgent = 0
            self._wake_writer()
        for marker in markers:
            marker.reached()

    def check_lag(self) -> bool:
        """Whether the connection lags, looked at now."""
        with self._lock:
            self._is_dropping("")
            return self.lagging

    # --------------------------------------------------------------------------------------- writer thread

    def take(self) -> list[Entry] | None:
        """Wait for something that may leave; return about one write's worth of it. None when closed.

        Calling it again means that what was taken before has been written.
        """
        while True:
            with self._lock:
                self._in_flight_bytes = 0
                self._progress_s = self._clock()
                if self._closed:
                    return None
                if (self._gaps or self.lagging) and self._waiting_bytes <= self._limits.coalesce_bytes:
                    self._recover()
                wait_s = self._time_to_wait()
                if wait_s == 0.0:
                    return self._pop_batch()
                self._sleeping = True
            # The loop clears `_sleeping` under the lock and releases `_wake` once, so no wake-up is lost.
            if not self._wake.acquire(timeout=-1 if wait_s is None else wait_s):
                self._stop_sleeping()

    def progressed(self, written_bytes: int) -> None:
        """Some bytes of the current batch went out."""
        with self._lock:
            self._in_flight_bytes = max(0, self._in_flight_bytes - written_bytes)
            self._progress_s = self._clock()

    def finished(self) -> None:
        """The current batch is written, all of it."""
        with self._lock:
            self._in_flight_bytes = 0

    def _stop_sleeping(self) -> None:
        with self._lock:
            if self._sleeping:
                self._sleeping = False
            else:
                self._wake.acquire()  # released between our time-out and here: take it back, it cannot block

    def _time_to_wait(self) -> float | None:
        """0 = go, None = until woken, else seconds."""
        if not self._entries:
            return None
        if self._urgent:
            return 0.0
        first = self._entries[0]
        due_s = first.due_s if type(first) is Chunk else 0.0
        return max(0.0, due_s - self._clock())

    def _pop_batch(self) -> list[Entry]:
        batch: list[Entry] = []
        size, most = 0, self._limits.batch_bytes
        now_s = 0.0 if self._urgent else self._clock()
        while self._entries and size < most:
            entry = self._entries[0]
            if now_s and type(entry) is Chunk and entry.due_s > now_s:
                break
            self._entries.popleft()
            batch.append(entry)
            if isinstance(entry, Marker):
                self._urgent -= 1
                break  # it is reached only when this batch is written
            if isinstance(entry, Chunk):
                self._urgent -= entry.due_s == 0.0
            else:
                self._urgent -= 1
                if entry.key and self._ephemeral.get((entry.session_id, entry.key)) is entry:
                    del self._ephemeral[entry.session_id, entry.key]
            if self._last.get(entry.session_id) is entry:
                del self._last[entry.session_id]
            size += entry.size
        if not self._entries:
            self._forget_order()
        self._waiting_bytes -= size
        self._in_flight_bytes = size
        return batch

    def _recover(self) -> None:
        self.lagging = False
        gaps, self._gaps = self._gaps, {}
        for session_id, gap in gaps.items():
            params = orjson.dumps(
                {
                    "sessionId": session_id,
                    "seq": gap.seq,
                    "update": {"sessionUpdate": "resync", "afterSeq": gap.after_seq},
                }
            )
            entry = Ready(event_pieces(params), len(params) + 96, session_id, "")
            self._last[session_id] = entry
            self._append(entry)

    # ----------------------------------------------------------------------------------- under the lock

    def _append(self, entry: Entry) -> None:
        self._serial += 1
        if type(entry) is Ready:
            entry.serial = self._serial
            self._waiting_bytes += entry.size
            self._urgent += 1
        elif type(entry) is Chunk:
            self._waiting_bytes += entry.size
            self._urgent += entry.due_s == 0.0
        else:
            self._urgent += 1
        if self._waiting_bytes > self.peak_bytes:
            self.peak_bytes = self._waiting_bytes
        self._entries.append(entry)
        if self._sleeping:
            self._progress_s = self._clock()  # nothing was stuck until now
            self._wake_writer()

    def _wake_writer(self) -> None:
        if self._sleeping:
            self._sleeping = False
            self._wake.release()

    def _is_dropping(self, session_id: str) -> bool:
        waiting = self.waiting_bytes
        if waiting > self._limits.lag_bytes or (waiting and self._clock() - self._progress_s > self._limits.lag_s):
            self.lagging = True
        return self.lagging or waiting > self._limits.drop_bytes or session_id in self._gaps

    def _drop_chunk(self, session_id: str, seq: int) -> None:
        self.dropped_chunks += 1
        gap = self._gaps.get(session_id)
        if gap is None:
            self._gaps[session_id] = Gap(seq, seq)
        else:
            gap.seq = max(gap.seq, seq)

    def _forget_order(self) -> None:
        self._last.clear()
        self._barrier.clear()
        self._ephemeral.clear()


def event_pieces(params: bytes, method: str = "agent/event") -> tuple[bytes, ...]:
    """The JSON of a notification around params that are JSON already."""
    return (b'{"jsonrpc":"2.0","method":' + orjson.dumps(method) + b',"params":', params, b"}")


def _seq_of(params: bytes, otherwise: int) -> int:
    try:
        seq = orjson.loads(params)["seq"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return otherwise
    return seq if isinstance(seq, int) else otherwise
