"""Positions, ranges and text edits, and where a line ends.

Lines end at `\\r\\n`, `\\n` or `\\r` and nowhere else (LSP 3.17, Text Documents). Inside the product a position counts
**characters** (code points), `utf-32` in LSP's words; the wire's encodings are translated at the server's edge.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Zero-based line and column, in code points. A column past the end of its line means the end of the line."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Range:
    """Half-open."""

    start: Position
    end: Position


@dataclass(frozen=True, slots=True)
class TextEdit:
    """Replace `range` by `new_text`. Edits of one list never overlap and all refer to the text before any of them."""

    range: Range
    new_text: str
