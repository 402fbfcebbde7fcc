"""LSP values written in another position encoding, whole: every position in them, each by the text it lies in.

A value says of which file its positions are: by `uri`, `targetUri` or `textDocument.uri` beside or above them, or as a
key of `changes`. Knows nothing of servers or of where a text comes from.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lsp_agent.workspace.lines import LineIndex

POINTS = "utf-32"
"""LSP's name for what we count in."""
MAX_TEXTS = 500
"""Files looked at for one value; positions in more files than that are taken as they are."""

Texts = Callable[[str], Awaitable[str | None]]
"""The text of a URI, None when it cannot be had."""


async def recode(value: Any, source: str, target: str, uri: str, texts: Texts) -> Any:
    """A copy of `value` with its positions in `target` instead of `source`. `uri`: of positions that name no file.

    A position in a file whose text cannot be had stays as it is; one past the end of its line means that end.
    """
    if source == target:
        return value
    wanted: dict[str, None] = {}
    _collect(value, uri, wanted)
    lines: dict[str, LineIndex] = {}
    for name in list(wanted)[:MAX_TEXTS]:
        text = await texts(name)
        if text is not None:
            lines[name] = LineIndex(text)
    return recoded(value, source, target, uri, lines)


def recoded(value: Any, source: str, target: str, uri: str, lines: Mapping[str, LineIndex]) -> Any:
    """`recode` with the texts at hand, by URI."""
    if source == target:
        return value
    return _walk(value, uri, lambda at, line, units: _moved(lines.get(at), line, units, source, target))


def column_in(line: str, column: int, encoding: str) -> int:
    """Units of `encoding` before `column` (code points) of `line`."""
    head = line[:column]
    if encoding == POINTS or head.isascii():
        return len(head)
    if encoding == "utf-8":
        return len(head.encode("utf-8", "surrogatepass"))
    return len(head.encode("utf-16-le", "surrogatepass")) // 2


def column_from(line: str, units: int, encoding: str) -> int:
    """Code points before the column `units` of `line`; inside a character means its start."""
    if encoding == POINTS or line.isascii():
        return min(units, len(line))
    count = 0
    for column, character in enumerate(line):
        count += column_in(character, 1, encoding)
        if count > units:
            return column
    return len(line)


def _moved(lines: LineIndex | None, line: int, units: int, source: str, target: str) -> int:
    if lines is None or not units:
        return units
    body = lines.body(line)
    return column_in(body, column_from(body, units, source), target)


def _collect(value: Any, uri: str, found: dict[str, None]) -> None:
    def see(at: str, line: int, units: int) -> int:
        if units:
            found.setdefault(at)
        return units

    _walk(value, uri, see)


def _walk(value: Any, uri: str, change: Callable[[str, int, int], int]) -> Any:
    if isinstance(value, list | tuple):
        return [_walk(item, uri, change) for item in value]
    if not isinstance(value, Mapping):
        return value
    line, units = value.get("line"), value.get("character")
    if isinstance(line, int) and isinstance(units, int):
        return {**value, "character": change(uri, line, units)}
    here = _uri_of(value) or uri
    copy: dict[str, Any] = {}
    for key, item in value.items():
        inside = uri if key == "originSelectionRange" else here
        if key == "changes" and isinstance(item, Mapping):
            copy[key] = {name: _walk(edits, name, change) for name, edits in item.items()}
        elif key == "fromRanges" and isinstance(value.get("from"), Mapping):  # of the caller (LSP, incomingCalls)
            copy[key] = _walk(item, _uri_of(value["from"]) or here, change)
        elif key == "data":
            copy[key] = item  # a server's own, to be given back untouched
        else:
            copy[key] = _walk(item, inside, change)
    return copy


def _uri_of(value: Mapping[str, Any]) -> str | None:
    document = value.get("textDocument")
    named = value.get("targetUri") or value.get("uri") or (document.get("uri") if isinstance(document, Mapping) else "")
    return named if isinstance(named, str) and named else None
