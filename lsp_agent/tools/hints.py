"""What to tell a model whose text is not in the file: the lines it meant, with visible white space. Pure."""

from collections import Counter, defaultdict
from collections.abc import Sequence

_MAX_LINES = 30
_MAX_CHARS = 160
_MAX_PLACES = 200
"""A line that occurs more often than this says nothing about the place."""


def missing_text_hint(text: str, old: str) -> str:
    """A paragraph to append to "not found"; it begins with a space.

    Shape: `text` and `old` with `\\n` line ends. The closest block of lines is shown when at least half of the lines
    of `old` are in it; else the lines that contain its first line; else advice only.
    """
    lines, wanted = text.split("\n"), old.strip("\n").split("\n")
    start = _closest(lines, wanted)
    if start is not None:
        shown = lines[start : start + len(wanted)]
        return " The closest lines are (→ is a tab, · a leading space):\n" + _numbered(shown, start)
    first = next((" ".join(line.split()) for line in wanted if line.strip()), "")
    near = [at for at, line in enumerate(lines) if first and first in " ".join(line.split())][:3]
    if near:
        blocks = "\n".join([_numbered([lines[at]], at) for at in near])
        return f" Its first line is part of (→ is a tab, · a leading space):\n{blocks}"
    return " View the file again and copy the text exactly, without line numbers."


def _closest(lines: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Where the block begins that shares most lines with `wanted`; None when it shares fewer than half of them."""
    places: dict[str, list[int]] = defaultdict(list)
    for at, line in enumerate(lines):
        places[" ".join(line.split())].append(at)
    keys = [" ".join(line.split()) for line in wanted]
    votes: Counter[int] = Counter()
    for offset, key in enumerate(keys):
        if key and len(places.get(key, ())) <= _MAX_PLACES:
            votes.update([at - offset for at in places.get(key, ()) if at >= offset])
    if not votes:
        return None
    start, shared = min(votes.items(), key=lambda vote: (-vote[1], vote[0]))
    telling = sum(1 for key in keys if key)
    return start if 2 * shared >= telling else None


def _numbered(lines: Sequence[str], start: int) -> str:
    shown = [f"{start + at + 1:>6}|{_visible(line)}" for at, line in enumerate(lines[:_MAX_LINES])]
    if len(lines) > _MAX_LINES:
        shown.append(f"      … {len(lines) - _MAX_LINES} more lines")
    return "\n".join(shown)


def _visible(line: str) -> str:
    body = line.lstrip(" \t")
    indent = line[: len(line) - len(body)].replace(" ", "·")
    cut = (indent + body)[:_MAX_CHARS]
    return cut.replace("\t", "→") + ("…" if len(indent + body) > _MAX_CHARS else "")
