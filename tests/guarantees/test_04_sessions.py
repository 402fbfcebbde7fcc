"""PROTOCOL 4: sessions."""

import re

import pytest

from tests.guarantees.world import Shared, begin, completes, fresh, idle, refused, turn
from tests.harness.fake_provider import text, tool, usage

pytestmark = pytest.mark.asyncio(loop_scope="module")

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
INFO = {
    "sessionId", "title", "createdAt", "updatedAt", "messageCount", "promptTokens", "completionTokens", "costUsd",
    "estimatedUsage", "todos", "isBusy", "queued", "model", "seq",
}  # fmt: skip


async def info(shared, session):
    return await shared.client.request("agent/session/get", {"sessionId": session})


async def test_session_info_has_every_field(shared: Shared):
    session = await shared.session(title="Named", root=shared.world.project.as_uri())
    found = await info(shared, session)
    assert set(found) >= INFO
    assert (found["title"], found["root"]) == ("Named", shared.world.project.as_uri())
    assert TIME.fullmatch(found["createdAt"])
    assert TIME.fullmatch(found["updatedAt"])
    assert (found["isBusy"], found["queued"], found["messageCount"], found["seq"]) == (False, 0, 0, 0)
    assert found["model"] == "fake/large"
    assert "parentSessionId" not in found or found["parentSessionId"] is None


async def test_session_info_of_a_busy_session(shared: Shared):
    session, _, hold = await begin(shared.client, shared.fake)
    await shared.client.request("agent/run", {"sessionId": session, "runId": fresh(), "prompt": "x"})
    found = await info(shared, session)
    assert (found["isBusy"], found["queued"]) == (True, 1)
    status = await shared.client.request("agent/status", {"sessionId": session})
    assert (status["busy"], status["queued"]) == (True, 1)
    shared.fake.release(hold)
    await idle(shared.client, session)
    assert (await info(shared, session))["isBusy"] is False


async def test_list_is_newest_first_and_pages(shared: Shared):
    made = [await shared.session(title=f"pages {n}") for n in range(5)]
    listed = (await shared.client.request("agent/session/list", {"query": "pages"}))["sessions"]
    assert [s["sessionId"] for s in listed] == made[::-1]
    seen, cursor = [], None
    while True:
        params = {"limit": 2, "query": "pages", **({"cursor": cursor} if cursor else {})}
        page = await shared.client.request("agent/session/list", params)
        seen += [s["sessionId"] for s in page["sessions"]]
        cursor = page.get("nextCursor")
        if not cursor:
            break
    assert seen == made[::-1]
    await turn(shared.client, sessionId=made[0])
    listed = (await shared.client.request("agent/session/list", {"query": "pages"}))["sessions"]
    assert listed[0]["sessionId"] == made[0]


async def test_list_by_root(shared: Shared):
    mine = await shared.session(title="root a", root="file:///somewhere/a")
    await shared.session(title="root b", root="file:///somewhere/b")
    listed = (await shared.client.request("agent/session/list", {"root": "file:///somewhere/a"}))["sessions"]
    assert [s["sessionId"] for s in listed] == [mine]


async def test_read_pages_oldest_first_with_every_part(shared: Shared):
    shared.world.write("read.py", "x\n")
    shared.fake.push([text("look"), tool("view", {"file_path": "read.py"}), usage(1, 1)], [text("seen")])
    result, _ = await turn(shared.client, "read it")
    session = result["sessionId"]
    messages = (await shared.client.request("agent/session/read", {"sessionId": session}))["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant", "tool", "assistant"]
    assert messages[0]["messageId"] == result["messageId"]
    assert messages[0]["parts"] == [{"type": "text", "text": "read it"}]
    assert messages[0]["finish"]["reason"] == "stop"
    call = messages[1]["parts"][-1]
    assert (call["type"], call["name"], call["finished"]) == ("tool_call", "view", True)
    assert messages[1]["finish"]["reason"] == "tool_use"
    (outcome,) = messages[2]["parts"]
    assert (outcome["type"], outcome["toolCallId"], outcome["isError"]) == ("tool_result", call["toolCallId"], False)
    assert "x" in outcome["content"]
    for message in messages:
        assert set(message) >= {"messageId", "sessionId", "role", "parts", "isSummary", "createdAt"}
        assert TIME.fullmatch(message["createdAt"])
    assert (messages[3]["model"], messages[3]["provider"]) == ("large", "fake")
    paged, cursor = [], None
    while True:
        page = await shared.client.request(
            "agent/session/read", {"sessionId": session, "limit": 3, **({"cursor": cursor} if cursor else {})}
        )
        paged += page["messages"]
        cursor = page.get("nextCursor")
        if not cursor:
            break
    assert paged == messages


