"""PROTOCOL 5: decisions."""

import pytest

from tests.guarantees.world import Shared, World, completes, fresh, idle, sent_to_model, turn
from tests.harness.fake_provider import text, tool, usage

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = {"allow_once", "allow_session", "allow_always", "reject_once", "reject_always"}


def configure(world: World) -> None:
    world.configure(permissions='mode = "ask"')


async def asked(shared: Shared, name: str, **params):
    """A run that waits for the permission to write `name`: (session, run id, record)."""
    shared.fake.push(
        [text("I write. "), tool("write", {"file_path": name, "content": "w\n"}), usage(1, 1)], [text("after")]
    )
    run_id = fresh()
    result = await shared.client.request("agent/run", {"runId": run_id, "prompt": "write", **params})
    event = await shared.client.until(
        lambda m: (
            (m.get("params") or {}).get("update", {}).get("sessionUpdate") == "permission_requested"
            and m["params"]["runId"] == run_id
        )
    )
    return result["sessionId"], run_id, event["params"]["update"]


def option(record, kind):
    return next(o["optionId"] for o in record["options"] if o["kind"] == kind)


async def respond(shared, record, kind, **more):
    outcome = {"type": "selected", "optionId": option(record, kind), **more}
    return await shared.client.request(
        "agent/permission/respond", {"requestId": record["requestId"], "outcome": outcome}
    )


async def test_the_record_has_every_field(shared: Shared):
    session, run_id, record = await asked(shared, "fields.txt")
    assert set(record) >= {
        "requestId",
        "sessionId",
        "runId",
        "toolCallId",
        "tool",
        "title",
        "subject",
        "options",
        "createdAt",
    }
    assert (record["sessionId"], record["runId"], record["tool"]) == (session, run_id, "write")
    assert record["subject"]["type"] == "edit"
    assert "changes" in record["subject"]
    assert {o["kind"] for o in record["options"]} <= KINDS
    assert {"allow_once", "reject_once"} <= {o["kind"] for o in record["options"]}
    for each in record["options"]:
        assert each["name"]
        if each.get("pattern"):
            assert each["pattern"] in each["name"]
    states = [e["update"]["state"] for e in shared.client.events(session, "state_update")]
    assert states == ["running", "requires_action"] or states == ["running"]
    assert await respond(shared, record, "allow_once") == {"accepted": True}
    assert (await shared.client.until_complete(run_id))["stopReason"] == "end_turn"
    resolved = shared.client.events(session, "permission_resolved")[-1]["update"]
    assert resolved["requestId"] == record["requestId"]
    assert resolved["outcome"] == option(record, "allow_once")
    assert (shared.world.project / "fields.txt").read_text() == "w\n"
    call = shared.client.events(session, "tool_call_update")[-1]["update"]
    assert call["status"] == "completed"


async def test_a_late_answer_is_a_result(shared: Shared):
    _session, run_id, record = await asked(shared, "late.txt")
    await respond(shared, record, "reject_once", message="no")
    late = await respond(shared, record, "allow_once")
    assert late["accepted"] is False
    assert late["outcome"] == option(record, "reject_once")
    await shared.client.until_complete(run_id)
    late = await respond(shared, record, "allow_once")
    assert late["accepted"] is False
    assert not (shared.world.project / "late.txt").exists()


async def test_a_rejection_with_a_message_goes_on(shared: Shared):
    session, run_id, record = await asked(shared, "said.txt")
    await respond(shared, record, "reject_once", message="write it elsewhere, please")
    done = await shared.client.until_complete(run_id)
    assert (done["stopReason"], done["text"], done["steps"]) == ("end_turn", "after", 2)
    assert "write it elsewhere, please" in sent_to_model(shared.fake)
    assert shared.client.events(session, "tool_call_update")[-1]["update"]["status"] == "rejected"
    assert not (shared.world.project / "said.txt").exists()


async def test_a_rejection_without_a_message_ends_the_turn(shared: Shared):
    session, run_id, record = await asked(shared, "unsaid.txt")
    await respond(shared, record, "reject_once")
    done = await shared.client.until_complete(run_id)
    assert (done["stopReason"], done["cancelled"], done["steps"]) == ("end_turn", False, 1)
    assert shared.client.events(session, "tool_call_update")[-1]["update"]["status"] == "rejected"
    # the next turn works: the history was left whole
    shared.fake.turns.clear()
    assert (await turn(shared.client, sessionId=session))[1]["stopReason"] == "end_turn"


@pytest.mark.parametrize(
    "outcome", [{"type": "cancelled"}, {"type": "beamed up"}, {"type": "selected", "optionId": "yes please"}]
)
async def test_what_is_not_understood_is_never_approval(shared: Shared, outcome):
    name = f"never-{outcome['type'][:4]}.txt"
    session, run_id, record = await asked(shared, name)
    await shared.client.request("agent/permission/respond", {"requestId": record["requestId"], "outcome": outcome})
    if outcome["type"] == "selected" and not shared.client.events(session, "permission_resolved"):
        await shared.client.request("agent/cancel", {"sessionId": session})
    await shared.client.until_complete(run_id)
    assert not (shared.world.project / name).exists()


