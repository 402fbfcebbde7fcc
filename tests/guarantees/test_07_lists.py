"""PROTOCOL 7: models, tools, commands, rules, trust and mentions, as a client asks for them, over the real process."""

import pytest

from tests.guarantees.world import Shared, World, fresh, refused, turn
from tests.harness.fake_provider import text, tool, usage

pytestmark = pytest.mark.asyncio(loop_scope="module")

LISTS = {
    "agent/models/list": "models",
    "agent/tools/list": "tools",
    "agent/commands/list": "commands",
    "agent/rules/list": "rules",
    "agent/mcp/list": "servers",
}


def configure(world: World) -> None:
    world.configure()
    world.write("AGENTS.md", "Answer in rhymes.")
    world.write("sub/AGENTS.md", "Only below sub.")
    world.write(".claude/commands/greet.md", "Say hello to $ARGUMENTS")


@pytest.mark.parametrize("method", LISTS)
async def test_every_list_is_read_page_by_page(shared: Shared, method: str):
    ask, name = shared.client.request, LISTS[method]
    whole = (await ask(method))[name]
    assert whole or name == "servers"
    paged, cursor = [], None
    while True:
        page = await ask(method, {"limit": 1, **({"cursor": cursor} if cursor is not None else {})})
        assert len(page[name]) <= 1
        paged += page[name]
        cursor = page.get("nextCursor")
        if cursor is None:
            break
    assert paged == whole
    for wrong, path in (({"limit": 0}, "limit"), ({"limit": "x"}, "limit"), ({"cursor": "not ours"}, "cursor")):
        error = await refused(shared.client, method, wrong)
        assert (error.code, error.kind, error.data["path"]) == (-32602, "InvalidParams", path)


async def test_models_and_tools_tell_what_a_client_shows(shared: Shared):
    models = await shared.client.request("agent/models/list")
    assert models["large"] == "fake/large"
    assert "fake/large" in [one["id"] for one in models["models"]]
    tools = {one["name"]: one for one in (await shared.client.request("agent/tools/list"))["tools"]}
    assert list(tools) == sorted(tools)
    assert (tools["view"]["readOnly"], tools["edit"]["readOnly"]) == (True, False)


async def test_trust_changes_rules_and_commands_at_once_and_sessions_are_told(shared: Shared):
    ask, root = shared.client.request, shared.world.project.as_uri()
    session = await shared.session()
    found = await ask("agent/trust/get", {})
    assert (found["root"], found["trusted"]) == (root, False)
    assert "project:greet" not in [one["name"] for one in (await ask("agent/commands/list"))["commands"]]
    assert (await ask("agent/trust/set", {"root": root, "trusted": True}))["trusted"] is True
    update = (await shared.client.until_event("available_commands_update", session))["update"]
    assert "project:greet" in [one["name"] for one in update["availableCommands"]]
    names = [one["name"] for one in (await ask("agent/commands/list"))["commands"]]
    assert names == [one["name"] for one in update["availableCommands"]]
    rules = await ask("agent/rules/list")
    assert [(one["name"], one["active"]) for one in rules["rules"]] == [("AGENTS.md", True)]
    told = len(shared.client.events(session, "available_commands_update"))
    await ask("agent/trust/set", {"root": root, "trusted": True})
    assert len(shared.client.events(session, "available_commands_update")) == told, "nothing changed"
    await ask("agent/trust/set", {"root": root, "trusted": False})
    await shared.client.until(lambda _: len(shared.client.events(session, "available_commands_update")) > told)
    last = shared.client.events(session, "available_commands_update")[-1]["update"]
    assert "project:greet" not in [one["name"] for one in last["availableCommands"]]
    for wrong in ({"root": "file:///", "trusted": True}, {"trusted": True}):
        error = await refused(shared.client, "agent/trust/set", wrong)
        assert (error.code, error.data["path"]) == (-32602, "root")


async def test_a_skill_that_is_saved_is_told_of(shared: Shared):
    session = await shared.session()
    skill = "---\nname: ship\ndescription: Ships it.\nuser-invocable: true\n---\nSteps"
    path = shared.world.write("../config-of-nobody/.agents/skills/ship/SKILL.md", skill)
    uri = shared.client.open_document(path.as_uri(), skill).uri
    shared.client.notify("textDocument/didSave", {"textDocument": {"uri": uri}})
    update = (await shared.client.until_event("available_commands_update", session))["update"]
    assert {"init", "review"} <= {one["name"] for one in update["availableCommands"]}


async def test_mentions_offer_what_can_be_attached(shared: Shared):
    uri = shared.world.write("offered/walk.py", "def walk(): ...\n").as_uri()
    typed = "👋 see @offered/wa"
    found = await shared.client.request("agent/mention/complete", {"text": typed, "offset": len(typed) + 1})
    best = found["items"][0]
    assert (best["label"], best["attachment"]["uri"]) == ("offered/walk.py", uri)
    assert (found["start"], found["end"]) == (7, len(typed) + 1)
    _, done = await turn(shared.client, "see it", attachments=[best["attachment"]])
    assert done["stopReason"] == "end_turn"
    slash = await shared.client.request("agent/mention/complete", {"text": "/rev", "offset": 4})
    assert "/review" in [one["label"] for one in slash["items"]]
    for wrong, path in (({"text": "x"}, "offset"), ({"text": "x", "offset": -1}, "offset"), ({"offset": 0}, "text")):
        error = await refused(shared.client, "agent/mention/complete", wrong)
        assert (error.code, error.data["path"]) == (-32602, path)


async def test_a_command_called_by_name_becomes_the_prompt(shared: Shared):
    _, done = await turn(shared.client, "/review the tests")
    assert done["stopReason"] == "end_turn"
    sent = str(shared.fake.requests[-1].body["messages"][-1])
    assert "the tests" in sent
    assert "/review the tests" not in sent


async def test_a_terminal_is_listed_read_from_an_offset_and_cannot_be_another_sessions(shared: Shared):
    command = "echo first; echo second"
    shared.fake.push([tool("bash", {"command": command, "description": "say"}), usage(1, 1)], [text("done")])
    run_id = fresh()
    result, _ = await turn(shared.client, runId=run_id)
    session = result["sessionId"]
    [one] = (await shared.client.request("agent/terminal/list", {"sessionId": session}))["terminals"]
    assert (one["command"], one["status"], one["exitCode"]) == (command, "completed", 0)
    asked = {"sessionId": session, "terminalId": one["terminalId"]}
    whole = await shared.client.request("agent/terminal/read", asked)
    assert (whole["text"], whole["truncated"]) == ("first\nsecond\n", False)
    rest = await shared.client.request("agent/terminal/read", {**asked, "offset": 6})
    assert (rest["text"], rest["nextOffset"]) == ("second\n", whole["nextOffset"])
    assert (await shared.client.request("agent/terminal/kill", asked)) == {"killed": False}
    other = await shared.session()
    for method in ("agent/terminal/read", "agent/terminal/kill"):
        error = await refused(shared.client, method, {**asked, "sessionId": other})
        assert (error.code, error.data["path"]) == (-32602, "terminalId")
    error = await refused(shared.client, "agent/terminal/read", {**asked, "offset": -1})
    assert (error.code, error.data["path"]) == (-32602, "offset")
    assert (await shared.client.request("agent/terminal/list", {"sessionId": other}))["terminals"] == []
