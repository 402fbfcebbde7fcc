"""PROTOCOL 10.8 and 10.9: several clients of one server, over `--socket`."""

import asyncio
from pathlib import Path

import pytest

from tests.guarantees.world import World, begin, completes, fresh, idle, turn
from tests.harness.client import Client
from tests.harness.fake_provider import text, tool, usage


async def two(world: World, **how) -> tuple[Client, Client, Path]:
    socket = world.home / "agent.sock"
    first = await world.start("--socket", str(socket))
    second = await world.join(socket, **how)
    return first, second, socket


def durable(client: Client, session: str) -> list[int]:
    events = client.events(session)
    return [e["seq"] for e in events if "chunk" not in e and e.get("update", {}).get("sessionUpdate") != "usage_update"]


async def test_10_09_two_connections_see_the_same_durable_sequence(world: World):
    first, second, _ = await two(world)
    assert (await first.request("agent/status"))["connections"] == 2
    session = (await first.request("agent/session/new", {"title": "t"}))["sessionId"]
    await second.request("agent/session/attach", {"sessionId": session})
    world.fake.push([text("abc", deltas=3), tool("ls", {}), usage(1, 1)], [text("d")])
    await turn(first, sessionId=session)
    for client in (first, second):
        await idle(client, session)
    assert durable(first, session) == durable(second, session)
    same = [[e for e in c.events(session) if "chunk" not in e] for c in (first, second)]
    assert same[0] == same[1]


async def test_10_09_losing_one_connection_cancels_nothing(world: World):
    first, second, _ = await two(world)
    session, run_id, hold = await begin(second, world.fake)
    await first.request("agent/session/attach", {"sessionId": session, "afterSeq": 0})
    second.pipe.close_stdout()
    while (await first.request("agent/status"))["connections"] != 1:
        pass
    world.fake.release(hold)
    assert (await first.until_complete(run_id))["stopReason"] == "end_turn"
    assert first.chunk_text(first.events(session, "agent_message")[-1]["update"]["messageId"]) == "held done"


async def test_10_08_attach_in_the_middle_of_a_stream_has_no_gap_and_no_duplicate(world: World):
    first, second, _ = await two(world)
    world.fake.push([{"paced": 400, "per_s": 800, "text": "word "}, usage(1, 1)])
    run_id = fresh()
    session = (await first.request("agent/run", {"runId": run_id, "prompt": "x"}))["sessionId"]
    await first.until_event("agent_message_chunk", session)
    for _ in range(5):
        result = await second.request("agent/session/attach", {"sessionId": session, "afterSeq": 0})
        assert result["activeRunId"] == run_id
        await second.request("agent/session/detach", {"sessionId": session})
        second.recorded.clear()
    await second.request("agent/session/attach", {"sessionId": session, "afterSeq": 0})
    await second.until_complete(run_id)
    await idle(second, session)
    assert durable(second, session) == list(range(1, durable(second, session)[-1] + 1))
    full = second.events(session, "agent_message")[-1]["update"]
    assert second.chunk_text(full["messageId"]) == "word " * 400


async def test_10_09_the_second_client_can_cancel_and_queue(world: World):
    first, second, _ = await two(world)
    session, run_id, _ = await begin(first, world.fake)
    other = fresh()
    await second.request("agent/run", {"sessionId": session, "runId": other, "prompt": "from the second"})
    assert (await second.request("agent/cancel", {"sessionId": session, "runId": run_id}))["cancelled"] == [run_id]
    for client in (first, second):
        await client.until_complete(other)
    assert completes(first, session) == [(run_id, "cancelled"), (other, "end_turn")]


async def test_05_the_first_answer_to_a_permission_wins(world: World):
    world.configure(permissions='mode = "ask"')
    first, second, _ = await two(world)
    session = (await first.request("agent/session/new", {"title": "t"}))["sessionId"]
    await second.request("agent/session/attach", {"sessionId": session})
    world.fake.push([tool("write", {"file_path": "w.txt", "content": "w"}), usage(1, 1)], [text("done")])
    run_id = fresh()
    await first.request("agent/run", {"sessionId": session, "runId": run_id, "prompt": "x"})
    asked = (await second.until_event("permission_requested", session))["update"]
    await first.until_event("permission_requested", session)
    answer = {
        "requestId": asked["requestId"],
        "outcome": {"type": "selected", "optionId": asked["options"][0]["optionId"]},
    }
    results = await asyncio.gather(
        first.request("agent/permission/respond", answer), second.request("agent/permission/respond", answer)
    )
    assert sorted(r["accepted"] for r in results) == [False, True]
    late = next(r for r in results if not r["accepted"])
    assert late["outcome"] == asked["options"][0]["optionId"]
    assert late["resolvedBy"]
    await first.until_complete(run_id)
    for client in (first, second):
        assert len(client.events(session, "permission_resolved")) == 1


