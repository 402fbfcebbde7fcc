"""Which lines of one text are lines of another."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_agent.changes.commands import hunks_between
from lsp_agent.domain.align import Span, blocks, bodies, covering, lines_of, untouched

LINES = st.lists(st.sampled_from(["a", "b", "c", "", "only here", "x y"]), max_size=20)


@given(LINES, LINES)
@settings(max_examples=500, deadline=None)
def test_blocks_lead_from_the_old_lines_to_the_new_and_never_touch(old, new):
    found = blocks(old, new)
    made, done = [], 0
    for old_start, old_end, new_start, new_end in found:
        assert old_start > done or (old_start == done == 0)
        made += old[done:old_start] + new[new_start:new_end]
        done = old_end
    assert made + old[done:] == new
    assert all(one[1] < other[0] for one, other in itertools.pairwise(found))


@given(LINES, LINES, st.integers(0, 20), st.integers(0, 20))
@settings(max_examples=500, deadline=None)
def test_an_untouched_span_holds_the_same_lines(old, new, first, second):
    start, end = sorted((min(first, len(old)), min(second, len(old))))
    changed = blocks(old, new)
    span = untouched(changed, Span(start, end))
    if span is not None:
        assert new[span.start : span.end] == old[start:end]
    around = covering(changed, Span(start, end))
    assert 0 <= around.start <= around.end <= len(new)
    if untouched(changed, Span(start, end), strict=True) is not None:
        assert span is not None


@given(st.text(alphabet="ab\r\n👋", max_size=40))
def test_lines_joined_are_the_text(text):
    assert "".join(lines_of(text)) == text
    assert all(not line.endswith(("\r", "\n")) for line in bodies(lines_of(text)))


def test_a_line_both_texts_hold_once_is_never_taken_for_changed_by_repeated_lines_around_it():
    old, new = ["x", "x", "only", "x", "x"], ["only", "g", "x", "x"]
    assert blocks(old, new) == [(0, 2, 0, 0), (3, 3, 1, 2)]


def test_huge_texts_take_no_time_to_compare():
    old = [f"line {number % 7}" for number in range(60_000)]
    new = [*old[:30_000], "new", *old[30_005:]]
    assert blocks(old, new) == [(30_000, 30_005, 30_000, 30_001)]
    assert blocks(old, ["other", *old[::-1]]) == [(0, 60_000, 0, 60_001)]


def test_texts_that_differ_only_in_line_ends_are_one_hunk():
    assert [hunk[1:] for hunk in hunks_between("a\r\nb\r\n", "a\nb\n", lambda: "h")] == [(0, 2, 0, 2)]
