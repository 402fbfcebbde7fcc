import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.tools.hunks import apply_hunks, count_lines, diff_lines, file_change, split_lines

TEXTS = st.text(alphabet="ab\n\r", max_size=40)


def ids():
    counter = itertools.count()
    return lambda: f"h{next(counter)}"


@given(TEXTS)
def test_lines_joined_are_the_text(text):
    assert "".join(split_lines(text)) == text


@given(TEXTS, TEXTS)
def test_hunks_turn_the_old_text_into_the_new_one(old, new):
    hunks = diff_lines(old, new, ids())
    assert apply_hunks(old, hunks) == new
    assert (hunks == []) == (old == new)
    lines = split_lines(new)
    for hunk in hunks:
        assert "".join(lines[hunk.new_start : hunk.new_end]) == hunk.new_text


@given(TEXTS, TEXTS)
def test_counts_explain_the_difference_in_lines(old, new):
    added, removed = count_lines(diff_lines(old, new, ids()))
    assert len(split_lines(new)) - len(split_lines(old)) == added - removed


def test_a_huge_difference_is_one_hunk():
    old, new = "".join(f"{n}\n" for n in range(15_000)), "".join(f"x{n}\n" for n in range(15_000))
    assert len(diff_lines(old, new, ids())) == 1


def test_the_wire_shape():
    hunks = diff_lines("a\nb\nc\n", "a\nB\nc\nd\n", ids())
    change = file_change("file:///a", hunks, kind="edit", base_version=4, run_id=None, tool_call_id="t1")
    zero = {"character": 0}
    assert change == {
        "uri": "file:///a",
        "kind": "edit",
        "baseVersion": 4,
        "hunks": [
            {
                "hunkId": "h0",
                "range": {"start": {"line": 1, **zero}, "end": {"line": 2, **zero}},
                "newRange": {"start": {"line": 1, **zero}, "end": {"line": 2, **zero}},
                "oldText": "b\n",
                "newText": "B\n",
                "state": "pending",
                "runId": None,
                "toolCallId": "t1",
            },
            {
                "hunkId": "h1",
                "range": {"start": {"line": 3, **zero}, "end": {"line": 3, **zero}},
                "newRange": {"start": {"line": 3, **zero}, "end": {"line": 4, **zero}},
                "oldText": "",
                "newText": "d\n",
                "state": "pending",
                "runId": None,
                "toolCallId": "t1",
            },
        ],
    }


def test_a_hunk_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        apply_hunks("x\n", diff_lines("a\n", "b\n", ids()))
