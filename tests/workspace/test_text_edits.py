import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.domain.text import Position, Range, TextEdit
from lsp_agent.workspace.edits import text_edits
from lsp_agent.workspace.lines import LineIndex, apply_edits, count_breaks, split_lines

TEXT = st.text(st.sampled_from("ab\r\n\u2028\x0c😀"), max_size=60)


@given(TEXT)
def test_lines_joined_are_the_text(text):
    lines = split_lines(text)
    assert "".join(lines) == text
    assert all(line for line in lines)
    assert count_breaks(text) == sum(line.endswith(("\n", "\r")) for line in lines)
    assert LineIndex(text).line_count == count_breaks(text) + 1


@given(TEXT)
def test_offsets_and_positions_are_inverse_wherever_a_position_exists(text):
    index = LineIndex(text)
    for offset in range(len(text) + 1):
        if text[offset - 1 : offset + 1] != "\r\n" or offset == 0:
            assert index.offset(index.position(offset)) == offset


@given(TEXT, TEXT)
def test_applying_the_edits_gives_the_new_text(old, new):
    made = text_edits(old, new)
    assert apply_edits(old, made) == new
    assert bool(made) == (old != new)


@given(st.lists(st.sampled_from(["a\n", "bb\n", "\n", "c\r\n"]), max_size=30), st.data())
def test_edits_of_similar_texts_are_in_order_and_apart(lines, data):
    changed = list(lines)
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(changed)))
        changed[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.lists(st.sampled_from(["x\n", "a\n"]), max_size=2)
        )
    old, new = "".join(lines), "".join(changed)
    made = text_edits(old, new)
    assert apply_edits(old, made) == new
    spans = [edit.range for edit in made]
    assert all(one.start <= one.end for one in spans)
    assert all(one.end <= other.start for one, other in itertools.pairwise(spans))


def test_an_edit_touches_only_what_differs():
    old = "def f():\n    return 1\n\n\ndef g():\n    return 2\n"
    new = "def f():\n    return 10\n\n\ndef g(x):\n    return 2\n"
    assert text_edits(old, new) == [
        TextEdit(Range(Position(1, 12), Position(1, 12)), "0"),
        TextEdit(Range(Position(4, 6), Position(4, 6)), "x"),
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("same\n" * 3_000 + "a\n", "b\n" + "same\n" * 2_999 + "c\n"),
        ("".join(f"{n}\n\n" for n in range(450)), "".join(f"{n}x\n\n" for n in range(450))),
        ("a\nb\n" * 3_000, "b\nc\na\n" * 2_000),
        ("".join(f"{n}\n" for n in range(5_000)), "".join(f"{n}\n" for n in range(5_000, 0, -1))),
    ],
    ids=["repeated", "blank lines between", "few kinds of line", "reversed"],
)
def test_texts_that_are_hard_to_compare_are_compared_quickly(old, new):
    started = time.perf_counter()
    made = text_edits(old, new)
    assert time.perf_counter() - started < 1
    assert apply_edits(old, made) == new


def test_overlapping_edits_are_refused():
    one = TextEdit(Range(Position(0, 0), Position(0, 2)), "")
    with pytest.raises(ValueError):
        apply_edits("abc", [one, TextEdit(Range(Position(0, 1), Position(0, 3)), "")])
