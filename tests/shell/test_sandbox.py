# ruff: noqa: E501  # tables read better in few lines

import os
from pathlib import Path

import pytest

from lsp_agent.policy.protected import is_protected, is_secret
from lsp_agent.shell import probe, sandbox, seccomp
from lsp_agent.shell.environment import child_environment, search_path
from lsp_agent.shell.ground import (
    NEVER_MADE,
    NEVER_MADE_IN_GIT,
    SECRET_PLACES,
    Ground,
    Lookout,
    Placeholders,
    absent_places,
    set_aside,
)  # fmt: skip
from lsp_agent.shell.sandbox import Sandbox
from lsp_agent.shell.spawner import Order, Spawner


def make(root: Path, **more) -> Sandbox:
    return Sandbox(
        Spawner(), roots=lambda: [root], is_protected=is_protected, is_secret=is_secret, environ=os.environ, **more
    )


async def test_a_tier_that_does_not_hold_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox, "_missing", lambda tier: None)
    monkeypatch.setattr(sandbox, "build_order", lambda tier, ground, order: order)
    box = make(tmp_path)
    assert await box.tier() == "none"
    assert "a command inside it" in box.describe()
    assert "every command asks" in box.describe()


async def test_a_tier_that_does_not_start_is_not_used(monkeypatch, tmp_path):
    def broken(tier: str, ground: Ground, order: Order) -> Order:
        return Order(["/nonexistent/bwrap"], order.cwd, order.env)

    monkeypatch.setattr(sandbox, "_missing", lambda tier: None)
    monkeypatch.setattr(sandbox, "build_order", broken)
    assert await make(tmp_path).tier() == "none"


@pytest.mark.parametrize(
    ("weak", "said"),
    [
        (lambda ground, order: order, "writes outside"),
        (lambda ground, order: Order(["/bin/true"], order.cwd, order.env), "does not run"),
    ],
)
async def test_the_probe_finds_what_is_weak(weak, said):
    assert said in (await probe.break_out(Spawner(), weak) or "")


async def test_the_tier_is_probed_once_and_described(tmp_path):
    box = make(tmp_path)
    assert "not probed" in box.describe()
    tier = await box.tier()
    assert tier in sandbox.TIERS
    assert await box.tier() == tier
    print(f"\nsandbox on this machine: {box.describe()}")


async def test_only_the_tiers_that_are_configured_are_tried(tmp_path):
    assert await make(tmp_path, tiers=("none",)).tier() == "none"
    assert await make(tmp_path, tiers=()).tier() == "none"


def test_every_name_that_may_not_be_made_is_protected():
    assert [name for name in NEVER_MADE if not is_protected(name) and not is_protected(f"{name}/a.json")] == []
    assert [name for name in NEVER_MADE_IN_GIT if not is_protected(f".git/{name}")] == []


