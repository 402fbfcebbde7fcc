"""After a crash no sub-agent goes on: it ends as interrupted, before the call it was made for."""

from lsp_agent.domain.run import Run, RunState
from lsp_agent.domain.session import Session
from lsp_agent.ports.store import AcceptRun, SetRunState
from tests.subagents.bench import Screen


async def test_children_that_ran_or_had_not_begun_end_interrupted_and_before_their_parent(bench):
    b = await bench()
    store, now = b.store, 1_000
    parent = Run("01P", "s1", "r1", "m1", "start", accepted_at_ms=now)
    await store.write([AcceptRun(parent, Session("s1", created_at_ms=now)), SetRunState("01P", RunState.RUNNING)])
    for number, state in ((1, RunState.RUNNING), (2, RunState.QUEUED)):
        child = Session(f"m2$$t{number}", parent_session_id="s1", parent_tool_call_id=f"t{number}")
        run = Run(f"01C{number}", child.session_id, None, f"mc{number}", "look", accepted_at_ms=now)
        await store.write([AcceptRun(run, child)])
        if state is RunState.RUNNING:
            await store.write([SetRunState(run.run_key, state)])
    screen = Screen()
    b.hub.watch(screen)
    assert await b.agent.recover() == 3
    await b.hub.settle()
    ends = [(end["sessionId"], end["stopReason"]) for end in screen.completes()]
    assert ends == [("m2$$t1", "interrupted"), ("m2$$t2", "interrupted"), ("s1", "interrupted")]
    of_children = [event for event in screen.events if "$$" in event["sessionId"] and event["method"] == "agent/event"]
    assert {event["parent"]["sessionId"] for event in of_children} == {"s1"}
    assert await store.unfinished_runs() == []
    assert await b.agent.recover() == 0
