"""PROTOCOL 6: checkpoints, over the real process."""

import pytest

from tests.guarantees.world import Shared, idle, refused, turn
from tests.harness.fake_provider import text, tool, usage

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def writes(shared: Shared, name: str, content: str, **params) -> str:
    """A run that writes a file; its session."""
    steps = [[tool("write", {"file_path": name, "content": content}), usage(1, 1)], [text("done"), usage(1, 1)]]
    if (shared.world.project / name).exists():
        steps.insert(0, [tool("view", {"file_path": name}), usage(1, 1)])
    shared.fake.push(*steps)
    result, _ = await turn(shared.client, f"write {content.strip()}", **params)
    await idle(shared.client, result["sessionId"])
    return str(result["sessionId"])


async def checkpoints(shared: Shared, session: str):
    return (await shared.client.request("agent/checkpoint/list", {"sessionId": session}))["checkpoints"]


async def restore(shared: Shared, one: str, *, files: bool, conversation: bool, **more):
    params = {"checkpointId": one, "files": files, "conversation": conversation, **more}
    return await shared.client.request("agent/checkpoint/restore", params)


async def texts(shared: Shared, session: str) -> list[str]:
    messages = (await shared.client.request("agent/session/read", {"sessionId": session}))["messages"]
    return [part["text"] for message in messages for part in message["parts"] if part["type"] == "text"]


async def test_files_and_conversation_go_back_apart_and_a_restore_is_a_checkpoint(shared: Shared):
    path = shared.world.project / "state.txt"
    session = await writes(shared, "state.txt", "one\n")
    await writes(shared, "state.txt", "two\n", sessionId=session)
    newest, oldest = await checkpoints(shared, session)
    assert newest["sessionId"] == session
    assert "two" in newest["title"]
    assert "one" in oldest["title"]
    assert newest["createdAt"] >= oldest["createdAt"]
    dry = await restore(shared, newest["checkpointId"], files=True, conversation=True, dryRun=True)
    assert dry == {"undoCheckpointId": None, "conflicts": []}
    assert path.read_text() == "two\n"

    done = await restore(shared, newest["checkpointId"], files=True, conversation=False)
    assert done["conflicts"] == []
    assert path.read_text() == "one\n"
    assert "write two" in await texts(shared, session)
    kinds = [one["checkpointId"] for one in await checkpoints(shared, session)]
    assert kinds[0] == done["undoCheckpointId"]

    talk = await restore(shared, newest["checkpointId"], files=False, conversation=True)
    assert path.read_text() == "one\n"
    assert "write two" not in await texts(shared, session)
    update = shared.client.events(session, "session_info_update")[-1]["update"]
    messages = (await shared.client.request("agent/session/read", {"sessionId": session}))["messages"]
    assert (update["messageCount"], update["lastMessageId"]) == (len(messages), messages[-1]["messageId"])

    await restore(shared, talk["undoCheckpointId"], files=False, conversation=True)
    assert "write two" in await texts(shared, session)
    await restore(shared, done["undoCheckpointId"], files=True, conversation=False)
    assert path.read_text() == "two\n"
    await restore(shared, oldest["checkpointId"], files=True, conversation=True)
    assert not path.exists()
    assert await texts(shared, session) == []


async def test_what_is_not_known_is_refused_with_its_kind_and_path(shared: Shared):
    error = await refused(shared.client, "agent/checkpoint/list", {"sessionId": "nobody's"})
    assert (error.code, error.kind) == (-31003, "SessionNotFound")
    base = {"checkpointId": "nobody's", "files": True, "conversation": True}
    error = await refused(shared.client, "agent/checkpoint/restore", base)
    assert (error.code, error.data["path"]) == (-32602, "checkpointId")
    for missing in base:
        params = {name: value for name, value in base.items() if name != missing}
        error = await refused(shared.client, "agent/checkpoint/restore", params)
        assert (error.code, error.data["path"]) == (-32602, missing)
    session = await shared.session()
    assert await checkpoints(shared, session) == []
