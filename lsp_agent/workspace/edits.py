"""The small edits that lead from one text to another, so that an editor keeps cursors, folds and undo where they were.

Whole lines are compared first (`domain.align`), then every hunk is trimmed to the characters that differ. An edit never
begins or ends inside a `\\r\\n`, which has no position of its own.
"""

from collections.abc import Iterator
from itertools import accumulate

from lsp_agent.domain.align import blocks
from lsp_agent.domain.text import Position, Range, TextEdit
from lsp_agent.workspace.lines import LineIndex, count_breaks, split_lines


def text_edits(old: str, new: str) -> list[TextEdit]:
    """Edits that turn `old` into `new`.

    Shape: in document order, not overlapping, positions in `old`; empty when the texts are equal.
    """
    if old == new:
        return []
    head, tail = _common_ends(old, new)
    before = count_breaks(old[:head])
    old, new = old[head : len(old) - tail], new[head : len(new) - tail]
    index = LineIndex(old)
    edits: list[TextEdit] = []
    for old_start, old_end, new_start, new_end in _hunks(old, new):
        start, end, text = _trimmed(old, new, (old_start, old_end), (new_start, new_end))
        span = Range(_moved(index.position(start), before), _moved(index.position(end), before))
        edits.append(TextEdit(span, text))
    return edits


def _moved(position: Position, lines: int) -> Position:
    return Position(position.line + lines, position.column)


def _common_ends(old: str, new: str) -> tuple[int, int]:
    """Length of what both texts begin with and end with, in whole lines (those that end in `\\n`, to be quick)."""
    room = min(len(old), len(new))
    head = old.rfind("\n", 0, _shared_prefix(old[:room], new[:room])) + 1
    room -= head
    tail = _shared_suffix(old[len(old) - room :], new[len(new) - room :])
    start = old.find("\n", len(old) - tail) + 1
    return head, len(old) - start if tail and start else 0


def _hunks(old: str, new: str) -> Iterator[tuple[int, int, int, int]]:
    """Differing spans as offsets: old start, old end, new start, new end; whole lines."""
    old_lines, new_lines = split_lines(old), split_lines(new)
    old_at, new_at = [0, *accumulate(map(len, old_lines))], [0, *accumulate(map(len, new_lines))]
    for i1, i2, j1, j2 in blocks(old_lines, new_lines):
        yield old_at[i1], old_at[i2], new_at[j1], new_at[j2]


def _trimmed(old: str, new: str, old_span: tuple[int, int], new_span: tuple[int, int]) -> tuple[int, int, str]:
    """One hunk without the characters its two sides share at the ends: old start, old end, new text."""
    (start, end), (new_start, new_end) = old_span, new_span
    room = min(end - start, new_end - new_start)
    head = _shared_prefix(old[start : start + room], new[new_start : new_start + room])
    if head and old[start + head - 1] == "\r":
        head -= 1
    room -= head
    tail = _shared_suffix(old[end - room : end], new[new_end - room : new_end])
    if tail and _splits_crlf(old, end - tail) | _splits_crlf(new, new_end - tail):
        tail -= 1
    return start + head, end - tail, new[new_start + head : new_end - tail]


def _splits_crlf(text: str, offset: int) -> bool:
    return text[offset - 1 : offset + 1] == "\r\n" if offset else False


def _shared_prefix(left: str, right: str) -> int:
    """Length of the common prefix of two strings of equal length, by halving (long lines are common in data)."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _shared_suffix(left: str, right: str) -> int:
    """Length of the common suffix of two strings of equal length, by halving."""
    size = min(len(left), len(right))
    low, high = 0, size
    while low < high:
        middle = (low + high + 1) // 2
        if left[size - middle : size - low] == right[size - middle : size - low]:
            low = middle
        else:
            high = middle - 1
    return low
