"""PROTOCOL 10.3, 10.8 and 10.11: what ends the server, what is owed before it ends, and what a restart gives back."""

import asyncio

import pytest

from tests.guarantees.world import World, begin, completes, fresh, idle, turn
from tests.harness.fake_provider import text, tool, usage


async def busy_with_queue(world: World):
    client = await world.start()
    session, first, hold = await begin(client, world.fake, "the active prompt")
    second = fresh("queued")
    await client.request("agent/run", {"sessionId": session, "runId": second, "prompt": "the queued prompt"})
    return client, session, first, second, hold


async def after_restart(world: World, session: str, first: str, second: str, after_seq: int):
    """The interrupted run is told, the queued one runs; returns the client."""
    client = await world.start()
    result = await client.request("agent/session/attach", {"sessionId": session, "afterSeq": after_seq})
    assert result["mode"] == "replay"
    done = await client.until_complete(second)
    assert done["stopReason"] == "end_turn"
    await idle(client, session)
    assert "the queued prompt" in str(world.fake.requests[-1].body["messages"]) or world.fake.aside
    return client


async def test_10_11_shutdown_interrupts_the_run_and_keeps_the_queue(world: World):
    client, session, first, second, _ = await busy_with_queue(world)
    seq = client.events(session)[-1]["seq"]
    await client.request("shutdown")
    done = [m["params"] for m in client.messages if m.get("method") == "agent/runComplete"]
    assert [(d["runId"], d["stopReason"], d["cancelled"], d["error"]) for d in done] == [
        (first, "interrupted", False, None)
    ]
    answer = next(at for at, m in enumerate(client.messages) if m.get("id") and m.get("result", 0) is None)
    complete = next(at for at, m in enumerate(client.messages) if m.get("method") == "agent/runComplete")
    assert complete < answer
    client.notify("exit")
    assert await client.wait_exit() == 0
    again = await after_restart(world, session, first, second, seq)
    assert completes(again, session) == [(first, "interrupted"), (second, "end_turn")]


@pytest.mark.parametrize("how", ["eof", "sigterm", "sigint"])
async def test_10_11_every_other_ending_is_a_shutdown(world: World, how: str):
    client, session, first, second, _ = await busy_with_queue(world)
    seq = client.events(session)[-1]["seq"]
    {"eof": client.pipe.close_stdin, "sigterm": client.terminate, "sigint": client.interrupt}[how]()
    done = await client.until_complete(first)
    assert (done["stopReason"], done["cancelled"], done["error"]) == ("interrupted", False, None)
    assert await client.wait_exit(10) == 0
    again = await after_restart(world, session, first, second, seq)
    assert completes(again, session) == [(first, "interrupted"), (second, "end_turn")]


async def test_10_03_kill_9_leaves_nothing_unfinished(world: World):
    client, session, first, second, _ = await busy_with_queue(world)
    seq = client.events(session)[-1]["seq"]
    client.kill9()
    await client.wait_exit()
    again = await after_restart(world, session, first, second, seq)
    assert completes(again, session) == [(first, "interrupted"), (second, "end_turn")]
    messages = (await again.request("agent/session/read", {"sessionId": session}))["messages"]
    # what the model had said just before may be lost, what was accepted is not
    assert [m["role"] for m in messages if m["role"] == "user"] == ["user", "user"]
    assert all(m.get("finish") for m in messages)
    # the interrupted run is a fact: asked again, it is not run again
    repeated = await again.request("agent/run", {"runId": first, "prompt": "the active prompt"})
    assert (repeated["state"], repeated["sessionId"]) == ("interrupted", session)


async def test_10_03_kill_9_while_a_tool_waits_for_permission(world: World):
    world.configure(permissions='mode = "ask"')
    client = await world.start()
    run_id = fresh()
    world.fake.push([text("I write. "), tool("write", {"file_path": "new.txt", "content": "x"}), usage(1, 1)])
    result = await client.request("agent/run", {"runId": run_id, "prompt": "write"})
    session = result["sessionId"]
    await client.until_event("permission_requested", session)
    client.kill9()
    await client.wait_exit()
    again = await world.start()
    attached = await again.request("agent/session/attach", {"sessionId": session, "afterSeq": 0})
    assert attached["pending"]["permissions"] == []
    assert attached["activeRunId"] is None
    assert (await again.until_complete(run_id))["stopReason"] == "interrupted"
    calls = [e["update"]["status"] for e in again.events(session, "tool_call_update")]
    assert calls[-1] in ("cancelled", "failed")
    resolved = again.events(session, "permission_resolved")
    assert len(resolved) == len(again.events(session, "permission_requested")) == 1
    _, done = await turn(again, "go on", sessionId=session)
    assert done["stopReason"] == "end_turn"
    assert not (world.project / "new.txt").exists()


