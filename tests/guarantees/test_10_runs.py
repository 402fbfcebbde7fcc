"""PROTOCOL 10, the guarantees about runs inside one server: 1–7, 10, 12, 13."""

import asyncio
import json

import pytest

from tests.guarantees.world import Shared, begin, completes, fresh, idle, refused, sent_to_model, turn
from tests.harness.fake_provider import http, text, think, tool, usage
from tests.harness.frames import frame

pytestmark = pytest.mark.asyncio(loop_scope="module")


def index_of(client, predicate):
    return next(at for at, message in enumerate(client.messages) if predicate(message))


async def test_10_01_the_response_precedes_the_first_event_of_a_run(shared: Shared):
    run_id = fresh()
    result, _ = await turn(shared.client, runId=run_id)
    session = result["sessionId"]
    answer = index_of(shared.client, lambda m: m.get("result", {}).get("runId") == run_id if "result" in m else False)
    event = index_of(shared.client, lambda m: (m.get("params") or {}).get("sessionId") == session)
    assert answer < event


async def test_10_01_the_response_to_attach_precedes_the_replay(shared: Shared):
    session = (await turn(shared.client))[0]["sessionId"]
    await idle(shared.client, session)
    shared.client.recorded.clear()
    result = await shared.client.request("agent/session/attach", {"sessionId": session, "afterSeq": 0})
    await shared.client.until(lambda m: (m.get("params") or {}).get("seq") == result["seq"])
    assert "result" in shared.client.messages[0]
    await shared.client.request("agent/status")
    seqs = [
        e["seq"] for e in shared.client.events(session) if e.get("update", {}).get("sessionUpdate") != "usage_update"
    ]
    assert seqs[: result["seq"]] == list(range(1, result["seq"] + 1))


async def test_10_02_seq_starts_at_one_and_counts_durable_events(shared: Shared):
    shared.fake.push([text("a" * 50, deltas=10), tool("ls", {}), usage(1, 1)], [think("hm"), text("b", deltas=1)])
    result, done = await turn(shared.client, options={"title": "no title is made for it"})
    await idle(shared.client, result["sessionId"])
    events = shared.client.events(result["sessionId"])
    durable = [e for e in events if "chunk" not in e and e.get("update", {}).get("sessionUpdate") != "usage_update"]
    assert [e["seq"] for e in durable] == list(range(1, len(durable) + 1))
    assert durable[0]["update"]["sessionUpdate"] == "user_message"
    assert durable[-1]["update"] == {"sessionUpdate": "state_update", "state": "idle"}
    assert done["seq"] == len(durable) - 1
    assert (await shared.client.request("agent/session/get", {"sessionId": result["sessionId"]}))["seq"] == len(durable)


async def test_10_03_success_completes_once(shared: Shared):
    shared.fake.push([text("Hello there", deltas=4), usage(10, 5)])
    result, done = await turn(shared.client)
    await idle(shared.client, result["sessionId"])
    assert completes(shared.client, result["sessionId"]) == [(result["runId"], "end_turn")]
    assert done["text"] == "Hello there"
    assert done["error"] is None
    assert done["steps"] == 1


async def test_10_03_a_turn_without_run_id_completes_with_null(shared: Shared):
    result = await shared.client.request("agent/run", {"prompt": "hello"})
    assert result["runId"] is None
    done = await shared.client.until(lambda m: m.get("method") == "agent/runComplete")
    assert done["params"]["runId"] is None
    assert done["params"]["sessionId"] == result["sessionId"]
    await idle(shared.client, result["sessionId"])
    assert completes(shared.client, result["sessionId"]) == [(None, "end_turn")]


