"""Files that lie in a workspace nobody trusts must not be able to stop a run."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.guarantees.conftest import new_world
from tests.guarantees.world import World, turn

pytestmark = pytest.mark.process


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        yield made


def odd(directory: Path, name: str) -> None:
    """A link to itself, a pipe, a directory, a name that is no text, and a link chain too long to follow."""
    directory.mkdir(parents=True)
    (directory / name).symlink_to(name)
    os.mkfifo(directory / f"pipe-{name}")
    (directory / f"folder-{name}").mkdir()
    os.close(os.open(os.fsencode(directory) + b"/\xff\xfe-" + name.encode(), os.O_CREAT | os.O_WRONLY))
    for number in range(60):
        (directory / f"chain{number}-{name}").symlink_to(f"chain{number + 1}-{name}")


@pytest.mark.parametrize("trusted", [False, True])
async def test_links_to_themselves_and_pipes_stop_nothing(world: World, trusted: bool):
    for place, name in (
        (".lsp-agent/agents", "a.md"),
        (".claude/agents", "a.md"),
        (".claude/commands", "a.md"),
        (".lsp-agent/rules", "a.md"),
        (".agents/skills/s", "SKILL.md"),
        (".cursor/rules", "a.mdc"),
    ):
        odd(world.project / place, name)
    (world.project / "AGENTS.md").symlink_to("AGENTS.md")
    (world.project / ".lsp-agent.toml").symlink_to(".lsp-agent.toml")
    (world.project / ".git").symlink_to(".git")
    client = await world.start()
    if trusted:
        found = await client.request("agent/trust/set", {"root": world.project.as_uri(), "trusted": True})
        assert found["trusted"] is True
    for _ in range(2):
        _, end = await turn(client)
        assert (end["stopReason"], end["error"]) == ("end_turn", None)
    for method in ("rules", "commands", "tools"):
        await client.request(f"agent/{method}/list", {})
    assert (await client.request("agent/trust/get", {}))["trusted"] is trusted
