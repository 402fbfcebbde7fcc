"""How the process ends: every way in its time, what it owed stored and sent (PROTOCOL 10.11, RELIABILITY F06, F26)."""

import asyncio
import json
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.crash.world import World
from tests.harness.client import Client, Failed

EXIT_S = 4.0
Start = Callable[[], Awaitable[Client]]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "w")


@pytest.fixture
async def start(world: World) -> AsyncIterator[Start]:
    clients: list[Client] = []

    async def make() -> Client:
        clients.append(await world.start(None))
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()


async def stalled(client: Client, world: World, queued: bool = True) -> str:
    """A run in the middle of its answer and one that waits behind it; the session."""
    await client.initialize(agent={"protocolVersions": [1]}, root=world.project)
    session = (await client.request("agent/run", {"prompt": "stall", "runId": "r1"}))["sessionId"]
    await client.until_event("agent_message_chunk", session)
    if queued:
        await client.request("agent/run", {"prompt": "quick", "runId": "r2", "sessionId": session})
    return session


async def ended(client: Client, within_s: float = EXIT_S) -> int:
    began_s = time.monotonic()
    status = await client.wait_exit(within_s + 5)
    assert time.monotonic() - began_s < within_s
    return status


def stored(world: World) -> dict[str, tuple[str, str | None]]:
    database = sqlite3.connect(world.data / "lsp-agent.db")
    try:
        rows = database.execute("SELECT run_id, state, stop_reason FROM runs")
        return {run_id: (state, reason) for run_id, state, reason in rows}
    finally:
        database.close()


def terminals(world: World) -> list[dict[str, Any]]:
    database = sqlite3.connect(world.data / "lsp-agent.db")
    try:
        rows = database.execute("SELECT payload FROM events WHERE terminal_of IS NOT NULL")
        return [json.loads(payload) for (payload,) in rows]
    finally:
        database.close()


INTERRUPTED = {"r1": ("done", "interrupted"), "r2": ("queued", None)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_PR_19_PR_20_F06_a_signal_ends_runs_sends_and_stores_their_terminal_events_and_exits(
    world, start, number
):
    client = await start()
    await stalled(client, world)
    client.process.send_signal(number)
    done = await client.until_complete("r1")
    assert done["stopReason"] == "interrupted"
    assert await ended(client) == 0
    assert stored(world) == INTERRUPTED
    assert [end["runId"] for end in terminals(world)] == ["r1"]
    world.judge_between(killed=False)
    assert world.oracle.violations == []


async def test_F26_the_end_of_input_is_a_shutdown(world, start):
    client = await start()
    await stalled(client, world)
    client.pipe.close_stdin()
    done = await client.until_complete("r1")
    assert done["stopReason"] == "interrupted"
    assert await ended(client) == 0
    assert stored(world) == INTERRUPTED


async def test_F26_a_client_that_only_stops_reading_for_good_ends_the_server(world, start):
    client = await start()
    session = await stalled(client, world, queued=False)
    client.pipe.close_stdout()
    client.notify("$/setTrace", {"value": "off"})
    # something has to be written for the server to notice
    client.send({"jsonrpc": "2.0", "id": 99, "method": "agent/status", "params": {"sessionId": session}})
    assert await ended(client) == 1
    assert stored(world) == {"r1": ("done", "interrupted")}


async def test_F26_a_dead_editor_process_ends_the_server_although_its_pipe_stays_open(world, start):
    editor = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE)
    client = await start()
    params = {"processId": editor.pid, "rootUri": world.project.as_uri(), "capabilities": {}}
    agent = {"agent": {"protocolVersions": [1], "events": {"enabled": True}}}
    await client.request("initialize", {**params, "initializationOptions": agent})
    client.notify("initialized")
    await client.request("agent/run", {"prompt": "stall", "runId": "r1"})
    await client.until_event("agent_message_chunk")
    await editor.communicate(b"\n")
    assert await ended(client, 6.0) == 1
    assert stored(world) == {"r1": ("done", "interrupted")}


async def test_11_shutdown_ends_the_runs_before_it_answers_and_exit_is_0(world, start):
    client = await start()
    session = await stalled(client, world)
    await client.request("shutdown")
    order = [m.get("method") or m.get("id") for m in client.messages]
    assert order[-1] != "agent/runComplete"
    assert (await client.until_complete("r1"))["stopReason"] == "interrupted"
    with pytest.raises(Failed):
        await client.request("agent/run", {"prompt": "late", "runId": "r3", "sessionId": session})
    client.notify("exit")
    assert await ended(client) == 0
    assert stored(world) == INTERRUPTED


async def test_F55_prompts_that_race_a_shutdown_are_refused_or_survive_it(world, start):
    client = await start()
    session = await stalled(client, world)
    futures = []
    for number in range(20):
        params = {"prompt": "quick", "runId": f"n{number}", "sessionId": session}
        futures.append((f"n{number}", client.begin("agent/run", params)[1]))
    client.terminate()
    for number in range(20, 40):
        params = {"prompt": "quick", "runId": f"n{number}", "sessionId": session}
        futures.append((f"n{number}", client.begin("agent/run", params)[1]))
    assert await ended(client) == 0
    await asyncio.gather(*[future for _, future in futures], return_exceptions=True)
    acknowledged = {run_id for run_id, future in futures if future.exception() is None}
    kept = stored(world)
    assert acknowledged <= set(kept)
    assert {kept[run_id][0] for run_id in acknowledged} <= {"queued"}