async def test_10_03_accepted_means_durable_even_when_killed_at_once(world: World):
    client = await world.start()
    session, first, _ = await begin(client, world.fake)
    runs = [fresh() for _ in range(20)]
    await asyncio.gather(*[client.request("agent/run", {"sessionId": session, "runId": r, "prompt": r}) for r in runs])
    client.kill9()
    await client.wait_exit()
    again = await world.start()
    listed = await again.request("agent/queue", {"sessionId": session})
    assert [item["runId"] for item in listed["items"]] == runs
    await again.request("agent/session/attach", {"sessionId": session, "afterSeq": 0})
    await again.until_complete(runs[-1])
    assert completes(again, session) == [(first, "interrupted"), *[(r, "end_turn") for r in runs]]


async def test_10_03_queue_order_and_edits_survive_kill_9(world: World):
    client = await world.start()
    session, _, _ = await begin(client, world.fake)
    a, b, c = fresh("a"), fresh("b"), fresh("c")
    for run_id in (a, b, c):
        await client.request("agent/run", {"sessionId": session, "runId": run_id, "prompt": run_id})
    await client.request("agent/queue", {"sessionId": session, "op": "move", "runId": c, "index": 0})
    await client.request("agent/queue", {"sessionId": session, "op": "edit", "runId": a, "prompt": "edited words"})
    revision = (await client.request("agent/queue", {"sessionId": session, "op": "remove", "runId": b}))["revision"]
    await client.until(lambda m: (m.get("params") or {}).get("update", {}).get("revision") == revision)
    client.kill9()
    await client.wait_exit()
    again = await world.start()
    listed = await again.request("agent/queue", {"sessionId": session})
    assert [item["runId"] for item in listed["items"]] == [c, a]
    assert "edited words" in listed["items"][1]["preview"]
    assert listed["revision"] >= revision


async def test_10_03_a_safe_retry_after_a_restart(world: World):
    client = await world.start()
    params = {"runId": fresh(), "prompt": "only once"}
    first = await client.request("agent/run", params)
    await client.until_complete(params["runId"])
    await idle(client, first["sessionId"])
    assert await client.shutdown() == 0
    asked = len(world.fake.requests)
    again = await world.start()
    repeated = await again.request("agent/run", params)
    assert (repeated["sessionId"], repeated["messageId"], repeated["state"]) == (
        first["sessionId"],
        first["messageId"],
        "end_turn",
    )
    assert len(world.fake.requests) == asked


async def test_10_11_shutdown_of_an_idle_server_is_quick_and_clean(world: World):
    client = await world.start()
    await turn(client)
    before = asyncio.get_running_loop().time()
    assert await client.shutdown() == 0
    assert asyncio.get_running_loop().time() - before < 3
    assert "Traceback" not in client.stderr


async def test_10_11_shutdown_with_a_stuck_provider_is_bounded(world: World):
    client = await world.start()
    world.fake.push([{"stall": 60}])
    run_id = fresh()
    await client.request("agent/run", {"runId": run_id, "prompt": "x"})
    await world.fake.wait_for(1, 30)
    before = asyncio.get_running_loop().time()
    await client.request("shutdown")
    assert asyncio.get_running_loop().time() - before < 3
    assert (await client.until_complete(run_id))["stopReason"] == "interrupted"


async def test_the_data_directory_of_a_running_server_is_not_shared(world: World):
    client = await world.start()
    await client.request("agent/status")
    second = await world.start()
    await second.until(lambda m: m.get("method") == "window/showMessage")
    from tests.guarantees.world import refused

    error = await refused(second, "agent/run", {"prompt": "x"})
    assert error.kind == "Store"
    assert await second.shutdown() == 0
    assert (await turn(client))[1]["stopReason"] == "end_turn"