async def test_10_03_a_run_and_its_cancel_in_one_write_complete_as_cancelled(shared: Shared):
    session = await shared.session()
    run_id = fresh()
    run = {
        "jsonrpc": "2.0",
        "id": 9001,
        "method": "agent/run",
        "params": {"sessionId": session, "runId": run_id, "prompt": "x"},
    }
    cancel = {"jsonrpc": "2.0", "id": 9002, "method": "agent/cancel", "params": {"sessionId": session}}
    shared.client.raw(frame(run) + frame(cancel))
    done = await shared.client.until_complete(run_id)
    assert done["cancelled"] is True
    assert done["error"] is None
    answer = await shared.client.until(lambda m: m.get("id") == 9002 and "method" not in m)
    assert answer["result"] == {"cancelled": [run_id], "notRunning": []}
    accepted = await shared.client.until(lambda m: m.get("id") == 9001 and "method" not in m)
    assert accepted["result"]["runId"] == run_id
    await idle_or_nothing(shared.client, session)
    assert completes(shared.client, session) == [(run_id, "cancelled")]
    messages = (await shared.client.request("agent/session/read", {"sessionId": session}))["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant"]
    assert messages[1]["finish"]["reason"] == "canceled"
    assert not shared.fake.requests


async def idle_or_nothing(client, session):
    await client.request("agent/session/get", {"sessionId": session})


async def test_10_03_a_burst_of_runs_and_one_cancel_covers_all_before_and_none_after(shared: Shared):
    session = await shared.session()
    runs = [fresh() for _ in range(6)]
    frames = b""
    for number, run_id in enumerate(runs):
        if number == 5:
            frames += frame({"jsonrpc": "2.0", "id": 9100, "method": "agent/cancel", "params": {"sessionId": session}})
        params = {"sessionId": session, "runId": run_id, "prompt": f"p{number}"}
        frames += frame({"jsonrpc": "2.0", "id": 9101 + number, "method": "agent/run", "params": params})
    shared.client.raw(frames)
    await shared.client.until_complete(runs[5])
    await idle(shared.client, session)
    assert dict(completes(shared.client, session)) == {**dict.fromkeys(runs[:5], "cancelled"), runs[5]: "end_turn"}
    assert len(completes(shared.client, session)) == 6


async def test_10_03_dropped_from_the_queue_completes_as_cancelled(shared: Shared):
    session, first, hold = await begin(shared.client, shared.fake)
    second, third = fresh(), fresh()
    for run_id in (second, third):
        queued = await shared.client.request("agent/run", {"sessionId": session, "runId": run_id, "prompt": run_id})
        assert queued["state"] == "queued"
    await shared.client.request("agent/queue", {"sessionId": session, "op": "remove", "runId": second})
    assert (await shared.client.until_complete(second))["cancelled"]
    shared.fake.release(hold)
    await shared.client.until_complete(third)
    await idle(shared.client, session)
    assert completes(shared.client, session) == [(second, "cancelled"), (first, "end_turn"), (third, "end_turn")]


async def test_10_03_clearing_the_queue_completes_every_item(shared: Shared):
    session, first, hold = await begin(shared.client, shared.fake)
    queued = [fresh() for _ in range(3)]
    for run_id in queued:
        await shared.client.request("agent/run", {"sessionId": session, "runId": run_id, "prompt": "later"})
    cleared = await shared.client.request("agent/queue", {"sessionId": session, "op": "clear"})
    assert cleared["count"] == 0
    assert cleared["items"] == []
    shared.fake.release(hold)
    await shared.client.until_complete(first)
    await idle(shared.client, session)
    assert sorted(completes(shared.client, session)) == sorted(
        [(first, "end_turn"), *[(r, "cancelled") for r in queued]]
    )


async def test_10_03_send_now_cancels_the_active_run_and_runs_the_item_first(shared: Shared):
    session, first, _ = await begin(shared.client, shared.fake)
    second, third = fresh(), fresh()
    for run_id in (second, third):
        await shared.client.request("agent/run", {"sessionId": session, "runId": run_id, "prompt": run_id})
    await shared.client.request("agent/queue", {"sessionId": session, "op": "sendNow", "runId": third})
    await shared.client.until_complete(second)
    await idle(shared.client, session)
    assert completes(shared.client, session) == [(first, "cancelled"), (third, "end_turn"), (second, "end_turn")]


async def test_10_03_interrupt_cancels_the_active_run_and_goes_first(shared: Shared):
    session, first, _ = await begin(shared.client, shared.fake)
    second, third = fresh(), fresh()
    await shared.client.request("agent/run", {"sessionId": session, "runId": second, "prompt": "queued"})
    await shared.client.request(
        "agent/run", {"sessionId": session, "runId": third, "prompt": "now", "whenBusy": "interrupt"}
    )
    await shared.client.until_complete(second)
    await idle(shared.client, session)
    assert completes(shared.client, session) == [(first, "cancelled"), (third, "end_turn"), (second, "end_turn")]


