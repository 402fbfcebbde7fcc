"""PROTOCOL 8: the events beside the conversation: names, options, plans, notices, sub-agents; over the real process."""

import pytest

from tests.guarantees.world import Shared, fresh, idle, refused, turn
from tests.harness.fake_provider import text, tool, usage

pytestmark = pytest.mark.asyncio(loop_scope="module")


def updates(client, session, kind):
    return [event["update"] for event in client.events(session, kind)]


async def test_a_new_name_is_told_whoever_gave_it(shared: Shared):
    session = await shared.session()
    await shared.client.request("agent/session/rename", {"sessionId": session, "title": "Mine"})
    assert [one["title"] for one in updates(shared.client, session, "session_info_update")] == ["Mine"]
    result, _ = await turn(shared.client)
    await shared.client.until_event("session_info_update", result["sessionId"])
    assert updates(shared.client, result["sessionId"], "session_info_update")[-1]["title"] == "A short title"


async def test_an_option_is_told_with_all_the_others(shared: Shared):
    session = await shared.session()
    params = {"sessionId": session, "optionId": "mode", "value": "plan"}
    options = (await shared.client.request("agent/session/configure", params))["options"]
    told = updates(shared.client, session, "config_option_update")
    assert told == [{"sessionUpdate": "config_option_update", "options": options}]
    assert {one["optionId"]: one["value"] for one in options}["mode"] == "plan"
    for wrong, path in (({"optionId": "colour"}, "optionId"), ({"value": "yolo"}, "value")):
        error = await refused(shared.client, "agent/session/configure", {**params, **wrong})
        assert (error.code, error.data["path"]) == (-32602, path)


async def test_a_plan_and_a_command_are_told_as_they_go(shared: Shared):
    plan = [{"content": "Look", "status": "in_progress", "active_form": "Looking"}]
    shared.fake.push(
        [tool("todos", {"todos": plan}), usage(1, 1)],
        [tool("bash", {"command": "echo said", "description": "say"}, call_id=(call := fresh("call"))), usage(1, 1)],
        [text("done"), usage(1, 1)],
    )
    result, done = await turn(shared.client)
    session = result["sessionId"]
    [entry] = updates(shared.client, session, "plan_update")[-1]["entries"]
    assert entry == {"content": "Look", "status": "in_progress", "activeForm": "Looking"}
    terminals = updates(shared.client, session, "terminal_update")
    assert [(one["status"], one["exitCode"], one["toolCallId"]) for one in terminals] == [
        ("running", None, call),
        ("completed", 0, call),
    ]
    assert shared.client.chunk_text(terminals[0]["terminalId"], "terminal_output_chunk") == "said\n"
    usages = updates(shared.client, session, "usage_update")
    assert usages
    assert usages[-1]["contextWindow"] == 200000
    assert usages[-1]["costUsd"] == pytest.approx(done["usage"]["costUsd"])
    kinds = [event["update"]["sessionUpdate"] for event in shared.client.events(session) if "update" in event]
    assert kinds[:2] == ["user_message", "state_update"]


async def test_a_retry_is_a_notice_with_level_code_and_message(shared: Shared):
    shared.fake.push({"status": 529, "body": {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}})
    result, done = await turn(shared.client)
    assert done["stopReason"] == "end_turn"
    [notice] = [one for one in updates(shared.client, result["sessionId"], "notice") if one["code"] == "retry"]
    assert notice["level"] == "warning"
    assert notice["message"]


async def test_a_sub_agents_events_name_their_parent_and_its_call(shared: Shared):
    call = fresh("call")
    shared.fake.push(
        [tool("agent", {"prompt": "look around"}, call_id=call), usage(1, 1)],
        [text("I looked."), usage(1, 1)],
        [text("It looked."), usage(1, 1)],
    )
    result, done = await turn(shared.client)
    session = result["sessionId"]
    assert (done["text"], done["stopReason"]) == ("It looked.", "end_turn")
    await idle(shared.client, session)
    [child] = {event["sessionId"] for event in shared.client.events() if "parent" in event and call in str(event)}
    told = [event for event in shared.client.events(child) if "update" in event]
    assert {(event["parent"]["sessionId"], event["parent"]["toolCallId"]) for event in told} == {(session, call)}
    assert not [event for event in shared.client.events(session) if "parent" in event]
    listed = await shared.client.request("agent/session/list", {"limit": 100})
    assert child not in [one["sessionId"] for one in listed["sessions"]]
    info = await shared.client.request("agent/session/get", {"sessionId": child})
    assert info["parentSessionId"] == session