def test_looking_finds_the_topmost_protected_and_secret_places(tmp_path):
    for name in (
        ".git/hooks/a",
        ".git/objects/x",
        "sub/.git/config",
        ".vscode/settings.json",
        ".env",
        "deep/er/id_rsa",
        "a.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "link.pem").symlink_to("a.py")
    found = Lookout(is_protected, is_secret).look(tmp_path)
    names = {Path(path).relative_to(tmp_path).as_posix() for path in found.protected}
    assert {".git/hooks", "sub/.git/config", ".vscode/settings.json"} <= names
    assert {Path(path).relative_to(tmp_path).as_posix() for path in found.secret} == {".env", "deep/er/id_rsa"}
    assert found.complete


async def test_where_not_every_secret_can_be_found_wide_reading_asks(tmp_path, monkeypatch):
    (tmp_path / "a").touch()
    box = make(tmp_path)
    assert await box.cover()
    monkeypatch.setattr("lsp_agent.shell.ground.MAX_ENTRIES", 0)
    assert not await box.cover()


def test_placeholders_stay_until_the_last_user_is_gone(tmp_path):
    places, path = Placeholders(), tmp_path / "hooks"
    first, second = places.take([path]), places.take([path])
    assert first == second == (str(path),)
    places.give_back(first)
    assert path.exists()
    places.give_back(second)
    assert not path.exists()
    path.write_text("somebody's")
    assert places.take([path]) == ()
    assert path.exists()


def test_what_was_made_is_set_aside_and_what_was_there_is_not(tmp_path):
    (tmp_path / "AGENTS.md").touch()
    absent = absent_places(tmp_path)
    (tmp_path / ".mcp.json").write_text("{}")
    (tmp_path / ".husky").mkdir()
    assert sorted(Path(name).name for name in set_aside(absent)) == [
        ".husky.made-by-a-command", ".mcp.json.made-by-a-command",
    ]  # fmt: skip
    assert (tmp_path / "AGENTS.md").exists()


def test_SH_09_the_environment_is_a_short_list(tmp_path):
    server = {
        "HOME": "/h", "PATH": f"/usr/bin:.:rel:{tmp_path}/bin::/usr/../bin", "LC_TIME": "C", "ANTHROPIC_API_KEY": "x", "LD_PRELOAD": "x",
        "BASH_ENV": "x", "ENV": "x", "GIT_SSH_COMMAND": "x", "PYTHONPATH": "x", "NODE_OPTIONS": "x", "BASH_FUNC_ls%%": "() { x; }", "PS4": "x",
        "IFS": "x", "PERL5OPT": "x", "GIT_DIR": "x", "SSH_AUTH_SOCK": "x", "PAGER": "evil", "EDITOR": "evil", "PROMPT_COMMAND": "x",
    }  # fmt: skip
    (tmp_path / "bin").mkdir()
    env = child_environment(server, [tmp_path])
    assert "x" not in env.values()
    assert "evil" not in env.values()
    assert (env["HOME"], env["LC_TIME"], env["PAGER"], env["GIT_TERMINAL_PROMPT"]) == ("/h", "C", "cat", "0")
    assert all(entry.startswith("/") and not entry.startswith(str(tmp_path)) for entry in env["PATH"].split(":"))
    assert search_path("", []) != []


def test_the_filter_knows_the_usual_machines(monkeypatch):
    for machine in ("x86_64", "aarch64"):
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        program = seccomp.filter_bytes(sockets={2, 10}, keep_ownership=True)
        assert program is not None
        assert len(program) % 8 == 0
        assert len(program) // 8 < 256  # jumps are one byte wide
    monkeypatch.setattr("platform.machine", lambda: "vax")
    assert seccomp.filter_bytes(sockets=(), keep_ownership=False) is None


async def test_secrets_of_the_home_directory_are_hidden_from_commands_that_work(make_shell):
    for tier in ("bubblewrap", "landlock"):
        shell = make_shell(tier, "none")
        if await shell.sandbox.tier() != tier:
            continue
        for name in (".ssh/id_rsa", ".aws/credentials", ".config/gh/hosts.yml"):
            path = shell.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("canary-in-home")
        result = await shell.run(f"cat {shell.home}/.ssh/* {shell.home}/.aws/* {shell.home}/.config/gh/* 2>&1; true")
        assert "canary-in-home" not in result.content
    assert ".ssh" in SECRET_PLACES


async def test_a_terminal_number_that_is_unknown_and_a_missing_shell_are_tool_errors(shell, monkeypatch):
    from lsp_agent.domain.errors import ToolError
    from lsp_agent.tools.registry import shell_tools

    assert [tool.spec.name for tool in shell_tools(shell.jobs, lambda command: None)] == [
        "bash",
        "job_output",
        "job_kill",
    ]
    await shell.sandbox.tier()
    monkeypatch.setattr(sandbox, "find_shell", lambda: None)
    assert shell_tools(shell.jobs, lambda command: None) == []
    with pytest.raises(ToolError, match="no bash"):
        await shell.run("true x")
    assert shell.jobs.terminals("s1") == {"terminals": []}


async def test_FS_11_a_command_that_works_sees_nothing_of_secret_files_of_the_workspace(make_shell):
    shell = make_shell("bubblewrap", "none")  # Landlock cannot hide what lies in a writable place: there all these ask
    if await shell.sandbox.tier() != "bubblewrap":
        pytest.skip(shell.sandbox.describe())
    shell.world.file(".env", "KEY=canary-1\n")
    shell.world.file("deep/server.pem", "canary-2\n")
    result = await shell.run("X=1 cat .env deep/server.pem; echo out > made.txt; ls -a")
    assert "canary" not in result.content
    assert ".env" in result.content
    assert (shell.root / "made.txt").read_text() == "out\n"


@pytest.mark.parametrize("name", ["sitecustomize.py", ".bashrc", ".travis.yml", ".github/copilot-instructions.md"])
async def test_CF_07_a_protected_file_that_was_absent_is_set_aside_when_a_command_makes_it(shell, name):
    if await shell.sandbox.tier() == "none":
        pytest.skip(shell.sandbox.describe())
    await shell.run(f"mkdir -p $(dirname {name}); echo pwned > {name}; echo kept > other.txt")
    assert not (shell.root / name).exists()
    assert (shell.root / "other.txt").exists()