async def test_10_03_reject_leaves_no_trace(shared: Shared):
    session, first, hold = await begin(shared.client, shared.fake)
    rejected = fresh()
    error = await refused(
        shared.client, "agent/run", {"sessionId": session, "runId": rejected, "prompt": "x", "whenBusy": "reject"}
    )
    assert (error.code, error.kind) == (-31005, "SessionBusy")
    assert error.data["activeRunId"] == first
    shared.fake.release(hold)
    await shared.client.until_complete(first)
    await idle(shared.client, session)
    assert completes(shared.client, session) == [(first, "end_turn")]
    # the id was never accepted, so it may be used now
    assert (await turn(shared.client, runId=rejected, sessionId=session))[1]["stopReason"] == "end_turn"


async def test_10_03_a_folded_prompt_has_no_completion_of_its_own_and_stays_in_history(shared: Shared):
    hold = fresh("hold")
    shared.fake.push(
        [text("one "), {"hold": hold}, tool("ls", {}), usage(1, 1)], [tool("ls", {"path": "."})], [text("end")]
    )
    run_id = fresh()
    result = await shared.client.request("agent/run", {"runId": run_id, "prompt": "start"})
    session = result["sessionId"]
    await shared.client.until_event("agent_message_chunk", session)
    folded = await shared.client.request("agent/run", {"sessionId": session, "prompt": "and also this"})
    assert folded["runId"] is None
    assert folded["state"] in ("queued", "pending")
    listed = await shared.client.request("agent/queue", {"sessionId": session})
    assert [(item["kind"], item["messageId"]) for item in listed["items"]] == [("fold", folded["messageId"])]
    shared.fake.release(hold)
    done = await shared.client.until_complete(run_id)
    await idle(shared.client, session)
    assert completes(shared.client, session) == [(run_id, "end_turn")]
    assert done["steps"] == 3
    assert "and also this" not in sent_to_model(shared.fake, -3)
    assert "and also this" in sent_to_model(shared.fake, -2)
    assert "and also this" in sent_to_model(shared.fake, -1)
    users = [e["update"]["messageId"] for e in shared.client.events(session, "user_message")]
    assert users == [result["messageId"], folded["messageId"]]


async def test_10_03_a_fold_that_comes_too_late_runs_as_its_own_turn(shared: Shared):
    session, first, hold = await begin(shared.client, shared.fake)
    await shared.client.request("agent/run", {"sessionId": session, "prompt": "too late"})
    shared.fake.release(hold)
    await shared.client.until(lambda m: m.get("method") == "agent/runComplete" and m["params"]["runId"] is None)
    await idle(shared.client, session)
    assert completes(shared.client, session) == [(first, "end_turn"), (None, "end_turn")]


async def test_10_03_steer_joins_the_run_it_names(shared: Shared):
    hold = fresh("hold")
    shared.fake.push([text("one "), {"hold": hold}, tool("ls", {})], [text("end")])
    run_id = fresh()
    session = (await shared.client.request("agent/run", {"runId": run_id, "prompt": "start"}))["sessionId"]
    await shared.client.until_event("agent_message_chunk", session)
    steered = await shared.client.request(
        "agent/steer", {"sessionId": session, "expectedRunId": run_id, "prompt": "turn left"}
    )
    assert steered["state"] == "pending"
    assert isinstance(steered["messageId"], str)
    error = await refused(shared.client, "agent/steer", {"sessionId": session, "expectedRunId": "other", "prompt": "x"})
    assert (error.code, error.kind, error.data["activeRunId"]) == (-31006, "RunMismatch", run_id)
    queued = await shared.client.request(
        "agent/steer", {"sessionId": session, "expectedRunId": "other", "prompt": "later", "otherwise": "queue"}
    )
    assert queued["state"] == "queued"
    shared.fake.release(hold)
    await shared.client.until_complete(run_id)
    assert "turn left" in sent_to_model(shared.fake, 1)
    await shared.client.until(lambda m: m.get("method") == "agent/runComplete" and m["params"]["runId"] is None)
    await idle(shared.client, session)
    assert completes(shared.client, session) == [(run_id, "end_turn"), (None, "end_turn")]


