"""What a user may write as hooks, and what is dropped with a word."""

import json

import pytest

from lsp_agent.hooks.config import HookBook, event_name, load_claude, read_hooks
from lsp_agent.hooks.matching import make_matcher, names_of


def meant(matcher, tool, *, claude=False):
    return make_matcher(matcher, claude=claude)(names_of(tool))


def test_both_shapes_are_read_also_beside_each_other():
    found = read_hooks(
        {
            "pre_tool_use": [
                {"matcher": "^bash$", "command": "./check", "timeout": 5, "name": "check"},
                {"matcher": "Edit|Write", "hooks": [{"type": "command", "command": "fmt"}, {"command": "lint"}]},
            ],
            "Stop": [{"command": "say done"}],
        }
    )
    assert found.problems == ()
    assert [(h.event, h.command, h.timeout_s, h.claude) for h in found.hooks] == [
        ("PreToolUse", "./check", 5.0, False),
        ("PreToolUse", "fmt", 30.0, True),
        ("PreToolUse", "lint", 30.0, True),
        ("Stop", "say done", 30.0, False),
    ]
    assert [hook.label for hook in found.hooks][:2] == ["check", "fmt"]


@pytest.mark.parametrize(
    "text", ["PreToolUse", "pretooluse", "pre_tool_use", "PRE_TOOL_USE", "Pre_Tool_Use", "pre-tool-use"]
)
def test_names_of_events_are_matched_without_case_and_underscores(text):
    assert event_name(text) == "PreToolUse"


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({"PreToolUse": [{"matcher": "(", "command": "x"}]}, "regular expression"),
        ({"PreToolUse": [{"matcher": 3, "command": "x"}]}, "matcher"),
        ({"PreToolUse": [{"matcher": "bash"}]}, "command"),
        ({"PreToolUse": [{"command": "  "}]}, "command"),
        ({"PreToolUse": [{"command": "x", "timeout": 0}]}, "timeout"),
        ({"PreToolUse": [{"command": "x", "timeout": True}]}, "timeout"),
        ({"PreToolUse": [{"command": "x", "timeout": 1e9}]}, "timeout"),
        ({"PreToolUse": {"command": "x"}}, "list"),
        ({"PreToolUse": ["x"]}, "table"),
        ({"PreToolUse": [{"hooks": [{"type": "prompt", "prompt": "x"}]}]}, "not supported"),
        ({"PreToolUse": [{"hooks": "x"}]}, "list"),
        ({"BeforeLunch": [{"command": "x"}]}, "never fires"),
    ],
)
def test_a_hook_that_cannot_be_understood_is_dropped_and_spoken_of(table, word):
    good = {"PostToolUse": [{"command": "good"}]}
    found = read_hooks(table | good)
    assert [hook.command for hook in found.hooks] == ["good"]
    assert len(found.problems) == 1
    assert word in found.problems[0]
    assert next(iter(table)) in found.problems[0]


def test_a_matcher_of_ours_is_searched_for_in_both_names():
    assert meant("", "bash")
    assert meant("*", "anything")
    assert meant("bash", "bash")
    assert meant("Bash", "bash")
    assert meant("^Read$", "view")
    assert meant("edit", "multiedit")
    assert meant("mcp__github__.*", "mcp__github__create_issue")
    assert not meant("^bash$", "bashful")
    assert not meant("Write", "edit")


def test_a_matcher_in_claudes_shape_names_whole_tools_unless_it_is_an_expression():
    assert meant("Write", "write", claude=True)
    assert not meant("Write", "todos", claude=True), "TodoWrite is another tool"
    assert meant("Edit|Write", "multiedit", claude=True), "who guards Edit guards what edits several places"
    assert meant("mcp__memory__.*", "mcp__memory__store", claude=True)
    assert meant("Notebook.*|^Bash", "bash", claude=True)


def test_an_expression_that_takes_for_ever_does_not_let_a_tool_get_round_its_hook():
    assert meant("^(a|aa)+$", "a" * 60 + "!")


def test_claudes_own_settings_are_read_when_the_user_says_so(tmp_path):
    home, project = tmp_path / "home", tmp_path / "project"
    settings = home / ".claude" / "settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        json.dumps(
            {
                "model": "opus",
                "hooks": {
                    "PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "guard"}]}],
                    "Notification": [{"hooks": [{"type": "command", "command": "beep"}]}],
                },
            }
        )
    )
    book = HookBook(home, lambda: [project])
    book.follow({"PreToolUse": [{"command": "own"}]})
    assert [hook.command for hook in book.current.hooks] == ["own"]
    for value in (True, "~/.claude/settings.json", str(settings)):
        book.follow({"PreToolUse": [{"command": "own"}], "claude_settings": value})
        assert [hook.command for hook in book.current.hooks] == ["own", "guard"]
        assert book.current.problems == ()
    book.follow({"claude_settings": False})
    assert book.current.hooks == ()


@pytest.mark.parametrize("value", ["settings.json", "PROJECT/.claude/settings.json", "PROJECT/link.json", 3])
def test_CF_01_a_settings_file_of_the_workspace_is_never_read(tmp_path, value):
    home, project = tmp_path / "home", tmp_path / "project"
    (project / ".claude").mkdir(parents=True)
    hooks = {"hooks": {"PreToolUse": [{"hooks": [{"type": "command", "command": "evil"}]}]}}
    (project / ".claude" / "settings.json").write_text(json.dumps(hooks))
    (project / "link.json").symlink_to(project / ".claude" / "settings.json")
    book = HookBook(home, lambda: [project])
    book.follow({"claude_settings": value.replace("PROJECT", str(project)) if isinstance(value, str) else value})
    assert book.current.hooks == ()
    assert len(book.current.problems) == 1


@pytest.mark.parametrize("text", ["", "[]", "{", '{"hooks": []}', '{"hooks": {"Stop": 3}}', "[" * 100_000])
def test_a_broken_settings_file_has_no_hooks(tmp_path, text):
    path = tmp_path / "settings.json"
    path.write_text(text)
    assert load_claude(path).hooks == ()
    assert load_claude(tmp_path / "absent").problems


def test_claudes_switch_that_turns_all_hooks_off_is_obeyed(tmp_path):
    path = tmp_path / "settings.json"
    hook = {"hooks": [{"type": "command", "command": "x"}]}
    path.write_text(json.dumps({"disableAllHooks": True, "hooks": {"Stop": [hook]}}))
    assert load_claude(path).hooks == ()
