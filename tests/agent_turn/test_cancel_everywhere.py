"""Cancel a turn at every turn of the loop it takes, once and twice, and look at what is left."""

import asyncio

import pytest

from lsp_agent.agent.services import TurnLimits
from lsp_agent.domain.message import FinishReason, Role
from lsp_agent.domain.run import Outcome, StopReason
from lsp_agent.domain.session import Todo
from lsp_agent.domain.usage import Usage
from lsp_agent.ports.tools import ToolResult
from tests.agent_turn.acceptance import assert_events_are_sound, assert_history_is_sound
from tests.agent_turn.doubles import Stall, World, broken, call, calls, say, think, tool, until

BIG = Usage(input=190_000, output=10)


async def slow(arguments, context):
    try:
        for _ in range(3):
            await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0)
    return ToolResult("slow done")


async def asks(arguments, context):
    decided = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: decided.done() or decided.set_result(True))
    await decided
    return ToolResult("allowed")


async def todos(arguments, context):
    await asyncio.sleep(0)
    return ToolResult("noted")


def a_turn_with_tools() -> World:
    world = World(tools=[tool("slow", slow, parallel=True), tool("asks", asks), tool("todos", todos)])
    return world.script(
        [*think("hm", data={"x": 1}), *calls(call("a", "slow"), call("b", "slow"), call("c", "asks"), text="go")],
        calls(call("d", "todos"), call("e", "nothing"), call("f", "slow", "not json")),
        say("the ", "end"),
    )


def a_turn_with_retries() -> World:
    world = World()
    world.providers.refresh_works = True
    return world.script(
        [*think("x"), *call("a", "echo"), broken()],
        [broken("ProviderAuth", retryable=False, status=401)],
        calls(call("a", "echo"), text="t"),
        say("ok"),
    )


def a_turn_that_compacts() -> World:
    world = World()
    world.session.todos = (Todo("x", "pending"),)
    return world.script(calls(call("a", "echo"), usage=BIG), say("after", usage=BIG))


def a_turn_that_overflows() -> World:
    world = World()
    return world.script([broken("ContextOverflow", retryable=False)], calls(call("a", "echo")), say("after"))


def a_turn_with_a_title() -> World:
    world = World(titled=False)
    return world.script(say("answer"))


def a_turn_with_debounce() -> World:
    world = World(limits=TurnLimits(update_interval_ms=1))
    return world.script(say(*["w "] * 10))


SCENARIOS = [
    a_turn_with_tools,
    a_turn_with_retries,
    a_turn_that_compacts,
    a_turn_that_overflows,
    a_turn_with_a_title,
    a_turn_with_debounce,
]


