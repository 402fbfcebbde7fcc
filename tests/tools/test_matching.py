import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.domain.errors import ToolError
from lsp_agent.tools.matching import WHITESPACE_NOTE, replace_text


def check(text, old, new, expected, *, replace_all=False, note="", places=1):
    done = replace_text(text, old, new, replace_all=replace_all)
    assert (done.text, done.places, done.note) == (expected, places, note)


def refuse(text, old, new, *words, replace_all=False):
    with pytest.raises(ToolError) as caught:
        replace_text(text, old, new, replace_all=replace_all)
    for word in words:
        assert word in str(caught.value)


def test_exact_text_is_replaced_once():
    check("a = 1\nb = 2\n", "b = 2", "b = 3", "a = 1\nb = 3\n")


def test_empty_new_text_deletes():
    check("a\nb\nc\n", "b\n", "", "a\nc\n")


def test_text_that_occurs_twice_is_refused_with_its_lines():
    refuse("x\ny\nx\n", "x", "z", "appears 2 times", "lines 1, 3", "replace_all")


def test_replace_all_replaces_every_place():
    check("x y x\nx", "x", "zz", "zz y zz\nzz", replace_all=True, places=3)


def test_crlf_matches_lf_and_is_written_back():
    check("a\r\nb\r\nc\r\n", "a\nb", "a\nnew\nb", "a\r\nnew\r\nb\r\nc\r\n")


def test_mixed_line_ends_outside_the_change_survive():
    check("a\nb\r\nc\nd\r\n", "b\nc\nd", "b\nX\nd", "a\nb\r\nX\nd\r\n")


def test_a_lone_carriage_return_is_not_touched():
    check("a\rb\nc\n", "c", "d", "a\rb\nd\n")


def test_whole_lines_match_with_other_white_space():
    check(
        "def f():\n\tif x:\n\t\treturn 1\n",
        "    if x:\n        return 1\n",
        "    if x:\n        while y:\n            go()\n        return 2\n",
        "def f():\n\tif x:\n\t\twhile y:\n\t\t\tgo()\n\t\treturn 2\n",
        note=WHITESPACE_NOTE,
    )


def test_two_space_text_goes_into_a_four_space_file():
    check(
        "class A:\n    def f(self):\n        pass\n",
        "  def f(self):\n    pass",
        "  def f(self):\n    if 1:\n      pass",
        "class A:\n    def f(self):\n        if 1:\n            pass\n",
        note=WHITESPACE_NOTE,
    )


def test_a_part_of_a_line_never_matches_loosely():
    refuse("value  =  compute(1)\n", "value = comp", "x", "not found")


def test_loose_match_in_two_places_is_refused():
    refuse("\tx = 1\n\ty\n    x = 1\n", "  x  =  1\n", "  x = 2\n", "appears 2 times")


def test_loose_match_at_the_end_without_a_line_end():
    check("a\n\tb", "  b\n", "  c\n", "a\n\tc\n", note=WHITESPACE_NOTE)


def test_not_found_shows_the_closest_lines_with_visible_white_space():
    refuse(
        "if a:\n\tone()\n  two()\nend\n",
        "if a:\n    one()\n    three()\n",
        "x",
        "not found",
        "     2|→one()",
        "3|··two()",
    )


def test_not_found_without_anything_close_gives_advice():
    refuse("a\n", "nothing like it", "x", "not found", "View the file again")


@pytest.mark.parametrize(("old", "new"), [("a", "a"), ("a\r\n", "a\n")])
def test_nothing_to_change_is_an_error(old, new):
    refuse("a\nb\n", old, new, "nothing to change")


def test_blank_old_string_does_not_match_loosely():
    refuse("a\n\t\nb\n", "  \n", "x", "not found")


LINES = st.lists(st.sampled_from(["a", " b", "\tc", "", "d  e"]), max_size=8)
ENDS = st.sampled_from(["\n", "\r\n"])


@given(LINES, LINES, ENDS, st.lists(ENDS, min_size=8, max_size=8), st.lists(ENDS, min_size=8, max_size=8))
def test_an_edit_leaves_every_other_byte_alone(before, after, end, ends_before, ends_after):
    head = "".join([line + e for line, e in zip(before, ends_before, strict=False)])
    tail = "".join([line + e for line, e in zip(after, ends_after, strict=False)])
    done = replace_text(head + "UNIQUE" + end + tail, "UNIQUE", "OTHER")
    assert done.text == head + "OTHER" + end + tail
