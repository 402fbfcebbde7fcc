"""What the configuration says of tools, sub-agents, hosts and checkpoints, while the server runs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.guarantees.conftest import new_world
from tests.guarantees.world import World, sent_to_model, turn
from tests.harness.client import Client
from tests.harness.fake_provider import text, tool, usage

pytestmark = pytest.mark.process


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        yield made


async def offered(world: World, client: Client) -> dict[str, str]:
    """What the model is offered in a turn that begins now: name → the schema as text."""
    await turn(client)
    request = [one for one in world.fake.requests if (one.body or {}).get("tools")][-1]
    return {one["name"]: str(one) for one in request.body["tools"]}


def define(world: World, name: str) -> None:
    world.write(f".lsp-agent/agents/{name}.md", f"---\nname: {name}\ndescription: d\n---\nbody")


async def test_what_a_trusted_folder_switches_off_is_gone_at_once(world: World):
    define(world, "kept")
    define(world, "gone")
    settings = '[tools]\ndisabled = ["bash", "agentic_fetch"]\n[agents]\ndisabled = ["gone"]\n'
    world.write(".lsp-agent.toml", settings)
    client = await world.start()
    before = await offered(world, client)
    assert {"bash", "agentic_fetch", "agent"} <= before.keys()
    assert "kept" not in before["agent"]
    await client.request("agent/trust/set", {"root": world.project.as_uri(), "trusted": True})
    after = await offered(world, client)
    assert not {"bash", "agentic_fetch"} & after.keys()
    assert "kept" in after["agent"]
    assert "gone" not in after["agent"]
    listed = await client.request("agent/tools/list", {})
    assert not {"bash", "agentic_fetch"} & {one["name"] for one in listed["tools"]}


async def fetched(world: World, client: Client, url: str) -> str:
    """What the model is told of an attempt."""
    world.fake.push([tool("fetch", {"url": url}), usage(1, 1)], [text("done"), usage(1, 1)])
    await turn(client)
    return sent_to_model(world.fake)


async def test_a_host_that_is_ruled_out_while_the_server_runs_is_ruled_out(world: World):
    world.configure(permissions='mode = "full-auto"', more='[web]\nallow_domains = ["good.invalid"]')
    client = await world.start()
    assert "not allow" not in await fetched(world, client, "https://other.invalid/")
    world.configure(permissions='mode = "full-auto"', more='[web]\ndeny_domains = ["other.invalid", "no host!"]')
    for host in ("other.invalid", "www.other.invalid"):
        assert f"does not allow {host}" in await fetched(world, client, f"https://{host}/")
    told = [event["update"]["message"] for event in client.events(kind="notice")]
    assert len([message for message in told if "no host!" in message]) == 1


async def test_hosts_that_may_be_fetched_without_asking_are_and_others_ask(world: World):
    world.configure(permissions='mode = "ask"', more='[web]\nallow_domains = ["*.good.invalid", "bad name!"]')
    client = await world.start()
    await fetched(world, client, "https://docs.good.invalid/")
    assert client.events(kind="permission_requested") == []
    world.fake.turns.clear()
    wish = {"url": "https://docs.good.invalid/x", "file_path": "x"}
    world.fake.push([tool("download", wish), usage(1, 1)], [text("done"), usage(1, 1)])
    await client.request("agent/run", {"prompt": "go", "runId": "asks"})
    asked = await client.until(
        lambda m: m.get("method") == "agent/event" and m["params"]["update"]["sessionUpdate"] == "permission_requested"
    )
    assert asked["params"]["update"]["tool"] == "download"
    await client.request("agent/cancel", {"sessionId": asked["params"]["sessionId"]})


async def test_without_checkpoints_no_command_is_preceded_by_a_snapshot(world: World):
    world.configure(permissions='mode = "full-auto"\nallow = ["bash"]', more="[checkpoints]\nenabled = false")
    world.write("a.txt", "x")
    client = await world.start()
    world.fake.push(
        [tool("bash", {"command": "echo y > a.txt", "description": "write"}), usage(1, 1)], [text("done"), usage(1, 1)]
    )
    result, _ = await turn(client)
    assert (world.project / "a.txt").read_text() == "y\n"
    found = await client.request("agent/checkpoint/list", {"sessionId": result["sessionId"]})
    assert [one for one in found["checkpoints"] if one.get("kind") == "command"] == []


async def test_the_mode_of_the_settings_decides_which_tools_there_are_as_soon_as_it_changes(world: World):
    world.configure(permissions='mode = "ask"')
    client = await world.start()

    async def listed() -> set[str]:
        return {one["name"] for one in (await client.request("agent/tools/list", {}))["tools"]}

    assert "edit" in await listed()
    world.configure(permissions='mode = "plan"')
    await turn(client)
    assert "edit" not in await listed()