async def test_10_03_steer_on_an_idle_session_is_a_mismatch_or_queued(shared: Shared):
    session = await shared.session()
    error = await refused(shared.client, "agent/steer", {"sessionId": session, "expectedRunId": "r", "prompt": "x"})
    assert (error.kind, error.data["activeRunId"]) == ("RunMismatch", None)
    await shared.client.request(
        "agent/steer", {"sessionId": session, "expectedRunId": "r", "prompt": "x", "otherwise": "queue"}
    )
    await shared.client.until(lambda m: m.get("method") == "agent/runComplete" and m["params"]["sessionId"] == session)


@pytest.mark.parametrize("where", ["streaming", "tool"])
async def test_10_05_a_cancel_settles_open_tool_calls(shared: Shared, where: str):
    hold = fresh("hold")
    if where == "streaming":
        shared.fake.push([tool("view", {"file_path": "nothing.py"}), text("x"), {"hold": hold}])
    else:
        shared.fake.push(
            [tool("view", {"file_path": "nothing.py"}), tool("ls", {}), usage(1, 1)], [text("y"), {"hold": hold}]
        )
    run_id = fresh()
    session = (await shared.client.request("agent/run", {"runId": run_id, "prompt": "go"}))["sessionId"]
    await shared.client.until_event("agent_message_chunk", session)
    cancelled = await shared.client.request("agent/cancel", {"sessionId": session, "runId": run_id})
    assert cancelled == {"cancelled": [run_id], "notRunning": []}
    done = await shared.client.until_complete(run_id)
    assert done["stopReason"] == "cancelled"
    last = {}
    for event in shared.client.events(session, "tool_call_update"):
        last[event["update"]["toolCallId"]] = event["update"]["status"]
    assert set(last.values()) <= {"completed", "failed", "cancelled"}
    if where == "streaming":
        assert last == {"toolu_1": "cancelled"}


async def test_10_05_an_error_settles_open_tool_calls(shared: Shared):
    shared.fake.push(
        *[[tool("view", {"file_path": "a"}), {"error_event": {"type": "invalid_request_error", "message": "no"}}]] * 5
    )
    result, done = await turn(shared.client)
    assert done["stopReason"] == "error"
    assert shared.client.events(result["sessionId"], "tool_call_update")[-1]["update"]["status"] in (
        "failed",
        "cancelled",
    )


async def test_10_06_a_full_upsert_equals_its_chunks_and_the_stored_message(shared: Shared):
    shared.fake.push([think("Let me think…", deltas=5), text("Grüße 👋 an alle\n" * 20, deltas=60), usage(5, 5)])
    result, done = await turn(shared.client)
    session = result["sessionId"]
    full = shared.client.events(session, "agent_message")[-1]["update"]
    thought = shared.client.events(session, "agent_thought")[-1]["update"]
    assert full["content"] == [{"type": "text", "text": "Grüße 👋 an alle\n" * 20}]
    assert full["finish"]["reason"] == "end_turn"
    assert full["model"] == "large"
    assert full["provider"] == "fake"
    assert thought["content"] == [{"type": "text", "text": "Let me think…"}]
    assert shared.client.chunk_text(full["messageId"]) == done["text"]
    assert shared.client.chunk_text(full["messageId"], "agent_thought_chunk") == "Let me think…"
    messages = (await shared.client.request("agent/session/read", {"sessionId": session}))["messages"]
    stored = next(m for m in messages if m["messageId"] == full["messageId"])
    assert "".join(p["text"] for p in stored["parts"] if p["type"] == "text") == done["text"]
    assert "".join(p["text"] for p in stored["parts"] if p["type"] == "reasoning") == "Let me think…"
    assert stored["finish"]["reason"] == "end_turn"


async def test_10_07_a_cancel_after_completion_is_a_no_op_with_a_result(shared: Shared):
    result, _ = await turn(shared.client)
    session, run_id = result["sessionId"], result["runId"]
    await idle(shared.client, session)
    for _ in range(2):
        assert await shared.client.request("agent/cancel", {"sessionId": session, "runId": run_id}) == {
            "cancelled": [],
            "notRunning": [run_id],
        }
        assert await shared.client.request("agent/cancel", {"sessionId": session}) == {
            "cancelled": [],
            "notRunning": [],
        }
    assert (await turn(shared.client, sessionId=session))[1]["stopReason"] == "end_turn"


