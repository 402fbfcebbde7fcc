"""A cancel at any moment of a run with sub-agents: everything that was accepted ends exactly once, children first."""

import asyncio
import time
from collections import Counter

from tests.subagents.bench import call, say, turn

ROUNDS = 60


async def test_a_cancel_at_any_moment_ends_parent_and_children_exactly_once(bench):
    b = await bench(
        turn(
            call("agent", "t1", prompt="task"), call("agent", "t2", prompt="task"), when="start", times=0, after="user"
        ),
        turn(say("a"), call("ls", path="."), when="task", after="user"),
        turn(say("b"), when="task", after="tool"),
        turn(say("done"), when="start", after="tool"),
    )
    took_s: list[float] = []
    for number in range(ROUNDS):
        b.run("start", run_id=f"r{number}")
        for _ in range(number):
            await asyncio.sleep(0)
        # the later rounds reach the children, whose acceptance waits for the disk
        if number % 3 == 2:
            await b.until(lambda n=number: any(end["runId"] == f"r{n}" for end in b.screen.completes()) or _half(b, n))
        began_s = time.monotonic()
        for answer in b.answers[number : number + 1]:
            b.agent.cancel(answer.session_id)
        if len(b.answers) == number:
            await b.until(lambda n=number: len(b.answers) > n)
            b.agent.cancel(b.answers[number].session_id)
        await b.complete(f"r{number}")
        took_s.append(time.monotonic() - began_s)
    await b.until(lambda: not b.agent.status()["busy"])
    await b.hub.settle()
    times = Counter((end["sessionId"], end["runId"]) for end in b.screen.completes())
    assert set(times.values()) == {1}
    assert len({key for key in times if key[1]}) == ROUNDS
    assert await b.store.unfinished_runs() == []
    places = {event["sessionId"]: place for place, event in enumerate(b.screen.completes())}
    of_children = [session for session in places if "$$" in session]
    assert of_children
    parents = {event["sessionId"]: event["parent"]["sessionId"] for event in b.screen.events if "parent" in event}
    assert all(places[child] < places[parents[child]] for child in of_children)
    print(f"cancel with sub-agents: {len(of_children)} children, longest {max(took_s) * 1000:.0f} ms")
    assert max(took_s) < 2.0


def _half(b, number):
    """A child of this round speaks."""
    session = b.answers[number].session_id if len(b.answers) > number else None
    return any(chunk["parent"] and chunk["parent"]["sessionId"] == session for chunk in b.screen.said)