async def test_05_a_pending_permission_survives_a_disconnect(world: World):
    world.configure(permissions='mode = "ask"')
    first, second, socket = await two(world)
    world.fake.push([tool("write", {"file_path": "w.txt", "content": "w"}), usage(1, 1)], [text("done")])
    run_id = fresh()
    session = (await second.request("agent/run", {"runId": run_id, "prompt": "x"}))["sessionId"]
    asked = (await second.until_event("permission_requested", session))["update"]
    second.pipe.close_stdout()
    while (await first.request("agent/status"))["connections"] != 1:
        pass
    third = await world.join(socket)
    attached = await third.request("agent/session/attach", {"sessionId": session, "afterSeq": 0})
    assert [p["requestId"] for p in attached["pending"]["permissions"]] == [asked["requestId"]]
    assert attached["activeRunId"] == run_id
    await third.request(
        "agent/permission/respond",
        {"requestId": asked["requestId"], "outcome": {"type": "selected", "optionId": asked["options"][0]["optionId"]}},
    )
    assert (await third.until_complete(run_id))["stopReason"] == "end_turn"
    assert (world.project / "w.txt").read_text() == "w"


async def test_the_socket_is_the_users_alone_and_goes_away(world: World):
    first, second, socket = await two(world)
    assert socket.stat().st_mode & 0o077 == 0
    second.notify("exit")
    while (await first.request("agent/status"))["connections"] != 1:
        pass
    assert await first.shutdown() == 0
    assert not socket.exists()


@pytest.mark.parametrize("how", ["shutdown", "close"])
async def test_10_09_a_secondary_client_that_leaves_does_not_end_the_server(world: World, how: str):
    first, second, _ = await two(world)
    _session, run_id, hold = await begin(first, world.fake)
    if how == "shutdown":
        await second.request("shutdown")
        second.notify("exit")
    else:
        second.pipe.close_stdin()
    while (await first.request("agent/status"))["connections"] != 1:
        pass
    world.fake.release(hold)
    assert (await first.until_complete(run_id))["stopReason"] == "end_turn"


async def test_05_a_run_nobody_can_answer_for_is_refused_and_goes_on(world: World):
    world.configure(permissions='mode = "ask"')
    client = await world.start(agent={"protocolVersions": [1], "ui": {"permission": "none"}})
    world.fake.push([tool("write", {"file_path": "ni.txt", "content": "x"}), usage(1, 1)], [text("ok")])
    result, done = await turn(client, options={"nonInteractive": True})
    assert (done["stopReason"], done["text"]) == ("end_turn", "ok")
    assert not client.events(result["sessionId"], "permission_requested")
    assert not (world.project / "ni.txt").exists()


async def test_14_tier_0_is_asked_by_show_message_request_one_at_a_time(world: World):
    world.configure(permissions='mode = "ask"')
    client = await world.start(agent={})
    shown: list[dict] = []
    most = answered = 0
    answers: asyncio.Queue[dict] = asyncio.Queue()

    async def show(params):
        nonlocal most
        shown.append(params)
        most = max(most, len(shown) - answered)
        return await answers.get()

    client.handlers["window/showMessageRequest"] = show
    steps = [tool("write", {"file_path": f"{n}.txt", "content": "x"}, call_id=f"c{n}") for n in range(2)]
    world.fake.push([*steps, usage(1, 1)], [text("done")])
    await client.request("workspace/executeCommand", {"command": "lspAgent.ask", "arguments": ["write two files"]})
    for number in (1, 2):
        # the handler's task runs just after its frame has come
        while len(shown) < number:
            await client.request("agent/status")
        assert shown[-1]["type"] in (1, 2, 3, 4)
        answered = number
        answers.put_nowait(shown[-1]["actions"][0])
    await world.fake.wait_for(2, 30)
    while (await client.request("agent/status"))["busy"]:
        pass
    assert (world.project / "1.txt").read_text() == "x"
    assert most == 1
