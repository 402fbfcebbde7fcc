"""PROTOCOL 10, the guarantees about runs inside one server: 1–7, 10, 12, 13."""

import asyncio

import pytest

from tests.guarantees.world import Shared, begin, completes, fresh, idle, sent_to_model, turn
from tests.harness.fake_provider import text, think, tool, usage

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
    session = await shared.session(title="no title is made for it")
    await turn(shared.client, sessionId=session)
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
