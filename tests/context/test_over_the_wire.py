from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.context.test_git import git
from tests.guarantees.world import World
from tests.harness.client import Client
from tests.harness.fake_provider import FakeProvider, text, usage

pytestmark = pytest.mark.process


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[World, Client]]:
    project = tmp_path / "project"
    project.mkdir()
    async with FakeProvider(aside=[text("A title")], fallback=[text("ok"), usage(1, 1)]) as fake:
        world = World(tmp_path, project, fake)
        client = await world.start(initialize=False)
        try:
            yield world, client
            assert "Traceback" not in client.stderr, client.stderr
        finally:
            await world.close()


def system_of(fake: FakeProvider) -> str:
    bodies = [item.body or {} for item in fake.requests]
    return str(next(body for body in reversed(bodies) if body.get("tools"))["system"])


async def test_a_turn_is_given_rules_skills_and_git_and_lists_tell_of_them(served) -> None:
    world, client = served
    git(world.project, "init", "-q")
    world.write("AGENTS.md", "Answer in rhymes.")
    world.write("lib/AGENTS.md", "Only in lib.")
    world.write("CLAUDE.md", "sly\u202e")
    world.write(".agents/skills/deploy/SKILL.md", "---\nname: deploy\ndescription: Ships it.\n---\nSteps")
    world.write(".claude/commands/greet.md", "Say hello to $WHO")
    attached = world.write("lib/x.py", "x = 1\n")
    await client.initialize(agent={"protocolVersions": [1]}, root=world.project)
    await client.request("agent/trust/set", {"root": world.project.as_uri(), "trusted": True})
    run = {"prompt": "hi", "runId": "r1", "attachments": [{"type": "file", "uri": attached.as_uri()}]}
    result = await client.request("agent/run", run)
    await client.until_complete("r1")
    system = system_of(world.fake)
    assert system.index("Only in lib.") < system.index("Answer in rhymes.") < system.index("Ships it.")
    assert "branch: main" in system or "branch: master" in system
    assert "sly" not in system.replace("CLAUDE", "")
    notices = [each["update"] for each in client.events(result["sessionId"]) if "update" in each]
    notices = [each for each in notices if each["sessionUpdate"] == "notice" and each["code"] == "rules"]
    assert len(notices) == 1
    assert "U+202E" in notices[0]["message"]

    rules = await client.request("agent/rules/list", {})
    assert [(each["name"], each["active"]) for each in rules["rules"]] == [("AGENTS.md", True), ("CLAUDE.md", False)]
    assert rules["tokens"] > 0
    assert [each["name"] for each in rules["skills"]] == ["deploy"]
    first = await client.request("agent/commands/list", {"limit": 3})
    rest = await client.request("agent/commands/list", {"cursor": first["nextCursor"]})
    names = [each["name"] for each in (*first["commands"], *rest["commands"])]
    assert names == sorted(names)
    assert {"init", "review", "deploy", "project:greet"} <= set(names)

    typed = "👋 look at @lib"
    found = await client.request("agent/mention/complete", {"text": typed, "offset": len(typed) + 1})
    best = found["items"][0]
    assert (best["label"], best["attachment"]["uri"]) == ("lib/x.py", attached.as_uri())
    assert (found["start"], found["end"]) == (11, 15)


async def test_the_prompt_document_completes_and_other_documents_do_not(served) -> None:
    world, client = served
    world.write("src/a.py", "def walk(): ...\n")
    await client.initialize(root=world.project)
    shown = await client.request("workspace/executeCommand", {"command": "lspAgent.prompt", "arguments": []})
    uri, head = shown["uri"], "ü"
    client.open_document(uri, f"{head} @src/\n/rev", language="markdown")

    async def complete(line: int, character: int, where: str = uri):
        params = {"textDocument": {"uri": where}, "position": {"line": line, "character": character}}
        return await client.request("textDocument/completion", params)

    found = await complete(0, 7)
    (item,) = found["items"]
    span = {"start": {"line": 0, "character": 2}, "end": {"line": 0, "character": 7}}
    assert item["textEdit"] == {"range": span, "newText": "@src/a.py"}
    assert item["filterText"] == "@src/a.py"
    assert [each["label"] for each in (await complete(1, 4))["items"]] == ["/review"]
    assert await complete(0, 1) is None
    other = (world.project / "src/a.py").as_uri()
    client.open_document(other, "@src", language="python")
    assert await complete(0, 4, other) is None