async def test_a_cancelled_run_resolves_what_it_asked(shared: Shared):
    session, run_id, record = await asked(shared, "cancelled.txt")
    await shared.client.request("agent/cancel", {"sessionId": session})
    assert (await shared.client.until_complete(run_id))["cancelled"] is True
    resolved = shared.client.events(session, "permission_resolved")[-1]["update"]
    assert resolved["requestId"] == record["requestId"]
    assert resolved["outcome"] in ("cancelled", {"type": "cancelled"})
    assert shared.client.events(session, "tool_call_update")[-1]["update"]["status"] == "cancelled"
    assert (await respond(shared, record, "allow_once"))["accepted"] is False
    assert not (shared.world.project / "cancelled.txt").exists()


async def test_pending_is_listed_by_attach_and_blocks_nobody_else(shared: Shared):
    session, run_id, record = await asked(shared, "pending.txt")
    shared.fake.turns.clear()
    assert (await turn(shared.client, "another session"))[1]["stopReason"] == "end_turn"
    attached = await shared.client.request("agent/session/attach", {"sessionId": session})
    assert [p["requestId"] for p in attached["pending"]["permissions"]] == [record["requestId"]]
    assert attached["pending"]["questions"] == []
    await respond(shared, record, "allow_once")
    await shared.client.until_complete(run_id)
    assert (await shared.client.request("agent/session/attach", {"sessionId": session}))["pending"]["permissions"] == []


async def test_allow_session_is_not_asked_again_in_this_session_only(shared: Shared):
    session, run_id, record = await asked(shared, "grant.txt")
    await respond(shared, record, "allow_session")
    await shared.client.until_complete(run_id)
    await idle(shared.client, session)
    shared.fake.push(
        [tool("view", {"file_path": "grant.txt"})],
        [tool("edit", {"file_path": "grant.txt", "old_string": "w", "new_string": "v"}), usage(1, 1)],
        [text("x")],
    )
    before = len(shared.client.events(session, "permission_requested"))
    _, done = await turn(shared.client, sessionId=session)
    assert done["stopReason"] == "end_turn"
    assert len(shared.client.events(session, "permission_requested")) == before
    assert (shared.world.project / "grant.txt").read_text() == "v\n"
    _, other_run, other_record = await asked(shared, "grant2.txt")
    await respond(shared, other_record, "reject_once")
    await shared.client.until_complete(other_run)


async def test_two_calls_of_one_step_are_asked_one_after_the_other_and_both_answered(shared: Shared):
    shared.fake.push(
        [
            tool("write", {"file_path": "one.txt", "content": "1"}),
            tool("write", {"file_path": "two.txt", "content": "2"}),
            usage(1, 1),
        ],
        [text("both")],
    )
    run_id = fresh()
    session = (await shared.client.request("agent/run", {"runId": run_id, "prompt": "x"}))["sessionId"]
    for count in (1, 2):
        await shared.client.until(lambda _, n=count: len(shared.client.events(session, "permission_requested")) >= n)
        record = shared.client.events(session, "permission_requested")[count - 1]["update"]
        await respond(shared, record, "allow_once")
    await shared.client.until_complete(run_id)
    assert (shared.world.project / "two.txt").read_text() == "2"
    assert completes(shared.client, session) == [(run_id, "end_turn")]


async def test_outside_the_roots_asks_even_for_reading(shared: Shared):
    outside = shared.world.home / "outside.txt"
    outside.write_text("far away")
    shared.fake.push([tool("view", {"file_path": str(outside)}), usage(1, 1)], [text("seen")])
    run_id = fresh()
    session = (await shared.client.request("agent/run", {"runId": run_id, "prompt": "x"}))["sessionId"]
    record = (await shared.client.until_event("permission_requested", session))["update"]
    assert record["subject"]["type"] == "path"
    assert record["subject"]["path"] == str(outside)
    await respond(shared, record, "allow_once")
    await shared.client.until_complete(run_id)
    assert "far away" in sent_to_model(shared.fake)


async def test_a_run_cannot_loosen_the_mode(shared: Shared):
    shared.fake.push([tool("write", {"file_path": "loose.txt", "content": "x"}), usage(1, 1)], [text("ok")])
    run_id = fresh()
    result = await shared.client.request("agent/run", {"runId": run_id, "prompt": "x", "options": {"mode": "plan"}})
    await shared.client.until_complete(run_id)
    assert not shared.client.events(result["sessionId"], "permission_requested")
    assert not (shared.world.project / "loose.txt").exists()
