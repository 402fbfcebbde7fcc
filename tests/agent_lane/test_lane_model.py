"""Any sequence of requests, against a model that is nothing but lists."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lsp_agent.agent.actions import Discard, Rest, Start, Stop
from lsp_agent.agent.lane import Lane
from lsp_agent.domain.errors import RequestRejected
from lsp_agent.domain.run import Run

ANY = st.integers(0, 20)


class LaneMachine(RuleBasedStateMachine):
    """`waiting` is the model's lane in order: [key, is ready, turn it folds into or None]; `active` its active key."""

    def __init__(self):
        super().__init__()
        self.lane = Lane("s1")
        self.count = 0
        self.active = None
        self.is_stopping = False
        self.waiting = []
        self.doomed = []
        self.ended = []
        self.runs = {}

    def perform(self, actions):
        """Takes the lane's word only for what the model says must happen now."""
        starts = [action.run.run_key for action in actions if isinstance(action, Start)]
        stops = [action.key for action in actions if isinstance(action, Stop)]
        dropped = [action.run.run_key for action in actions if isinstance(action, Discard)]
        for key in stops:
            assert key == self.active
            assert not self.is_stopping
            self.is_stopping = True
        self.ended += dropped
        expected = []
        if self.active is None and self.waiting and self.waiting[0][1]:
            key = self.waiting.pop(0)[0]
            expected.append(key)
            self.active, self.is_stopping = key, False
            for entry in self.waiting:
                if entry[2] == "next":
                    entry[2] = key
        assert starts == expected
        return dropped

    def release(self, key):
        for entry in self.waiting:
            if entry[2] == key:
                entry[2] = None

    def accept(self, when_busy, *, ready):
        self.count += 1
        key = f"k{self.count}"
        is_busy = self.active is not None or bool(self.waiting)
        request = Run(key, "s1", key, "m" + key, "p")
        if when_busy == "reject" and is_busy:
            with pytest.raises(RequestRejected, match="the session is busy"):
                self.lane.reserve(request, when_busy)
            return
        run, actions = self.lane.reserve(request, when_busy)
        self.perform(actions)
        self.runs[key] = run
        found = self.active
        entry = [key, False, (found or "next") if when_busy == "fold" and is_busy else None, None]
        if when_busy == "interrupt" and is_busy:
            entry[3] = found
            self.waiting.insert(0, entry)
        else:
            self.waiting.append(entry)
        if ready:
            self.confirm_key(key)

    def confirm_key(self, key):
        confirmed, actions = self.lane.confirm(self.runs[key])
        if key in self.doomed:
            self.doomed.remove(key)
            assert confirmed.state == "cancelled"
            assert self.perform(actions) == [key]
            return
        entry = next(entry for entry in self.waiting if entry[0] == key)
        entry[1] = True
        must_stop = entry[3] is not None and entry[3] == self.active and not self.is_stopping
        assert must_stop == any(isinstance(action, Stop) for action in actions)
        self.perform(actions)
        assert confirmed.state == ("running" if self.active == key else "queued")

    @rule(when_busy=st.sampled_from(["queue", "fold", "reject", "interrupt"]), ready=st.booleans())
    def submit(self, when_busy, ready):
        self.accept(when_busy, ready=ready)

    def reserved(self):
        return [entry[0] for entry in self.waiting if not entry[1]] + self.doomed

    @precondition(lambda self: self.reserved())
    @rule(pick=ANY)
    def confirm(self, pick):
        keys = self.reserved()
        self.confirm_key(keys[pick % len(keys)])

    @precondition(lambda self: self.reserved())
    @rule(pick=ANY)
    def withdraw(self, pick):
        keys = self.reserved()
        key = keys[pick % len(keys)]
        actions = self.lane.withdraw(key)
        self.doomed = [other for other in self.doomed if other != key]
        self.waiting = [entry for entry in self.waiting if entry[0] != key]
        self.release(key)
        self.perform(actions)

    @precondition(lambda self: self.active)
    @rule()
    def finish(self):
        key, self.active = self.active, None
        actions = self.lane.finish(key)
        self.release(key)
        self.ended.append(key)
        self.perform(actions)
        assert any(isinstance(action, Rest) for action in actions) == (self.active is None)

    @precondition(lambda self: self.active)
    @rule()
    def take_folds(self):
        taken, actions = self.lane.take_folds(self.active)
        expected = []
        for entry in self.waiting:
            if entry[2] == self.active and not self.is_stopping:
                if not entry[1]:
                    break
                expected.append(entry)
        self.waiting = [entry for entry in self.waiting if entry not in expected]
        assert [run.run_key for run in taken] == [entry[0] for entry in expected]
        self.ended += [run.run_key for run in taken]
        self.perform(actions)

    @rule(keep=st.booleans())
    def cancel_all(self, keep):
        was_stopping, active = self.is_stopping, self.active
        _, actions = self.lane.cancel(drop_queue=not keep)
        gone = [entry for entry in self.waiting if not entry[1] or not keep]
        self.waiting = [entry for entry in self.waiting if entry not in gone]
        self.doomed += [entry[0] for entry in gone if not entry[1]]
        for entry in gone:
            self.release(entry[0])
        dropped = self.perform(actions)
        assert dropped == [entry[0] for entry in gone if entry[1]]
        assert any(isinstance(action, Stop) for action in actions) == (active is not None and not was_stopping)

    @precondition(lambda self: self.waiting)
    @rule(pick=ANY)
    def cancel_one(self, pick):
        entry = self.waiting.pop(pick % len(self.waiting))
        answer, actions = self.lane.cancel(entry[0])
        assert answer.run_ids == (entry[0],)
        self.release(entry[0])
        if not entry[1]:
            self.doomed.append(entry[0])
        assert self.perform(actions) == ([entry[0]] if entry[1] else [])

    @precondition(lambda self: any(entry[1] for entry in self.waiting))
    @rule(pick=ANY, index=st.integers(0, 5))
    def move(self, pick, index):
        ready = [entry for entry in self.waiting if entry[1]]
        entry = ready[pick % len(ready)]
        self.waiting.remove(entry)
        ready.remove(entry)
        at = self.waiting.index(ready[index]) if index < len(ready) else len(self.waiting)
        self.waiting.insert(at, entry)
        self.perform(self.lane.move(entry[0], index))

    @precondition(lambda self: any(entry[1] for entry in self.waiting))
    @rule(pick=ANY)
    def send_now(self, pick):
        ready = [entry for entry in self.waiting if entry[1]]
        entry = ready[pick % len(ready)]
        self.waiting.remove(entry)
        entry[2] = None
        self.waiting.insert(0, entry)
        self.perform(self.lane.send_now(entry[0]))

    @invariant()
    def they_agree(self):
        active = self.lane.active.key if self.lane.active is not None else None
        assert active == self.active
        assert [item.run.run_key for item in self.lane.items()] == [entry[0] for entry in self.waiting if entry[1]]
        kinds = ["fold" if entry[2] is not None else "queued" for entry in self.waiting if entry[1]]
        assert [item.kind for item in self.lane.items()] == kinds

    @invariant()
    def nothing_ends_twice(self):
        assert len(set(self.ended)) == len(self.ended)


LaneMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestLane = LaneMachine.TestCase
