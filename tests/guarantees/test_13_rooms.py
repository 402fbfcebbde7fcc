"""PROTOCOL 13: attachments that show what the agent itself did, over the real process."""

import pytest

from tests.guarantees.world import Shared, idle, refused, sent_to_model, turn
from tests.harness.fake_provider import text, tool, usage

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_changes_of_a_run_are_attached_as_a_diff(shared: Shared):
    shared.world.write("was.py", "one\ntwo\nthree\n")
    shared.fake.push(
        [tool("view", {"file_path": "was.py"}), usage(1, 1)],
        [tool("edit", {"file_path": "was.py", "old_string": "two\n", "new_string": "zwei\n"}), usage(1, 1)],
        [tool("write", {"file_path": "made.py", "content": "new\n"}), usage(1, 1)],
        [text("done"), usage(1, 1)],
    )
    result, done = await turn(shared.client)
    await idle(shared.client, result["sessionId"])
    attachment = {"type": "changes", "runId": done["runId"]}
    later, _ = await turn(shared.client, "explain", attachments=[attachment])
    request = sent_to_model(shared.fake)
    for line in ("--- was.py", "@@ -2,1 +2,1 @@", "-two", "+zwei", "--- /dev/null", "+++ made.py", "+new"):
        assert line in request, line
    messages = (await shared.client.request("agent/session/read", {"sessionId": later["sessionId"]}))["messages"]
    part = next(part for part in messages[0]["parts"] if part["type"] == "attachment")
    assert (part["kind"], part["name"]) == ("changes", f"changes {done['runId']}")
    quiet, _ = await turn(shared.client, "nothing")
    await turn(shared.client, "and?", attachments=[{"type": "changes", "runId": quiet["runId"]}])
    assert "changed no files" in sent_to_model(shared.fake)


async def test_a_terminals_output_is_attached_as_data_from_outside(shared: Shared):
    command = {"command": "echo what the command said", "description": "say"}
    shared.fake.push([tool("bash", command), usage(1, 1)], [text("done"), usage(1, 1)])
    result, _ = await turn(shared.client)
    session = result["sessionId"]
    [one] = (await shared.client.request("agent/terminal/list", {"sessionId": session}))["terminals"]
    attachment = {"type": "terminal", "terminalId": one["terminalId"]}
    await turn(shared.client, "explain", sessionId=session, attachments=[attachment])
    last = str(shared.fake.requests[-1].body["messages"][-1])
    assert "what the command said\\n(exit code 0)" in last or "what the command said\\\\n(exit code 0)" in last
    assert "<untrusted" in last
    error = await refused(shared.client, "agent/run", {"prompt": "x", "attachments": [attachment]})
    assert (error.code, error.data["path"]) == (-32602, "attachments[0].terminalId")


async def test_what_is_not_there_names_the_attachment(shared: Shared):
    session = await shared.session()
    for attachment, key in (
        ({"type": "changes", "runId": "nobody's"}, "runId"),
        ({"type": "terminal", "terminalId": "FFF"}, "terminalId"),
        ({"type": "changes"}, "runId"),
        ({"type": "terminal"}, "terminalId"),
        ({"type": "hologram"}, "type"),
    ):
        given = [{"type": "text", "text": "fine"}, attachment]
        error = await refused(shared.client, "agent/run", {"sessionId": session, "prompt": "x", "attachments": given})
        assert error.code == -32602
        assert error.data["path"] in (f"attachments[1].{key}", "attachments[1]"), error.data


async def test_a_symbol_is_the_definition_around_a_position_of_the_live_text(shared: Shared):
    lines = "def one():\n    return 1\n\n\ndef two():\n    👋 = 2\n    return 2\n"
    uri = shared.world.write("symbol.py", "").as_uri()
    shared.client.open_document(uri, lines)
    attachment = {"type": "symbol", "uri": uri, "position": {"line": 6, "character": 4}}
    await turn(shared.client, "explain", attachments=[attachment])
    request = sent_to_model(shared.fake)
    assert "def two" in request
    assert "def one" not in request
    assert "lines='5-7'" in request
