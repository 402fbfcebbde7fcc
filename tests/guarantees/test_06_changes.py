"""PROTOCOL 6: the agent's changes as a client lists and decides them, over the real process."""

import pytest

from tests.guarantees.world import Shared, fresh, idle, refused, turn
from tests.harness.fake_provider import text, tool, usage

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = "".join(f"line {number}\n" for number in range(20))


async def edited(shared: Shared, name: str, *numbers: int, **params):
    """A run that edits lines of a file: (session, run id, its hunks by the event)."""
    edits = [{"old_string": f"line {number}\n", "new_string": f"changed {number}\n"} for number in numbers]
    shared.fake.push(
        [tool("view", {"file_path": name}), usage(1, 1)],
        [tool("multiedit", {"file_path": name, "edits": edits}, call_id=(call := fresh("call"))), usage(1, 1)],
        [text("done"), usage(1, 1)],
    )
    result, done = await turn(shared.client, **params)
    await idle(shared.client, result["sessionId"])
    update = shared.client.events(result["sessionId"], "changes_update")[-1]
    [file] = update["update"]["files"]
    assert {hunk["toolCallId"] for hunk in file["hunks"]} == {call}
    assert update["runId"] == done["runId"]
    return result["sessionId"], done["runId"], file["hunks"]


async def listed(shared: Shared, session: str, **params):
    return (await shared.client.request("agent/changes/list", {"sessionId": session, **params}))["files"]


async def resolve(shared: Shared, session: str, action: str, *targets):
    params = {"sessionId": session, "action": action, "targets": list(targets)}
    return await shared.client.request("agent/changes/resolve", params)


async def test_a_list_is_narrowed_by_run_file_and_state(shared: Shared):
    a, b = (shared.world.write(name, TEXT).as_uri() for name in ("la.py", "lb.py"))
    session, first, [one, two] = await edited(shared, "la.py", 2, 12)
    _, second, [other] = await edited(shared, "lb.py", 5, sessionId=session)
    assert [file["uri"] for file in await listed(shared, session)] == [a, b]
    assert [file["uri"] for file in await listed(shared, session, runId=first)] == [a]
    assert [file["uri"] for file in await listed(shared, session, uri=b)] == [b]
    assert await listed(shared, session, runId="nobody's") == []
    assert await resolve(shared, session, "accept", {"hunkId": one["hunkId"]}) == {
        "done": [one["hunkId"]],
        "conflicts": [],
    }
    assert [hunk["hunkId"] for file in await listed(shared, session, state="pending") for hunk in file["hunks"]] == [
        two["hunkId"],
        other["hunkId"],
    ]
    [[accepted]] = [file["hunks"] for file in await listed(shared, session, state="accepted")]
    assert (accepted["hunkId"], accepted["runId"], accepted["oldText"]) == (one["hunkId"], first, "line 2\n")
    assert (accepted["range"]["start"], accepted["newText"]) == ({"line": 2, "character": 0}, "changed 2\n")
    assert second in str(await listed(shared, session, runId=second))


async def test_a_run_a_file_and_all_can_be_decided_at_once_and_again(shared: Shared):
    path = shared.world.write("many.py", TEXT)
    session, run_id, hunks = await edited(shared, "many.py", 1, 10, 18)
    ids = sorted(hunk["hunkId"] for hunk in hunks)
    done = await resolve(shared, session, "reject", {"runId": run_id})
    assert (sorted(done["done"]), done["conflicts"]) == (ids, [])
    assert path.read_text() == TEXT
    again = await resolve(shared, session, "reject", {"all": True})
    assert again["conflicts"] == []
    assert path.read_text() == TEXT
    assert sorted((await resolve(shared, session, "undo", {"all": True}))["done"]) == ids
    assert path.read_text().count("changed") == 3
    assert sorted((await resolve(shared, session, "redo", {"uri": path.as_uri()}))["done"]) == ids
    assert path.read_text() == TEXT
    states = [
        {hunk["state"] for file in event["update"]["files"] for hunk in file["hunks"]}
        for event in shared.client.events(session, "changes_update")
    ]
    assert states == [{"pending"}, {"rejected"}, {"pending"}, {"rejected"}]


async def test_text_the_user_typed_meanwhile_is_never_lost(shared: Shared):
    path = shared.world.write("typed.py", TEXT)
    document = shared.client.open_document(path.as_uri(), TEXT)
    session, _, [first, second] = await edited(shared, "typed.py", 3, 9)
    mine = document.text.replace("changed 3\n", "changed 3 by me\n") + "typed at the end\n"
    shared.client.change_document(path.as_uri(), mine)
    answer = await resolve(shared, session, "reject", {"all": True})
    assert answer["done"] == [second["hunkId"]]
    [conflict] = answer["conflicts"]
    assert (conflict["hunkId"], conflict["current"]) == (first["hunkId"], "changed 3 by me\n")
    assert conflict["reason"]
    assert document.text == mine.replace("changed 9\n", "line 9\n")


async def test_what_is_not_known_is_refused_with_its_kind_and_path(shared: Shared):
    session = await shared.session()
    ask = shared.client
    assert await listed(shared, session) == []
    error = await refused(ask, "agent/changes/list", {"sessionId": "nobody's"})
    assert (error.code, error.kind, error.data["id"]) == (-31003, "SessionNotFound", "nobody's")
    error = await refused(ask, "agent/changes/list", {})
    assert (error.code, error.data["path"]) == (-32602, "sessionId")
    base = {"sessionId": session, "action": "accept", "targets": [{"all": True}]}
    for wrong, path in (
        ({"action": "burn"}, "action"),
        ({"targets": []}, "targets"),
        ({"targets": [{"hunkId": "h", "all": True}]}, "targets[0]"),
        ({"targets": [{"all": False}]}, "targets[0]"),
    ):
        error = await refused(ask, "agent/changes/resolve", {**base, **wrong})
        assert (error.code, error.kind) == (-32602, "InvalidParams")
        assert error.data["path"].startswith(path), error.data
    answer = await resolve(shared, session, "reject", {"hunkId": "nobody's"})
    assert answer["done"] == []
    assert [one["hunkId"] for one in answer["conflicts"]] == ["nobody's"]


async def test_the_runs_end_counts_what_it_changed(shared: Shared):
    shared.world.write("counted.py", TEXT)
    session, run_id, _ = await edited(shared, "counted.py", 4, 14)
    done = next(event for event in shared.client.events(session) if event.get("runId") == run_id and "changes" in event)
    assert done["changes"] == {"files": 1, "added": 2, "removed": 2}