async def test_11_a_shutdown_that_overtakes_the_start_refuses_what_waited_for_it(world, start):
    client = await start()
    params = {"processId": None, "rootUri": world.project.as_uri(), "capabilities": {}}
    client.begin("initialize", {**params, "initializationOptions": {"agent": {"protocolVersions": [1]}}})
    client.notify("initialized")
    late = client.begin("agent/run", {"prompt": "stall", "runId": "r1"})[1]
    await client.request("shutdown")
    client.notify("exit")
    assert await ended(client) == 0
    error = late.exception()
    assert isinstance(error, Failed)
    assert error.kind == "ShuttingDown"
    world.judge_between(killed=False)
    assert world.oracle.violations == []


async def test_exit_without_shutdown_is_status_1(world, start):
    client = await start()
    await stalled(client, world)
    client.notify("exit")
    assert await ended(client) == 1
    assert stored(world) == INTERRUPTED


async def test_11_shutdown_with_a_pipe_nobody_reads_is_bounded(world, start):
    client = await start()
    await client.initialize(agent={"protocolVersions": [1]}, root=world.project)
    await client.request("agent/status")
    client.pipe.pause_reading()
    for number in range(40):
        client.begin("agent/run", {"prompt": "write f0 " + "x" * 60_000, "runId": f"r{number}"})
    await client.pipe.flush()
    client.begin("shutdown")
    client.notify("exit")
    client.pipe.close_stdin()
    assert await ended(client, 12.0) in (0, 1)
    runs = stored(world)
    assert {state for state, _ in runs.values()} <= {"done", "queued"}
    world.judge_between(killed=False)


async def test_a_signal_before_initialize_ends_it_at_once(world, start):
    client = await start()
    with pytest.raises(Failed):  # also shows that the handlers are in place
        await client.request("agent/status")
    client.terminate()
    assert await ended(client, 2.0) == 0


async def test_the_next_server_goes_on_with_what_was_queued(world, start):
    client = await start()
    session = await stalled(client, world)
    client.terminate()
    assert await ended(client) == 0
    seen = max(event["seq"] for event in client.events(session))
    client = await start()
    await client.initialize(agent={"protocolVersions": [1]}, root=world.project)
    attached = await client.request("agent/session/attach", {"sessionId": session, "afterSeq": seen})
    assert attached["mode"] == "replay"
    assert (await client.until_complete("r2"))["stopReason"] == "end_turn"
    again = await client.request("agent/run", {"prompt": "stall", "runId": "r1", "sessionId": session})
    assert again["state"] == "interrupted"
    assert await client.shutdown() == 0
    assert [end["runId"] for end in terminals(world)] == ["r1", "r2"]


async def test_F01_after_kill_9_what_ran_is_interrupted_and_what_was_queued_runs(world, start):
    client = await start()
    session = await stalled(client, world)
    client.kill9()
    await client.wait_exit()
    assert stored(world) == {"r1": ("running", None), "r2": ("queued", None)}
    client = await start()
    await client.initialize(agent={"protocolVersions": [1]}, root=world.project)
    await client.request("agent/session/attach", {"sessionId": session, "afterSeq": 0})
    assert (await client.until_complete("r1"))["stopReason"] == "interrupted"
    assert (await client.until_complete("r2"))["stopReason"] == "end_turn"
    assert [end["runId"] for end in terminals(world)] == ["r1", "r2"]


async def test_F33_a_second_server_says_who_holds_the_data_directory_and_serves_nothing(world, start):
    first = await start()
    await first.initialize(agent={"protocolVersions": [1]}, root=world.project)
    await first.request("agent/status")
    second = await start()
    await second.initialize(agent={"protocolVersions": [1]}, root=world.project)
    shown = await second.until(lambda m: m.get("method") == "window/showMessage")
    assert f"pid {first.process.pid}" in shown["params"]["message"]
    with pytest.raises(Failed) as refused:
        await second.request("agent/run", {"prompt": "quick"})
    assert refused.value.data["retryable"] is True
    assert await second.shutdown() == 0
    first.kill9()
    await first.wait_exit()
    third = await start()
    await third.initialize(agent={"protocolVersions": [1]}, root=world.project)
    await third.request("agent/status")
    assert await third.shutdown() == 0


@pytest.mark.parametrize("point", ["close.before", "close.after", "terminal.before", "terminal.after"])
async def test_F02_a_shutdown_that_is_killed_half_way_leaves_one_end_for_the_run(world, start, point):
    async with await world.start(point) as client:
        session = await stalled(client, world)
        client.terminate()
        assert await ended(client) == -signal.SIGKILL
    world.judge_between(killed=True)
    client = await start()
    await client.initialize(agent={"protocolVersions": [1]}, root=world.project)
    await client.request("agent/session/attach", {"sessionId": session, "afterSeq": 0})
    assert (await client.until_complete("r1"))["stopReason"] == "interrupted"
    assert (await client.until_complete("r2"))["stopReason"] == "end_turn"
    assert [end["runId"] for end in terminals(world)] == ["r1", "r2"]
    assert not [m for m in client.messages if m.get("method") == "window/showMessage"]
    assert world.oracle.violations == []
