"""A command's way out over the real process: the editor is asked for the host, and a cancel takes the question back."""

import pytest

from tests.guarantees.world import World
from tests.harness.fake_provider import text, tool

pytestmark = pytest.mark.process

REACH = "import urllib.request as u; print(u.urlopen('https://nowhere.example/', timeout=30).status)"


def reach(world: World) -> dict:
    world.write("reach.py", REACH)
    return tool("bash", {"command": "python3 reach.py", "description": "reach out"}, call_id="t1")


async def host_asked(world: World, client, *, run_id: str, **more):
    run = await client.request("agent/run", {"prompt": "go", "runId": run_id, **more})
    return (await client.until_event("permission_requested", run["sessionId"]))["update"]


async def test_the_editor_is_asked_for_the_host_and_the_model_reads_the_no(world: World):
    world.configure(permissions='mode = "full-auto"')
    world.fake.push([reach(world)], [text("then not")])
    client = await world.start()
    record = await host_asked(world, client, run_id="r1")
    assert (record["tool"], record["toolCallId"], record["runId"]) == ("bash", "t1", "r1")
    assert record["subject"] == {"type": "url", "url": "https://nowhere.example/"}
    answer = {"type": "selected", "optionId": "reject_once"}
    await client.request("agent/permission/respond", {"requestId": record["requestId"], "outcome": answer})
    assert (await client.until_complete("r1"))["stopReason"] == "end_turn"
    assert "no connection to nowhere.example" in str(world.fake.requests[-1].body["messages"][-1])


async def test_a_cancelled_run_withdraws_the_question_before_it_completes(world: World):
    world.configure(permissions='mode = "full-auto"')
    world.fake.push([reach(world)])
    client = await world.start()
    record = await host_asked(world, client, run_id="r1")
    await client.request("agent/cancel", {"sessionId": record["sessionId"]})
    assert (await client.until_complete("r1"))["stopReason"] == "cancelled"
    [resolved] = client.events(record["sessionId"], "permission_resolved")
    assert resolved["update"]["outcome"] == "cancelled"


async def test_a_rule_for_all_commands_is_none_for_every_host(world: World):
    world.configure(permissions='mode = "ask"\nallow = ["bash"]')
    world.fake.push([reach(world)], [text("done")])
    client = await world.start()
    record = await host_asked(world, client, run_id="r1")
    assert record["subject"]["type"] == "url"
    answer = {"type": "selected", "optionId": "reject_once"}
    await client.request("agent/permission/respond", {"requestId": record["requestId"], "outcome": answer})
    await client.until_complete("r1")
