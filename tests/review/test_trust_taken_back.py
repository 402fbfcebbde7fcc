"""What was started for a folder ends when the folder is trusted no longer, whoever says so."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lsp_agent.clock import SystemClock
from lsp_agent.language.catalog import ServerSpec
from lsp_agent.language.own import OwnServers
from lsp_agent.shell.spawner import Spawner
from tests.guarantees.conftest import new_world
from tests.guarantees.world import World, turn
from tests.harness.client import isolated_environment
from tests.review.test_leaving import STUBBORN, marked, until

RUDE = Path(__file__).parents[1] / "language" / "rude_server.py"


def after(message: dict[str, Any]) -> Any:
    """What an `mcp_update` says is wrong."""
    update = (message.get("params") or {}).get("update") or {}
    return update.get("error") if update.get("sessionUpdate") == "mcp_update" else None


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        yield made


@pytest.mark.process
@pytest.mark.parametrize("by", ["the editor", "the command line"])
async def test_an_mcp_server_of_a_folder_ends_when_trust_is_taken_back(world: World, by: str):
    script = world.write("server.py", STUBBORN)
    entry = {"command": [sys.executable, str(script), str(world.home / "up")], "cwd": str(world.project)}
    block = [f"{name} = {json.dumps(value)}" for name, value in entry.items()]
    world.configure(more="\n".join(["[mcp.mine]", *block, "sandbox = false"]))
    client = await world.start()
    root = world.project.as_uri()
    await turn(client)
    assert not (world.home / "up").exists()
    await client.request("agent/trust/set", {"root": root, "trusted": True})
    await until((world.home / "up").exists)
    assert marked(str(script))
    client.recorded.clear()
    if by == "the editor":
        await client.request("agent/trust/set", {"root": root, "trusted": False})
    else:
        env = isolated_environment(world.home, {"LSP_AGENT_CONFIG": str(world.config)})
        argv = [sys.executable, "-m", "lsp_agent", "trust", "--revoke", str(world.project)]
        subprocess.run(argv, env=env, check=True, capture_output=True, cwd=world.home, timeout=30)  # noqa: ASYNC221
        await turn(client)
    await until(lambda: not marked(str(script)))
    told = await client.until(lambda m: "not trusted" in str(after(m)) and m["params"]["update"]["state"] == "error")
    assert told["params"]["update"]["name"] == "mine"


async def test_a_language_server_of_a_folder_ends_when_trust_is_taken_back(tmp_path: Path):
    program = tmp_path / "bin" / "rude"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{RUDE}" "$@"\n')
    program.chmod(0o755)
    trusted = {"a", "b"}
    roots = [tmp_path / name for name in ("a", "b")]
    for root in roots:
        root.mkdir()
        (root / "x.py").write_text("x = 1\n")
    own = OwnServers(
        spawner=Spawner(),
        clock=SystemClock(),
        environ={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"},
        roots=lambda: roots,
        trusted=lambda root: root.name in trusted,
        catalog=[ServerSpec("rude", ["rude", "polite"], {".py": "python"}, "python")],
    )
    try:
        for root in roots:
            assert await own.clients(root / "x.py", 20.0)
        trusted.remove("a")
        await own.leave_untrusted()
        assert [client.root.name for client in own.all_running()] == ["b"]
        assert own.problems() == []
    finally:
        await own.close()