async def test_read_shows_what_is_streaming(shared: Shared):
    session, _, hold = await begin(shared.client, shared.fake)
    messages = (await shared.client.request("agent/session/read", {"sessionId": session}))["messages"]
    assert [p["text"] for p in messages[-1]["parts"]] == ["held "]
    assert messages[-1].get("finish") is None
    shared.fake.release(hold)
    await idle(shared.client, session)


async def test_a_title_is_made_and_a_users_title_stays(shared: Shared):
    result, _ = await turn(shared.client)
    named = await shared.client.until_event("session_info_update", result["sessionId"])
    assert named["update"]["title"] == "A short title"
    await shared.client.request("agent/session/rename", {"sessionId": result["sessionId"], "title": "Mine"})
    await shared.client.until(lambda m: (m.get("params") or {}).get("update", {}).get("title") == "Mine")
    assert (await info(shared, result["sessionId"]))["title"] == "Mine"
    session = await shared.session(title="From the start")
    await turn(shared.client, sessionId=session)
    await idle(shared.client, session)
    assert (await info(shared, session))["title"] == "From the start"


async def test_delete_of_a_busy_session_cancels_it_first(shared: Shared):
    session, run_id, _ = await begin(shared.client, shared.fake)
    queued = fresh()
    await shared.client.request("agent/run", {"sessionId": session, "runId": queued, "prompt": "x"})
    await shared.client.request("agent/session/delete", {"sessionId": session})
    assert sorted(completes(shared.client, session)) == sorted([(run_id, "cancelled"), (queued, "cancelled")])
    assert (await refused(shared.client, "agent/session/get", {"sessionId": session})).kind == "SessionNotFound"
    assert (await refused(shared.client, "agent/run", {"sessionId": session, "prompt": "x"})).kind == "SessionNotFound"
    listed = (await shared.client.request("agent/session/list"))["sessions"]
    assert session not in [s["sessionId"] for s in listed]


async def test_fork_copies_up_to_a_message(shared: Shared):
    result, _ = await turn(shared.client, "first words")
    session = result["sessionId"]
    await turn(shared.client, "second words", sessionId=session)
    await idle(shared.client, session)
    whole = (await shared.client.request("agent/session/fork", {"sessionId": session}))["sessionId"]
    part = (
        await shared.client.request("agent/session/fork", {"sessionId": session, "atMessageId": result["messageId"]})
    )["sessionId"]
    count = {
        s: len((await shared.client.request("agent/session/read", {"sessionId": s}))["messages"])
        for s in (session, whole, part)
    }
    assert count[session] == count[whole] == 4
    assert 0 < count[part] < 4
    _, done = await turn(shared.client, "third", sessionId=part)
    assert done["stopReason"] == "end_turn"
    assert len((await shared.client.request("agent/session/read", {"sessionId": session}))["messages"]) == 4
    error = await refused(shared.client, "agent/session/fork", {"sessionId": session, "atMessageId": "nobody"})
    assert error.code == -32602
    assert error.data["path"] == "atMessageId"


async def test_a_fork_attached_from_its_beginning_is_given_the_messages_it_began_with(shared: Shared):
    result, _ = await turn(shared.client, "told before the fork")
    await idle(shared.client, result["sessionId"])
    fork = (await shared.client.request("agent/session/fork", {"sessionId": result["sessionId"]}))["sessionId"]
    for _ in range(2):
        attached = await shared.client.request("agent/session/attach", {"sessionId": fork, "afterSeq": 0})
        assert attached["mode"] == "snapshot"
        assert "told before the fork" in str(attached["snapshot"])
        await turn(shared.client, "and more", sessionId=fork)
        await idle(shared.client, fork)
    last = (await info(shared, fork))["seq"]
    later = await shared.client.request("agent/session/attach", {"sessionId": fork, "afterSeq": last})
    assert later["mode"] == "replay"


async def test_a_session_tells_its_options_as_configure_answers_them(shared: Shared):
    models = await shared.client.request("agent/models/list")
    session = await shared.session()
    options = {each["optionId"]: each["value"] for each in (await info(shared, session))["options"]}
    assert options["mode"] == models["mode"] == "full-auto"
    answer = await shared.client.request(
        "agent/session/configure", {"sessionId": session, "optionId": "mode", "value": "plan"}
    )
    assert (await info(shared, session))["options"] == answer["options"]


async def test_export_in_both_formats(shared: Shared):
    import json

    result, _ = await turn(shared.client, "the prompt to export")
    for format_ in ("markdown", "json"):
        exported = await shared.client.request(
            "agent/session/export", {"sessionId": result["sessionId"], "format": format_}
        )
        assert "the prompt to export" in exported["text"]
    assert json.loads(exported["text"])


