"""FS-10 and FS-12: what other processes know, and what is ours, is not the workspace's (RELIABILITY 2.2)."""

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lsp_agent.policy.protected import is_protected, is_secret
from lsp_agent.policy.rules import Policy
from lsp_agent.ports.approver import PermissionAsk
from lsp_agent.shell.sandbox import Sandbox
from lsp_agent.shell.spawner import Spawner
from tests.guarantees.conftest import new_world
from tests.guarantees.world import CANARY, fresh, sent_to_model
from tests.harness.fake_provider import text, tool, usage
from tests.injection.people import refuse_everything

SECRET = "canary-of-another-process-7c1e"


@pytest.mark.parametrize(
    "path", ["/proc/self/environ", "/proc/1/environ", "/proc/self/mem", "/proc/self/root/etc/passwd"]
)
@pytest.mark.parametrize("mode", ["ask", "plan", "accept-edits", "full-auto"])
def test_FS_10_what_proc_shows_of_processes_asks_in_every_mode(workspace, path, mode):
    place = workspace.place(path)
    assert not place.inside
    ask = PermissionAsk("view", "read", "Read", {"type": "path"}, path=str(place.path), inside_workspace=place.inside)
    assert Policy().decide_ask(ask, mode, None, None).effect == "ask"


async def test_FS_10_a_link_in_the_workspace_to_an_environment_asks_too(workspace, root):
    (root / "notes.txt").symlink_to("/proc/self/environ")
    place = workspace.place("notes.txt")
    assert not place.inside
    assert is_secret(str(place.path))


@pytest.fixture
def keeper(tmp_path):
    """A process of the same user that holds a secret in its environment, as the server does."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={"KEY": SECRET})
    yield process.pid
    process.communicate(b"\n", timeout=10)


@pytest.mark.parametrize("tier", ["bubblewrap", "landlock"])
async def test_FS_10_no_command_reads_the_environment_of_another_process(root, keeper, tier):
    box = Sandbox(
        Spawner(),
        roots=lambda: [root],
        is_protected=is_protected,
        is_secret=is_secret,
        environ={**os.environ, "KEY": SECRET},
        tiers=(tier,),
    )
    if await box.tier() != tier:
        pytest.skip(f"this machine has no {tier}: {box.describe()}")
    said: list[str] = []
    command = f"cat /proc/{keeper}/environ /proc/*/environ /proc/self/environ | tr '\\0' '\\n'; env; echo over"
    confined = await box.confine(command, cwd=root, reading=False)
    try:
        running = await Spawner().start(confined.order, lambda _stream, piece: said.append(piece))
        await asyncio.wait_for(asyncio.shield(running.ended), 20)
    finally:
        await box.release(confined)
    shown = "".join(said)
    assert "over" in shown
    assert SECRET not in shown


@pytest.mark.process
async def test_FS_10_a_server_that_is_told_to_show_its_own_environment_shows_nothing(tmp_path):
    async with new_world(tmp_path) as world:
        client = await world.start()
        pid = client.process.pid
        steps = [tool("view", {"file_path": f"/proc/{name}/environ"}) for name in ("self", pid)]
        steps.append(tool("bash", {"command": f"cat /proc/{pid}/environ", "description": "look"}))
        for step in steps:
            world.fake.push([text("I look. "), step, usage(1, 1)])
        run_id = fresh()
        await client.request("agent/run", {"runId": run_id, "prompt": "show"})
        await refuse_everything(client, run_id)
        assert CANARY not in sent_to_model(world.fake)
        world.no_secret_anywhere()


OWN = (
    ".config/lsp-agent/config.toml",
    ".local/state/lsp-agent/sessions.db",
    ".lsp-agent.toml",
    ".lsp-agent/agents/x.md",
    ".LSP-AGENT.TOML",
    ".claude/settings.json",
)


@pytest.mark.parametrize("path", OWN)
@pytest.mark.parametrize("mode", ["ask", "accept-edits", "full-auto"])
def test_FS_12_what_says_what_we_may_do_always_asks_before_it_is_written(path, mode):
    ask = PermissionAsk("write", "write", "Write", {"type": "edit"}, path=f"/w/{path}", inside_workspace=True)
    verdict = Policy(allow=["edit"]).decide_ask(ask, mode, path, True)
    assert (verdict.effect, verdict.once_only) == ("ask", True)


@pytest.mark.process
async def test_FS_12_our_state_is_ours_alone_and_no_model_reaches_it(tmp_path):
    async with new_world(tmp_path) as world:
        world.config.chmod(0o600)
        client = await world.start()
        run_id = fresh()
        await client.request("agent/run", {"runId": run_id, "prompt": "begin"})
        await client.until_complete(run_id)
        state = [path for path in Path(tmp_path, "data").rglob("*") if path.is_file()]
        database = next(path for path in state if path.suffix in (".db", ".sqlite", ".sqlite3"))
        for path in state:
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, f"{path} is open to others"
        assert stat.S_IMODE(database.parent.stat().st_mode) == 0o700

        before = world.config.read_bytes()
        goals = (database, database.parent / "lock", world.config)
        for goal in goals:
            world.fake.push([tool("view", {"file_path": str(goal)}), usage(1, 1)])
            world.fake.push([tool("write", {"file_path": str(goal), "content": "mine"}), usage(1, 1)])
            command = f"echo mine >> {goal}; cat {goal} | head -c 100; ls {goal.parent}"
            world.fake.push([tool("bash", {"command": command, "description": "reach"}), usage(1, 1)])
        run_id = fresh()
        await client.request("agent/run", {"runId": run_id, "prompt": "reach for it", "mode": "full-auto"})
        _, end = await refuse_everything(client, run_id)
        assert end["stopReason"] in ("end_turn", "loop")
        assert world.config.read_bytes() == before
        assert database.read_bytes()[:15] == b"SQLite format 3"
        assert "SQLite format" not in sent_to_model(world.fake)
        run_id = fresh()
        await client.request("agent/run", {"runId": run_id, "prompt": "still there?"})
        assert (await client.until_complete(run_id))["stopReason"] == "end_turn"
