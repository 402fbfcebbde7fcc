"""PROTOCOL 7 and 8: commands of the model, as the editor sees them, over the real process and the real sandbox."""

from tests.guarantees.world import World, refused, turn
from tests.harness.fake_provider import text, tool


def updates(client, kind):
    found = [event["update"] for event in client.events() if "update" in event]
    return [update for update in found if update["sessionUpdate"] == kind]


async def test_a_command_that_only_looks_runs_and_is_shown_and_one_that_may_do_anything_asks(world: World):
    world.configure(permissions='mode = "ask"')
    world.write("a.py", "x = 1\n")
    look = tool("bash", {"command": "ls", "description": "look"}, call_id="t1")
    act = tool("bash", {"command": "python3 -c 'print(6*7)'", "description": "compute"}, call_id="t2")
    world.fake.push([look, act], [text("done")])
    client = await world.start()
    run = await client.request("agent/run", {"prompt": "go", "runId": "r1"})
    record = (await client.until_event("permission_requested", run["sessionId"]))["update"]
    assert (record["toolCallId"], record["subject"]["type"]) == ("t2", "command")
    answer = {"type": "selected", "optionId": "allow_once"}
    await client.request("agent/permission/respond", {"requestId": record["requestId"], "outcome": answer})
    assert (await client.until_complete("r1"))["stopReason"] == "end_turn"
    ended = [update for update in updates(client, "terminal_update") if update["status"] == "completed"]
    assert [(update["command"], update["exitCode"]) for update in ended] == [("ls", 0), (act["input"]["command"], 0)]
    listed = await client.request("agent/terminal/list", {"sessionId": run["sessionId"]})
    first = next(each for each in listed["terminals"] if each["command"] == "ls")
    asked = {"sessionId": run["sessionId"], "terminalId": first["terminalId"]}
    assert "a.py" in (await client.request("agent/terminal/read", asked))["text"]
    results = str(world.fake.requests[-1].body["messages"][-1])
    assert "a.py" in results
    assert "42" in results


async def test_terminals_of_nobody_and_a_rejected_command(world: World):
    world.configure(permissions='mode = "plan"')
    world.fake.push([tool("bash", {"command": "touch made", "description": "x"}, call_id="t1")], [text("then not")])
    client = await world.start()
    _, complete = await turn(client, "go")
    assert complete["stopReason"] == "end_turn"
    assert not (world.project / "made").exists()
    error = await refused(client, "agent/terminal/kill", {"sessionId": "s", "terminalId": "0FF"})
    assert error.code == -32602
