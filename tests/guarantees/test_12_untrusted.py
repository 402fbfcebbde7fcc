"""PROTOCOL 12, WorkspaceUntrusted: what needs something of a folder that the user does not trust says which one."""

import json

from tests.guarantees.world import World, fresh, refused


async def test_CF_17_a_projects_command_names_the_folder_to_trust_and_works_once_it_is(world: World):
    world.write(".claude/commands/release.md", "Release the version $1.")
    client = await world.start()
    root = world.project.as_uri()
    for prompt in ("/project:release 7", "/release 7"):
        error = await refused(client, "agent/run", {"prompt": prompt, "runId": fresh()})
        assert (error.code, error.kind, error.data["root"]) == (-31015, "WorkspaceUntrusted", root)
    assert not world.fake.requests
    await client.request("agent/trust/set", {"root": root, "trusted": True})
    run = fresh()
    await client.request("agent/run", {"prompt": "/release 7", "runId": run})
    await client.until_complete(run)
    assert "Release the version 7." in str(world.fake.requests[-1].body["messages"])
    world.write(".claude/commands/release.md", "Something else.")
    error = await refused(client, "agent/run", {"prompt": "/release 7", "runId": fresh()})
    assert error.kind == "WorkspaceUntrusted"
    run = fresh()
    await client.request("agent/run", {"prompt": "/nothing of ours", "runId": run})
    assert (await client.until_complete(run))["stopReason"] == "end_turn"


async def test_MC_06_a_server_of_an_untrusted_folder_is_not_restarted_and_names_it(world: World):
    program = world.write("tools/server.sh", "#!/bin/sh\ntouch started\n")
    program.chmod(0o755)
    (world.project / "work").mkdir()
    command, cwd = json.dumps([str(program)]), json.dumps(str(world.project / "work"))
    world.configure(more=f'[mcp.here]\ncommand = {command}\n[mcp.inside]\ncommand = ["sh"]\ncwd = {cwd}')
    client = await world.start()
    await client.request("agent/session/new")
    assert [one["name"] for one in (await client.request("agent/mcp/list"))["servers"]] == ["here", "inside"]
    for name in ("here", "inside"):
        error = await refused(client, "agent/mcp/restart", {"name": name})
        assert (error.code, error.kind) == (-31015, "WorkspaceUntrusted")
        assert error.data["root"] == world.project.as_uri()
    await client.request("agent/trust/set", {"root": world.project.as_uri(), "trusted": True})
    assert (await client.request("agent/mcp/restart", {"name": "here"}))["state"] == "starting"
