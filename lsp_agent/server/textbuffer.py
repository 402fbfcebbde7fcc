"""The text of one open document, kept in chunks so that a keystroke costs the same in a 10 MB file as in a small one.

A chunk is some 8,000 characters with its number of line ends and of wire units; no boundary lies inside a `\\r\\n`.
Until the first incremental change there is only the text itself; after it, `text` joins the chunks once a version.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate

from lsp_agent.server.positions import column_of, unit_count
from lsp_agent.workspace.lines import LINE_END, count_breaks

CHUNK_CHARS = 8_192
_LINE_BODY = re.compile(r"[^\r\n]*")


@dataclass(slots=True)
class _Chunk:
    text: str
    breaks: int
    units: int


class TextBuffer:
    """A text and the changes made to it. Columns are in units of `encoding` (`utf-8`, `utf-16`, `utf-32`)."""

    __slots__ = ("_breaks_before", "_chunks", "_encoding", "_text")

    def __init__(self, text: str, encoding: str) -> None:
        self._encoding = encoding
        self._text: str | None = text
        self._chunks: list[_Chunk] = []
        self._breaks_before: list[int] | None = None

    @property
    def text(self) -> str:
        """The whole text; joined on the first look after a change."""
        if self._text is None:
            self._text = "".join([chunk.text for chunk in self._chunks])
        return self._text

    def replace_all(self, text: str) -> None:
        """Take `text` in place of everything."""
        self._text = text
        self._chunks = []
        self._breaks_before = None

    def replace(self, start: tuple[int, int], end: tuple[int, int], new_text: str) -> None:
        """Replace what lies between two (line, column) places, start ≤ end, both clamped to the text."""
        if not self._chunks:
            self._chunks = self._chunked(self.text)
        first, first_at = self._find(*start)
        last, last_at = self._find(*end)
        self._text = None
        chunks = self._chunks
        merged = chunks[first].text[:first_at] + new_text + chunks[last].text[last_at:]
        if first and chunks[first - 1].text.endswith("\r"):
            first -= 1
            merged = chunks[first].text + merged
        while last + 1 < len(chunks) and self._joins(merged, chunks[last + 1]):
            last += 1
            merged += chunks[last].text
        replaced = chunks[first : last + 1]
        fresh = self._chunked(merged) if merged or len(replaced) == len(chunks) else []
        chunks[first : last + 1] = fresh
        if len(fresh) != len(replaced) or [c.breaks for c in fresh] != [c.breaks for c in replaced]:
            self._breaks_before = None

    def _joins(self, merged: str, following: _Chunk) -> bool:
        if merged.endswith("\r") and following.text.startswith("\n"):
            return True
        # Many small deletions must not leave many small chunks behind.
        return len(merged) + len(following.text) < CHUNK_CHARS // 2

    def _chunked(self, text: str) -> list[_Chunk]:
        if len(text) <= 2 * CHUNK_CHARS:
            return [self._chunk(text)]
        chunks: list[_Chunk] = []
        at = 0
        while at < len(text):
            stop = at + CHUNK_CHARS
            if text[stop - 1 : stop + 1] == "\r\n":
                stop += 1
            chunks.append(self._chunk(text[at:stop]))
            at = stop
        return chunks

    def _chunk(self, text: str) -> _Chunk:
        return _Chunk(text, count_breaks(text), unit_count(text, self._encoding))

    def _find(self, line: int, units: int) -> tuple[int, int]:
        """Chunk number and offset in it, in code points, of a (line, column) place."""
        chunks = self._chunks
        if self._breaks_before is None:
            self._breaks_before = list(accumulate([chunk.breaks for chunk in chunks]))
        if line > self._breaks_before[-1]:
            return len(chunks) - 1, len(chunks[-1].text)
        number, at = 0, 0
        if line:
            number = bisect_left(self._breaks_before, line)
            before = self._breaks_before[number - 1] if number else 0
            at = _after_break(chunks[number].text, line - before)
        return self._walk(number, at, units)

    def _walk(self, number: int, at: int, units: int) -> tuple[int, int]:
        """Go `units` to the right from a place, at most to the end of its line."""
        chunks = self._chunks
        while True:
            chunk = chunks[number]
            if at == 0 and not chunk.breaks and units > chunk.units and number + 1 < len(chunks):
                number, units = number + 1, units - chunk.units
                continue
            found = _LINE_BODY.match(chunk.text, at)
            stop = found.end() if found else at
            body = chunk.text[at:stop]
            size = unit_count(body, self._encoding)
            if units <= size or stop < len(chunk.text) or number + 1 == len(chunks):
                return number, at + column_of(body, units, self._encoding)
            number, at, units = number + 1, 0, units - size


def _after_break(text: str, count: int) -> int:
    """Offset after the `count`th line end of `text`, count ≥ 1."""
    at = 0
    if "\r" not in text:
        for _ in range(count):
            at = text.index("\n", at) + 1
        return at
    for found, _ in zip(LINE_END.finditer(text), range(count), strict=False):
        at = found.end()
    return at
