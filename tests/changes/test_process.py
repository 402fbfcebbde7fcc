"""PROTOCOL 6 over the wire: a real server, an editor that holds documents, files on disk."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.guarantees.checks import check
from tests.guarantees.world import World, idle, refused, sent_to_model, turn
from tests.harness.client import Client
from tests.harness.fake_provider import FakeProvider, text, tool, usage

pytestmark = pytest.mark.process
TEXT = "".join(f"line {number}\n" for number in range(12))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    project = tmp_path / "project"
    project.mkdir()
    async with FakeProvider(aside=[text("A short title")], fallback=[text("ok"), usage(1, 1)]) as fake:
        made = World(tmp_path, project, fake)
        try:
            yield made
            for client in made.clients:
                check(client)
        finally:
            await made.close()


async def agent_edits(
    world: World, client: Client, name: str, *pairs: tuple[str, str], **params
) -> tuple[str, list[str]]:
    """A run that views and edits; the session and the hunks' ids."""
    edits = [{"old_string": old, "new_string": new} for old, new in pairs]
    world.fake.push(
        [tool("view", {"file_path": name}), usage(1, 1)],
        [tool("multiedit", {"file_path": name, "edits": edits}), usage(1, 1)],
        [text("done"), usage(1, 1)],
    )
    result, _ = await turn(client, **params)
    session = result["sessionId"]
    await idle(client, session)
    [file] = client.events(session, "changes_update")[-1]["update"]["files"]
    return session, [hunk["hunkId"] for hunk in file["hunks"]]


async def resolve(client: Client, session: str, action: str, *targets, **more):
    params = {"sessionId": session, "action": action, "targets": list(targets) or [{"all": True}], **more}
    return await client.request("agent/changes/resolve", params)


async def test_hunks_of_an_open_document_are_decided_in_the_editor(world):
    client = await world.start()
    block = client.server["capabilities"]["experimental"]["agent"]
    assert (block["changes"], block["checkpoint"]) == ({"hunk": True, "undo": True}, {})
    uri = world.write("a.py", TEXT).as_uri()
    document = client.open_document(uri, TEXT)
    pairs = [("line 3\n", "three 👋\n"), ("line 8", "eight")]
    session, [first, second] = await agent_edits(world, client, "a.py", *pairs)
    client.change_document(uri, "typed above\n" + document.text.replace("eight\n", "eight\ntyped below\n"))
    [file] = (await client.request("agent/changes/list", {"sessionId": session}))["files"]
    assert (file["uri"], file["kind"], file["baseVersion"]) == (uri, "edit", document.version)
    assert [one["newRange"]["start"]["line"] for one in file["hunks"]] == [4, 9]
    assert [(one["oldText"], one["newText"], one["state"]) for one in file["hunks"]] == [
        ("line 3\n", "three 👋\n", "pending"),
        ("line 8\n", "eight\n", "pending"),
    ]
    assert await resolve(client, session, "reject", {"hunkId": first}) == {"done": [first], "conflicts": []}
    assert await resolve(client, session, "accept", {"uri": uri}) == {"done": [second], "conflicts": []}
    wanted = "typed above\n" + TEXT.replace("line 8\n", "eight\ntyped below\n")
    assert document.text == wanted
    assert Path(world.project / "a.py").read_text() == TEXT, "nothing was saved for the user"
    updates = [one["update"]["files"][0]["hunks"] for one in client.events(session, "changes_update")]
    assert [[hunk["state"] for hunk in hunks] for hunks in updates] == [["pending"] * 2, ["rejected"], ["accepted"]]
    assert await resolve(client, session, "undo") == {"done": [second], "conflicts": []}
    assert await resolve(client, session, "undo") == {"done": [first], "conflicts": []}
    assert "three 👋" in document.text
    labels = [m["params"]["label"] for m in client.messages if m.get("method") == "workspace/applyEdit"]
    assert labels[1:] == ["Agent: reject changes", "Agent: undo changes"]


async def test_a_conflict_shows_the_users_text_and_a_comment_reaches_the_model(world):
    client = await world.start()
    path = world.write("a.py", TEXT)
    session, [hunk] = await agent_edits(world, client, "a.py", ("line 3", "three"))
    path.write_text(path.read_text().replace("three", "three, mine"))
    answer = await resolve(client, session, "reject", {"hunkId": hunk}, comment="keep the digits, please")
    assert answer["done"] == []
    assert [(one["hunkId"], one["current"]) for one in answer["conflicts"]] == [(hunk, "three, mine\n")]
    await turn(client, "go on", sessionId=session)
    assert "keep the digits, please" in str(world.fake.requests[-1].body)
    await turn(client, "go on", sessionId=session)
    assert "keep the digits, please" not in str(world.fake.requests[-1].body.get("system"))


