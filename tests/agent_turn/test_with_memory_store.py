"""The turn on the product's own in-memory store, which keeps the same promises as SQLite."""

import asyncio
from dataclasses import replace

from lsp_agent.domain.session import Session
from lsp_agent.domain.usage import Usage
from lsp_agent.ports.store import AcceptRun
from lsp_agent.store.memory import MemoryStore
from tests.agent_turn.acceptance import assert_history_is_sound
from tests.agent_turn.doubles import FakeEvents, World, call, calls, say, until


async def accepted(world, store, prompt):
    run = world.run(prompt)
    await store.write([AcceptRun(run, Session("s") if world.number == 1 else None)])
    return run


async def test_turns_compactions_and_titles_fit_the_store():
    world = World()
    store = MemoryStore(clock_ms=world.clock.now_ms)
    world.events = FakeEvents(store)
    world.services = replace(world.services, store=store, events=world.events)
    runner = type(world.runner)(world.services)
    world.script(calls(call("c1", "echo"), usage=Usage(input=190_000)), say("one"), say("two"))
    for prompt in ("first", "second"):
        await runner(await accepted(world, store, prompt), world.control)
    await until(lambda: bool(world.events.of("session_info_update")))
    await store.flush()
    session = await store.session("s")
    assert session.title == "A title"
    rows, _ = await store.messages("s")
    assert [row.role.value for row in rows] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
        "assistant",
        "user",
        "assistant",
    ]
    assert rows[3].is_summary
    assert_history_is_sound(rows[3:])
    assert session.cost_usd > 0


async def test_a_cancelled_turn_fits_the_store():
    world = World()
    store = MemoryStore(clock_ms=world.clock.now_ms)
    world.services = replace(world.services, store=store, events=FakeEvents(store))
    runner = type(world.runner)(world.services)
    run = await accepted(world, store, "first")
    task = asyncio.create_task(runner(run, world.control))
    for _ in range(4):
        await asyncio.sleep(0)
    task.cancel()
    assert (await task).cancelled
    rows, _ = await store.messages("s")
    assert_history_is_sound(rows)
    await runner.aclose(1.0)
