"""Sub-agents from markdown files: the head, Claude's names, whose files count."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.config.keys import MODES
from lsp_agent.subagents.definitions import MAX_BYTES, NEVER_GIVEN, narrower, parse
from lsp_agent.subagents.library import Library


def read(text, stem="file", scope="user"):
    return parse(text, stem, scope=scope, source=f"/{stem}.md")


def test_a_file_written_for_claude_code_is_understood():
    one = read(
        "---\nname: Code-Reviewer\ndescription: >\n  Reviews code.\n  Use after edits.\n"
        "tools: Read, Grep, Glob, Bash(git:*), Task, WebFetch\nmodel: sonnet\npermissionMode: acceptEdits\n"
        "color: blue\n---\n\nYou review.\n\nBe kind."
    )
    assert (one.name, one.description, one.prompt) == (
        "code-reviewer",
        "Reviews code. Use after edits.",
        "You review.\n\nBe kind.",
    )
    assert one.tools == {"view", "grep", "glob", "bash", "job_output", "job_kill", "fetch"}
    assert (one.model, one.mode) == ("", "accept-edits")


def test_a_head_as_generators_of_agents_write_it_is_understood_though_it_is_not_yaml():
    one = read(
        '---\nname: tester\ndescription: Use this agent to test. Examples: <example>user: "test it"\\nassistant: '
        "'Now: the tester'</example>\ntools: Read, Bash\nmodel: haiku\ncolor: cyan\n---\n\nYou test."
    )
    assert one.description.startswith("Use this agent to test. Examples: <example>user:")
    assert one.tools == {"view", "bash", "job_output", "job_kill"}
    assert one.model == "small"


@pytest.mark.parametrize("line", ["tools: {a: b}", "disallowedTools:\n  Bash: no", "mode: {plan: yes}"])
def test_a_limit_that_cannot_be_understood_is_no_definition(line):
    with pytest.raises(ValueError, match="neither a text nor a list"):
        read(f"---\ndescription: d\n{line}\n---\nb")


def test_a_limit_without_a_value_gives_nothing():
    assert read("---\ndescription: d\ntools:\n---\nb").tools == frozenset()


@pytest.mark.parametrize(
    ("tools", "wanted"),
    [
        ("", None),
        ("tools: '*'\n", None),
        ("tools: [view, 'LS']\n", {"view", "ls"}),
        ("tools:\n  - Edit\n  - mcp__github__search\n", {"edit", "mcp__github__search"}),
        ("tools: Read, Bash\ndisallowedTools: Bash\n", {"view"}),
        ("disallowedTools: Grep\n", {"view", "glob", "ls"}),
        ("tools: agent, question, agentic_fetch\n", set()),
        ("tools: Unheard\n", {"Unheard"}),
    ],
)
def test_the_tools_of_a_definition(tools, wanted):
    one = read(f"---\ndescription: d\n{tools}---\nbody")
    assert one.tools == wanted
    assert not any(one.allows(name) for name in NEVER_GIVEN)


@pytest.mark.parametrize(
    ("model", "wanted"),
    [("inherit", ""), ("haiku", "small"), ("small", "small"), ("local/x", "local/x"), ("gpt-9", ""), ("", "")],
)
def test_the_model_of_a_definition(model, wanted):
    assert read(f"---\ndescription: d\nmodel: {model}\n---\nbody").model == wanted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("body only", "description"),
        ("---\ndescription: d\n---\n   ", "prompt"),
        ("---\ndescription: d\nbody", "closing"),
        ("---\nname: a b!\ndescription: d\n---\nbody", "name"),
        ("---\nwhat is this\n---\nbody", "not `name: value`"),
    ],
)
def test_what_is_no_definition_says_why(text, reason):
    with pytest.raises(ValueError, match=reason):
        read(text)


def test_hidden_characters_in_a_file_of_a_project_make_it_unusable_and_are_cleaned_in_the_users():
    text = "---\ndescription: d\n---\nbody\U000e0041"
    with pytest.raises(ValueError, match="U\\+E0041"):
        read(text, scope="project")
    assert read(text).prompt == "body"


def test_an_unknown_mode_is_the_tightest_and_none_is_the_callers():
    assert read("---\ndescription: d\nmode: yolo\n---\nb").mode == "plan"
    assert read("---\ndescription: d\n---\nb").mode is None


@given(st.lists(st.sampled_from([*MODES, "unheard"]), min_size=1))
def test_narrowing_never_widens(modes):
    chosen = narrower(*modes)
    assert all(chosen not in MODES or mode not in MODES or MODES.index(chosen) <= MODES.index(mode) for mode in modes)
    assert chosen == "unheard" or "unheard" not in modes


def agent(directory, name, description="d", body="body"):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.md").write_text(f"---\nname: {name}\ndescription: {description}\n---\n{body}")


async def test_the_users_files_win_and_a_projects_count_only_where_admitted(tmp_path):
    home, project = tmp_path / "home", tmp_path / "project"
    agent(home, "mine")
    agent(home, "both", "the user's")
    agent(project / ".claude/agents", "both", "the project's")
    agent(project / ".lsp-agent/agents", "theirs")
    admitted = []
    library = Library([home], roots=lambda: [project], admits=lambda path: path in admitted)
    await library.refresh()
    assert list(library.definitions) == ["both", "mine"]
    admitted += [project / ".claude/agents/both.md", project / ".lsp-agent/agents/theirs.md"]
    await library.refresh()
    assert {name: one.scope for name, one in library.definitions.items()} == {
        "both": "user",
        "mine": "user",
        "theirs": "project",
    }
    assert library.definitions["both"].description == "the user's"
    assert [problem.reason for problem in library.problems] == [f"the name both is taken by {home}/both.md"]


async def test_a_link_is_admitted_by_where_it_leads(tmp_path):
    outside, project = tmp_path / "outside", tmp_path / "project"
    agent(outside, "far")
    (project / ".claude/agents").mkdir(parents=True)
    (project / ".claude/agents/near.md").symlink_to(outside / "far.md")
    asked = []
    library = Library(roots=lambda: [project], admits=lambda path: bool(asked.append(path)))
    await library.refresh()
    assert asked == [outside / "far.md"]
    assert library.definitions == {}


async def test_changed_files_are_read_again_and_broken_ones_listed(tmp_path):
    agent(tmp_path, "a", "before")
    library = Library([tmp_path])
    await library.refresh()
    known = library.definitions["a"]
    await library.refresh()
    assert library.definitions["a"] is known
    agent(tmp_path, "a", "after it was changed")
    (tmp_path / "big.md").write_bytes(b"x" * (MAX_BYTES + 1))
    (tmp_path / "raw.md").write_bytes(b"---\ndescription: \xff\n---\nx")
    os.mkfifo(tmp_path / "pipe.md")
    await library.refresh()
    assert library.definitions["a"].description == "after it was changed"
    assert {problem.path.rpartition("/")[2]: problem.reason for problem in library.problems} == {
        "big.md": f"it is larger than {MAX_BYTES} bytes",
        "raw.md": "it is not UTF-8",
    }
