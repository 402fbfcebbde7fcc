"""What must be true. The book hears of every request, answer, turn and event, and notes each broken promise.

It knows the protocol, not the implementation: it keeps its own idea of what was accepted, covered and ended.
"""

import orjson

FINAL = ("completed", "failed", "rejected", "cancelled")


class Ticket:
    """One submitted prompt."""

    def __init__(self, number, session_id, run_id, when_busy):
        self.number = number
        self.session_id = session_id
        self.run_id = run_id
        self.when_busy = when_busy
        self.answer = None
        self.refusal = None
        self.covered = False
        self.must_cancel = False
        self.turn_over = False
        self.folded = False
        self.started = False
        self.must_interrupt = False

    def __repr__(self):
        return f"#{self.number}({self.run_id},{self.when_busy})"


class Book:
    def __init__(self):
        self.violations = []
        self.tickets = []
        self.by_message = {}
        self.running = {}
        self.stuck = set()
        self.starts = {}
        self.reordered = set()
        self.seq = {}
        self.completes = {}
        self.nameless = {}
        self.completed_order = {}
        self.text = {}
        self.open_calls = {}
        self.answered = set()
        self.is_lossy = False
        self.is_down = False
        self.upserts = {}
        self.compacting = {}
        self.issued = {}
        self.stuck_since = {}
        self.now = lambda: 0.0
        self.slack_s = 0.0

    def wrong(self, text):
        self.violations.append(text)

    # ------------------------------------------------------------------ requests

    def ticket(self, session_id, run_id, when_busy):
        ticket = Ticket(len(self.tickets), session_id, run_id, when_busy)
        self.tickets.append(ticket)
        return ticket

    def answers(self, ticket, answer):
        if ticket.answer is not None or ticket.refusal is not None:
            self.wrong(f"{ticket} answered twice")
        ticket.answer = answer
        self.by_message.setdefault(answer.message_id, ticket)
        if answer.run_id is not None:
            self.answered.add(answer.run_id)

    def refuses(self, ticket, error):
        if ticket.answer is not None or ticket.refusal is not None:
            self.wrong(f"{ticket} answered twice")
        ticket.refusal = error

    def original(self, ticket):
        """Not the answer to a repeated request."""
        return ticket.answer is not None and self.by_message.get(ticket.answer.message_id) is ticket

    def cancels(self, session_id, run_id, keep, queue_of):
        """A cancel is about to be decided; `queue_of` are message ids in the visible queue."""
        if run_id is None and session_id in self.compacting:
            self.compacting[session_id] = True
        for ticket in self.tickets:
            if ticket.session_id != session_id or ticket.refusal is not None or ticket.folded:
                continue
            if run_id is not None and ticket.run_id != run_id:
                continue
            if keep and ticket.answer is not None and ticket.answer.message_id in queue_of:
                continue
            ticket.covered = True
            if not ticket.turn_over:
                ticket.must_cancel = True

    def covers(self, message_id):
        ticket = self.by_message.get(message_id)
        if ticket is not None:
            ticket.covered = True

    # ------------------------------------------------------------------ turns

    def compaction_begins(self, session_id):
        if self.running.get(session_id, "") not in ("", *self.stuck):
            self.wrong(f"{session_id} is compacted during a turn")
        self.compacting[session_id] = False

    def compaction_ends(self, session_id, status):
        if self.compacting.pop(session_id) and status != "cancelled":
            self.wrong(f"a cancelled compaction of {session_id} {status}")

    def turn_begins(self, run):
        if run.session_id in self.compacting:
            self.wrong(f"a turn begins while {run.session_id} is compacted")
        if (other := self.running.get(run.session_id)) is not None and other not in self.stuck:
            self.wrong(f"two turns at once in {run.session_id}")
        self.running[run.session_id] = run.run_key
        self.starts.setdefault(run.session_id, []).append(run.message_id)
        ticket = self.by_message.get(run.message_id)
        if ticket is None:
            self.wrong("a turn began before its request was answered")
        elif ticket.started or ticket.folded:
            self.wrong(f"{ticket} ran twice")
        else:
            ticket.started = True
            if ticket.must_cancel:
                self.wrong(f"{ticket} began after it was cancelled")

    def turn_ends(self, run):
        if self.running.get(run.session_id) == run.run_key:
            del self.running[run.session_id]
        ticket = self.by_message.get(run.message_id)
        if ticket is not None:
            ticket.turn_over = True

    def is_stuck(self, run):
        self.stuck.add(run.run_key)
        self.stuck_since[run.run_id] = self.now()

    def chunk_issued(self, key, seq):
        self.issued.setdefault(key, []).append(seq)

    def stops(self):
        """The server is told to stop: what runs now is interrupted."""
        for ticket in self.tickets:
            ticket.must_interrupt = ticket.started and not ticket.turn_over

    def folded(self, fold, into):
        ticket = self.by_message.get(fold.message_id)
        if ticket is None:
            self.wrong("a prompt folded before it was answered")
            return
        if ticket.run_id is not None and ticket.when_busy not in ("fold", "steer"):
            self.wrong(f"{ticket} folded though it queues")
        if ticket.must_cancel:
            self.wrong(f"{ticket} folded after it was cancelled")
        if ticket.folded or ticket.started:
            self.wrong(f"{ticket} folded twice")
        ticket.folded = True

    # ------------------------------------------------------------------ events

    def notify(self, method, params, *, kind, key, session_id):
        event = orjson.loads(params)
        if kind == "E":
            return
        self._count(event["sessionId"], event["seq"])
        if method == "agent/runComplete":
            self._complete(event)
        else:
            self._event(event)

    def chunk(self, session_id, run_id, update_kind, key, text, seq, parent=None):
        if seq != self.seq.get(session_id, 0):
            self.wrong(f"chunk carries seq {seq}, not {self.seq.get(session_id, 0)}")
        self._names(run_id)
        for _ in text:
            if self.issued.get(key) and self.issued[key].pop(0) != seq:
                self.wrong("a chunk left out of its place")
        self.text[key] = self.text.get(key, "") + text

    def _count(self, session_id, seq):
        if seq != self.seq.get(session_id, 0) + 1:
            self.wrong(f"seq {seq} after {self.seq.get(session_id, 0)} in {session_id}")
        self.seq[session_id] = seq

    def _names(self, run_id):
        if run_id is None:
            return
        if run_id in self.completes:
            self.wrong(f"event of {run_id} after its completion")
        if run_id not in self.answered:
            self.wrong(f"event of {run_id} before its answer")

    def _event(self, event):
        update = event["update"]
        self._names(event.get("runId"))
        match update["sessionUpdate"]:
            case "agent_message":
                whole = "".join(block["text"] for block in update["content"])
                self.upserts[update["messageId"]] = whole
                is_recovered = update.get("finish", {}).get("message") == "Interrupted"
                if not is_recovered and whole != self.text.get(update["messageId"], ""):
                    self.wrong(f"message {update['messageId']}: chunks differ from the upsert")
            case "tool_call_update":
                if update["status"] in FINAL:
                    self.open_calls.pop(update["toolCallId"], None)
                else:
                    self.open_calls[update["toolCallId"]] = event.get("runId"), event["sessionId"]

    def _complete(self, event):
        run_id, session_id = event["runId"], event["sessionId"]
        self._names(run_id)
        if run_id is not None:
            if run_id in self.completes:
                self.wrong(f"{run_id} completed twice")
            self.completes[run_id] = event
            if self.now() - self.stuck_since.get(run_id, self.now()) > 6.5 + self.slack_s:
                self.wrong(f"{run_id} completed {self.now() - self.stuck_since[run_id]:.1f} s after its cancel")
        else:
            self.nameless.setdefault(session_id, []).append(event)
        self.completed_order.setdefault(session_id, []).append(run_id)
        # two runs without an id cannot be told apart on the wire
        still_open = run_id is not None and [
            call for call, (owner, where) in self.open_calls.items() if (owner, where) == (run_id, session_id)
        ]
        if still_open:
            self.wrong(f"{run_id} completed with open calls")
        if event["cancelled"] and (event["stopReason"] != "cancelled" or event["error"] is not None):
            self.wrong("a cancelled completion with an error")
