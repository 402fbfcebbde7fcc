"""Servers that break the rules: no prompt waits for them, no call hangs, nothing fills up (RELIABILITY MC-09)."""

import asyncio
import json
import resource
import time
from dataclasses import replace

import pytest

from lsp_agent.domain.errors import ToolError
from tests.mcp.conftest import QUICK, chaos, until
from tests.shell.conftest import processes_with


async def test_MC_09_a_server_that_never_answers_delays_nothing(room):
    await room.servers.reconcile({"slow": chaos("slow", timeout_s=5.0), "good": chaos()})
    started = time.monotonic()
    room.servers.tools()
    assert time.monotonic() - started < 0.01
    await until(lambda: room.state("good") == "connected")
    assert room.state("slow") == "starting"
    assert {tool.server for tool in room.servers.tools()} == {"good"}


async def test_MC_09_a_server_that_does_not_connect_in_time_is_an_error_and_ended(room):
    mark = str(room.base / "log")
    await room.start(slow=chaos("slow", f"log={mark}", timeout_s=0.4), wait_for="error")
    assert "did not connect" in room.entry("slow")["error"]
    await until(lambda: "rests" in (room.entry("slow")["error"] or ""), lambda: room.entry("slow"))
    await until(lambda: not processes_with(mark))


async def test_MC_09_a_crash_in_the_middle_of_a_call_is_an_error_and_the_server_comes_back(room):
    await room.start(chaos=chaos())
    with pytest.raises(ToolError, match=r"ended during this call.*not known"):
        await room.call("mcp__chaos__act", how="die")
    await until(lambda: room.state("chaos") == "connected")
    assert "again" in (await room.call("mcp__chaos__echo", text="again")).content


async def test_MC_09_three_crashes_in_a_minute_break_the_circuit_until_the_user_asks(room):
    await room.start(chaos=chaos())
    for _ in range(3):
        await until(lambda: room.state("chaos") == "connected", lambda: room.entry("chaos"))
        with pytest.raises(ToolError):
            await room.call("mcp__chaos__act", how="die")
    await until(lambda: "rests" in (room.entry("chaos")["error"] or ""), lambda: room.entry("chaos"))
    assert room.servers.tools() == []
    await room.servers.restart("chaos")
    await until(lambda: room.state("chaos") == "connected")


async def test_MC_09_a_call_that_hangs_ends_at_its_deadline_and_the_server_is_told(room):
    log = room.base / "log"
    await room.start(chaos=chaos(f"log={log}", call_timeout_s=0.3))
    with pytest.raises(ToolError, match="did not answer within"):
        await room.call("mcp__chaos__act", how="hang")
    await until(lambda: "notifications/cancelled" in log.read_text())
    assert "still here" in (await room.call("mcp__chaos__echo", text="still here")).content


async def test_MC_09_a_cancelled_call_returns_at_once_and_the_server_is_told(room):
    log = room.base / "log"
    await room.start(chaos=chaos(f"log={log}"))
    call = asyncio.create_task(room.call("mcp__chaos__act", how="hang"))
    await until(lambda: '"hang"' in log.read_text())
    started = time.monotonic()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert time.monotonic() - started < 0.1
    await until(lambda: "notifications/cancelled" in log.read_text())


async def test_MC_09_a_hundred_thousand_notifications_are_dropped_and_the_call_is_answered(room):
    await room.start(chaos=chaos())
    lag = 0.0

    async def beat() -> None:
        nonlocal lag
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            lag = max(lag, time.monotonic() - before)

    beating = asyncio.create_task(beat())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "after the flood" in (await room.call("mcp__chaos__act", how="flood")).content
    beating.cancel()
    assert lag < 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB
    assert room.state("chaos") == "connected"


async def test_MC_09_a_line_without_end_costs_the_connection_and_not_the_memory(room):
    await room.start(chaos=chaos())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ToolError):
        await room.call("mcp__chaos__act", how="long")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 128 << 10
    await until(lambda: room.state("chaos") == "connected")


async def test_MC_09_invalid_json_between_messages_is_skipped(room):
    await room.start(chaos=chaos())
    assert "after garbage" in (await room.call("mcp__chaos__act", how="garbage")).content


async def test_MC_09_an_answer_of_the_wrong_shape_is_an_error_of_that_call_only(room):
    await room.start(chaos=chaos())
    with pytest.raises(ToolError, match="does not fit the protocol"):
        await room.call("mcp__chaos__act", how="shape")
    assert "fine" in (await room.call("mcp__chaos__echo", text="fine")).content


async def test_MC_09_a_silent_server_is_asked_whether_it_lives_before_a_call(make_room):
    room = make_room(timing=replace(QUICK, idle_ping_s=0.0))
    state = room.base / "state"
    log = room.base / "log"
    await room.start(chaos=chaos(f"state={state}", f"log={log}", timeout_s=1.0))
    assert "one" in (await room.call("mcp__chaos__echo", text="one")).content
    state.write_text(json.dumps({"deaf": True}))
    calls = [asyncio.create_task(room.call("mcp__chaos__echo", text=f"call {number}")) for number in range(3)]
    await until(lambda: log.read_text().count('"initialize"') >= 2, within=10)
    state.unlink()
    results = await asyncio.gather(*calls)
    assert all("call" in result.content for result in results)
    assert log.read_text().count('"tools/call"') == 4  # none was sent twice


async def test_MC_08_what_a_server_asks_of_us_is_declined(room):
    log = room.base / "log"
    await room.start(chaos=chaos(f"log={log}"))
    first = json.loads(log.read_text().splitlines()[0])
    assert first["params"]["capabilities"] == {}
    await room.call("mcp__chaos__act", how="ask")
    await until(lambda: all(f'"id": "s{number}"' in log.read_text() for number in (1, 2, 3)))
    answers = [json.loads(line) for line in log.read_text().splitlines() if '"id": "s' in line]
    assert all("error" in answer and "result" not in answer for answer in answers)
