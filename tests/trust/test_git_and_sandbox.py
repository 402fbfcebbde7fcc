"""RELIABILITY CF-07 and CF-08 in the real sandbox: what a repository makes git run reaches nothing."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lsp_agent.shell.ground import NEVER_MADE
from tests.shell.conftest import Shell, git


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    root, home = tmp_path / "w", tmp_path / "home"
    root.mkdir()
    home.mkdir()
    made = Shell(root, ("bubblewrap", "none"), home)
    if await made.sandbox.tier() != "bubblewrap":
        pytest.skip(made.sandbox.describe())
    made.world.mode = "full-auto"
    yield made
    await made.jobs.close()


class Canary:
    """A listener on loopback and a place outside the workspace; nothing may reach either."""

    def __init__(self, outside: Path) -> None:
        self.outside = outside
        self.calls = 0
        self.port = 0

    async def __aenter__(self) -> "Canary":
        async def called(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.calls += 1
            writer.close()

        self._server = await asyncio.start_server(called, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def script(self, root: Path) -> Path:
        path = root / "evil.sh"
        path.write_text(
            f"#!/bin/bash\ntouch {self.outside}/canary ~/canary {root}/.git/hooks/pre-push\n"
            f"exec 3<>/dev/tcp/127.0.0.1/{self.port}\ncat\n"
        )
        path.chmod(0o755)
        return path

    def is_quiet(self) -> bool:
        return self.calls == 0 and not any(self.outside.rglob("canary"))


async def test_CF_08_what_a_repository_makes_git_run_gets_neither_out_nor_into_the_hooks(shell: Shell, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    async with Canary(outside) as canary:
        evil = canary.script(shell.root)
        git(shell.root, "init", "-q")
        shell.world.file(".gitattributes", "*.txt filter=evil diff=evil\n")
        shell.world.file("a.txt", "one\n")
        git(shell.root, "add", "a.txt")
        git(shell.root, "commit", "-qm", "x")
        for name in (
            "core.fsmonitor",
            "diff.external",
            "filter.evil.clean",
            "filter.evil.smudge",
            "diff.evil.textconv",
        ):
            git(shell.root, "config", name, str(evil))
        for hook in ("pre-commit", "post-index-change", "post-checkout", "reference-transaction"):
            path = shell.root / ".git" / "hooks" / hook
            path.write_text(evil.read_text())
            path.chmod(0o755)
        shell.world.file("a.txt", "two\n")
        for command in (
            *("git status", "git diff", "git log -p -1", "git add -A", "git stash list", "git checkout -- a.txt"),
            "git -c user.name=n -c user.email=e commit -qm y",
        ):
            await shell.run(command)
        assert [ask.subject["command"] for ask in shell.asked] == [
            "git checkout -- a.txt"
        ]  # it destroys; the user agrees
        assert canary.is_quiet()
        assert not (shell.root / ".git/hooks/pre-push").exists()
        assert not (shell.home / "canary").exists()
        await asyncio.to_thread(git, shell.root, "status")  # the trap is real: without walls it goes off
        assert not canary.is_quiet()


async def test_CF_08_a_bare_repository_inside_a_clone_is_not_obeyed(shell: Shell, tmp_path: Path):
    async with Canary(tmp_path / "outside") as canary:
        canary.outside.mkdir()
        evil = canary.script(shell.root)
        git(shell.root, "init", "-q")
        bare = shell.root / "docs" / "theme"
        bare.mkdir(parents=True)
        git(bare, "init", "-q", "--bare", ".")
        (bare / "config").write_text(
            f"[core]\nrepositoryformatversion = 0\nbare = false\nworktree = {bare}\nfsmonitor = {evil}\n"
        )
        result = await shell.run("cd docs/theme && git status; git diff; true")
        assert "safe.bareRepository" in result.content
        assert canary.is_quiet()


async def test_CF_08_a_command_can_write_neither_the_configuration_nor_the_hooks_of_git(shell: Shell):
    git(shell.root, "init", "-q")
    before = (shell.root / ".git" / "config").read_bytes()
    hooks = {path.name for path in (shell.root / ".git" / "hooks").iterdir()}
    for command in (
        "git config core.fsmonitor ./evil.sh",
        "git config core.hooksPath .",
        "printf '[core]\\nfsmonitor = ./evil.sh\\n' >> .git/config",
        "mv .git/config .git/old; echo x > .git/config",
        "echo x > .git/hooks/pre-commit",
        "python3 -c \"open('.git/hooks/post-merge','w').write('x')\"",
        "mkdir -p .git/info && echo '* filter=evil' > .git/info/attributes",
    ):
        await shell.run(command)
    assert (shell.root / ".git" / "config").read_bytes() == before
    assert {path.name for path in (shell.root / ".git" / "hooks").iterdir()} == hooks
    attributes = shell.root / ".git" / "info" / "attributes"
    assert not attributes.exists() or attributes.read_bytes() == b""


async def test_CF_07_protected_names_that_were_there_and_those_that_were_not_stay_as_they_were(shell: Shell):
    there = (".vscode/settings.json", ".mcp.json", ".claude/settings.json")
    for name in there:
        shell.world.file(name, "mine\n")
    absent = [name for name in NEVER_MADE if not any(Path(each).parts[0] == Path(name).parts[0] for each in there)]
    lines = [f"rm -rf {name}; echo evil > {name}" for name in there]
    lines += [f'mkdir -p "$(dirname {name})"; echo evil > "{name}"' for name in absent]
    await shell.run("; ".join(lines) + "; true")
    assert [name for name in there if (shell.root / name).read_text() != "mine\n"] == []
    found = [name for name in absent if os.path.lexists(shell.root / name)]
    assert found == []
