"""Random sequences of agent edits, user edits, accept, reject, undo, redo and restore (issue 3, "Undo").

No character the user typed is ever lost; going back and then going back from that is the identity; what is accepted is
in the text as it was; a conflict touches nothing.
"""

import asyncio
import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lsp_agent.store.memory import MemoryStore
from tests.changes.world import SESSION, World

FILES = ("a.txt", "b.txt")
CREATED = ("c.txt", "d.txt")
FEW = st.sampled_from(["x", "y", "", "z z"])
"""Lines that are often alike: where a diff can go wrong."""
AT = st.integers(0, 30)
EXAMPLES = 500


class Editing(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.tokens: dict[str, set[str]] = {name: set() for name in (*FILES, *CREATED)}
        self.numbers = itertools.count(1)
        self.runs = itertools.count(1)
        self.run_name = "r0"

    def do(self, work):
        return self.loop.run_until_complete(work)

    @initialize(lines=st.lists(FEW, max_size=12), opened=st.booleans(), last=st.booleans(), crlf=st.booleans())
    def begin(self, lines, opened, last, crlf):
        self.world = World(Path(self.folder.name), MemoryStore())
        self.do(self.world.begin())
        end = "\r\n" if crlf else "\n"
        for name in FILES:
            self.world.file(name, end.join(lines) + (end if last and lines else ""), opened=opened and name == "a.txt")

    def text(self, name):
        return self.do(self.world.text(name))

    def lines(self, name):
        return (self.text(name) or "").splitlines(keepends=True)

    # ------------------------------------------------------------------------------------------------- the agent

    @rule(name=st.sampled_from(FILES), at=AT, length=st.integers(0, 4), fresh=st.lists(FEW, max_size=4))
    def agent_rewrites_a_block(self, name, at, length, fresh):
        self.agent_writes(name, [(at, length, fresh)])

    @rule(
        name=st.sampled_from(FILES),
        steps=st.lists(st.tuples(AT, st.integers(0, 3), st.just(None)), min_size=2, max_size=4),
    )
    def agent_rewrites_several(self, name, steps):
        self.agent_writes(name, [(at, length, [f"g{next(self.numbers)}"]) for at, length, _ in steps])

    def agent_writes(self, name, steps):
        """Replaces lines, never one with the user's text in it."""
        lines = self.lines(name)
        if self.text(name) is None:
            return
        for at, length, fresh in steps:
            start = min(at, len(lines))
            end = min(start + length, len(lines))
            if any(token in line for line in lines[start:end] for token in self.tokens[name]):
                continue
            new = [f"{line}\n" for line in fresh]
            if start and new and not lines[start - 1].endswith("\n"):
                continue
            lines[start:end] = new
        self.do(self.world.rewrites(name, "".join(lines), self.run_name))

    @rule(name=st.sampled_from(CREATED), lines=st.lists(FEW, max_size=3))
    def agent_creates(self, name, lines):
        if self.text(name) is None:
            self.do(self.world.rewrites(name, "".join(f"{line}\n" for line in lines), self.run_name))

    @rule()
    def next_run(self):
        self.run_name = f"r{next(self.runs)}"

    # -------------------------------------------------------------------------------------------------- the user

    @rule(name=st.sampled_from((*FILES, *CREATED)), at=AT, inside=st.booleans())
    def user_types(self, name, at, inside):
        if self.text(name) is None:
            return
        lines, token = self.lines(name), f"u{next(self.numbers)};"
        self.tokens[name].add(token)
        if inside and lines:
            number = min(at, len(lines) - 1)
            lines[number] = token + lines[number]
        else:
            number = min(at, len(lines))
            if number and not lines[number - 1].endswith("\n"):
                lines[number - 1] += "\n"
            lines.insert(number, f"{token}\n")
        self.world.types(name, "".join(lines))

    @rule(name=st.sampled_from(FILES), at=AT)
    def user_deletes_a_line(self, name, at):
        lines = self.lines(name)
        if (
            self.text(name) is not None
            and lines
            and not any(one in lines[at % len(lines)] for one in self.tokens[name])
        ):
            del lines[at % len(lines)]
            self.world.types(name, "".join(lines))

    @rule(action=st.sampled_from(["accept", "reject", "undo", "redo"]), which=st.integers(0, 50), how=AT)
    def user_decides(self, action, which, how):
        before = {name: self.text(name) for name in (*FILES, *CREATED)}
        hunks = list(self.do(self.world.states()))
        if how % 4 == 0 or not hunks:
            resolved = self.do(self.world.resolve(action))
        elif how % 4 == 1:
            resolved = self.do(self.world.resolve(action, path=str(self.world.path(FILES[which % 2]))))
        else:
            resolved = self.do(self.world.resolve(action, hunks[which % len(hunks)]))
        if not resolved.done:
            assert {name: self.text(name) for name in before} == before, "a conflict changes nothing"
        states = self.do(self.world.states())
        for conflict in resolved.conflicts:
            assert conflict.hunk_id in states
            assert conflict.hunk_id not in resolved.done
        if action in ("accept", "reject"):
            wanted = "accepted" if action == "accept" else "rejected"
            assert all(states[one] == wanted for one in resolved.done)
            again = {name: self.text(name) for name in before}
            for one in resolved.done:
                assert self.do(self.world.resolve(action, one)).done == [one]
            assert {name: self.text(name) for name in before} == again, "a decision repeated changes nothing"

    @rule(which=st.integers(0, 50))
    def user_goes_back_and_forth(self, which):
        checkpoints = self.do(self.world.changes.checkpoints.list(SESSION))
        if not checkpoints:
            return
        before = ({name: self.text(name) for name in (*FILES, *CREATED)}, self.do(self.world.states()))
        chosen = checkpoints[which % len(checkpoints)].checkpoint_id
        dry = self.do(self.world.changes.checkpoints.restore(chosen, files=True, conversation=False, dry_run=True))
        assert {name: self.text(name) for name in before[0]} == before[0], "a dry run changes nothing"
        done = self.do(self.world.changes.checkpoints.restore(chosen, files=True, conversation=False))
        assert [one.hunk_id for one in dry.conflicts] == [one.hunk_id for one in done.conflicts]
        self.no_user_text_is_lost()
        back = self.do(self.world.changes.checkpoints.restore(done.undo_checkpoint_id, files=True, conversation=False))
        assert back.conflicts == []
        after = ({name: self.text(name) for name in before[0]}, self.do(self.world.states()))
        assert after == before

    @rule(which=st.integers(0, 50))
    def user_goes_back(self, which):
        checkpoints = self.do(self.world.changes.checkpoints.list(SESSION))
        if checkpoints:
            chosen = checkpoints[which % len(checkpoints)].checkpoint_id
            self.do(self.world.changes.checkpoints.restore(chosen, files=True, conversation=False))

    @precondition(lambda self: hasattr(self, "world"))
    @rule()
    def user_accepts_everything(self):
        before = {name: self.text(name) for name in (*FILES, *CREATED)}
        self.do(self.world.resolve("accept"))
        assert {name: self.text(name) for name in before} == before

    @invariant()
    def no_user_text_is_lost(self):
        for name, tokens in self.tokens.items():
            if tokens:
                text = self.text(name) or ""
                assert [token for token in tokens if text.count(token) != 1] == [], name

    def teardown(self):
        if hasattr(self, "world"):
            self.world.close()
        self.loop.close()
        self.folder.cleanup()


QUICK = settings(max_examples=40, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck))


def test_no_character_of_the_user_is_lost_in_a_few_sequences():
    run_state_machine_as_test(Editing, settings=QUICK)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_character_of_the_user_is_lost_in_many_sequences():
    run_state_machine_as_test(Editing, settings=settings(QUICK, max_examples=EXAMPLES))
