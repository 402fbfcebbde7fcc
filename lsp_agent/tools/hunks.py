"""Two texts as a list of changed line blocks, in the shape editors draw (PROTOCOL 6).

A hunk replaces whole lines. `range` refers to the text **before** the change and `newRange` to the text after it; both
count lines only (column 0), so that no position encoding is involved. The line after the last one means the end of the
text. Knows nothing of files or permissions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lsp_agent.domain.align import blocks, lines_of


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines `old_start` to `old_end` (half-open, zero-based) of the old text became `new_start` to `new_end`."""

    hunk_id: str
    old_start: int
    old_end: int
    new_start: int
    new_end: int
    old_text: str
    new_text: str


def split_lines(text: str) -> list[str]:
    """The lines with their ends; they joined are `text`. An end of the text after a line end makes no extra line."""
    return lines_of(text)


def diff_lines(old: str, new: str, new_id: Callable[[], str]) -> list[Hunk]:
    """The blocks in which `new` differs from `old`, from top to bottom; empty for equal texts. `new_id` names them."""
    before, after = split_lines(old), split_lines(new)
    return [
        Hunk(
            hunk_id=new_id(),
            old_start=a,
            old_end=b,
            new_start=c,
            new_end=d,
            old_text="".join(before[a:b]),
            new_text="".join(after[c:d]),
        )
        for a, b, c, d in blocks(before, after)
    ]


def apply_hunks(old: str, hunks: Sequence[Hunk]) -> str:
    """`old` with `hunks` applied.

    Raises: ValueError when a hunk's old lines are not there.
    """
    lines = split_lines(old)
    pieces: list[str] = []
    done = 0
    for hunk in hunks:
        if hunk.old_start < done or "".join(lines[hunk.old_start : hunk.old_end]) != hunk.old_text:
            raise ValueError(f"hunk {hunk.hunk_id} does not fit the text")
        pieces.extend(lines[done : hunk.old_start])
        pieces.append(hunk.new_text)
        done = hunk.old_end
    pieces.extend(lines[done:])
    return "".join(pieces)


def count_lines(hunks: Sequence[Hunk]) -> tuple[int, int]:
    """Lines added and lines removed."""
    return sum(hunk.new_end - hunk.new_start for hunk in hunks), sum(hunk.old_end - hunk.old_start for hunk in hunks)


def file_change(
    uri: str, hunks: Sequence[Hunk], *, kind: str, base_version: int | None, run_id: str | None, tool_call_id: str
) -> dict[str, Any]:
    """One file of `changes_update` and of an edit's permission subject.

    Shape: `{"uri", "kind": "create" | "edit", "baseVersion"?, "hunks": [{"hunkId", "range", "newRange", "oldText",
    "newText", "state": "pending", "runId", "toolCallId"}]}`. No `baseVersion` = not open when it was changed.
    """
    change: dict[str, Any] = {"uri": uri, "kind": kind}
    if base_version is not None:
        change["baseVersion"] = base_version
    change["hunks"] = [
        {
            "hunkId": hunk.hunk_id,
            "range": _line_range(hunk.old_start, hunk.old_end),
            "newRange": _line_range(hunk.new_start, hunk.new_end),
            "oldText": hunk.old_text,
            "newText": hunk.new_text,
            "state": "pending",
            "runId": run_id,
            "toolCallId": tool_call_id,
        }
        for hunk in hunks
    ]
    return change


def _line_range(start: int, end: int) -> dict[str, Any]:
    return {"start": {"line": start, "character": 0}, "end": {"line": end, "character": 0}}
