"""PROTOCOL 14: edits of open documents through the editor, of closed ones on disk."""

import asyncio

import pytest

from tests.guarantees.world import Shared, fresh, idle, sent_to_model, turn
from tests.harness.client import NEVER, Refuse
from tests.harness.fake_provider import text, tool, usage

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(autouse=True)
def plain_editor(request):
    if "shared" in request.fixturenames:
        client = request.getfixturevalue("shared").client
        before, order = dict(client.handlers), client.change_before_answer
        yield
        client.handlers, client.change_before_answer = before, order
    else:
        yield


def steps(name: str, old: str, new: str):
    return [tool("view", {"file_path": name}), usage(1, 1)], [
        tool("edit", {"file_path": name, "old_string": old, "new_string": new}),
        usage(1, 1),
    ]


async def edited(shared: Shared, name: str, live: str, old: str, new: str):
    uri = shared.world.write(name, "saved\n").as_uri()
    document = shared.client.open_document(uri, live)
    shared.fake.push(*steps(name, old, new), [text("done"), usage(1, 1)])
    result, done = await turn(shared.client)
    await idle(shared.client, result["sessionId"])
    return document, result["sessionId"], done


def last_edit(shared: Shared):
    return [m for m in shared.client.messages if m.get("method") == "workspace/applyEdit"][-1]["params"]


async def test_an_open_document_is_changed_in_the_editor_and_not_on_disk(shared: Shared):
    document, session, done = await edited(shared, "open.py", "a = 1\nb = 2 👋\nc = 3\n", "b = 2 👋", "b = 22")
    assert document.text == "a = 1\nb = 22\nc = 3\n"
    assert (shared.world.project / "open.py").read_text() == "saved\n"
    params = last_edit(shared)
    assert params["label"]
    (change,) = params["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": document.uri, "version": 1}
    assert all(edit["range"]["start"]["line"] == 1 for edit in change["edits"])
    assert done["changes"] == {"files": 1, "added": 1, "removed": 1}
    changes = shared.client.events(session, "changes_update")[-1]["update"]["files"]
    assert changes[0]["uri"] == document.uri
    assert shared.client.events(session, "tool_call_update")[-1]["update"]["status"] == "completed"


async def test_the_change_may_come_after_the_answer(shared: Shared):
    shared.client.change_before_answer = False
    document, session, _ = await edited(shared, "after.py", "x = 1\n", "1", "2")
    assert document.text == "x = 2\n"
    assert shared.client.events(session, "tool_call_update")[-1]["update"]["status"] == "completed"


@pytest.mark.parametrize("how", ["applied false", "error"])
async def test_a_refused_edit_is_told_to_the_model(shared: Shared, how: str):
    def refuse(_params):
        if how == "error":
            raise Refuse(-32803, "the editor is in the middle of something")
        return {"applied": False, "failureReason": "the user said no"}

    shared.client.handlers["workspace/applyEdit"] = refuse
    document, session, done = await edited(shared, f"refused-{how[:3]}.py", "x = 1\n", "1", "2")
    assert document.text == "x = 1\n"
    assert done["stopReason"] == "end_turn"
    assert shared.client.events(session, "tool_call_update")[-1]["update"]["status"] == "failed"
    assert ("the user said no" if how != "error" else "in the middle of something") in sent_to_model(shared.fake)


async def test_an_edit_that_is_never_answered_can_be_cancelled(shared: Shared):
    shared.client.handlers["workspace/applyEdit"] = lambda _params: NEVER
    uri = shared.world.write("never.py", "x").as_uri()
    shared.client.open_document(uri, "x = 1\n")
    shared.fake.push(*steps("never.py", "1", "2"))
    run_id = fresh()
    result = await shared.client.request("agent/run", {"runId": run_id, "prompt": "x"})
    await shared.client.until(lambda m: m.get("method") == "workspace/applyEdit")
    await shared.client.request("agent/cancel", {"sessionId": result["sessionId"]})
    assert (await shared.client.until_complete(run_id, timeout=8))["stopReason"] == "cancelled"
    assert shared.client.events(result["sessionId"], "tool_call_update")[-1]["update"]["status"] == "cancelled"


@pytest.mark.slow
async def test_an_edit_that_is_never_answered_times_out(shared: Shared):
    shared.client.handlers["workspace/applyEdit"] = lambda _params: NEVER
    _, session, done = await edited(shared, "silent.py", "x = 1\n", "1", "2")
    assert done["stopReason"] == "end_turn"
    assert shared.client.events(session, "tool_call_update")[-1]["update"]["status"] == "failed"


