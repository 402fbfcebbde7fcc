"""The wire's columns and ours: UTF-8, UTF-16 and UTF-32 code units against code points.

LSP counts a column in units of the negotiated encoding, we count code points. A column past the end of its line means
that end; one inside a character (a surrogate pair, a multi-byte sequence) means the character's start.
Source: LSP 3.17, Position.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeGuard

from lsp_agent.domain.text import Position, Range, TextEdit
from lsp_agent.workspace.lines import LineIndex

ENCODINGS: Final = ("utf-32", "utf-16", "utf-8")
"""Position encodings we speak, the one that costs us least first."""


def unit_count(text: str, encoding: str) -> int:
    """Length of `text` in units of `encoding` (`utf-8`, `utf-16` or `utf-32`)."""
    if encoding == "utf-32" or text.isascii():
        return len(text)
    if encoding == "utf-8":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def column_of(line: str, units: int, encoding: str) -> int:
    """Code points before the column `units` of `line` (which has no line end), clamped to the line."""
    if units <= 0:
        return 0
    if encoding == "utf-32" or line.isascii():
        return min(units, len(line))
    if encoding == "utf-8":
        return _column_of_utf8(line, units)
    head = line[:units]  # a character has at least one unit: the column lies at most here
    if head.isascii():
        return len(head)
    return _column_of_utf16(head, units)


def _column_of_utf8(line: str, units: int) -> int:
    head = line[:units].encode("utf-8", "surrogatepass")
    if len(head) <= units:
        return min(units, len(line))
    while units and head[units] & 0xC0 == 0x80:  # inside a sequence: back to its first byte
        units -= 1
    return len(head[:units].decode("utf-8", "surrogatepass"))


def _column_of_utf16(head: str, units: int) -> int:
    data = head.encode("utf-16-le", "surrogatepass")
    if len(data) <= 2 * units:
        return len(head)
    if 0xDC <= data[2 * units + 1] <= 0xDF and 0xD8 <= data[2 * units - 1] <= 0xDB:  # inside a surrogate pair
        units -= 1
    return len(data[: 2 * units].decode("utf-16-le", "surrogatepass"))


def units_of(line: str, column: int, encoding: str) -> int:
    """Units of `encoding` before `column` (code points) of `line`, clamped to the line."""
    return unit_count(line[: max(0, column)], encoding)


def wire_position(value: object) -> tuple[int, int]:
    """Line and column of an LSP `Position` object, unclamped.

    Raises: ValueError when it is not one.
    """
    if not isinstance(value, Mapping):
        raise ValueError("a position is an object with line and character")
    line, character = value.get("line"), value.get("character")
    if not _is_uinteger(line) or not _is_uinteger(character):
        raise ValueError("a position's line and character are integers from 0 on")
    return line, character


def _is_uinteger(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def wire_range(value: object) -> tuple[tuple[int, int], tuple[int, int]]:
    """Start and end of an LSP `Range` object, in order, unclamped.

    Raises: ValueError when it is not one.
    """
    if not isinstance(value, Mapping):
        raise ValueError("a range is an object with start and end")
    start, end = wire_position(value.get("start")), wire_position(value.get("end"))
    return (start, end) if start <= end else (end, start)


def from_wire_position(index: LineIndex, value: object, encoding: str) -> Position:
    """An LSP position as one of ours, clamped to the text. Raises: ValueError."""
    line, units = wire_position(value)
    return _clamped(index, line, units, encoding)


def from_wire_range(index: LineIndex, value: object, encoding: str) -> Range:
    """An LSP range as one of ours, clamped to the text. Raises: ValueError."""
    start, end = wire_range(value)
    return Range(_clamped(index, *start, encoding), _clamped(index, *end, encoding))


def _clamped(index: LineIndex, line: int, units: int, encoding: str) -> Position:
    if line >= index.line_count:
        last = index.line_count - 1
        return Position(last, len(index.body(last)))
    return Position(line, column_of(index.body(line), units, encoding))


def to_wire_position(index: LineIndex, position: Position, encoding: str) -> dict[str, int]:
    """One of our positions as LSP's: `{"line": 3, "character": 7}`."""
    return {"line": position.line, "character": units_of(index.body(position.line), position.column, encoding)}


def to_wire_range(index: LineIndex, span: Range, encoding: str) -> dict[str, dict[str, int]]:
    """One of our ranges as LSP's."""
    return {
        "start": to_wire_position(index, span.start, encoding),
        "end": to_wire_position(index, span.end, encoding),
    }


def to_wire_edits(text: str, edits: Sequence[TextEdit], encoding: str) -> list[dict[str, Any]]:
    """Our edits of `text` as LSP `TextEdit` objects, in document order."""
    index = LineIndex(text)
    ordered = sorted(edits, key=lambda edit: edit.range.start)
    return [{"range": to_wire_range(index, edit.range, encoding), "newText": edit.new_text} for edit in ordered]
