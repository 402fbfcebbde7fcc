"""Where lines end, where a position lies in a text, and what a text is after edits.

Lines end at `\\r\\n`, `\\n` or `\\r` and nowhere else (`str.splitlines` knows eight more ends and must not be used).
Columns are code points throughout; this module knows nothing of the wire's encodings.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from lsp_agent.domain.text import Position, Range, TextEdit

LINE_END = re.compile(r"\r\n|\n|\r")
_LINE_WITH_END = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z")


def split_lines(text: str) -> list[str]:
    """The lines of `text`, each with its line end.

    Shape: joined they are `text` again; the last one has no line end and is left out when it is empty.
    """
    if "\r" in text:
        return _LINE_WITH_END.findall(text)
    pieces = text.split("\n")
    last = pieces.pop()
    lines = [piece + "\n" for piece in pieces]
    if last:
        lines.append(last)
    return lines


def count_breaks(text: str) -> int:
    """How many line ends `text` holds."""
    breaks = text.count("\n")
    if "\r" in text:
        breaks += text.count("\r") - text.count("\r\n")
    return breaks


def body_length(line: str) -> int:
    """Length of a line in code points without its line end."""
    return len(line.rstrip("\r\n")) if line.endswith(("\n", "\r")) else len(line)


class LineIndex:
    """Line starts of one text, for going from positions to offsets and back. Immutable."""

    __slots__ = ("_starts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *accumulate(map(len, split_lines(text)))]
        if text and not text.endswith(("\n", "\r")):
            self._starts.pop()

    @property
    def line_count(self) -> int:
        """Number of lines; text that ends with a line end has an empty last line. Never 0."""
        return len(self._starts)

    def body(self, line: int) -> str:
        """A line's text without its line end; empty past the end of the text."""
        if line >= len(self._starts):
            return ""
        start = self._starts[line]
        stop = self._starts[line + 1] if line + 1 < len(self._starts) else len(self.text)
        whole = self.text[start:stop]
        return whole[: body_length(whole)]

    def offset(self, position: Position) -> int:
        """The offset in code points; a column past its line's end means that end, a line past the last the text's."""
        if position.line < 0:
            return 0
        if position.line >= len(self._starts):
            return len(self.text)
        return self._starts[position.line] + max(0, min(position.column, len(self.body(position.line))))

    def position(self, offset: int) -> Position:
        """The position of an offset in code points."""
        line = bisect_right(self._starts, offset) - 1
        return Position(line, offset - self._starts[line])

    def slice(self, span: Range) -> str:
        """The text inside a range."""
        return self.text[self.offset(span.start) : self.offset(span.end)]


def apply_edits(text: str, edits: Sequence[TextEdit]) -> str:
    """`text` with `edits` made.

    Shape: edits may come in any order; those that insert at one place keep their order (LSP 3.17, TextEdit[]).
    Raises: ValueError when two edits overlap.
    """
    index = LineIndex(text)
    spans = sorted(
        ((index.offset(edit.range.start), index.offset(edit.range.end), edit.new_text) for edit in edits),
        key=lambda span: (span[0], span[1]),
    )
    pieces: list[str] = []
    done = 0
    for start, end, new_text in spans:
        if start < done or end < start:
            raise ValueError("two edits overlap")
        pieces += (text[done:start], new_text)
        done = end
    pieces.append(text[done:])
    return "".join(pieces)