async def test_a_document_the_user_types_in_meanwhile_keeps_both(shared: Shared):
    client = shared.client
    typed = False

    def while_typing(params):
        nonlocal typed
        if not typed:
            typed = True
            uri = params["edit"]["documentChanges"][0]["textDocument"]["uri"]
            client.change_document(uri, "# the user was here\n" + client.documents.open[uri].text)
        return client.apply_edit(params)

    client.handlers["workspace/applyEdit"] = while_typing
    document, session, _ = await edited(shared, "typing.py", "x = 1\n", "1", "2")
    assert typed
    assert document.text == "# the user was here\nx = 2\n"
    assert shared.client.events(session, "tool_call_update")[-1]["update"]["status"] == "completed"


async def test_crlf_and_no_newline_at_the_end_stay(shared: Shared):
    document, _, _ = await edited(shared, "crlf.py", "a\r\nb\r\nc", "b", "x\ny")
    assert document.text == "a\r\nx\r\ny\r\nc"


async def test_a_closed_file_is_changed_on_disk_with_its_mode(shared: Shared):
    path = shared.world.write("closed.sh", "#!/bin/sh\necho 1\n")
    path.chmod(0o755)
    shared.fake.push(*steps("closed.sh", "echo 1", "echo 2"), [text("done")])
    _, done = await turn(shared.client)
    assert path.read_text() == "#!/bin/sh\necho 2\n"
    assert path.stat().st_mode & 0o777 == 0o755
    assert done["changes"] == {"files": 1, "added": 1, "removed": 1}
    assert not [m for m in shared.client.messages if m.get("method") == "workspace/applyEdit"]
    assert [p.name for p in shared.world.project.iterdir() if p.name.startswith(".closed") or "tmp" in p.name] == []


async def test_a_new_file_is_made(shared: Shared):
    shared.fake.push([tool("write", {"file_path": "deep/er/new.py", "content": "new\n"}), usage(1, 1)], [text("done")])
    _, done = await turn(shared.client)
    assert (shared.world.project / "deep/er/new.py").read_text() == "new\n"
    assert done["changes"] == {"files": 1, "added": 1, "removed": 0}


async def test_an_edit_of_a_file_nobody_looked_at_is_refused(shared: Shared):
    shared.world.write("unseen.py", "x = 1\n")
    shared.fake.push(
        [tool("edit", {"file_path": "unseen.py", "old_string": "1", "new_string": "2"}), usage(1, 1)], [text("ok")]
    )
    result, _ = await turn(shared.client)
    assert shared.client.events(result["sessionId"], "tool_call_update")[-1]["update"]["status"] == "failed"
    assert (shared.world.project / "unseen.py").read_text() == "x = 1\n"


async def test_a_file_changed_since_it_was_seen_is_refused(shared: Shared):
    path = shared.world.write("moved.py", "x = 1\n")
    hold = fresh("hold")
    shared.fake.push(
        [tool("view", {"file_path": "moved.py"}), usage(1, 1)],
        [text("hm"), {"hold": hold}, tool("edit", {"file_path": "moved.py", "old_string": "1", "new_string": "2"})],
        [text("ok")],
    )
    run_id = fresh()
    result = await shared.client.request("agent/run", {"runId": run_id, "prompt": "x"})
    await shared.client.until_event("agent_message_chunk", result["sessionId"])
    path.write_text("x = 1 # changed by hand\n")
    shared.fake.release(hold)
    await shared.client.until_complete(run_id)
    assert path.read_text() == "x = 1 # changed by hand\n"


async def test_unknown_tools_and_bad_arguments_are_results_for_the_model(shared: Shared):
    shared.fake.push(
        [
            tool("teleport", {"x": 1}),
            tool("view", "{not json"),
            tool("view", {}),
            tool("view", {"file_path": 5}),
            usage(1, 1),
        ],
        [text("sorry")],
    )
    result, done = await turn(shared.client)
    assert (done["stopReason"], done["text"]) == ("end_turn", "sorry")
    last = {}
    for event in shared.client.events(result["sessionId"], "tool_call_update"):
        last[event["update"]["toolCallId"]] = event["update"]["status"]
    assert list(last.values()) == ["failed"] * 4


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_positions_follow_the_negotiated_encoding(tmp_path, encoding: str):
    from tests.guarantees.conftest import new_world

    async with new_world(tmp_path) as world:
        client = await world.start(encodings=[encoding])
        assert client.server["capabilities"]["positionEncoding"] == encoding
        uri = world.write("enc.py", "").as_uri()
        document = client.open_document(uri, "s = '👋é' + old\n")
        world.fake.push(*steps("enc.py", "old", "new"), [text("done")])
        await turn(client)
        assert document.text == "s = '👋é' + new\n"
        await asyncio.sleep(0)
