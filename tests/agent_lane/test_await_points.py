import asyncio

import pytest

from lsp_agent.domain.message import AttachmentPart
from lsp_agent.domain.run import Outcome, StopReason
from tests.agent_lane.stage import Connection, Stage
from tests.simulation.await_points import points


def tidy(stage):
    stage.settle(60)
    assert stage.agent._conductor._holds == {}
    assert stage.agent._acceptance._tasks == set()
    assert stage.agent.is_busy("s1") is False
    assert [channel.recordings for channel in stage.hub._channels.values() if channel.recordings] == []
    stage.run("next")
    stage.release("next")
    assert stage.screen.completions[-1] == "next end_turn"
    stage.loop.abandon()


def test_F37_reading_attachments_may_be_cancelled_at_every_point():
    def make():
        stage = Stage()
        wraps = []

        async def read():
            for _ in range(3):
                await asyncio.sleep(0.01)
            return (AttachmentPart("text/plain", text="x"),)

        def run(wrap):
            wraps.append(wrap)
            stage.run("a", attachments=lambda: wrap(read()))
            stage.release("a")

        def check(_k):
            assert len(stage.answers) == 1
            assert (stage.answers[0], stage.screen.completions) in [
                ("refused ShuttingDown", []),
                ("a running", ["a end_turn"]),
            ]
            tidy(stage)

        return run, check

    assert points(make) == 3


def test_F37_a_turn_may_be_cancelled_at_every_point():
    def make():
        holder = []

        async def work(run, control):
            hub = holder[0].hub
            hub.durable("s1", run, {"sessionUpdate": "notice", "level": "info", "code": "c", "message": ""})
            for _ in range(4):
                await asyncio.sleep(0.01)
                control.take_folds()
            return Outcome(StopReason.END_TURN)

        wraps = []

        async def turn(run, control):
            if run.run_id != "a":
                return await holder[0].turn(run, control)
            return await wraps[0](work(run, control))

        stage = Stage(turn=turn)
        holder.append(stage)

        def run(wrap):
            wraps.append(wrap)
            stage.run("a")
            stage.settle()

        def check(_k):
            assert stage.screen.completions in (["a interrupted"], ["a end_turn"])
            tidy(stage)

        return run, check

    assert points(make) == 4


OPERATIONS = {
    "attach": lambda agent: agent.attach("s1", Connection(), 0, lambda _: None),
    "delete": lambda agent: agent.delete_session("s1"),
    "shutdown": lambda agent: agent.shutdown(),
}


async def swallowing(work):
    try:
        await work
    except asyncio.CancelledError:
        pass


@pytest.mark.parametrize("name", OPERATIONS)
def test_F37_an_operation_may_be_cancelled_at_every_point_and_the_run_ends_once(name):
    def make():
        stage = Stage()
        stage.run("a")

        def run(wrap):
            stage.do(swallowing(wrap(OPERATIONS[name](stage.agent))))
            stage.release("a")

        def check(_k):
            stage.settle(60)
            assert len(stage.screen.completions) == 1
            if name == "attach":
                tidy(stage)
            else:
                stage.loop.abandon()

        return run, check

    assert points(make) >= 1


def test_F37_recovery_may_be_cancelled_at_every_point_and_repeated():
    def make():
        before = Stage()
        before.run("a")
        before.run("b")
        stage = before.crash()

        def run(wrap):
            stage.do(swallowing(wrap(stage.agent.recover())))
            stage.settle()

        def check(_k):
            last = stage.crash()
            last.do(last.agent.recover())
            last.settle()
            assert [row.terminal for row in last.disk.events["s1"].values()].count(True) == 1
            assert repr(last.lane) == "<- | b dormant>"
            last.loop.abandon()

        return run, check

    assert points(make) >= 3
