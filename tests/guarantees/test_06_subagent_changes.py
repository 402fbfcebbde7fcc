"""PROTOCOL 6 for sub-agents: what they change belongs to the run that called them, and can be decided from there."""

from typing import Any

from tests.guarantees.world import World, fresh, idle
from tests.harness.client import Client
from tests.harness.fake_provider import text, tool, usage

EDITOR = "---\nname: editor\ndescription: changes files\n---\nYou change files.\n"


async def delegated(world: World) -> tuple[Client, str, str, dict[str, Any]]:
    """A run whose sub-agent makes two files and edits one: (client, session, run id, event of the first change)."""
    directory = world.home / "agents"
    directory.mkdir()
    (directory / "editor.md").write_text(EDITOR)
    world.write("a.txt", "one\ntwo\n")
    client = await world.start()
    world.fake.push(
        [tool("agent", {"agent": "editor", "prompt": "do it"}, call_id="t-agent"), usage(1, 1)],
        [tool("view", {"file_path": "a.txt"}), usage(1, 1)],
        [
            tool("edit", {"file_path": "a.txt", "old_string": "two", "new_string": "2"}, call_id="t-edit"),
            tool("write", {"file_path": "b.txt", "content": "new\n"}, call_id="t-write"),
            usage(1, 1),
        ],
        [tool("bash", {"command": "printf c > c.txt", "description": "make c"}, call_id="t-bash"), usage(1, 1)],
        [text("changed it"), usage(1, 1)],
        [tool("write", {"file_path": "d.txt", "content": "mine\n"}, call_id="t-own"), usage(1, 1)],
        [text("done"), usage(1, 1)],
    )
    run = fresh()
    session = (await client.request("agent/run", {"prompt": "delegate", "runId": run}))["sessionId"]
    assert (await client.until_complete(run))["stopReason"] == "end_turn"
    await idle(client, session)
    failed = [each["update"] for each in client.events(kind="tool_call_update") if each["update"]["status"] == "failed"]
    assert not failed, [each["content"] for each in failed]
    first = next(event for event in client.events(kind="changes_update"))
    return client, session, run, first


async def listed(client: Client, session: str, **params: Any) -> dict[str, list[dict[str, Any]]]:
    """Hunks by file name."""
    files = (await client.request("agent/changes/list", {"sessionId": session, **params}))["files"]
    return {file["uri"].rpartition("/")[2]: file["hunks"] for file in files}


async def test_a_sub_agents_changes_are_listed_decided_and_undone_with_the_run_that_called_it(world: World):
    client, session, run, event = await delegated(world)
    child = event["sessionId"]
    assert child != session
    assert event["parent"] == {"sessionId": session, "toolCallId": "t-agent"}
    found = await listed(client, session, runId=run)
    calls = {name: [hunk["toolCallId"] for hunk in hunks] for name, hunks in found.items()}
    assert calls == {"a.txt": ["t-edit"], "b.txt": ["t-write"], "c.txt": ["t-bash"], "d.txt": ["t-own"]}
    assert {hunk["runId"] for hunks in found.values() for hunk in hunks} == {run}
    assert {hunk["runId"] for file in event["update"]["files"] for hunk in file["hunks"]} == {run}
    assert set(await listed(client, child)) == {"a.txt", "b.txt", "c.txt"}

    # from the child's session, as an event of it may suggest, and from the parent's
    [edit] = found["a.txt"]
    params = {"sessionId": child, "action": "reject", "targets": [{"hunkId": edit["hunkId"]}]}
    assert (await client.request("agent/changes/resolve", params))["done"] == [edit["hunkId"]]
    assert (world.project / "a.txt").read_text() == "one\ntwo\n"
    own = found["d.txt"][0]["hunkId"]
    params = {"sessionId": child, "action": "reject", "targets": [{"hunkId": own}]}
    assert (await client.request("agent/changes/resolve", params))["done"] == []
    params = {"sessionId": child, "action": "accept", "targets": [{"all": True}]}
    assert own not in (await client.request("agent/changes/resolve", params))["done"]
    params = {"sessionId": session, "action": "reject", "targets": [{"hunkId": found["b.txt"][0]["hunkId"]}]}
    assert len((await client.request("agent/changes/resolve", params))["done"]) == 1
    assert not (world.project / "b.txt").exists()
    states = {name: hunks[0]["state"] for name, hunks in (await listed(client, session)).items()}
    assert states == {"a.txt": "rejected", "b.txt": "rejected", "c.txt": "accepted", "d.txt": "pending"}
    following = fresh()
    await client.request("agent/run", {"sessionId": session, "prompt": "go on", "runId": following})
    await client.until_complete(following)
    assert "rejected 1 change of yours in a.txt" in str(world.fake.requests[-1].body["system"])


async def test_going_back_before_the_run_takes_back_what_its_sub_agent_did(world: World):
    client, session, run, _ = await delegated(world)
    found = (await client.request("agent/checkpoint/list", {"sessionId": session}))["checkpoints"]
    whole = [one for one in found if one["kind"] == "run"]
    assert [one["runId"] for one in whole] == [run]
    params = {"checkpointId": whole[0]["checkpointId"], "files": True, "conversation": False}
    done = await client.request("agent/checkpoint/restore", params)
    assert done["conflicts"] == []
    assert (world.project / "a.txt").read_text() == "one\ntwo\n"
    assert [(world.project / name).exists() for name in ("b.txt", "c.txt", "d.txt")] == [False] * 3
    params = {"checkpointId": done["undoCheckpointId"], "files": True, "conversation": False}
    assert (await client.request("agent/checkpoint/restore", params))["conflicts"] == []
    assert (world.project / "a.txt").read_text() == "one\n2\n"
    assert (world.project / "c.txt").read_text() == "c"


async def test_after_a_restart_they_are_still_those_of_the_run(world: World):
    client, session, run, event = await delegated(world)
    await client.request("shutdown")
    client.notify("exit")
    await client.eof.wait()
    again = await world.start()
    assert set(await listed(again, session, runId=run)) == {"a.txt", "b.txt", "c.txt", "d.txt"}
    assert set(await listed(again, event["sessionId"])) == {"a.txt", "b.txt", "c.txt"}
