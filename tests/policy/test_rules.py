import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.policy.patterns import command_matches, path_matches
from lsp_agent.policy.rules import MODES, Effect, Policy, Question, parse_rule

READ = {"tool": "view", "action": "read", "path": "/w/a.py", "shown": "a.py"}
EDIT = {"tool": "edit", "action": "write", "path": "/w/a.py", "shown": "a.py"}
RUN = {"tool": "bash", "action": "execute", "command": "make test", "sandbox": "bubblewrap"}
OUT = {"path": "/etc/hosts", "shown": None, "inside_workspace": False}


def decide(question, *, mode="ask", allow=(), deny=(), **more):
    return str(Policy(allow=allow, deny=deny).decide(Question(**{**question, "mode": mode, **more})).effect)


@pytest.mark.parametrize(
    ("mode", "read", "edit", "run"),
    [
        ("ask", "allow", "ask", "ask"),
        ("plan", "allow", "deny", "deny"),
        ("accept-edits", "allow", "allow", "ask"),
        ("full-auto", "allow", "allow", "allow"),
        ("something else", "ask", "ask", "ask"),
    ],
)
def test_modes(mode, read, edit, run):
    assert (decide(READ, mode=mode), decide(EDIT, mode=mode), decide(RUN, mode=mode)) == (read, edit, run)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "plan"])
def test_outside_the_roots_always_asks(mode):
    assert decide({**READ, **OUT}, mode=mode) == "ask"
    assert decide({**EDIT, **OUT}, mode=mode) == "ask"
    assert decide({**EDIT, **OUT}, mode=mode, allow=["edit", "edit:/etc/**", "*"]) == "ask"


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "plan"])
def test_protected_paths_always_ask_whatever_was_allowed_before(mode):
    for shown in [".git/hooks/pre-commit", ".vscode/tasks.json", ".lsp-agent.toml", "sub/.mcp.json"]:
        question = {**EDIT, "path": f"/w/{shown}", "shown": shown}
        assert decide(question, mode=mode, allow=["edit", f"edit:{shown}"], granted=True) == "ask"
        assert Policy().decide(Question(**question, mode=mode)).once_only


def test_plan_mode_explains_itself_and_no_allow_rule_or_grant_lifts_it():
    verdict = Policy(allow=["edit"]).decide(Question(**EDIT, mode="plan", granted=True))
    assert (verdict.effect, "Plan mode" in verdict.reason) == (Effect.DENY, True)


def test_deny_beats_everything():
    assert decide(EDIT, mode="full-auto", allow=["edit"], deny=["edit:*.py"], granted=True) == "deny"
    assert decide(EDIT, mode="full-auto", granted=False) == "deny"
    assert decide({**READ, **OUT}, deny=["view"]) == "deny"


def test_allow_rules_lift_the_asking_of_a_mode_only():
    assert decide(EDIT, allow=["edit"]) == "allow"
    assert decide(EDIT, allow=["edit:write"]) == "allow"
    assert decide(EDIT, allow=["edit:src/**"]) == "ask"
    assert decide({**EDIT, "shown": "src/x/a.py"}, allow=["edit:src/**"]) == "allow"
    assert decide(RUN, allow=["bash:make test"]) == "allow"
    assert decide({**RUN, "command": "make test; rm -rf ~"}, allow=["bash:make test", "bash:make *"]) == "ask"


def test_SH_16_a_rule_for_edit_covers_every_tool_that_edits():
    for tool in ["edit", "multiedit", "write", "mcp_fs_write"]:
        assert decide({**EDIT, "tool": tool}, mode="full-auto", deny=["edit:a.py"]) == "deny"


def test_a_deny_rule_for_view_covers_grep():
    assert decide({**READ, "tool": "grep"}, deny=["view:a.py"]) == "deny"


@pytest.mark.parametrize("shown", [".env", "cfg/.env.local", "a.PEM", "id_rsa", ".npmrc"])
def test_FS_11_secret_files_ask_before_they_are_read(shown):
    question = {**READ, "path": f"/w/{shown}", "shown": shown}
    assert decide(question, mode="full-auto") == "ask"
    assert decide(question, allow=["view"]) == "ask"
    assert decide(question, allow=[f"view:{shown}"]) == "allow"
    assert decide(question, granted=True) == "allow"
    assert Policy().withholds(f"/w/{shown}", shown)


def test_searches_withhold_what_view_would_not_show():
    assert not Policy().withholds("/w/a.py", "a.py")
    assert Policy(deny=["view:private/**"]).withholds("/w/Private/a.py", "Private/a.py")


def test_a_write_to_an_unknown_place_asks():
    assert decide({"tool": "mcp_x", "action": "write"}, mode="full-auto") == "ask"
    assert decide({"tool": "mcp_x", "action": "teleport"}, mode="full-auto") == "ask"


@pytest.mark.parametrize("text", ["", ":", "bash:", ":x", "  "])
def test_a_text_that_is_no_rule_is_refused(text):
    with pytest.raises(ValueError, match="not a permission rule"):
        parse_rule(text)


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("src/**", "src/a", True),
        ("src/**", "src/a/b/c", True),
        ("src/**", "src", False),
        ("src/**", "src-secret/a", False),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/x/a.py", False),
        ("*.py", "x/y/a.py", True),
        ("**/t/*.py", "t/a.py", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "a/b", True),
        ("a?c", "abc", True),
        ("./a", "a", True),
        ("*a*b*c", "xxaxxbxxc", True),
        ("*a*b*c", "xxaxxcxxb", False),
    ],
)
def test_path_patterns(pattern, path, fits):
    assert path_matches(pattern, path, fold=False) is fits


def test_deny_patterns_ignore_case_and_composition():
    assert path_matches("secret/**", "SeCrEt/x", fold=True)
    assert path_matches("caf\u00e9/**", "cafe\u0301/x", fold=True)


@pytest.mark.parametrize(
    ("pattern", "command", "strict", "fits"),
    [
        ("git status", "git status", True, True),
        ("git status", "git status -s", True, False),
        ("git status *", "git status -s", True, True),
        ("git status *", "git status; rm x", True, False),
        ("git status *", "git status\nrm x", True, False),
        ("git status *", "git statusx", True, False),
        ("*", "rm -rf x", True, False),
        ("rm", "echo a;rm -rf x", False, True),
        ("git push", "cd x && git push -f", False, True),
        ("rm", "form", False, False),
    ],
)
def test_command_patterns(pattern, command, strict, fits):
    assert command_matches(pattern, command, strict=strict) is fits


@given(st.text("ab*?/", max_size=12), st.text("ab/", max_size=12))
def test_path_patterns_never_fail(pattern, path):
    assert path_matches(pattern, path, fold=False) in (True, False)
