"""Two real servers from a registry, in the sandbox: `server-filesystem` and `server-everything` for Node.

Installed on demand into `.cache/mcp-servers`, without running scripts of packages. Skipped, visibly, only when Node is
missing or the registry does not answer.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from lsp_agent.domain.model import Model
from lsp_agent.shell.sandbox import TIERS

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]
_REPOSITORY = Path(__file__).parents[2]
# a sandbox shows nothing below /tmp: a clone that lies there keeps the servers in the user's cache
_HIDDEN = _REPOSITORY.is_relative_to("/tmp")
PLACE = (Path.home() / ".cache/lsp-agent-tests" if _HIDDEN else _REPOSITORY / ".cache") / "mcp-servers"
VERSION = "2026.8.31"
NAMES = ("server-filesystem", "server-everything")


def entry_point(name: str) -> Path:
    return PLACE / "node_modules" / "@modelcontextprotocol" / name / "dist" / "index.js"


@pytest.fixture(scope="module")
def node() -> str:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node is not installed: the real servers of a registry were not tried")
    if not all(entry_point(name).exists() for name in NAMES):
        PLACE.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--prefix", str(PLACE), "--ignore-scripts", "--no-audit", "--no-fund"]
        packages = [f"@modelcontextprotocol/{name}@{VERSION}" for name in NAMES]
        done = subprocess.run([*command, *packages], capture_output=True, text=True, timeout=200)
        if done.returncode != 0:
            pytest.skip(f"the registry does not answer: {done.stderr[-300:]}")
    return node


async def test_a_real_file_server_works_in_the_sandbox_and_only_there(make_room, node):
    room = make_room(*TIERS)
    (room.root / "a.txt").write_text("what the file says")
    (room.base / "home" / "secret.txt").write_text("PRIVATE")
    await room.start(fs={"command": [node, str(entry_point("server-filesystem")), str(room.root)], "timeout_s": 30})
    assert room.entry("fs")["sandbox"] == "bubblewrap"
    names = {tool.spec.name for tool in room.servers.tools()}
    assert {"mcp__fs__read_text_file", "mcp__fs__write_file", "mcp__fs__directory_tree"} <= names
    assert "refusedTools" not in room.entry("fs")
    read = await room.call("mcp__fs__read_text_file", path=str(room.root / "a.txt"))
    assert "what the file says" in read.content
    await room.call("mcp__fs__write_file", path=str(room.root / "b.txt"), content="written")
    assert (room.root / "b.txt").read_text() == "written"
    outside = await room.call("mcp__fs__read_text_file", path=str(room.base / "home" / "secret.txt"))
    assert outside.is_error
    assert "PRIVATE" not in outside.content
    assert [ask.tool for ask in room.asked] == [
        "mcp__fs__read_text_file",
        "mcp__fs__write_file",
        "mcp__fs__read_text_file",
    ]


async def test_a_real_server_with_everything_is_understood(make_room, node):
    room = make_room(*TIERS)
    block = {"command": [node, str(entry_point("server-everything")), "stdio"], "timeout_s": 30}
    await room.start(every=block)
    room.world.model = Model("fake", "m", supports_images=True)
    names = [tool.spec.name for tool in room.servers.tools()]
    assert "mcp__every__echo" in names
    assert "hello" in (await room.call("mcp__every__echo", message="hello")).content
    image = next(name for name in names if "image" in name)
    assert (await room.call(image)).mime_type == "image/png"
    assert room.servers.prompts()
    assert room.servers.instructions()
    server, resource = room.servers.resources("every")[0]
    assert server == "every"
    read = await room.call("read_mcp_resource", mcp_name="every", uri=resource["uri"])
    assert resource["uri"] in read.content
