"""PROTOCOL 10 under seeded disorder: random requests, random deaths; every run ends once, nothing is numbered twice."""

import asyncio
import random

import pytest

from tests.guarantees.checks import check
from tests.guarantees.world import World, completes, fresh, idle
from tests.harness.client import Client, Failed
from tests.harness.fake_provider import http, text, tool, usage


def random_turn(rng: random.Random):
    return rng.choice(
        [
            [text("quick"), usage(1, 1)],
            [{"paced": 10, "per_s": 400, "text": "word "}, usage(1, 1)],
            [text("a"), {"stall": 0.03}, text("b"), usage(1, 1)],
            [text("tools "), tool("ls", {"path": "."}), tool("grep", {"pattern": "x"}), usage(1, 1)],
            [http(400)],
            [http(529)],
            [text("torn"), {"end": "abrupt"}],
        ]
    )


async def random_request(client: Client, rng: random.Random, session: str, accepted: dict[str, str]) -> None:
    """One request; `accepted` gets the run ids that were."""
    choice = rng.random()
    try:
        if choice < 0.55:
            run_id = fresh()
            busy = rng.choice(["queue", "queue", "interrupt", "reject"])
            params = {"sessionId": session, "runId": run_id, "prompt": "p", "whenBusy": busy}
            await client.request("agent/run", params)
            accepted[run_id] = session
        elif choice < 0.65:
            await client.request("agent/run", {"sessionId": session, "prompt": "a fold"})
        elif choice < 0.8:
            run_id = rng.choice([None, *[r for r, s in accepted.items() if s == session]])
            params = {
                "sessionId": session,
                "queue": rng.choice(["keep", "drop"]),
                **({"runId": run_id} if run_id else {}),
            }
            await client.request("agent/cancel", params)
        elif choice < 0.95:
            listed = await client.request("agent/queue", {"sessionId": session})
            if listed["items"]:
                item = rng.choice(listed["items"])["messageId"]
                op = rng.choice(["remove", "sendNow", "move", "edit"])
                await client.request(
                    "agent/queue", {"sessionId": session, "op": op, "messageId": item, "index": 0, "prompt": "edited"}
                )
        else:
            await client.request("agent/session/compact", {"sessionId": session})
    except Failed as error:
        if error.kind not in ("SessionBusy", "RunNotFound", "RevisionConflict"):
            raise


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_10_03_whatever_is_asked_every_run_ends_once_and_the_session_rests(world: World, seed: int):
    rng = random.Random(seed)
    world.configure(limits="retries = 1")
    client = await world.start()
    world.fake.turns.extend(random_turn(rng) for _ in range(400))
    sessions = [(await client.request("agent/session/new", {"title": "t"}))["sessionId"] for _ in range(3)]
    accepted: dict[str, str] = {}
    for _ in range(12):
        await asyncio.gather(*[random_request(client, rng, rng.choice(sessions), accepted) for _ in range(10)])
    for session in sessions:
        await client.request("agent/cancel", {"sessionId": session})
    for run_id in accepted:
        await client.until_complete(run_id)
    for session in sessions:
        if completes(client, session):
            await idle(client, session)
    status = await client.request("agent/status")
    assert (status["busy"], status["queued"]) == (False, 0)
    ends = [run for session in sessions for run, _ in completes(client, session) if run is not None]
    assert sorted(ends) == sorted(accepted)


@pytest.mark.parametrize("frames", [2, 4, 6, 8, 11, 14, 18])
async def test_10_03_killed_at_any_frame_and_attached_again_nothing_is_lost_or_told_twice(world: World, frames: int):
    world.write("a.txt", "x\n")
    turns = [
        [text("look ", deltas=2), tool("view", {"file_path": "a.txt"}), usage(1, 1)],
        [text("and "), tool("write", {"file_path": f"b{frames}.txt", "content": "b"}), usage(1, 1)],
        [text("done"), usage(1, 1)],
    ]
    world.fake.push(*turns)
    first = await world.start()
    session = (await first.request("agent/session/new", {"title": "t"}))["sessionId"]
    runs = [fresh("one"), fresh("two")]
    for run_id in runs:
        await first.request("agent/run", {"sessionId": session, "runId": run_id, "prompt": run_id})
    await first.until(lambda _: len(first.events(session)) >= frames)
    first.kill9()
    await first.wait_exit()
    check(first)
    seen = [
        e
        for e in first.events(session)
        if "chunk" not in e and e.get("update", {}).get("sessionUpdate") != "usage_update"
    ]
    world.fake.turns.clear()
    second = await world.start()
    result = await second.request(
        "agent/session/attach", {"sessionId": session, "afterSeq": seen[-1]["seq"] if seen else 0}
    )
    assert result["mode"] == "replay"
    ended = {run for run, _ in completes(first, session)}
    for run_id in runs:
        if run_id not in ended:
            await second.until_complete(run_id)
    await second.request("agent/status")
    both = seen + [
        e
        for e in second.events(session)
        if "chunk" not in e and e.get("update", {}).get("sessionUpdate") != "usage_update"
    ]
    assert [e["seq"] for e in both] == list(range(1, len(both) + 1))
    assert [run for run, _ in completes(first, session) + completes(second, session)] == runs
    statuses = {}
    for event in both:
        if event.get("update", {}).get("sessionUpdate") == "tool_call_update":
            statuses[event["update"].get("messageId"), event["update"]["toolCallId"]] = event["update"]["status"]
    assert set(statuses.values()) <= {"completed", "failed", "rejected", "cancelled"}
    # what was announced as finished is stored
    messages = {
        m["messageId"]: m for m in (await second.request("agent/session/read", {"sessionId": session}))["messages"]
    }
    for event in both:
        update = event.get("update", {})
        if update.get("sessionUpdate") == "agent_message" and update["content"]:
            parts = messages[update["messageId"]]["parts"]
            assert "".join(p["text"] for p in parts if p["type"] == "text") == update["content"][0]["text"]
