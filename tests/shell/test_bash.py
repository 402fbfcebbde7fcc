# ruff: noqa: E501  # tables read better in few lines

import asyncio

import pytest

from lsp_agent.agent.arguments import problems
from lsp_agent.domain.errors import ToolError
from lsp_agent.policy.shell import judge
from lsp_agent.shell.display import visible
from tests.shell.conftest import git

SPOOFS = [
    "ls" + " " * 5000 + "; rm -rf src", "ls\r; touch canary", "ls \x1b[2K\x1b[1Gecho harmless", "ls \x1b[8m; touch canary", "echo \u202egnp.exe",
    "echo \u2066x\u2069", "echo a\u200bb", "echo \u200f", "echo \ufeff", "echo \U000e0041\U000e0042", "echo \x07", "echo \x08\x08\x08ls",
    "echo \x7f", "echo \u00a0", "echo \u3000", "echo \u2003", "echo \u2028touch canary", "echo \u2029x", "echo \u0085x", "echo \x0bx",
    "echo \x0cx", "echo \xadx", "echo \u061c", "echo \u180e", "echo \u2060", "echo \u2061", "echo \u2064", "echo \ufff9x", "echo \x9b2K",
    "echo \x90x\x9c", "echo \x1b]0;x\x07", "echo \x1bP x", "ls" + "\t" * 3 + " " * 50 + "#", "echo \u1680", "echo \u202f", "echo \u205f",
    "echo \u2067", "echo \u202a", "echo \u202b", "echo \u202d", "echo \U000e007f",
]  # fmt: skip


async def test_plain_reading_runs_unasked_and_sees_no_secret_and_no_way_to_write(shell):
    shell.world.file("a.txt", "needle\n")
    shell.world.file(".env", "needle=secret\n")
    shell.world.file("keys/server.pem", "needle in a key\n")
    if await shell.sandbox.tier() != "bubblewrap":
        pytest.skip("only bubblewrap hides single files")
    for command in ("cat ./*.txt", "grep -rn needle .", "ls -la", "find . -type f"):
        result = await shell.run(command)
        assert "secret" not in result.content
        assert "in a key" not in result.content
    assert "needle" in (await shell.run("grep -rn needle a.txt")).content
    assert shell.asked == []


async def test_other_commands_ask_and_a_no_goes_to_the_model(shell):
    shell.answer = False
    result = await shell.run("touch made")
    assert (result.is_error, result.content, result.status) == (True, "no", "rejected")
    assert not (shell.root / "made").exists()
    assert len(shell.asked) == 1
    ask = shell.asked[0]
    assert ask.subject["type"] == "command"
    assert (ask.subject["command"], ask.subject["cwd"]) == ("touch made", str(shell.root))
    assert ask.action == "execute"
    assert ask.description == "The model says: a test"
    assert ask.pattern == "touch made"


async def test_without_a_sandbox_every_command_asks(make_shell):
    shell = make_shell("none")
    await shell.run("ls")
    shell.world.mode = "full-auto"
    await shell.run("pwd")
    assert [ask.subject["sandbox"] for ask in shell.asked] == ["none", "none"]


async def test_under_landlock_full_auto_asks_and_plain_reading_does_not(make_shell):
    shell = make_shell("landlock", "none")
    if await shell.sandbox.tier() != "landlock":
        pytest.skip("no Landlock here")
    shell.world.mode = "full-auto"
    await shell.run("git status")
    assert shell.asked == []
    await shell.run("touch x")
    assert len(shell.asked) == 1


async def test_full_auto_runs_in_bubblewrap_without_asking_but_not_what_destroys(shell):
    if await shell.sandbox.tier() != "bubblewrap":
        pytest.skip("no bubblewrap here")
    shell.world.mode = "full-auto"
    await shell.run("for i in 1 2; do touch made$i; done")
    assert (shell.root / "made2").exists()
    assert shell.asked == []
    await shell.run("git reset --hard || true")
    assert len(shell.asked) == 1


async def test_reading_through_a_link_that_leads_out_asks(shell):
    (shell.home / "notes").write_text("private")
    (shell.root / "link").symlink_to(shell.home / "notes")
    shell.answer = False
    await shell.run("cat link")
    await shell.run("cat ../home/notes")
    await shell.run(f"cat {shell.home}/notes")
    assert len(shell.asked) == 3


@pytest.mark.parametrize("command", SPOOFS)
async def test_SH_13_nothing_can_hide_in_what_the_user_is_shown(command):
    shown, hidden = visible(command)
    assert hidden
    assert all(ch in "\n\t" or (ch.isprintable() and ch not in "\u00a0\u3000\u2003") for ch in shown)
    assert " " * 9 not in shown
    assert judge(command).effect == "ask"


async def test_SH_13_the_question_says_so_and_offers_no_pattern(shell):
    shell.answer = False

    command = "echo ok \u202e; touch x"
    await shell.run(command)
    ask = shell.asked[0]
    assert "contains hidden characters" in ask.title
    assert "\\u{202e}" in ask.title
    assert ask.subject["command"] == command
    assert ask.subject["bytes"] == len(command.encode())
    assert ask.subject["hiddenCharacters"] is True
    assert ask.pattern is None


async def test_SH_13_both_ends_of_a_long_command_are_shown(shell):
    shell.answer = False
    await shell.run("echo " + "a" * 9000 + " && touch end-of-it")
    assert "end-of-it" in shell.asked[0].title
    assert "end-of-it" in shell.asked[0].subject["shown"]


