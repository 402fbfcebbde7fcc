import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.domain.text import Position, Range, TextEdit
from lsp_agent.server.positions import (
    column_of,
    from_wire_position,
    from_wire_range,
    to_wire_edits,
    to_wire_position,
    units_of,
    wire_position,
    wire_range,
)
from lsp_agent.workspace.lines import LineIndex

ALPHABET = st.sampled_from("ab é\u0301中\u2028\x0b😀\U0010ffff\t")
LINES = st.text(ALPHABET, max_size=30)
ENCODING = st.sampled_from(["utf-8", "utf-16", "utf-32"])
WIDTH = {"utf-8": lambda c: len(c.encode()), "utf-16": lambda c: len(c.encode("utf-16-le")) // 2, "utf-32": lambda c: 1}


def naive_column(line, units, encoding):
    taken = 0
    for number, character in enumerate(line):
        taken += WIDTH[encoding](character)
        if taken > units:
            return number
    return len(line)


@given(LINES, st.integers(0, 130), ENCODING)
def test_a_wire_column_is_what_a_character_by_character_walk_says(line, units, encoding):
    assert column_of(line, units, encoding) == naive_column(line, units, encoding)


@given(LINES, st.integers(0, 40), ENCODING)
def test_a_column_survives_the_way_out_and_back(line, column, encoding):
    assert column_of(line, units_of(line, column, encoding), encoding) == min(column, len(line))


@pytest.mark.parametrize(("encoding", "middle"), [("utf-16", [1]), ("utf-8", [1, 2, 3])])
def test_a_column_inside_a_character_means_its_start(encoding, middle):
    for units in middle:
        assert column_of("😀x", units, encoding) == 0


def test_columns_and_lines_past_the_end_are_clamped():
    index = LineIndex("ab\r\n😀\ry")
    assert from_wire_position(index, {"line": 0, "character": 99}, "utf-16") == Position(0, 2)
    assert from_wire_position(index, {"line": 1, "character": 99}, "utf-16") == Position(1, 1)
    assert from_wire_position(index, {"line": 9, "character": 0}, "utf-16") == Position(2, 1)
    assert from_wire_position(index, {"line": 2**40, "character": 2**70}, "utf-8") == Position(2, 1)
    assert to_wire_position(index, Position(1, 1), "utf-8") == {"line": 1, "character": 4}


def test_only_three_line_ends_count():
    assert LineIndex("a\x0b\x0c\x1c\x85\u2028\u2029b").line_count == 1
    assert [LineIndex(text).line_count for text in ("", "\n", "\r\n", "\r", "\n\r", "a\r\r\nb")] == [1, 2, 2, 2, 3, 3]


def test_a_reversed_range_is_put_in_order():
    value = {"start": {"line": 1, "character": 0}, "end": {"line": 0, "character": 1}}
    assert wire_range(value) == ((0, 1), (1, 0))
    assert from_wire_range(LineIndex("ab\ncd"), value, "utf-16") == Range(Position(0, 1), Position(1, 0))


@pytest.mark.parametrize(
    "value",
    [
        None,
        3,
        [],
        {},
        {"line": 0},
        {"line": -1, "character": 0},
        {"line": True, "character": 0},
        {"line": 0.5, "character": 0},
    ],
)
def test_what_is_not_a_position_is_refused(value):
    with pytest.raises(ValueError):
        wire_position(value)


def test_edits_go_out_in_document_order_in_the_wires_columns():
    edits = [
        TextEdit(Range(Position(1, 1), Position(1, 2)), "X"),
        TextEdit(Range(Position(0, 1), Position(0, 1)), "Y"),
    ]
    assert to_wire_edits("😀b\n😀cd", edits, "utf-16") == [
        {"range": {"start": {"line": 0, "character": 2}, "end": {"line": 0, "character": 2}}, "newText": "Y"},
        {"range": {"start": {"line": 1, "character": 2}, "end": {"line": 1, "character": 3}}, "newText": "X"},
    ]
