"""PROTOCOL 1, 3, 8 and 9: options, the queue, stop reasons, usage and the terminal event of a run."""

import json

import pytest

from tests.guarantees.world import Shared, begin, completes, fresh, idle, refused, sent_to_model, turn
from tests.harness.fake_provider import http, text, tool, usage
from tests.harness.frames import frame

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_03_cancel_request_of_agent_run_never_cancels_the_run(shared: Shared):
    session = await shared.session()
    run_id = fresh()
    run = {
        "jsonrpc": "2.0",
        "id": 9500,
        "method": "agent/run",
        "params": {"sessionId": session, "runId": run_id, "prompt": "x"},
    }
    shared.client.raw(frame(run) + frame({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 9500}}))
    assert (await shared.client.until_complete(run_id))["stopReason"] == "end_turn"
    answer = await shared.client.until(lambda m: m.get("id") == 9500 and "method" not in m)
    assert answer["result"]["runId"] == run_id


async def test_09_every_field_of_the_terminal_event(shared: Shared):
    shared.world.write("count.py", "a\nb\nc\n")
    shared.fake.push(
        [tool("view", {"file_path": "count.py"}), usage(100, 10, cache_read=50, cache_write=20)],
        [tool("edit", {"file_path": "count.py", "old_string": "b\n", "new_string": "x\ny\n"}), usage(200, 20)],
        [text("done"), usage(300, 30)],
    )
    result, done = await turn(shared.client)
    assert done["steps"] == 3
    assert done["changes"] == {"files": 1, "added": 2, "removed": 1}
    usage_ = done["usage"]
    assert (usage_["input"], usage_["output"], usage_["cacheRead"], usage_["cacheWrite"]) == (600, 60, 50, 20)
    assert usage_["estimated"] is False
    assert usage_["costUsd"] == pytest.approx((600 * 3 + 60 * 15) / 1e6, rel=0.2)
    assert 0 < done["durationMs"] < 60_000
    assert isinstance(done["durationMs"], int)
    session = await shared.client.request("agent/session/get", {"sessionId": result["sessionId"]})
    assert session["costUsd"] == pytest.approx(usage_["costUsd"])
    messages = (await shared.client.request("agent/session/read", {"sessionId": result["sessionId"]}))["messages"]
    assert done["messageId"] == messages[-1]["messageId"]
    assert (shared.world.project / "count.py").read_text() == "a\nx\ny\nc\n"


async def test_08_usage_not_reported_is_estimated(shared: Shared):
    shared.fake.push([text("hello " * 40)])
    _, done = await turn(shared.client)
    assert done["usage"]["estimated"] is True
    assert done["usage"]["output"] > 0


async def test_09_stop_reasons_of_the_model(shared: Shared):
    shared.fake.push([text("cut"), {"finish": "max_tokens"}, usage(1, 1)])
    assert (await turn(shared.client))[1]["stopReason"] == "max_tokens"
    shared.fake.push([text("no"), {"finish": "refusal"}, usage(1, 1)])
    assert (await turn(shared.client))[1]["stopReason"] == "refusal"


async def test_03_options_reach_the_model(shared: Shared):
    options = {"temperature": 0.25, "topP": 0.5, "topK": 7, "maxOutputTokens": 77, "title": "My title"}
    result, _ = await turn(shared.client, options=options)
    body = next(item.body for item in shared.fake.requests if (item.body or {}).get("tools"))
    assert (body["temperature"], body["top_p"], body["top_k"], body["max_tokens"]) == (0.25, 0.5, 7, 77)
    assert (await shared.client.request("agent/session/get", {"sessionId": result["sessionId"]}))["title"] == "My title"


async def test_03_max_steps_stops_the_turn(shared: Shared):
    shared.fake.push(*[[tool("ls", {"path": "."}, call_id=f"c{n}"), usage(1, 1)] for n in range(5)])
    _, done = await turn(shared.client, options={"maxSteps": 2})
    assert (done["stopReason"], done["steps"]) == ("max_steps", 2)


async def test_03_max_cost_stops_the_turn(shared: Shared):
    shared.fake.push(*[[tool("ls", {"path": "."}, call_id=f"c{n}"), usage(1000, 1000)] for n in range(5)])
    _, done = await turn(shared.client, options={"maxCostUsd": 0.02})
    assert (done["stopReason"], done["steps"]) == ("budget", 2)


async def test_08_the_loop_stop_tells_the_user(shared: Shared):
    shared.fake.push(*[[tool("ls", {"path": "."}, call_id=f"c{n}"), usage(1, 1)] for n in range(30)])
    result, done = await turn(shared.client)
    assert done["stopReason"] == "loop"
    assert shared.client.events(result["sessionId"], "notice")


async def test_08_todos_become_a_plan_update(shared: Shared):
    todos = [
        {"content": "Do it", "status": "in_progress", "active_form": "Doing it"},
        {"content": "Rest", "status": "pending", "active_form": "Resting"},
    ]
    shared.fake.push([tool("todos", {"todos": todos}), usage(1, 1)], [text("planned")])
    result, _ = await turn(shared.client)
    plan = shared.client.events(result["sessionId"], "plan_update")[-1]["update"]
    assert plan["entries"] == [
        {"content": "Do it", "status": "in_progress", "activeForm": "Doing it"},
        {"content": "Rest", "status": "pending", "activeForm": "Resting"},
    ]
    session = await shared.client.request("agent/session/get", {"sessionId": result["sessionId"]})
    assert [todo["content"] for todo in session["todos"]] == ["Do it", "Rest"]


