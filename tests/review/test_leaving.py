"""How a server leaves while its rooms are full: in time, with everything stored, and with nothing left running."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from tests.guarantees.conftest import new_world
from tests.guarantees.world import World, fresh
from tests.harness.client import Client
from tests.harness.fake_provider import text, tool, usage

pytestmark = pytest.mark.process

STUBBORN = """
import json, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "w").close()
for line in sys.stdin:
    asked = json.loads(line)
    if asked.get("method") == "initialize":
        told = {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "s", "version": "1"}}
    elif asked.get("method") == "tools/list":
        told = {"tools": [{"name": "wait", "inputSchema": {"type": "object"}}]}
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": told}), flush=True)
while True:
    time.sleep(1)
"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        yield made


async def until(fits: Callable[[], object], limit_s: float = 30.0) -> None:
    deadline_s = time.monotonic() + limit_s
    while not fits():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        await asyncio.sleep(0.02)


def marked(mark: str) -> list[psutil.Process]:
    """Processes of this test, by a word in their command line or environment's home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and any(mark in word for word in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


async def full(world: World, servers: int = 2) -> tuple[Client, str]:
    """A server with stubborn MCP servers, in a run whose hook does not answer: (client, run id)."""
    script = world.home / "stubborn.py"
    script.write_text(STUBBORN)
    blocks = [
        f"[mcp.s{number}]\ncommand = {json.dumps([sys.executable, str(script), str(world.home / f'up{number}')])}\n"
        "sandbox = false"
        for number in range(servers)
    ]
    hook = world.home / "hook-is-up"
    command = f"trap '' TERM; touch {hook}; while :; do sleep 0.2; done"
    blocks.append(f"[[hooks.PreToolUse]]\ncommand = {json.dumps(command)}")
    world.configure(more="\n".join(blocks))
    client = await world.start()
    await until(lambda: all((world.home / f"up{number}").exists() for number in range(servers)))
    world.fake.push([tool("ls", {}), usage(1, 1)], [text("done"), usage(1, 1)])
    run_id = fresh()
    await client.request("agent/run", {"prompt": "go", "runId": run_id})
    await until(hook.exists)
    return client, run_id


async def test_a_shutdown_answers_and_leaves_in_time_and_nothing_is_left(world: World):
    client, run_id = await full(world)
    began_s = time.monotonic()
    await client.request("shutdown", {})
    answered_s = time.monotonic() - began_s
    assert any(one["runId"] == run_id for one in client.events() if "stopReason" in one)
    client.notify("exit", {})
    await until(lambda: client.process is not None and client.process.poll() is not None)
    left_s = time.monotonic() - began_s
    await until(lambda: not marked(str(world.home)), 5.0)
    print(f"\nanswered after {answered_s:.2f} s, gone after {left_s:.2f} s")
    assert answered_s < 3.0
    assert left_s < 6.0


async def test_a_killed_server_leaves_no_process_of_its_rooms(world: World):
    client, run_id = await full(world)
    assert client.process is not None
    client.process.send_signal(signal.SIGKILL)
    await until(lambda: not marked(str(world.home)), 8.0)
    again = await world.start()
    await until(lambda: run_id, 0.1)
    status = await again.request("agent/status", {})
    assert status["busy"] is False
