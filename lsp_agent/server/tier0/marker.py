"""The instruction an editor without an input box can take: a comment `agent: …` in any buffer. Pure.

# agent: give this function a docstring
#        and say what it raises
"""

import re
from dataclasses import dataclass

from lsp_agent.workspace.lines import LineIndex

MAX_LINES = 20
MAX_SPAN = 200
"""Of a selection, how many lines are looked at."""
_END = r"\s*(?:\*/|-->|\*\)|-\}|\]\]|\}\})?\s*$"
_WORDS = r"agent:\s*(?P<text>\S.*?)"
_COMMENT = re.compile(
    rf"(?:^|\s)(?P<leader>#+|//+|--|;+|%+|/\*+|\*|<!--|\(\*|\{{-|!|REM)\s*{_WORDS}{_END}", re.IGNORECASE
)
_QUOTED = re.compile(rf"^\s*(?P<leader>[\"'])\s*{_WORDS}\s*$", re.IGNORECASE)
_BARE = re.compile(rf"^\s*(?P<leader>){_WORDS}\s*$", re.IGNORECASE)
_QUOTE_COMMENTS = frozenset({"vim", "vb", "vba", "smalltalk"})
_PROSE = frozenset({"markdown", "plaintext", "text", "org", "rst", "restructuredtext"})


@dataclass(frozen=True, slots=True)
class Marker:
    """An instruction found in a buffer. `line` is zero-based."""

    line: int
    text: str

    def prompt(self) -> str:
        """What the model is told."""
        return (
            f"{self.text}\n\n(This instruction is the comment marked `agent:` on line {self.line + 1} of the attached "
            "file. Remove that comment when you are done.)"
        )


def find_marker(text: str, first: int, last: int, language_id: str = "") -> Marker | None:
    """The first marker on the lines `first` to `last` (zero-based, inclusive), or the one a line of it goes on."""
    if "agent:" not in text.lower():
        return None
    lines = LineIndex(text)
    last = min(last, lines.line_count - 1, first + MAX_SPAN)
    for number in range(max(first, 0), last + 1):
        found = _marker_at(lines, number, language_id) or _continued(lines, number, language_id)
        if found is not None:
            return found
    return None


def _marker_at(lines: LineIndex, number: int, language_id: str) -> Marker | None:
    match = _match(lines.body(number), language_id)
    if match is None:
        return None
    words = [match["text"]]
    leader = match["leader"]
    if leader in ("*", "!") or (leader and leader[0] in "#/-;%" and leader[:2] != "/*"):
        for following in range(number + 1, min(number + MAX_LINES, lines.line_count)):
            body = lines.body(following).strip()
            rest = body.removeprefix(leader).strip()
            if not body.startswith(leader) or not rest or rest == "/" or _match(body, language_id):
                break
            words.append(rest)
    return Marker(number, " ".join(words))


def _continued(lines: LineIndex, number: int, language_id: str) -> Marker | None:
    """The marker above whose text reaches down to this line."""
    for above in range(number - 1, max(number - MAX_LINES, -1), -1):
        match = _match(lines.body(above), language_id)
        if match is not None:
            found = _marker_at(lines, above, language_id)
            rest = lines.body(number).strip().removeprefix(match["leader"]).strip()
            reaches = found is not None and all(
                lines.body(between).strip().startswith(match["leader"]) for between in range(above + 1, number + 1)
            )
            return found if found is not None and match["leader"] and rest and reaches and rest in found.text else None
        if not lines.body(above).strip():
            return None
    return None


def _match(line: str, language_id: str) -> re.Match[str] | None:
    found = _COMMENT.search(line)
    if found is None and language_id in _QUOTE_COMMENTS:
        found = _QUOTED.search(line)
    if found is None and language_id in _PROSE:
        found = _BARE.search(line)
    return found
