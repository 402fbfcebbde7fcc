import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsp_agent.server import textbuffer
from lsp_agent.server.positions import column_of
from lsp_agent.server.textbuffer import TextBuffer
from lsp_agent.workspace.lines import LineIndex

TEXT = st.text(st.sampled_from("ab\r\n\né😀\u2028"), max_size=40)
PLACE = st.tuples(st.integers(0, 12), st.integers(0, 12))
ENCODING = st.sampled_from(["utf-8", "utf-16", "utf-32"])


def naive_replace(text, start, end, new, encoding):
    index = LineIndex(text)

    def offset(place):
        line, units = place
        if line >= index.line_count:
            return len(text)
        starts = index._starts
        return starts[line] + column_of(index.body(line), units, encoding)

    return text[: offset(start)] + new + text[offset(end) :]


@pytest.fixture(params=[3, 7, 64], ids=lambda size: f"chunks of {size}")
def small_chunks(request, monkeypatch):
    monkeypatch.setattr(textbuffer, "CHUNK_CHARS", request.param)


@pytest.mark.usefixtures("small_chunks")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(TEXT, st.lists(st.tuples(PLACE, PLACE, TEXT), max_size=8), ENCODING)
def test_changes_to_a_buffer_give_the_text_that_changes_to_a_string_give(text, changes, encoding):
    buffer, expected = TextBuffer(text, encoding), text
    for one, other, new in changes:
        start, end = min(one, other), max(one, other)
        buffer.replace(start, end, new)
        expected = naive_replace(expected, start, end, new, encoding)
        assert buffer.text == expected
        boundaries = [(a.text[-1:], b.text[:1]) for a, b in zip(buffer._chunks, buffer._chunks[1:], strict=False)]
        assert ("\r", "\n") not in boundaries


def test_deleting_what_stood_between_a_return_and_a_newline_makes_one_line_end(monkeypatch):
    monkeypatch.setattr(textbuffer, "CHUNK_CHARS", 2)
    buffer = TextBuffer("a\rxx\nbbbbbbb", "utf-16")
    buffer.replace((1, 0), (1, 2), "")
    buffer.replace((1, 0), (1, 1), "X")
    assert buffer.text == "a\r\nXbbbbbb"


def ten_megabytes(line):
    return line * (10_000_000 // len(line))


def keystrokes_s(text, count=300):
    buffer = TextBuffer(text, "utf-16")
    buffer.replace((0, 0), (0, 0), "x")
    last = text.count("\n")
    started = time.perf_counter()
    for number in range(count):
        place = (number * 37 % (last + 1), number % 20)
        buffer.replace(place, place, "y")
    return (time.perf_counter() - started) / count


@pytest.mark.parametrize("line", ["some text of forty characters or so, yes\n", "no line end at all ", "ünï😀cödé\r\n"])
def test_a_keystroke_in_ten_megabytes_costs_a_fraction_of_copying_the_text(line):
    text = ten_megabytes(line)
    started = time.perf_counter()
    for _ in range(3):
        ("x" + text)[-1]
    copying_s = (time.perf_counter() - started) / 3
    assert keystrokes_s(text) < max(copying_s, 0.001)


def test_many_small_deletions_leave_few_chunks():
    buffer = TextBuffer("0123456789\n" * 20_000, "utf-16")
    for _ in range(2_000):
        buffer.replace((0, 0), (10, 0), "")
    assert buffer.text == ""
    assert len(buffer._chunks) == 1
