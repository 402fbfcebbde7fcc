import pytest

from lsp_agent.policy.rules import MODES, Policy, Question

RUN = {"tool": "bash", "action": "execute", "sandbox": "bubblewrap"}


def verdict(command, *, mode="ask", allow=(), deny=(), **more):
    return Policy(allow=allow, deny=deny).decide(Question(**{**RUN, "command": command, "mode": mode, **more}))


def effect(command, **more):
    return str(verdict(command, **more).effect)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "plan"])
def test_plain_reading_is_allowed_in_every_mode_but_plan(mode):
    assert effect("git status", mode=mode) == "allow"
    assert effect("git status", mode="plan") == "deny"
    assert effect("git status", mode="no such mode") == "ask"


@pytest.mark.parametrize(
    ("sandbox", "reads", "reads_widely", "writes", "writes_full_auto"),
    [
        ("bubblewrap", "allow", "allow", "ask", "allow"),
        ("landlock", "allow", "ask", "ask", "ask"),
        ("none", "ask", "ask", "ask", "ask"),
        ("", "ask", "ask", "ask", "ask"),
        ("something new", "ask", "ask", "ask", "ask"),
    ],
)
def test_the_sandbox_decides_what_may_run_unasked(sandbox, reads, reads_widely, writes, writes_full_auto):
    assert effect("git status", sandbox=sandbox) == reads
    assert effect("grep -r x .", sandbox=sandbox) == reads_widely
    assert effect("make", sandbox=sandbox) == writes
    assert effect("make", sandbox=sandbox, mode="full-auto") == writes_full_auto


def test_without_a_sandbox_no_rule_grant_or_mode_lifts_the_asking():
    found = verdict("make test", sandbox="none", allow=["bash", "bash:make test"], granted=True, mode="full-auto")
    assert (str(found.effect), found.once_only) == ("ask", True)


def test_a_question_that_says_nothing_of_a_sandbox_has_none():
    assert Question("bash", "execute", "ask").sandbox == "none"


def test_deny_rules_and_earlier_refusals_come_first():
    assert effect("git status", deny=["bash:git status"]) == "deny"
    assert effect("ls; git status", deny=["bash:git status"]) == "deny"
    assert effect("git status", deny=["bash"]) == "deny"
    assert effect("git status", granted=False) == "deny"


def test_outside_the_workspace_asks_but_a_grant_for_exactly_this_holds():
    assert effect("ls", inside_workspace=False) == "ask"
    assert effect("make", inside_workspace=False, mode="full-auto") == "ask"
    assert effect("make", inside_workspace=False, granted=True) == "allow"


def test_rules_and_grants_allow_what_is_understood():
    assert effect("make test", allow=["bash:make test"]) == "allow"
    assert effect("make test", granted=True) == "allow"
    assert effect("make test; x", allow=["bash:make test"]) == "ask"


@pytest.mark.parametrize("command", ["ls '", "echo x | sh", "$x -rf /", "ls \u202e", "eval x", "; ".join(["ls"] * 51)])
def test_what_is_not_understood_asks_in_every_mode_and_is_never_granted(command):
    found = verdict(command, mode="full-auto", allow=["bash"], granted=True)
    assert (str(found.effect), found.once_only) == ("ask", True)
