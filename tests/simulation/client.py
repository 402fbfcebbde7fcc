"""A connection that joins late: attaches, then checks that what it is sent has no gap and no duplicate."""

import orjson


class Joiner:
    def __init__(self, book, session_id, after_seq, expect_replay=False):
        self.book = book
        self.session_id = session_id
        self.after_seq = after_seq
        self.expect_replay = expect_replay
        self.answer = None
        self.next = None
        self.quiet_until = 0
        self.text = {}

    def joined(self, answer):
        self.answer = answer
        if answer["mode"] == "replay":
            self.next = self.after_seq + 1
            self.quiet_until = answer["seq"]
        else:
            self.next = answer["seq"] + 1
            if self.expect_replay:
                self.book.wrong(f"no replay after {self.after_seq}")

    def notify(self, method, params, *, kind, key, session_id):
        event = orjson.loads(params)
        if self.answer is None:
            self.book.wrong("an event before the answer to attach")
            return
        if kind == "E":
            return
        if event["seq"] != self.next:
            self.book.wrong(f"attached connection got seq {event['seq']}, not {self.next}")
        self.next = event["seq"] + 1
        update = event.get("update", {})
        if update.get("sessionUpdate") == "agent_message" and event["seq"] > self.quiet_until:
            joined = self.text.get(update["messageId"])
            whole = "".join(block["text"] for block in update["content"])
            if joined is not None and joined != whole:
                self.book.wrong(f"attached connection read {joined!r}, the message is {whole!r}")

    def chunk(self, session_id, run_id, update_kind, key, text, seq, parent=None):
        if self.answer is None:
            self.book.wrong("a chunk before the answer to attach")
        elif seq != self.next - 1:
            self.book.wrong(f"attached connection got a chunk at seq {seq}, not {self.next - 1}")
        self.text[key] = self.text.get(key, "") + text

    def check(self):
        if self.answer is not None and self.next - 1 != self.book.seq.get(self.session_id, 0):
            self.book.wrong(f"attached connection stopped at {self.next - 1}, not {self.book.seq.get(self.session_id)}")
