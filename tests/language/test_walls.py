"""What a language server that was bought off can do: write below the roots, and nothing else."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from lsp_agent.clock import SystemClock
from lsp_agent.language.catalog import ServerSpec
from lsp_agent.language.own import OwnServers
from lsp_agent.language.walls import sandbox_walls
from lsp_agent.policy.protected import is_protected, is_secret
from lsp_agent.shell.sandbox import Sandbox
from lsp_agent.shell.spawner import Spawner

pytestmark = pytest.mark.process
NOSY = Path(__file__).with_name("nosy_server.py")


@pytest.mark.parametrize("tier", ["bubblewrap", "landlock", "none"])
async def test_a_language_server_stays_within_its_walls(tmp_path, tier):
    python = Path(sys.executable).resolve()  # a clone below /tmp is not seen in a sandbox
    root, outside, home = (tmp_path / name for name in ("w", "outside", "home"))
    for directory in (root / ".git/hooks", outside, home / ".ssh"):
        directory.mkdir(parents=True)
    (home / ".ssh/id_ed25519").write_text("key")
    (root / ".git/hooks/pre-commit").write_text("mine")
    before = sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))
    listening = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    told = [str(root), str(outside), str(home / ".ssh/id_ed25519"), str(root / ".git/hooks/pre-commit"), str(port)]
    environ = {**os.environ, "PATH": str(python.parent), "HOME": str(home), "SECRET_API_KEY": "k"}
    spawner = Spawner()
    walls = {"roots": lambda: [root], "is_protected": is_protected, "is_secret": is_secret}
    sandbox = Sandbox(spawner, environ=environ, tiers=(tier, "none"), **walls)
    if await sandbox.tier() != tier:
        pytest.skip(f"{tier} is not to be had here: {sandbox.failures}")
    own = OwnServers(
        spawner=spawner,
        clock=SystemClock(),
        environ=environ,
        roots=lambda: [root],
        trusted=lambda path: True,
        walls=sandbox_walls(sandbox, home=home, hide=(), **walls),
        catalog=[ServerSpec("nosy", (python.name, "-c", NOSY.read_text(), *told), {".x": "x"}, "x")],
    )
    try:
        clients = await own.clients(root / "a.x", 20)
        assert clients, own.problems()
        could = clients[0].capabilities["experimental"]
    finally:
        await own.close()
        listening.close()
        await listening.wait_closed()
    assert could["workspace"]
    assert could["cache"]
    assert not could["key"]
    if tier == "none":
        return
    assert [name for name in ("outside", "secret", "network") if could[name]] == []
    if tier == "bubblewrap":
        assert not could["protected"]
        assert (root / ".git/hooks/pre-commit").read_text() == "mine"
    # nothing is left in the workspace but what the server itself made: no placeholder, nothing renamed
    after = sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))
    assert after == sorted([*before, "built.txt"])