async def test_a_closed_file_its_creation_and_a_restart(world):
    client = await world.start()
    path = world.write("a.py", TEXT)
    path.chmod(0o755)
    session, [hunk] = await agent_edits(world, client, "a.py", ("line 3", "three"))
    world.fake.push([tool("write", {"file_path": "new.py", "content": "n = 1\n"}), usage(1, 1)], [text("done")])
    await turn(client, sessionId=session)
    await idle(client, session)
    assert await client.shutdown() == 0
    client = await world.start()
    found = (await client.request("agent/changes/list", {"sessionId": session, "state": "pending"}))["files"]
    assert sorted((one["kind"], one["uri"].rpartition("/")[2]) for one in found) == [
        ("create", "new.py"),
        ("edit", "a.py"),
    ]
    done = await resolve(client, session, "reject")
    assert (len(done["done"]), done["conflicts"]) == (2, [])
    assert not (world.project / "new.py").exists()
    assert (path.read_text(), path.stat().st_mode & 0o777) == (TEXT, 0o755)
    await resolve(client, session, "undo", {"hunkId": hunk})
    assert path.read_text() == TEXT.replace("line 3", "three")


async def test_SH_22_a_destructive_command_is_restored_with_the_conversation(world):
    client = await world.start(agent=None)
    keep = {name: world.write(name, f"{name}\n{TEXT}") for name in ("src/a.py", "src/deep/b.py", "c.md")}
    before = {name: path.read_bytes() for name, path in keep.items()}
    world.configure(permissions='mode = "full-auto"')
    client.notify("workspace/didChangeConfiguration", {"settings": {}})
    world.fake.push(
        [tool("bash", {"command": "rm src/a.py src/deep/b.py; echo wiped > c.md", "description": "x"}), usage(1, 1)],
        [text("done"), usage(1, 1)],
    )
    pending = client.request("agent/run", {"prompt": "wipe it all", "runId": "wipe"})
    result = await pending
    session = result["sessionId"]
    asked = await client.until(
        lambda m: (
            m.get("method") == "agent/runComplete"
            or (m.get("params") or {}).get("update", {}).get("sessionUpdate") == "permission_requested"
        )
    )
    if asked["method"] == "agent/event":
        request_id = asked["params"]["update"]["requestId"]
        outcome = {"type": "selected", "optionId": "allow_once"}
        await client.request("agent/permission/respond", {"requestId": request_id, "outcome": outcome})
    await client.until_complete("wipe")
    await idle(client, session)
    assert not keep["src/a.py"].exists(), client.events(session, "tool_call_update")[-1]
    files = client.events(session, "changes_update")[-1]["update"]["files"]
    assert sorted(one["kind"] for one in files) == ["delete", "delete", "edit"]
    listed = (await client.request("agent/checkpoint/list", {"sessionId": session}))["checkpoints"]
    command = next(one for one in listed if one["kind"] == "command")
    assert command["createdAt"].endswith("Z")
    params = {"checkpointId": command["checkpointId"], "files": True, "conversation": True}
    dry = await client.request("agent/checkpoint/restore", {**params, "dryRun": True})
    assert dry == {"undoCheckpointId": None, "conflicts": []}
    assert not keep["src/a.py"].exists()
    done = await client.request("agent/checkpoint/restore", params)
    assert done["conflicts"] == []
    assert {name: path.read_bytes() for name, path in keep.items()} == before
    undo = {"checkpointId": done["undoCheckpointId"], "files": True, "conversation": True}
    messages = (await client.request("agent/session/read", {"sessionId": session}))["messages"]
    await client.request("agent/checkpoint/restore", undo)
    assert not keep["src/a.py"].exists()
    again = (await client.request("agent/session/read", {"sessionId": session}))["messages"]
    assert len(again) > len(messages)


async def test_a_busy_session_is_not_restored_and_errors_have_their_kind(world):
    client = await world.start()
    world.write("a.py", TEXT)
    session, _ = await agent_edits(world, client, "a.py", ("line 3", "three"))
    [checkpoint] = (await client.request("agent/checkpoint/list", {"sessionId": session}))["checkpoints"]
    params = {"checkpointId": checkpoint["checkpointId"], "files": True, "conversation": False}
    world.fake.push([text("hm"), {"hold": "busy"}, text("done"), usage(1, 1)])
    await client.request("agent/run", {"sessionId": session, "prompt": "wait", "runId": "busy"})
    await client.until_event("agent_message_chunk", session)
    assert (await refused(client, "agent/checkpoint/restore", params)).kind == "SessionBusy"
    world.fake.release("busy")
    await client.until_complete("busy")
    await idle(client, session)
    assert (await client.request("agent/checkpoint/restore", params))["conflicts"] == []
    assert (world.project / "a.py").read_text() == TEXT
    assert (await refused(client, "agent/checkpoint/restore", {**params, "checkpointId": "no"})).code == -32602
    assert (await refused(client, "agent/changes/list", {"sessionId": "no"})).kind == "SessionNotFound"
    wrong = {"sessionId": session, "action": "reject", "targets": [{}]}
    assert (await refused(client, "agent/changes/resolve", wrong)).code == -32602
    assert sent_to_model(world.fake)
