"""What is true when a schedule has come to rest: the disk, the wire and what was asked agree."""

from lsp_agent.domain.run import RunState


class Checks:
    """The part of a world that looks at it from outside, at the end."""

    def check(self, *, down):
        book = self.book
        if down and (book.is_lossy or self.faults):
            # a server that stops while its disk refuses everything: what it could promise was checked on the way
            return
        for session_id in self.deleted:
            book.seq.pop(session_id, None)
        lanes = {lane.session_id: lane for lane in self.agent._conductor.lanes}
        for lane in lanes.values():
            if not lane.is_empty and not down:
                book.wrong(f"stranded: {lane!r}")
        for ticket in book.tickets:
            if ticket.session_id not in self.deleted:
                self.check_ticket(ticket, down=down)
        for session_id in self.sessions:
            if session_id not in self.deleted:
                self.check_session(session_id)
        for answers in getattr(self, "compactions", ()):
            if len(answers) != 1 and self.life == 1:
                book.wrong(f"compaction answered {answers}")

    def check_ticket(self, ticket, *, down):
        book = self.book
        if ticket.answer is None and ticket.refusal is None and ticket.when_busy != "unknown":
            book.wrong(f"{ticket} never answered")
        if not book.original(ticket):
            return
        _run, state, reason = next(
            entry for entry in self.disk.runs.values() if entry[0].message_id == ticket.answer.message_id
        )
        complete = book.completes.get(ticket.run_id) if ticket.run_id is not None else None
        if state in (RunState.QUEUED, RunState.RUNNING):
            if not (down and state is RunState.QUEUED):
                book.wrong(f"{ticket} is still {state.value}")
            return
        if (state is RunState.FOLDED) != ticket.folded and self.life == 1 and not book.is_lossy:
            book.wrong(f"{ticket} is {state.value} on disk, folded: {ticket.folded}")
        if state is RunState.DONE and ticket.run_id is not None and complete is None:
            book.wrong(f"{ticket} has no completion")
        if state is RunState.FOLDED and complete is not None:
            book.wrong(f"{ticket} folded and completed")
        if ticket.answer.message_id not in self.disk.messages and not book.is_lossy:
            book.wrong(f"{ticket}: the prompt vanished")
        if complete is None:
            return
        if complete["cancelled"] and not ticket.covered:
            book.wrong(f"{ticket} cancelled by nobody")
        excused = down or self.life > 1 or book.is_lossy or self.faults
        if ticket.must_interrupt and complete["stopReason"] not in ("interrupted", "cancelled", "error"):
            book.wrong(f"{ticket} ended {complete['stopReason']} when the server stopped")
        if ticket.must_cancel and not complete["cancelled"] and not excused:
            book.wrong(f"{ticket} was cancelled and ended {complete['stopReason']}")
        if reason != complete["stopReason"]:
            book.wrong(f"{ticket}: the store says {reason}, the wire {complete['stopReason']}")

    def check_session(self, session_id):
        book = self.book
        stored = len(self.disk.events.get(session_id, ()))
        if stored != book.seq.get(session_id, 0):
            book.wrong(f"{session_id}: {stored} events stored, {book.seq.get(session_id, 0)} sent")
        starts = [book.by_message[message_id].number for message_id in book.starts.get(session_id, ())]
        if session_id not in book.reordered and self.life == 1 and starts != sorted(starts):
            book.wrong(f"{session_id}: started in order {starts}")
        started = [book.by_message[message_id].run_id for message_id in book.starts.get(session_id, ())]
        order = [run_id for run_id in book.completed_order.get(session_id, ()) if run_id in started and run_id]
        if self.life == 1 and order != [run_id for run_id in started if run_id]:
            book.wrong(f"{session_id}: completed {order}, started {started}")
        if self.life == 1:
            text = {m.message_id: m.text for m in self.disk.messages.values() if m.session_id == session_id}
            for message_id, whole in book.upserts.items():
                if message_id in text and text[message_id] != whole:
                    book.wrong(f"{message_id}: stored {text[message_id]!r}, sent {whole!r}")
        for joiner in self.joiners:
            if joiner.session_id == session_id and self.life == 1:
                joiner.check()
