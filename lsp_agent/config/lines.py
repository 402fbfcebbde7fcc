"""On which line of a TOML text a key stands. Only for what people read: approximate where a file is unusual.

`tomllib` keeps no positions, so this reads table headers and `key =` lines again; what stands inside a multi-line
string is skipped, and a key inside an inline table or array is reported at the line that opens it.
"""

import re
from collections.abc import Sequence

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"^\s*(\[\[?)\s*({_DOTTED})\s*\]\]?")
_KEY = re.compile(rf"^\s*({_DOTTED})\s*=(.*)$")
_PARTS = re.compile(_PART)
_TRIPLE = re.compile(r'"""|\'\'\'')

Path = Sequence[str | int]


def line_of(text: str, path: Path) -> int | None:
    """The line, from 1, of the longest beginning of `path` that the text mentions; None = nothing of it.

    Shape: `("providers", "local", "models", 0, "id")`; a number counts `[[…]]` headers.
    """
    best: tuple[int, int] | None = None
    wanted = tuple(path)
    for number, found in _places(text):
        length = _common(found, wanted)
        if length == len(found) and length > (best[0] if best else 0):
            best = (length, number)
    return best[1] if best else None


def _places(text: str) -> list[tuple[int, tuple[str | int, ...]]]:
    """Every header and key with its full path, in order."""
    places: list[tuple[int, tuple[str | int, ...]]] = []
    table: tuple[str | int, ...] = ()
    counts: dict[tuple[str | int, ...], int] = {}
    quote = ""
    for number, line in enumerate(text.splitlines(), 1):
        if quote:
            quote = "" if quote in line else quote
            continue
        if header := _HEADER.match(line):
            table = _indexed(_split(header[2]), counts, is_new=header[1] == "[[")
            places.append((number, table))
        elif key := _KEY.match(line):
            places.append((number, (*table, *_split(key[1]))))
            marks = _TRIPLE.findall(key[2])
            quote = marks[-1] if len(marks) % 2 else ""
    return places


def _indexed(parts: Sequence[str], counts: dict[tuple[str | int, ...], int], *, is_new: bool) -> tuple[str | int, ...]:
    """A header's path with the number of the current item behind each array of tables."""
    path: tuple[str | int, ...] = ()
    for position, part in enumerate(parts):
        path = (*path, part)
        if is_new and position == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _split(dotted: str) -> list[str]:
    return [part[1:-1] if part[0] in "\"'" else part for part in _PARTS.findall(dotted)]


def _common(found: Path, wanted: Path) -> int:
    length = 0
    for one, other in zip(found, wanted, strict=False):
        if one != other:
            break
        length += 1
    return length