async def test_SH_14_a_grant_is_for_this_command_in_this_directory_with_these_files(shell):
    shell.answer = False
    script = shell.world.file("run.sh", "echo one")
    (shell.root / "sub").mkdir()
    await shell.run("bash run.sh")
    script.write_text("echo two")
    await shell.run("bash run.sh")
    await shell.run("touch a")
    await shell.run("touch b")
    await shell.run("touch a", working_dir="sub")
    patterns = [ask.pattern for ask in shell.asked]
    assert len(set(patterns)) == 5
    assert all(pattern and pattern.isprintable() for pattern in patterns)
    await shell.run("touch $(echo a)")
    assert shell.asked[-1].pattern is None


async def test_SH_14_a_script_changed_while_the_user_is_asked_does_not_run(shell):
    script = shell.world.file("run.sh", "echo one")
    shell.world.approver.meanwhile = lambda ask: script.write_text("touch canary")
    with pytest.raises(ToolError, match="changed while permission was asked"):
        await shell.run("bash run.sh")
    assert not (shell.root / "canary").exists()


@pytest.mark.parametrize("key", ["dangerouslyDisableSandbox", "sandbox", "network", "env", "stdin", "timeout", "mode"])
async def test_SH_15_no_argument_takes_a_wall_down(shell, key):
    assert problems({"command": "ls", "description": "x", key: True}, shell.bash.spec.input_schema)


WRITERS = [
    "echo x > {}", "echo x >> {}", "cat a > {}", "tee {} < a", "cp a {}", "mv a {}", "sed -i s/x/y/ {}", "dd if=a of={}", "install a {}",
    "truncate -s 0 {}", "ln -sf a {}", "rm -f {}", "touch {}", "python3 -c \"open('{}','w')\"", "perl -e 'open(F,\">{}\")||die'",
    "awk 'BEGIN{{print 1 > \"{}\"}}'", "git config -f {} a.b c", "patch {} a", "sort -o {} a", "rsync a {}", "chmod +x {}", "unlink {}",
]  # fmt: skip


async def test_SH_16_no_writer_gets_at_what_is_protected_whatever_was_allowed(shell):
    if await shell.sandbox.tier() != "bubblewrap":
        pytest.skip("no bubblewrap here")
    git(shell.root, "init", "-q")
    targets = [".git/hooks/pre-commit", ".vscode/settings.json", ".git/config", ".mcp.json"]
    for name in targets[:2]:
        shell.world.file(name, "as it was")
    shell.world.file("a", "x\n")
    before = {name: (shell.root / name).read_bytes() for name in targets[:3]}
    for name in targets:
        script = "\n".join(
            [f"({writer.replace('{{', '{').replace('}}', '}').replace('{}', name)}) 2>/dev/null" for writer in WRITERS]
        )
        await shell.run(f"cp a b; {script}; cp b a; true", auto_background_after=50)
    assert {name: (shell.root / name).read_bytes() for name in targets[:3]} == before
    assert not (shell.root / ".mcp.json").exists()
    result = await shell.run("echo '{}' > .mcp.json; mkdir -p .vscode2 .husky; touch .git/config.worktree")
    assert not (shell.root / ".mcp.json").exists()
    assert (shell.root / ".mcp.json.made-by-a-command").exists()
    assert ".husky.made-by-a-command" in result.content
    assert not (shell.root / ".git" / "config.worktree").exists()


async def test_SH_16_what_only_reads_cannot_write_by_any_trick(shell):
    if await shell.sandbox.tier() == "none":
        pytest.skip("no sandbox here")
    git(shell.root, "init", "-q")
    shell.world.file("evil.sh", f"#!/bin/sh\ntouch {shell.root}/canary\necho hi\n").chmod(0o755)
    shell.world.file(".gitattributes", "* filter=evil diff=evil\n")
    shell.world.file("a.txt", "one\n")
    git(shell.root, "add", "a.txt")
    git(shell.root, "commit", "-qm", "x")
    for name in (
        "core.fsmonitor",
        "diff.external",
        "filter.evil.clean",
        "filter.evil.smudge",
        "diff.evil.textconv",
        "core.pager",
        "core.sshCommand",
    ):
        git(shell.root, "config", name, f"{shell.root}/evil.sh")
    shell.world.file("a.txt", "two\n")
    for command in ("git status", "git diff", "git log -p", "git show", "git blame a.txt", "git grep -n one"):
        await shell.run(command)
    assert shell.asked == []
    assert not (shell.root / "canary").exists()


async def test_SH_02_what_is_asked_about_is_what_runs(shell):
    result = await shell.run("echo $(echo inner) `echo tick` $((1+1))")
    assert result.content.startswith("inner tick 2")
    assert len(shell.asked) == 1


async def test_two_commands_at_once_do_not_disturb_each_other(shell):
    git(shell.root, "init", "-q")
    results = await asyncio.gather(*[shell.run(f"touch made{n}; sleep 0.1; echo {n}") for n in range(4)])
    assert [result.content[0] for result in results] == ["0", "1", "2", "3"]
    names = {path.name for path in (shell.root / ".git").iterdir()}
    assert "config.worktree" not in names
    assert shell.sandbox._placeholders.standing() == []


async def test_the_title_never_fails(shell):
    for arguments in ({}, {"command": None}, {"command": 3}, {"command": "ls \x1b"}, {"command": "a\nb" * 100}):
        title = shell.bash.title(arguments)
        assert title.startswith("Run ")
        assert len(title) < 120
