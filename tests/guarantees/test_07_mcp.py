"""PROTOCOL 7 and 8: servers of the Model Context Protocol as a client sees them, over the real process."""

import json
import sys
from pathlib import Path

from tests.guarantees.world import World, refused, turn
from tests.harness.fake_provider import text, tool, usage

CHAOS = Path(__file__).parents[1] / "mcp" / "chaos_server.py"


def state_is(name: str, state: str):
    """An `mcp_update` that says so."""

    def fits(message) -> bool:
        update = (message.get("params") or {}).get("update") or {}
        said = (update.get("sessionUpdate"), update.get("name"), update.get("state"))
        return said == ("mcp_update", name, state)

    return fits


async def listed(client):
    return {one["name"]: one for one in (await client.request("agent/mcp/list"))["servers"]}


async def test_servers_are_listed_restarted_and_their_states_told_to_every_session(world: World):
    command = [str(Path(sys.executable).resolve()), "-I", "-c", CHAOS.read_text()]  # also seen from a clone in /tmp
    more = f'[mcp.chaos]\ncommand = {json.dumps(command)}\n[mcp.broken]\ncommand = ["/nowhere/at/all"]'
    world.configure(more=more, permissions='mode = "ask"')
    client = await world.start(initialize=False)
    client.handlers["window/showMessageRequest"] = lambda params: params["actions"][0]
    await client.initialize(root=world.project)
    session = (await client.request("agent/session/new"))["sessionId"]
    if (await listed(client))["chaos"]["state"] != "connected":
        await client.until(state_is("chaos", "connected"))
    servers = await listed(client)
    assert list(servers) == ["broken", "chaos"]
    assert (servers["chaos"]["type"], servers["chaos"]["tools"]) == ("stdio", 2)
    if servers["broken"]["state"] != "error":
        await client.until(state_is("broken", "error"))
    assert (await listed(client))["broken"]["error"]
    tools = {one["name"]: one for one in (await client.request("agent/tools/list"))["tools"]}
    assert tools["mcp__chaos__echo"]["server"] == "chaos"

    before = len(client.messages)
    assert (await client.request("agent/mcp/restart", {"name": "chaos"}))["state"] == "starting"

    def connected_again(_) -> bool:
        return any(state_is("chaos", "connected")(message) for message in client.messages[before:])

    await client.until(connected_again)
    assert {event["sessionId"] for event in client.events(kind="mcp_update")} == {session}

    world.fake.push([tool("mcp__chaos__echo", {"text": "over there"}), usage(1, 1)], [text("done"), usage(1, 1)])
    run = await client.request("agent/run", {"prompt": "say it", "runId": "r1", "sessionId": session})
    record = (await client.until_event("permission_requested", run["sessionId"]))["update"]
    assert (record["subject"]["type"], record["subject"]["server"]) == ("tool", "chaos")
    answer = {"type": "selected", "optionId": "allow_once"}
    await client.request("agent/permission/respond", {"requestId": record["requestId"], "outcome": answer})
    assert (await client.until_complete("r1"))["stopReason"] == "end_turn"
    assert "over there" in str(world.fake.requests[-1].body["messages"][-1])

    for method, params, path in (
        ("agent/mcp/restart", {"name": "nobody"}, "name"),
        ("agent/mcp/restart", {}, "name"),
        ("agent/mcp/login", {"name": "chaos"}, "name"),
    ):
        error = await refused(client, method, params)
        assert (error.code, error.data["path"]) == (-32602, path)


async def test_without_servers_the_list_is_empty(world: World):
    client = await world.start()
    assert await client.request("agent/mcp/list") == {"servers": []}
    assert (await turn(client))[1]["stopReason"] == "end_turn"
