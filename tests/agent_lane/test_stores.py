"""The lane, the conductor and the hub over the product's own stores, on a real loop."""

import asyncio
import contextlib
import time

import pytest

from lsp_agent.agent.agent import Agent
from lsp_agent.agent.hub import Hub
from lsp_agent.agent.run_updates import user_message
from lsp_agent.agent.submission import Submission
from lsp_agent.clock import SystemClock
from lsp_agent.domain.message import Message, Role, TextPart
from lsp_agent.domain.run import Outcome, RunState, StopReason
from lsp_agent.ports.store import PutMessage, SetRunState
from lsp_agent.store.memory import MemoryStore
from lsp_agent.store.sqlite import SqliteStore
from tests.agent_lane.stage import Connection


class Life:
    """One process on a store."""

    def __init__(self, store):
        self.store = store
        self.clock = SystemClock()
        self.hub = Hub(store, self.clock)
        self.screen = Connection()
        self.hub.watch(self.screen)
        self.gates = {}
        self.controls = {}
        self.agent = Agent(store, self.hub, self.clock, self.turn, self.compact)

    async def turn(self, run, control):
        self.controls[run.run_id] = control
        self.enter(run, SetRunState(run.run_key, RunState.RUNNING))
        try:
            await self.gates.setdefault(run.run_id, asyncio.get_running_loop().create_future())
        except asyncio.CancelledError:
            return Outcome(control.stop_reason_on_cancel())
        for fold in control.take_folds():
            self.enter(fold)
        return Outcome(StopReason.END_TURN, text="done")

    def enter(self, run, *writes):
        message = Message(run.message_id, run.session_id, Role.USER, [TextPart(run.prompt)], run_key=run.run_key)
        update = user_message(run.message_id, run.prompt, ())
        self.hub.durable(run.session_id, run, update, writes=[PutMessage(message), *writes])

    async def compact(self, session_id):
        await asyncio.sleep(0)

    async def run(self, run_id=None, session_id=None, **more):
        answered = asyncio.get_running_loop().create_future()
        submission = Submission("do it", session_id, run_id, **more)
        self.agent.run(submission, answered.set_result, answered.set_exception)
        return await answered

    async def until(self, reached):
        deadline = time.monotonic() + 10
        while not reached():
            assert time.monotonic() < deadline, self.screen.lines
            await asyncio.sleep(0.001)

    async def release(self, run_id):
        await self.until(lambda: run_id in self.gates)
        self.gates[run_id].set_result(None)
        await self.until(lambda: any(line.endswith(f"complete {run_id} end_turn") for line in self.screen.lines))


@pytest.fixture(params=["memory", "sqlite"])
async def lives(request, tmp_path):
    """`await lives()` starts a process on what the one before has committed."""
    opened = []

    async def start():
        if request.param == "sqlite":
            for store in opened:
                await store.close()
            store = await SqliteStore.open(tmp_path, clock_ms=lambda: time.time_ns() // 1_000_000)
        else:
            store = MemoryStore.restore(opened[-1].snapshot()) if opened else MemoryStore()
        opened.append(store)
        return Life(store)

    yield start
    for _ in range(5):
        # what a process that died had still under way
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
    for store in opened:
        with contextlib.suppress(Exception):
            await store.close()


async def test_runs_queue_fold_cancel_and_complete_once(lives):
    life = await lives()
    first = await life.run("a")
    session = first.session_id
    assert (first.state, (await life.run("b", session)).state) == ("running", "queued")
    assert (await life.run(None, session)).position == 1
    await life.release("a")
    await life.run("c", session)
    assert life.agent.cancel(session).run_ids == ("b", "c")
    await life.until(lambda: len(life.screen.completions) == 3)
    assert sorted(life.screen.completions) == ["a end_turn", "b cancelled", "c cancelled"]
    assert (await life.run("a")).state == "end_turn"
    stored = await life.store.session(session)
    assert stored.seq == life.screen.events[-1]["seq"]
    assert [event["seq"] for event in life.screen.events] == list(range(1, stored.seq + 1))


async def test_a_restart_interrupts_what_ran_and_keeps_what_waited(lives):
    life = await lives()
    session = (await life.run("a")).session_id
    await life.until(lambda: "a" in life.gates)
    await life.run("b", session)
    await life.run("c", session)
    life.agent.queue(session, "move", item="c", index=0)
    await life.store.flush()
    seen = life.screen.events[-1]["seq"]
    after = await lives()
    assert await after.agent.recover() == 1
    editor, answers = Connection(), []
    await after.agent.attach(session, editor, seen, answers.append)
    await after.release("c")
    await after.release("b")
    assert answers[0]["mode"] == "replay"
    assert editor.completions == ["a interrupted", "c end_turn", "b end_turn"]
    assert [event["seq"] for event in editor.events] == list(range(seen + 1, editor.events[-1]["seq"] + 1))


async def test_shutdown_and_deletion_leave_nothing_behind(lives):
    life = await lives()
    session = (await life.run("a")).session_id
    other = (await life.run("x")).session_id
    await life.until(lambda: {"a", "x"} <= set(life.gates))
    await life.agent.delete_session(session)
    assert await life.store.session(session) is None
    await life.agent.shutdown(2.0)
    assert life.screen.completions == ["a cancelled", "x interrupted"]
    assert (await life.store.session(other)).seq == life.hub.seq(other)