async def test_10_07_a_cancel_of_an_unknown_session_is_a_no_op(shared: Shared):
    assert await shared.client.request("agent/cancel", {"sessionId": "nobody"}) == {"cancelled": [], "notRunning": []}
    assert await shared.client.request("agent/cancel", {"sessionId": "nobody", "runId": "r"}) == {
        "cancelled": [],
        "notRunning": ["r"],
    }


async def test_10_07_cancel_of_one_queued_run_leaves_the_others(shared: Shared):
    session, first, hold = await begin(shared.client, shared.fake)
    second, third = fresh(), fresh()
    for run_id in (second, third):
        await shared.client.request("agent/run", {"sessionId": session, "runId": run_id, "prompt": "p"})
    assert (await shared.client.request("agent/cancel", {"sessionId": session, "runId": second}))["cancelled"] == [
        second
    ]
    shared.fake.release(hold)
    await shared.client.until_complete(third)
    assert dict(completes(shared.client, session)) == {first: "end_turn", second: "cancelled", third: "end_turn"}


async def test_10_10_a_cancel_that_keeps_the_queue_starts_the_next(shared: Shared):
    session, first, _ = await begin(shared.client, shared.fake)
    second = fresh()
    await shared.client.request("agent/run", {"sessionId": session, "runId": second, "prompt": "next"})
    answer = await shared.client.request("agent/cancel", {"sessionId": session, "queue": "keep", "reason": "because"})
    assert answer["cancelled"] == [first]
    await shared.client.until_complete(second)
    assert completes(shared.client, session) == [(first, "cancelled"), (second, "end_turn")]


async def test_10_10_a_cancel_that_drops_the_queue_ends_all(shared: Shared):
    session, first, _ = await begin(shared.client, shared.fake)
    second = fresh()
    await shared.client.request("agent/run", {"sessionId": session, "runId": second, "prompt": "next"})
    folded = await shared.client.request("agent/run", {"sessionId": session, "prompt": "a fold", "whenBusy": "fold"})
    assert folded["runId"] is None
    answer = await shared.client.request("agent/cancel", {"sessionId": session})
    assert set(answer["cancelled"]) == {first, second}
    await shared.client.until_complete(second)
    await idle(shared.client, session)
    # a prompt that waited to join another's turn has no terminal event of its own
    assert {run for run, _ in completes(shared.client, session)} == {first, second}
    assert {why for _, why in completes(shared.client, session)} == {"cancelled"}
    assert (await turn(shared.client, sessionId=session))[1]["stopReason"] == "end_turn"


async def test_10_10_an_error_starts_the_next(shared: Shared):
    hold = fresh("hold")
    shared.fake.push(
        [text("x"), {"hold": hold}, {"error_event": {"type": "invalid_request_error", "message": "bad"}}],
        [text("fine")],
    )
    first, second = fresh(), fresh()
    session = (await shared.client.request("agent/run", {"runId": first, "prompt": "a"}))["sessionId"]
    await shared.client.until_event("agent_message_chunk", session)
    await shared.client.request("agent/run", {"sessionId": session, "runId": second, "prompt": "b"})
    shared.fake.release(hold)
    await shared.client.until_complete(second)
    assert completes(shared.client, session) == [(first, "error"), (second, "end_turn")]


async def test_10_04_runs_of_one_session_complete_in_the_order_they_started(shared: Shared):
    session = await shared.session()
    runs = [fresh() for _ in range(5)]
    await asyncio.gather(
        *[shared.client.request("agent/run", {"sessionId": session, "runId": r, "prompt": r}) for r in runs]
    )
    await shared.client.until_complete(runs[-1])
    assert completes(shared.client, session) == [(r, "end_turn") for r in runs]
    users = [e["update"]["content"][0]["text"] for e in shared.client.events(session, "user_message")]
    assert users == runs


