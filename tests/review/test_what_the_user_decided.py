"""A decision about a hunk, made while a run is active, reaches the model that made the hunk."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.guarantees.conftest import new_world
from tests.guarantees.world import World, fresh, turn
from tests.harness.fake_provider import text, tool, usage

pytestmark = pytest.mark.process


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        yield made


async def test_a_sub_agent_does_not_hear_what_its_caller_should(world: World):
    world.write(".lsp-agent/agents/helper.md", "---\nname: helper\ndescription: d\n---\nHelp.")
    client = await world.start()
    await client.request("agent/trust/set", {"root": world.project.as_uri(), "trusted": True})
    held = fresh("hold")
    world.fake.push(
        [tool("write", {"file_path": "a.txt", "content": "one\n"}), usage(1, 1)],
        [{"hold": held}, tool("agent", {"prompt": "help", "agent": "helper"}), usage(1, 1)],
        [text("the helper's answer"), usage(1, 1)],
        [text("done"), usage(1, 1)],
    )
    run_id = fresh()
    session = (await client.request("agent/run", {"prompt": "go", "runId": run_id}))["sessionId"]
    await client.until(
        lambda m: m.get("method") == "agent/event" and m["params"]["update"]["sessionUpdate"] == "changes_update"
    )
    wish = {"sessionId": session, "action": "accept", "targets": [{"all": True}], "comment": "remember the zebra"}
    await client.request("agent/changes/resolve", wish)
    world.fake.release(held)
    assert (await client.until_complete(run_id))["stopReason"] == "end_turn"
    requests = [str(one.body) for one in world.fake.requests if (one.body or {}).get("tools")]
    assert not any("zebra" in one for one in requests)
    await turn(client, "again", sessionId=session)
    await turn(client, "and again", sessionId=session)
    heard = [str(one.body["system"]) for one in world.fake.requests if (one.body or {}).get("tools")][-2:]
    assert ["zebra" in one for one in heard] == [True, False]
