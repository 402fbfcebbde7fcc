"""What a killed server left open is closed by the next one: a question of a sub-agent's caller, and a command."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.guarantees.conftest import new_world
from tests.guarantees.world import World, fresh
from tests.harness.fake_provider import tool, usage
from tests.review.test_leaving import until

pytestmark = pytest.mark.process


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        yield made


async def test_an_open_question_is_resolved_and_the_checkpoint_of_a_cut_off_command_can_be_restored(world: World):
    world.configure(permissions='mode = "full-auto"\nallow = ["bash"]')
    world.write("a.txt", "before\n")
    asked = {"questions": [{"type": "yes_no", "text": "Go on?", "description": "Or stop."}]}
    slow = {"command": "echo after > a.txt; sleep 30", "description": "write, then wait"}
    world.fake.push([tool("question", asked), usage(1, 1)])
    client = await world.start()
    first = await client.request("agent/run", {"prompt": "ask", "runId": fresh()})
    await client.until(lambda m: kind(m) == "question_requested")
    world.fake.push([tool("bash", slow), usage(1, 1)])
    second = await client.request("agent/run", {"prompt": "write", "runId": fresh()})
    path = world.project / "a.txt"
    await until(lambda: path.read_text() == "after\n")
    client.kill9()
    again = await world.start()
    told = await again.request("agent/session/attach", {"sessionId": first["sessionId"], "afterSeq": 0})
    assert told["pending"] == {"permissions": [], "questions": []}
    resolved = await again.until(lambda m: kind(m) == "question_resolved")
    assert resolved["params"]["update"]["outcome"] == "cancelled"
    session = second["sessionId"]
    await again.request("agent/session/attach", {"sessionId": session, "afterSeq": 0})
    found = await again.request("agent/checkpoint/list", {"sessionId": session})
    command = next(one for one in found["checkpoints"] if one["kind"] == "command")
    wish = {"checkpointId": command["checkpointId"], "files": True, "conversation": False}
    restored = await again.request("agent/checkpoint/restore", wish)
    assert restored["conflicts"] == []
    assert path.read_text() == "before\n"


def kind(message: dict) -> str:
    return str((message.get("params") or {}).get("update", {}).get("sessionUpdate", ""))
