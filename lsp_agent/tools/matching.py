"""Finding the text an edit means, and putting the new text in its place. Pure.

Three ways, in this order: the exact text, once (or everywhere with `replace_all`); the same whole lines with other
white space, whose replacement is then indented the way the file is; and otherwise an error with a hint. Line ends
`\\r\\n` match `\\n`, and what is not replaced keeps its own, character by character (CORE 26, edit; RELIABILITY FS-16).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from lsp_agent.domain.errors import ToolError
from lsp_agent.tools.hints import missing_text_hint
from lsp_agent.tools.indentation import reindent

WHITESPACE_NOTE = "White space in old_string did not match the file exactly; the file's own was used."


@dataclass(frozen=True, slots=True)
class Replacement:
    """The new text, how many places were replaced, and a note for the model (may be empty)."""

    text: str
    places: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Span:
    """Characters `start` to `end` of the text with `\\n` line ends, and what goes there."""

    start: int
    end: int
    new: str


def replace_text(text: str, old: str, new: str, *, replace_all: bool = False) -> Replacement:
    """`text` with `old` replaced by `new`.

    Raises: ToolError when `old` is empty or equals `new`, is not found, or is found more than once without
    `replace_all`; its text tells the model what to do.
    """
    if not old:
        raise ToolError("old_string is empty, but the file exists. Give the text to replace.")
    flat, old, new = _flat(text), _flat(old), _flat(new)
    if old == new:
        raise ToolError("old_string and new_string are the same: nothing to change.")
    found, note = _exact(flat, old, new), ""
    if not found:
        found, note = _by_lines(flat, old, new), WHITESPACE_NOTE
    if not found:
        raise ToolError("old_string was not found in the file." + missing_text_hint(flat, old))
    if len(found) > 1 and not replace_all:
        lines = ", ".join([str(flat.count("\n", 0, span.start) + 1) for span in found[:10]])
        raise ToolError(
            f"old_string appears {len(found)} times in the file (lines {lines}). "
            "Add surrounding lines until it is unique, or set replace_all."
        )
    changed = _splice(text, flat, found)
    if changed == text:
        raise ToolError("The edit would leave the file as it is: nothing to change.")
    return Replacement(changed, len(found), note)


def _flat(text: str) -> str:
    return text.replace("\r\n", "\n")


def _exact(flat: str, old: str, new: str) -> list[_Span]:
    spans, at = [], flat.find(old)
    while at >= 0:
        spans.append(_Span(at, at + len(old), new))
        at = flat.find(old, at + len(old))
    return spans


def _by_lines(flat: str, old: str, new: str) -> list[_Span]:
    """Whole lines equal to those of `old` but for runs of white space."""
    whole = old.endswith("\n")
    wanted = (old[:-1] if whole else old).split("\n")
    keys = [_squeezed(line) for line in wanted]
    if not any(keys):
        return []
    lines = flat.split("\n")
    squeezed = [_squeezed(line) for line in lines]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    spans, at = [], 0
    while at <= len(lines) - len(keys):
        if squeezed[at] != keys[0] or squeezed[at : at + len(keys)] != keys:
            at += 1
            continue
        last = at + len(keys)
        end = starts[last] - (0 if whole and last < len(lines) else 1)
        spans.append(_Span(starts[at], end, reindent(new, list(zip(wanted, lines[at:last], strict=True)), lines)))
        at = last
    return spans


def _squeezed(line: str) -> str:
    return " ".join(line.split())


def _splice(text: str, flat: str, spans: Sequence[_Span]) -> str:
    """Put the spans into `text`, whose `\\r\\n` are one character in the spans' coordinates.

    Only what really differs inside a span is touched, so that in a file of mixed line ends the others survive.
    """
    ends = _crlf_positions(text)
    line_end = "\r\n" if 2 * len(ends) > flat.count("\n") else "\n"
    pieces, done = [], 0
    for span in spans:
        found = flat[span.start : span.end]
        head = _common_head(found, span.new)
        tail = _common_head(found[head:][::-1], span.new[head:][::-1])
        start, end = span.start + head, span.end - tail
        pieces.append(text[done : start + bisect_left(ends, start)])
        pieces.append(span.new[head : len(span.new) - tail].replace("\n", line_end))
        done = end + bisect_left(ends, end)
    pieces.append(text[done:])
    return "".join(pieces)


def _crlf_positions(text: str) -> list[int]:
    """Where in the flat text the line feeds are that have a carriage return in `text`."""
    positions: list[int] = []
    at = text.find("\r\n")
    while at >= 0:
        positions.append(at - len(positions))
        at = text.find("\r\n", at + 2)
    return positions


def _common_head(one: str, other: str) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
