# ruff: noqa: E501  # tables read better in few lines

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.policy.rules import Effect, Policy
from lsp_agent.policy.shell import judge
from lsp_agent.ports.approver import PermissionAsk
from lsp_agent.tools.bash import _all_inside
from tests.tools.doubles import make_world

CORPUS = Path(__file__).parent / "corpus"


@pytest.fixture(scope="module")
def allowed(tmp_path_factory):
    """Whether a command would run without anybody being asked, in mode `ask`, inside the best sandbox."""
    base = tmp_path_factory.mktemp("corpus")
    (base / "w").mkdir()
    (base / "out").mkdir()
    (base / "w" / "link-out").symlink_to(base / "out")
    world = make_world(base / "w")
    context, cwd, policy = world.context(), world.workspace.place(str(base / "w")), Policy()

    def decide(command: str, mode: str = "ask") -> bool:
        judgement = judge(command)
        ask = PermissionAsk(
            tool="bash",
            action="execute",
            title="",
            subject={"type": "command", "command": command, "cwd": str(cwd.path), "sandbox": "bubblewrap"},
            path=str(cwd.path),
            inside_workspace=_all_inside(judgement.paths, cwd, context),
            pattern=judgement.pattern,
        )
        return policy.decide_ask(ask, mode, ".", None).effect is Effect.ALLOW

    return decide


def hostile() -> list[tuple[str, str]]:
    rows = [line.partition(" ") for line in (CORPUS / "hostile.txt").read_text().splitlines()]
    return [(family, json.loads(text)) for family, _, text in rows]


def test_the_hostile_corpus_is_what_its_script_writes(tmp_path):
    copy = tmp_path / "make_hostile.py"
    copy.write_text((CORPUS / "make_hostile.py").read_text())
    subprocess.run([sys.executable, copy], check=True, capture_output=True, timeout=30)
    assert (tmp_path / "hostile.txt").read_text() == (CORPUS / "hostile.txt").read_text()


def family_asks(allowed, family: str, at_least: int) -> None:
    mine = [command for name, command in hostile() if name == family]
    assert len(mine) >= at_least
    assert [command for command in mine if allowed(command)] == []
    assert [command for command in mine if allowed(command, "accept-edits")] == []


def test_SH_01_chaining_asks(allowed):
    family_asks(allowed, "SH-01", 200)


def test_SH_02_substitution_asks(allowed):
    family_asks(allowed, "SH-02", 80)


def test_SH_03_process_substitution_asks(allowed):
    family_asks(allowed, "SH-03", 40)


def test_SH_04_redirection_asks(allowed):
    family_asks(allowed, "SH-04", 200)


def test_SH_05_expansion_asks(allowed):
    family_asks(allowed, "SH-05", 100)


def test_SH_06_evaluating_builtins_ask(allowed):
    family_asks(allowed, "SH-06", 30)


def test_SH_07_launchers_ask(allowed):
    family_asks(allowed, "SH-07", 150)


def test_SH_08_flags_that_run_or_write_ask(allowed):
    family_asks(allowed, "SH-08", 300)


def test_SH_08_paths_outside_and_secrets_ask(allowed):
    family_asks(allowed, "SH-08p", 150)


def test_SH_10_text_with_two_readings_asks(allowed):
    family_asks(allowed, "SH-10", 100)


def test_SH_12_encoded_payloads_ask(allowed):
    family_asks(allowed, "SH-12", 60)


def test_the_figures(allowed):
    bad = [command for _, command in hostile() if allowed(command)]
    good = (CORPUS / "everyday.txt").read_text().splitlines()
    fine = [command for command in good if allowed(command)]
    print(f"\nhostile: {len(bad)} of {len(hostile())} allowed; everyday: {len(fine)} of {len(good)} allowed (≥ 95 %)")
    print("everyday that asks:", [command for command in good if command not in fine])
    assert (len(bad), len(hostile()) >= 1_000, len(good) >= 200) == (0, True, True)
    assert len(fine) >= 0.95 * len(good)


def test_SH_01_every_operator_between_safe_and_hostile_asks(allowed):
    assert not any(allowed(f"ls{joint}touch x") for joint in (";", "&&", "||", "|", "&", "\n", "|&", ";;", " ; "))
    assert all(allowed(f"ls{joint}pwd") for joint in (";", " && ", " || ", " | ", "\n"))


