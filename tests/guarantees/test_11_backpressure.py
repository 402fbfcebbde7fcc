"""PROTOCOL 11: a client that does not read during a 10 MB answer costs bounded memory and nobody's time."""

import asyncio
import os
import time

import psutil
import pytest

from tests.guarantees.world import World, completes, fresh, idle, turn
from tests.harness.fake_provider import FakeProvider, usage

PIECE = "0123456789abcde\n" * 64
"""1 KiB."""
MIB = 1024 * 1024


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def never_reads(world: World, fake: FakeProvider, pieces: int, per_s: float, silent_s: float) -> dict[str, float]:
    """One client starts a long answer and does not read; a second one asks for the status all the time."""
    socket = world.home / "agent.sock"
    other = await world.start("--socket", str(socket))
    stuck = await world.join(socket)
    process = psutil.Process(other.process.pid)
    await turn(other)
    before = process.memory_info().rss
    fake.push([{"paced": pieces, "per_s": per_s, "text": PIECE}, usage(1, 1)])
    run_id = fresh()
    session = (await stuck.request("agent/run", {"runId": run_id, "prompt": "a lot"}))["sessionId"]
    await stuck.until_event("agent_message_chunk", session)
    stuck.pipe.pause_reading()
    latencies, peak = [], 0
    end = time.monotonic() + silent_s
    asked = 0
    while time.monotonic() < end:
        asked = time.monotonic()
        await other.request("agent/status")
        latencies.append(time.monotonic() - asked)
        peak = max(peak, process.memory_info().rss)
        await asyncio.sleep(0.005)
    stuck.pipe.resume_reading()
    done = await stuck.until_complete(run_id, timeout=60)
    await idle(stuck, session)
    assert done["text"] == PIECE * pieces
    assert stuck.events(session, "agent_message")[-1]["update"]["content"][0]["text"] == PIECE * pieces
    assert completes(stuck, session) == [(run_id, "end_turn")]
    assert not stuck.framing_error
    return {
        "p50_ms": quantile(latencies, 0.5) * 1000,
        "p99_ms": quantile(latencies, 0.99) * 1000,
        "p999_ms": quantile(latencies, 0.999) * 1000,
        "max_ms": max(latencies) * 1000,
        "growth_mib": (peak - before) / MIB,
        "dropped": (await other.request("agent/status"))["droppedChunks"],
    }


async def test_a_client_that_pauses_for_a_moment_misses_nothing(world: World):
    measured = await never_reads(world, world.fake, pieces=2000, per_s=4000, silent_s=1.0)
    assert measured["p99_ms"] < 250
    assert measured["growth_mib"] < 100
    assert measured["dropped"] == 0
    stuck = world.clients[-1]
    message = stuck.events(kind="agent_message")[-1]["update"]["messageId"]
    assert stuck.chunk_text(message) == PIECE * 2000


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_client_that_does_not_read_for_60_s_of_a_10_mb_answer(world: World):
    seconds = float(os.environ.get("LSP_AGENT_TEST_SILENCE_S", "60"))
    measured = await never_reads(
        world, world.fake, pieces=10_240, per_s=10_240 / min(20.0, seconds / 2), silent_s=seconds
    )
    print({name: round(value, 1) for name, value in measured.items()})
    assert measured["p999_ms"] < 500
    assert measured["growth_mib"] < 250
    stuck = world.clients[-1]
    lagging = [e for e in stuck.events() if e.get("update", {}).get("sessionUpdate") == "resync"]
    assert measured["dropped"] == 0 or lagging