async def ticks(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def cancelled_at(world: World, tick: int, *, twice: bool = False) -> Outcome | None:
    """The outcome when the cancellation comes after `tick` turns of the loop; None when the turn was over by then."""
    task = asyncio.create_task(world.runner(world.run("do it"), world.control))
    await ticks(tick + 1)
    if task.done():
        await task
        return None
    task.cancel()
    if twice:
        await asyncio.sleep(0)
        task.cancel()
    try:
        return await task
    finally:
        await world.runner.aclose(1.0)


def assert_clean(world: World, outcome: Outcome) -> None:
    rows = world.store.all()
    assert outcome.cancelled
    assert outcome.error is None
    assert_history_is_sound(rows)
    assert_events_are_sound(world.events.all, rows)
    assert outcome.message_id == world.last().message_id
    assert outcome.text == world.last().text
    assert world.last().finish.reason in (FinishReason.CANCELED, FinishReason.END_TURN)
    assert rows[0].role is Role.USER
    assert world.provider.open == 0


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_a_turn_cancelled_anywhere_leaves_nothing_open(scenario, twice):
    tick = 0
    while True:
        world = scenario()
        outcome = await cancelled_at(world, tick, twice=twice)
        if outcome is None:
            break
        assert_clean(world, outcome)
        count = len(world.events.all)
        await ticks(20)
        assert len(world.events.all) == count, "something was said after the end"
        tick += 1
    assert tick > 5


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_the_next_prompt_after_any_cancellation_is_accepted_by_providers(scenario):
    for tick in range(0, 200, 3):
        world = scenario()
        if await cancelled_at(world, tick) is None:
            break
        world.provider.scripts.clear()
        outcome = await world.play("again")
        assert outcome.stop_reason is StopReason.END_TURN
        assert_history_is_sound(world.store.all(from_message=world.session.summary_message_id))


async def test_a_cancelled_call_says_so_to_the_model():
    async def forever(arguments, context):
        await asyncio.Event().wait()

    world = World(tools=[tool("wait", forever), tool("echo")])
    world.script(calls(call("a", "echo"), call("b", "wait"), call("c", "echo")))
    task = asyncio.create_task(world.runner(world.run(), world.control))
    await until(lambda: world.events.statuses("b") == ["pending", "in_progress"])
    task.cancel()
    outcome = await task
    results = {part.tool_call_id: part for row in world.store.all() for part in row.tool_results}
    assert not results["a"].is_error
    assert results["b"].content == results["c"].content == "The user cancelled this tool call."
    assert world.events.statuses("b")[-1] == world.events.statuses("c")[-1] == "cancelled"
    assert (outcome.stop_reason, world.last().finish.message) == (StopReason.CANCELLED, "User canceled request")


async def test_a_tool_that_will_not_stop_is_left_behind_in_time():
    release = asyncio.Event()

    async def stubborn(arguments, context):
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return ToolResult("too late")

    world = World(limits=TurnLimits(tool_cleanup_s=0.02), tools=[tool("stubborn", stubborn)])
    world.script(calls(call("a", "stubborn")))
    task = asyncio.create_task(world.runner(world.run(), world.control))
    await until(lambda: len(world.events.statuses("a")) == 2)
    task.cancel()
    async with asyncio.timeout(2):
        outcome = await task
    assert outcome.cancelled
    count = len(world.events.all)
    release.set()
    await ticks(10)
    assert len(world.events.all) == count
    assert_history_is_sound(world.store.all())


async def test_a_stream_that_will_not_close_is_left_behind_in_time():
    world = World(limits=TurnLimits(cleanup_s=0.02))
    release = asyncio.Event()

    async def stream(request):
        yield []
        try:
            await asyncio.Event().wait()
        finally:
            await release.wait()

    world.provider.stream = stream
    task = asyncio.create_task(world.runner(world.run(), world.control))
    await ticks(20)
    task.cancel()
    async with asyncio.timeout(2):
        assert (await task).cancelled
    assert_history_is_sound(world.store.all())
    release.set()
    await ticks(10)


async def test_a_tool_that_finishes_while_it_is_cancelled_keeps_its_result():
    async def careful(arguments, context):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return ToolResult("half of it is written")

    world = World(tools=[tool("careful", careful)]).script(calls(call("a", "careful")))
    task = asyncio.create_task(world.runner(world.run(), world.control))
    await until(lambda: len(world.events.statuses("a")) == 2)
    task.cancel()
    await task
    assert world.store.all()[-1].tool_results[0].content == "half of it is written"
    assert world.events.statuses("a")[-1] == "completed"


async def test_a_tool_that_cancels_itself_does_not_cancel_the_turn():
    async def odd(arguments, context):
        raise asyncio.CancelledError

    world = World(tools=[tool("odd", odd)]).script(calls(call("a", "odd")), say("ok"))
    assert (await world.play()).text == "ok"


async def test_a_server_that_stops_interrupts_instead_of_cancelling():
    world = World().script([Stall()])
    world.control.on_cancel = StopReason.INTERRUPTED
    task = asyncio.create_task(world.runner(world.run(), world.control))
    await until(lambda: world.provider.open == 1)
    task.cancel()
    outcome = await task
    assert (outcome.stop_reason, outcome.cancelled) == (StopReason.INTERRUPTED, False)
    assert (world.last().finish.reason, world.last().finish.message) == (FinishReason.ERROR, "Interrupted")
