"""Which tools run beside each other, and what happens to calls that cannot run."""

import asyncio

from lsp_agent.agent.services import TurnLimits
from lsp_agent.domain.errors import OutsideWorkspace
from lsp_agent.ports.tools import ToolResult
from tests.agent_turn.acceptance import assert_events_are_sound, assert_history_is_sound
from tests.agent_turn.doubles import World, call, calls, say, tool


class Gauge:
    """How many calls run at once, and in what order they begin."""

    def __init__(self):
        self.now = self.most = 0
        self.order = []

    async def run(self, arguments, context):
        self.order.append(context.call.tool_call_id)
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(int(arguments.get("turns", 3))):
            await asyncio.sleep(0)
        self.now -= 1
        return ToolResult(f"done {context.call.tool_call_id}")


def order_of_results(world):
    return [part.tool_call_id for row in world.store.all() for part in row.tool_results]


async def test_parallel_calls_run_five_at_a_time_and_report_as_they_finish():
    gauge = Gauge()
    world = World(tools=[tool("p", gauge.run, parallel=True, schema={})])
    asked = [call(f"c{n}", "p", f'{{"turns":{20 if n == 0 else 2}}}') for n in range(8)]
    world.script(calls(*asked), say("ok"))
    await world.play()
    assert gauge.most == 5
    assert gauge.order == [f"c{n}" for n in range(8)]
    assert order_of_results(world)[-1] == "c0"
    assert_history_is_sound(world.store.all())


async def test_the_others_run_one_by_one_in_the_order_they_were_made():
    gauge = Gauge()
    world = World(tools=[tool("s", gauge.run), tool("p", gauge.run, parallel=True)])
    world.script(calls(call("a", "s"), call("b", "s"), call("c", "p"), call("d", "p"), call("e", "s")), say("ok"))
    await world.play()
    assert gauge.most == 2
    assert gauge.order == ["a", "b", "c", "d", "e"]
    assert order_of_results(world) == ["a", "b", "c", "d", "e"]


async def test_how_many_run_at_once_is_configured():
    gauge = Gauge()
    world = World(limits=TurnLimits(parallel_tools=1), tools=[tool("p", gauge.run, parallel=True)])
    world.script(calls(*[call(f"c{n}", "p") for n in range(3)]), say("ok"))
    await world.play()
    assert gauge.most == 1


async def test_calls_that_cannot_run_are_errors_for_the_model():
    ran = []

    async def run(arguments, context):
        ran.append(arguments)
        return ToolResult("ok")

    schema = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    world = World(tools=[tool("view", run, schema=schema)])
    world.script(
        calls(
            call("a", "nothing"),
            call("b", "view", "{}"),
            call("c", "view", "not json"),
            call("d", "view", '{"path": 3}'),
            call("e", "view", '{"path": "x",}'),
        ),
        say("ok"),
    )
    await world.play()
    texts = {part.tool_call_id: part.content for row in world.store.all() for part in row.tool_results}
    assert texts["a"] == "There is no tool called 'nothing'. Available tools: view."
    assert "path is required" in texts["b"]
    assert "not a valid JSON object" in texts["c"]
    assert "path must be of type string" in texts["d"]
    assert ran == [{"path": "x"}]
    inputs = {part.tool_call_id: part.input for row in world.store.all() for part in row.tool_calls}
    assert (inputs["c"], inputs["e"]) == ("{}", '{"path": "x"}')
    assert world.events.statuses("b") == ["pending", "failed"]
    assert_history_is_sound(world.store.all())
    assert_events_are_sound(world.events.all, world.store.all())


async def test_a_workspace_that_refuses_is_an_error_for_the_model():
    async def outside(arguments, context):
        raise OutsideWorkspace("/etc/passwd")

    world = World(tools=[tool("view", outside)]).script(calls(call("a", "view")), say("ok"))
    await world.play()
    assert world.store.all()[2].tool_results[0].content == "/etc/passwd is outside the workspace"


async def test_media_without_words_gets_some():
    async def picture(arguments, context):
        return ToolResult("", data=b"png", mime_type="image/png")

    world = World(tools=[tool("view", picture)]).script(calls(call("a", "view")), say("ok"))
    await world.play()
    part = world.store.all()[2].tool_results[0]
    assert (part.content, part.data, part.mime_type) == ("Loaded image/png content", b"png", "image/png")


async def test_a_title_that_fails_costs_nothing_but_the_title():
    broken = tool("view")
    broken.title = lambda arguments: arguments["missing"]
    world = World(tools=[broken]).script(calls(call("a", "view")), say("ok"))
    await world.play()
    assert world.events.of("tool_call_update")[1]["title"] == "view"