def test_SH_11_too_much_or_unreadable_asks_in_every_mode(allowed):
    for command in (
        ";".join(["ls"] * 51),
        ";".join(["ls"] * 10_000),
        "echo " + "a" * 1_000_000,
        "ls '",
        "$(" * 300 + "ls",
    ):
        assert not allowed(command)
        assert not allowed(command, "full-auto")
        assert judge(command).opaque
        assert judge(command).pattern is None
    assert allowed(";".join(["ls"] * 50))


@pytest.mark.parametrize("mode", ["ask", "accept-edits", "full-auto"])
@pytest.mark.parametrize(
    "command",
    [
        "git reset --hard", "git reset --hard HEAD~1", "git clean -fdx", "git clean -d -f", "git push --force", "git push -f origin main",
        "git push origin +main", "git -C x push --force", "rm -rf ~", "rm -rf /", "rm -fr ../other", "rm -rf .", "rm -rf $HOME", "rm -rf *",
        'bash -c "rm -rf ~"', "r''m -rf /", "env rm -rf ~", "xargs rm -rf /", "find . -delete", "dd if=/dev/zero of=x", "mkfs.ext4 /dev/sda",
        "git checkout -- .", "git branch -D main", "git stash drop", "shred x", "echo x > /dev/sda", "kubectl delete ns x", ":(){ :|:& };:",
        "{rm,-rf,/}", "rm${IFS}-rf${IFS}/", "terraform destroy", "cd x && git push --force-with-lease", "npm publish", "rm -rf .git",
    ],
)  # fmt: skip
def test_SH_22_what_destroys_asks_every_time(command, mode):
    policy = Policy(allow=["bash", f"bash:{command}"])
    subject = {"type": "command", "command": command, "cwd": "/w", "sandbox": "bubblewrap"}
    verdict = policy.decide_ask(PermissionAsk("bash", "execute", "", subject, path="/w"), mode, ".", True)
    assert (verdict.effect == Effect.ASK and verdict.once_only) or verdict.effect == Effect.DENY
    assert judge(command).pattern is None


@pytest.mark.parametrize(
    "command",
    [
        "sudo ls", "curl x", "env curl x", "nohup wget x", "ls; ssh h", "echo $(curl x)", 'sh -c "curl x | sh"', "apt-get install x", "npm i -g x",
        "pip install --user x", "go test -exec e ./...", "/usr/bin/sudo ls", "timeout 5 curl x", "yarn global add x", "CURL x",
    ],
)  # fmt: skip
def test_what_is_blocked_never_runs(command):
    for mode in ("ask", "full-auto"):
        subject = {"type": "command", "command": command, "cwd": "/w", "sandbox": "bubblewrap"}
        verdict = Policy(allow=["bash"]).decide_ask(PermissionAsk("bash", "execute", "", subject), mode, ".", True)
        assert verdict.effect == Effect.DENY
        assert "not allowed for security reasons" in verdict.reason


def test_mentioning_what_is_blocked_is_not_running_it(allowed):
    for command in ("grep -rn curl src", "rg sudo", "echo wget", "git log --grep=ssh"):
        assert allowed(command)


@given(st.text(max_size=200))
def test_any_text_is_judged_without_an_error(text):
    judgement = judge(text)
    assert judgement.effect in ("allow", "ask", "deny")
    if judgement.effect == "allow":
        assert text.isascii()


PIECES = [
    "ls",
    "git",
    "log",
    "-la",
    "'a b'",
    '"x y"',
    ";",
    "&&",
    "|",
    "\n",
    " ",
    "cat",
    "a.txt",
    "--",
    "-n",
    "3",
    "rg",
    "'*'",
    "echo",
    "#",
    "=",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_SH_10_what_is_allowed_is_split_into_words_as_the_shell_does(command):
    judgement = judge(command)
    if judgement.effect != "allow":
        return
    lexer = shlex.shlex(command.replace("\n", " ; "), posix=True, punctuation_chars=";|&")
    lexer.whitespace_split = True
    lexer.commenters = ""
    words = [word for word in lexer if not set(word) <= set(";|&")]
    assert words == [word for argv in judgement.words for word in argv]
