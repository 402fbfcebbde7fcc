"""The head of a markdown file: `---`, lines of `name: value`, `---`. Pure.

Reads what such heads hold in practice, not all of YAML: plain and quoted texts, lists in brackets or one entry a line,
and texts over several lines (`|` and `>`, or indented). Nothing in it can construct anything but texts and lists.
"""

import re
from collections.abc import Mapping, Sequence

Value = str | tuple[str, ...]

_KEY = re.compile(r"([A-Za-z_][\w-]*)[ \t]*:(?:[ \t]+(.*)|[ \t]*)$")
_FENCE = re.compile(r"-{3,}[ \t]*$")


def split(text: str) -> tuple[Mapping[str, Value], str]:
    """The head's fields, by name in lower case, and the body. No head: no fields and the whole text.

    Raises: ValueError for a head that never ends or has a line that is none.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or not _FENCE.match(lines[0]):
        return {}, text
    end = next((at for at, line in enumerate(lines[1:], 1) if _FENCE.match(line)), None)
    if end is None:
        raise ValueError("the head has no closing ---")
    return _fields(lines[1:end]), "\n".join(lines[end + 1 :]).strip("\n")


def listed(value: Value | None) -> tuple[str, ...] | None:
    """A field as a list: its entries, or a text cut at commas. None when there is no such field."""
    if value is None:
        return None
    if isinstance(value, tuple):
        return tuple([item for item in value if item])
    return tuple([item for part in value.split(",") if (item := _unquoted(part.strip()))])


def text_of(value: Value | None) -> str:
    """A field as a text; a list joined by commas."""
    return ", ".join(value) if isinstance(value, tuple) else (value or "")


def _fields(lines: Sequence[str]) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    at = 0
    while at < len(lines):
        line, at = lines[at], at + 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _KEY.match(line)
        if found is None:
            raise ValueError(f"the head has a line that is not `name: value`: {line[:60]!r}")
        below: list[str] = []
        while at < len(lines) and (not lines[at].strip() or lines[at][0] in " \t" or lines[at].startswith("- ")):
            below.append(lines[at])
            at += 1
        fields[found[1].lower()] = _value((found[2] or "").strip(), below)
    return fields


def _value(first: str, below: Sequence[str]) -> Value:
    entries = [line.strip() for line in below if line.strip()]
    if first[:1] in ("|", ">") and len(first) <= 2:
        return ("\n" if first[0] == "|" else " ").join(entries)
    if not first and entries and all(entry.startswith("- ") for entry in entries):
        return tuple([_unquoted(entry[2:].strip()) for entry in entries])
    if first.startswith("[") and first.endswith("]"):
        return tuple([_unquoted(part.strip()) for part in first[1:-1].split(",")])
    return _unquoted(" ".join([first, *entries]).strip())


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1].replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    return text
