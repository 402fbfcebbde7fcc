"""The comment that is an instruction."""

import pytest

from lsp_agent.server.tier0.marker import Marker, find_marker


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("# agent: add a docstring", "add a docstring"),
        ("x = 1  # Agent: rename x", "rename x"),
        ("// agent: use a map", "use a map"),
        ("/* agent: free the buffer */", "free the buffer"),
        ("<!-- agent: add a heading -->", "add a heading"),
        ("-- agent: add an index", "add an index"),
        (";; agent: memoize", "memoize"),
        ("(* agent: prove it *)", "prove it"),
        ("% agent: a figure", "a figure"),
    ],
)
def test_a_comment_in_many_languages_is_an_instruction(line, text):
    assert find_marker(f"first\n{line}\nlast\n", 1, 1) == Marker(1, text)


@pytest.mark.parametrize("line", ["agent: ubuntu", "user_agent: x", "# agent:", "# the agent said", 'print("# agent")'])
def test_other_text_is_none(line):
    assert find_marker(line, 0, 0, "yaml") is None


def test_prose_needs_no_comment_leader():
    assert find_marker("agent: shorten this", 0, 0, "markdown") == Marker(0, "shorten this")
    assert find_marker('" agent: map the key', 0, 0, "vim") == Marker(0, "map the key")


def test_the_comment_lines_below_belong_to_it():
    text = "# agent: rename it\n#   and its tests\n\n# something else\n"
    assert find_marker(text, 0, 0) == Marker(0, "rename it and its tests")
    assert find_marker(text, 1, 1) == Marker(0, "rename it and its tests")
    assert find_marker(text, 3, 3) is None


def test_the_next_marker_ends_the_one_before():
    text = "// agent: one\n// agent: two\n"
    assert find_marker(text, 0, 0) == Marker(0, "one")
    assert find_marker(text, 1, 1) == Marker(1, "two")


def test_only_the_lines_asked_for_are_looked_at_and_places_beyond_the_end_are_none():
    text = "a\n# agent: do it\n"
    assert find_marker(text, 0, 0) is None
    assert find_marker(text, 900, 999) is None
    assert find_marker(text, 0, 10**9) == Marker(1, "do it")


def test_the_prompt_says_where_the_comment_is():
    assert "line 8" in Marker(7, "do it").prompt()