async def test_configure_changes_what_runs(shared: Shared):
    session = await shared.session()
    answer = await shared.client.request(
        "agent/session/configure", {"sessionId": session, "optionId": "mode", "value": "plan"}
    )
    assert any(o.get("optionId", o.get("id")) == "mode" for o in answer["options"])
    shared.fake.push([tool("write", {"file_path": "planned.txt", "content": "x"}), usage(1, 1)], [text("ok")])
    await turn(shared.client, sessionId=session)
    assert not (shared.world.project / "planned.txt").exists()
    for option, value in (("mode", "yolo"), ("model.large", "nobody/nothing"), ("colour", "red"), ("mode", 5)):
        error = await refused(
            shared.client, "agent/session/configure", {"sessionId": session, "optionId": option, "value": value}
        )
        assert error.code == -32602, (option, value)
        assert error.data["path"] in ("value", "optionId")


async def test_compact_by_hand(shared: Shared):
    session = await shared.session()
    assert await shared.client.request("agent/session/compact", {"sessionId": session}) == {"state": "nothing"}
    await turn(shared.client, "remember this", sessionId=session)
    await idle(shared.client, session)
    assert await shared.client.request("agent/session/compact", {"sessionId": session}) == {"state": "started"}
    await shared.client.until(
        lambda m: (
            (m.get("params") or {}).get("update", {}).get("sessionUpdate") == "compaction_update"
            and m["params"]["update"]["status"] == "completed"
        )
    )
    statuses = [e["update"]["status"] for e in shared.client.events(session, "compaction_update")]
    assert statuses == ["started", "completed"]
    messages = (await shared.client.request("agent/session/read", {"sessionId": session}))["messages"]
    assert messages[-1]["isSummary"] or any(m["isSummary"] for m in messages)
    assert (await turn(shared.client, "go on", sessionId=session))[1]["stopReason"] == "end_turn"
    assert "remember this" not in str(shared.fake.requests[-1].body["messages"])


async def test_compact_of_a_busy_session_is_refused(shared: Shared):
    session, run_id, hold = await begin(shared.client, shared.fake)
    error = await refused(shared.client, "agent/session/compact", {"sessionId": session})
    assert (error.kind, error.data["activeRunId"]) == ("SessionBusy", run_id)
    shared.fake.release(hold)
    await idle(shared.client, session)


async def test_a_cancelled_compaction_ends_once(shared: Shared):
    session = (await turn(shared.client))[0]["sessionId"]
    await idle(shared.client, session)
    await shared.client.until_event("session_info_update", session)
    hold, aside = fresh("hold"), shared.fake.aside
    shared.fake.aside = [text("summ"), {"hold": hold}, text("ary")]
    try:
        await shared.client.request("agent/session/compact", {"sessionId": session})
        await shared.fake.wait_for(3, 30)
        queued = fresh()
        await shared.client.request("agent/run", {"sessionId": session, "runId": queued, "prompt": "behind"})
        await shared.client.request("agent/cancel", {"sessionId": session, "queue": "keep"})
        await shared.client.until_complete(queued)
    finally:
        shared.fake.aside = aside
    statuses = [e["update"]["status"] for e in shared.client.events(session, "compaction_update")]
    assert statuses == ["started", "cancelled"]


async def test_detach_ends_the_events_and_attach_brings_them_back(shared: Shared):
    session = await shared.session()
    await shared.client.request("agent/session/detach", {"sessionId": session})
    # somebody who only listens hears nothing; the run itself subscribes again
    result = await shared.client.request("agent/session/attach", {"sessionId": session})
    assert (result["seq"], result["activeRunId"], result["queueRevision"]) == (0, None, 0)
    assert result["pending"] == {"permissions": [], "questions": []}
    assert (await turn(shared.client, sessionId=session))[1]["stopReason"] == "end_turn"


async def test_attach_beyond_the_end_and_in_the_middle(shared: Shared):
    session = await shared.session(title="no title is made for it")
    await turn(shared.client, sessionId=session)
    await idle(shared.client, session)
    seq = (await info(shared, session))["seq"]
    for after in (0, 3, seq):
        shared.client.recorded.clear()
        result = await shared.client.request("agent/session/attach", {"sessionId": session, "afterSeq": after})
        assert (result["seq"], result["mode"]) == (seq, "replay")
        await shared.client.request("agent/status")
        durable = [
            e["seq"]
            for e in shared.client.events(session)
            if e.get("update", {}).get("sessionUpdate") != "usage_update"
        ]
        assert durable == list(range(after + 1, seq + 1))
    shared.client.recorded.clear()
    result = await shared.client.request("agent/session/attach", {"sessionId": session, "afterSeq": seq + 50})
    assert result["seq"] == seq
    assert result["mode"] == "snapshot"


@pytest.mark.parametrize("forged", ["../../etc/passwd", "s\u0000x", "'; DROP TABLE sessions; --", "01H" * 100])
async def test_PR_24_a_forged_session_id_is_only_an_id_nobody_has(shared: Shared, forged: str):
    error = await refused(shared.client, "agent/session/get", {"sessionId": forged})
    assert error.kind in ("SessionNotFound", "InvalidParams")
    assert await info(shared, await shared.session(title="still here"))