async def test_10_13_a_finished_message_is_stored_before_it_is_announced(shared: Shared):
    shared.fake.push([text("stored first"), usage(1, 1)])
    result = await shared.client.request("agent/run", {"prompt": "x", "runId": fresh()})
    event = await shared.client.until_event("agent_message", result["sessionId"])
    messages = (await shared.client.request("agent/session/read", {"sessionId": result["sessionId"]}))["messages"]
    assert event["update"]["messageId"] in [m["messageId"] for m in messages if m.get("finish")]


async def test_10_03_the_same_run_again_is_not_run_twice(shared: Shared):
    run_id = fresh()
    params = {"runId": run_id, "prompt": "once"}
    first = await shared.client.request("agent/run", params)
    await shared.client.until_complete(run_id)
    await idle(shared.client, first["sessionId"])
    asked = len(shared.fake.requests)
    again = await shared.client.request("agent/run", params)
    assert {**again, "seq": 0, "state": ""} == {**first, "seq": 0, "state": ""}
    assert again["state"] == "end_turn"
    assert len(shared.fake.requests) == asked
    for changed in (
        {"prompt": "twice"},
        {"options": {"maxSteps": 3}},
        {"attachments": [{"type": "text", "text": "t"}]},
    ):
        error = await refused(shared.client, "agent/run", {**params, **changed})
        assert (error.code, error.kind, error.data["state"]) == (-31007, "DuplicateRun", "end_turn")


async def test_10_03_the_same_run_again_while_it_is_active_or_queued(shared: Shared):
    session, first, hold = await begin(shared.client, shared.fake, "wait")
    second = fresh()
    params = {"sessionId": session, "runId": second, "prompt": "q"}
    queued = await shared.client.request("agent/run", params)
    assert (queued["state"], queued["position"]) == ("queued", 0) or queued["position"] == 1
    again = await shared.client.request("agent/run", params)
    assert {k: again[k] for k in ("runId", "messageId", "state", "position")} == {
        k: queued[k] for k in ("runId", "messageId", "state", "position")
    }
    active = await shared.client.request("agent/run", {"sessionId": session, "runId": first, "prompt": "wait"})
    assert active["state"] == "running"
    # also where the busy session would have refused a new one
    active = await shared.client.request(
        "agent/run", {"sessionId": session, "runId": second, "prompt": "q", "whenBusy": "reject"}
    )
    assert active["state"] == "queued"
    shared.fake.release(hold)
    await shared.client.until_complete(second)
    assert completes(shared.client, session) == [(first, "end_turn"), (second, "end_turn")]


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


async def test_10_04_a_queued_prompt_enters_the_conversation_when_its_turn_starts(shared: Shared):
    session, first, hold = await begin(shared.client, shared.fake)
    second = fresh()
    await shared.client.request("agent/run", {"sessionId": session, "runId": second, "prompt": "later"})
    assert len(shared.client.events(session, "user_message")) == 1
    shared.fake.release(hold)
    await shared.client.until_complete(second)
    order = [
        (e["runId"], "complete" if "stopReason" in e else e["update"]["sessionUpdate"])
        for e in shared.client.events(session)
        if "stopReason" in e or e["update"]["sessionUpdate"] == "user_message"
    ]
    assert order == [(first, "user_message"), (first, "complete"), (second, "user_message"), (second, "complete")]


async def test_10_07_a_fold_with_a_run_id_is_answered_and_ends_at_most_once(shared: Shared):
    hold = fresh("hold")
    shared.fake.push([text("one "), {"hold": hold}, tool("ls", {}), usage(1, 1)], [text("end")])
    first, folded = fresh(), fresh()
    session = (await shared.client.request("agent/run", {"runId": first, "prompt": "start"}))["sessionId"]
    await shared.client.until_event("agent_message_chunk", session)
    params = {"sessionId": session, "runId": folded, "prompt": "join", "whenBusy": "fold"}
    assert (await shared.client.request("agent/run", params))["runId"] == folded
    shared.fake.release(hold)
    await shared.client.until_complete(first)
    await idle(shared.client, session)
    ends = completes(shared.client, session)
    assert ends[-1] == (first, "end_turn") or (folded, "end_turn") in ends
    assert [run for run, _ in ends].count(folded) <= 1
    assert "join" in sent_to_model(shared.fake)
    again = await shared.client.request("agent/run", params)
    assert again["state"] not in ("queued", "running")


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
