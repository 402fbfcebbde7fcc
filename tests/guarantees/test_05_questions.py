"""PROTOCOL 5: questions of the model, over the real process."""

import pytest

from tests.guarantees.world import Shared, fresh, refused, sent_to_model, turn
from tests.harness.fake_provider import text, tool, usage

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHOICES = {
    "text": "Which database?",
    "type": "single_choice",
    "description": "Data has to be kept.",
    "choices": [{"label": "SQLite"}, {"label": "Postgres"}],
}


async def asked(shared: Shared, *questions):
    """A run that waits for answers: (session, run id, record)."""
    call = tool("question", {"questions": list(questions) or [CHOICES]})
    shared.fake.push([text("I ask. "), call, usage(1, 1)], [text("after"), usage(1, 1)])
    run_id = fresh()
    result = await shared.client.request("agent/run", {"runId": run_id, "prompt": "ask me"})
    event = await shared.client.until(
        lambda m: (
            (m.get("params") or {}).get("update", {}).get("sessionUpdate") == "question_requested"
            and m["params"]["runId"] == run_id
        )
    )
    return result["sessionId"], run_id, event["params"]["update"]


async def respond(shared: Shared, record, action, content=None):
    params = {"requestId": record["requestId"], "action": action, "content": content}
    return await shared.client.request("agent/question/respond", params)


async def test_the_record_tells_what_is_asked_and_what_an_answer_looks_like(shared: Shared):
    session, run_id, record = await asked(shared)
    assert (record["sessionId"], record["runId"], record["message"]) == (session, run_id, "Which database?")
    assert record["createdAt"].endswith("Z")
    assert record["schema"]["type"] == "object"
    states = [event["update"]["state"] for event in shared.client.events(session, "state_update")]
    assert states[:1] == ["running"]
    await shared.client.until_event("state_update", session)
    assert await respond(shared, record, "accept", {"answer": record["options"][1].get("optionId")}) == {
        "accepted": True
    }
    done = await shared.client.until_complete(run_id)
    assert (done["stopReason"], done["text"]) == ("end_turn", "after")
    assert "Postgres" in sent_to_model(shared.fake)
    resolved = shared.client.events(session, "question_resolved")
    assert [(event["update"]["requestId"], event["update"]["outcome"]) for event in resolved] == [
        (record["requestId"], "accept")
    ]


async def test_what_does_not_fit_leaves_the_question_open_and_a_late_answer_is_a_result(shared: Shared):
    _, run_id, record = await asked(shared)
    wrong = await respond(shared, record, "accept", {"answer": "Oracle, surely"})
    assert (wrong["accepted"], wrong["outcome"]) == (False, "pending")
    assert (await respond(shared, record, "decline"))["accepted"] is True
    assert (await shared.client.until_complete(run_id))["stopReason"] == "end_turn"
    assert "declined" in sent_to_model(shared.fake)
    late = await respond(shared, record, "accept", {"answer": "x"})
    assert (late["accepted"], late["outcome"]) == (False, "decline")
    assert isinstance(late["resolvedBy"], str)
    unknown = await respond(shared, {"requestId": "nobody's"}, "accept")
    assert unknown["accepted"] is False


async def test_cancel_and_an_action_nobody_knows_are_no_answers(shared: Shared):
    for action in ("cancel", "beamed up"):
        session, run_id, record = await asked(shared)
        await respond(shared, record, action, {"answer": "SQLite"})
        assert (await shared.client.until_complete(run_id))["stopReason"] == "end_turn"
        assert shared.client.events(session, "question_resolved")[-1]["update"]["outcome"] == "cancelled"
        shared.fake.turns.clear()


async def test_pending_is_listed_by_attach_blocks_nobody_and_ends_with_its_run(shared: Shared):
    session, run_id, record = await asked(shared)
    shared.fake.turns.clear()
    assert (await turn(shared.client, "another session"))[1]["stopReason"] == "end_turn"
    attached = await shared.client.request("agent/session/attach", {"sessionId": session})
    assert [one["requestId"] for one in attached["pending"]["questions"]] == [record["requestId"]]
    assert attached["pending"]["permissions"] == []
    await shared.client.request("agent/cancel", {"sessionId": session})
    assert (await shared.client.until_complete(run_id))["cancelled"] is True
    resolved = shared.client.events(session, "question_resolved")[-1]["update"]
    assert (resolved["requestId"], resolved["outcome"]) == (record["requestId"], "cancelled")
    assert (await respond(shared, record, "accept", {"answer": "SQLite"}))["accepted"] is False
    calls = shared.client.events(session, "tool_call_update")
    assert calls[-1]["update"]["status"] == "cancelled"


async def test_12_params_that_are_wrong_name_the_field(shared: Shared):
    wrong = (({}, "requestId"), ({"requestId": "q"}, "action"), ({"requestId": 7, "action": "x"}, "requestId"))
    for params, path in wrong:
        error = await refused(shared.client, "agent/question/respond", params)
        assert (error.code, error.kind, error.data["path"]) == (-32602, "InvalidParams", path)