async def test_03_prompt_blocks_and_the_meta_field(shared: Shared):
    blocks = [{"type": "text", "text": "first", "_meta": {"a": 1}}, {"type": "text", "text": "second"}]
    result, _ = await turn(shared.client, blocks, _meta={"trace": "1"}, unknownField={"x": [1]})
    sent = sent_to_model(shared.fake)
    assert "first" in sent
    assert "second" in sent
    assert "trace" not in sent
    assert result["state"] == "running"


async def test_01_nested_jsonrpc_keys_do_not_confuse(shared: Shared):
    inner = {"jsonrpc": "2.0", "id": 5, "method": "shutdown", "params": {"id": 3, "result": None, "error": {}}}
    result, done = await turn(shared.client, json.dumps(inner), _meta=inner)
    assert done["stopReason"] == "end_turn"
    assert result["state"] == "running"


async def test_03_the_queue_tells_whole_prompts_to_who_asks_as_far_as_there_is_room(shared: Shared):
    client = shared.client
    session, _, hold = await begin(client, shared.fake)
    lines = "first line\n\n" + "long " * 60 + "\nlast line"
    large = "x" * 1_100_000
    for prompt in (large, lines):
        await client.request("agent/run", {"sessionId": session, "runId": fresh(), "prompt": prompt})
    big, small = (await client.request("agent/queue", {"sessionId": session}))["items"]
    assert small["prompt"] == lines
    assert big.get("prompt") is None
    named = await client.request("agent/queue", {"sessionId": session, "messageId": big["messageId"]})
    assert [item["prompt"] for item in named["items"]] == [large, lines]
    assert all("prompt" not in i for e in client.events(session, "queue_update") for i in e["update"]["items"])
    await client.request("agent/cancel", {"sessionId": session})
    shared.fake.release(hold)
    await idle(client, session)


async def test_03_positions_and_revisions_of_the_queue(shared: Shared):
    client = shared.client
    session, first, hold = await begin(client, shared.fake)
    a, b, c = fresh("a"), fresh("b"), fresh("c")
    for run_id in (a, b, c):
        await client.request("agent/run", {"sessionId": session, "runId": run_id, "prompt": f"prompt of {run_id}"})
    listed = await client.request("agent/queue", {"sessionId": session})
    assert listed["count"] == 3
    assert [item["runId"] for item in listed["items"]] == [a, b, c]
    positions = [item["position"] for item in listed["items"]]
    assert positions == list(range(positions[0], positions[0] + 3))
    for item in listed["items"]:
        assert set(item) >= {"runId", "messageId", "position", "preview", "kind", "acceptedAt"}
        assert item["kind"] == "queued"
        assert item["acceptedAt"].endswith("Z")
        assert len(item["acceptedAt"]) == len("2026-01-01T00:00:00.000Z")
    revision = listed["revision"]
    moved = await client.request(
        "agent/queue", {"sessionId": session, "op": "move", "runId": c, "index": 0, "ifRevision": revision}
    )
    assert [item["runId"] for item in moved["items"]] == [c, a, b]
    assert moved["revision"] == revision + 1
    error = await refused(client, "agent/queue", {"sessionId": session, "op": "clear", "ifRevision": revision})
    assert (error.code, error.kind, error.data["revision"]) == (-31012, "RevisionConflict", revision + 1)
    edited = await client.request(
        "agent/queue", {"sessionId": session, "op": "edit", "runId": a, "prompt": "new words"}
    )
    assert "new words" in edited["items"][1]["preview"]
    removed = await client.request(
        "agent/queue", {"sessionId": session, "op": "remove", "messageId": edited["items"][2]["messageId"]}
    )
    assert [item["runId"] for item in removed["items"]] == [c, a]
    error = await refused(client, "agent/queue", {"sessionId": session, "op": "remove", "runId": "nobody"})
    assert (error.code, error.kind) == (-31004, "RunNotFound")
    updates = [e["update"] for e in client.events(session, "queue_update")]
    assert [u["revision"] for u in updates] == sorted({u["revision"] for u in updates})
    shared.fake.release(hold)
    await client.until_complete(a)
    await idle(client, session)
    assert completes(client, session) == [(b, "cancelled"), (first, "end_turn"), (c, "end_turn"), (a, "end_turn")]
    users = [e["update"]["content"][0]["text"] for e in client.events(session, "user_message")]
    assert "new words" in users
    assert (await client.request("agent/queue", {"sessionId": session}))["items"] == []


async def test_09_http_error_before_the_first_word(shared: Shared):
    shared.fake.push([http(400, body={"type": "error", "error": {"type": "invalid_request_error", "message": "nope"}})])
    result, done = await turn(shared.client)
    assert done["error"]["kind"] == "Provider"
    assert done["error"]["retryable"] is False
    assert result["state"] == "running"
    messages = (await shared.client.request("agent/session/read", {"sessionId": result["sessionId"]}))["messages"]
    assert messages[-1]["finish"]["reason"] == "error"


async def test_01_cancel_request_of_anything_is_answered_once(shared: Shared):
    data = b""
    for number in range(9600, 9620):
        data += frame({"jsonrpc": "2.0", "id": number, "method": "agent/session/list", "params": {}})
        data += frame({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": number}})
    shared.client.raw(data)
    for number in range(9600, 9620):
        answer = await shared.client.until(lambda m, number=number: m.get("id") == number and "method" not in m)
        assert "result" in answer or answer["error"]["code"] == -32800


async def test_03_another_model_for_one_run(shared: Shared):
    error = (await turn(shared.client, options={"model": "fake/unheard-of"}))[1]["error"]
    assert error is None or error["kind"] in ("Provider", "ProviderAuth")
