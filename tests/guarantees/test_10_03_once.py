"""PROTOCOL 10.3 inside one server: every accepted run completes exactly once, however it ends."""

import pytest

from tests.guarantees.world import Shared, begin, completes, fresh, idle, refused, sent_to_model, turn
from tests.harness.fake_provider import text, tool, usage
from tests.harness.frames import frame

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
