"""Whole lines of a symbol replaced, deleted, or given neighbours. Pure."""

from lsp_agent.language.shapes import Symbol
from lsp_agent.workspace.lines import LineIndex, split_lines

_SPACED = frozenset({"function", "class", "method", "constructor", "interface", "struct", "enum", "module"})


def placed(text: str, symbol: Symbol, replacement: str, action: str, *, python: bool) -> str:
    """`text` after one of `faces.ACTIONS` on `symbol`.

    A symbol that shares its lines with other code is cut at its exact ends; else whole lines are dealt with. A
    replacement whose first line has no indentation gets the symbol's.
    """
    index = LineIndex(text)
    start, end = index.offset(symbol.range.start), index.offset(symbol.range.end)
    ending = "\r\n" if "\r\n" in text else "\n"
    line_start = index.offset(type(symbol.range.start)(symbol.range.start.line, 0))
    after = index.offset(type(symbol.range.end)(symbol.range.end.line, 1 << 30))
    indent, rest = text[line_start:start], text[end:after]
    if indent.strip() or rest.strip(" \t;,"):
        return _in_line(text, start, end, replacement.strip("\n"), action)
    block = _fitted(replacement, indent, ending)
    top = _line_after(text, after)
    gap = ending * (2 if python and not indent else 1) if symbol.kind in _SPACED else ""
    match action:
        case "replace":
            return text[:line_start] + block + text[top:]
        case "delete":
            return text[:line_start] + _without_blank_lines(text[top:], text[:line_start])
        case "add_before":
            return text[:line_start] + block + gap + text[line_start:]
        case _:
            head = text[:top] if text[:top].endswith(("\n", "\r")) else text[:top] + ending
            return head + gap + block + text[top:]


def _in_line(text: str, start: int, end: int, replacement: str, action: str) -> str:
    match action:
        case "replace":
            return text[:start] + replacement + text[end:]
        case "delete":
            return text[:start] + text[end:]
        case "add_before":
            return text[:start] + replacement + text[start:]
        case _:
            return text[:end] + replacement + text[end:]


def _fitted(replacement: str, indent: str, ending: str) -> str:
    lines = [line.rstrip("\r\n") for line in split_lines(replacement.strip("\r\n"))]
    if indent and lines and not lines[0].startswith((" ", "\t")):
        lines = [indent + line if line.strip() else line for line in lines]
    return "".join([line + ending for line in lines])


def _line_after(text: str, offset: int) -> int:
    if text.startswith("\r\n", offset):
        return offset + 2
    return offset + 1 if offset < len(text) else offset


def _without_blank_lines(rest: str, before: str) -> str:
    """What followed a deleted symbol, without the blank lines that set it apart, when there are such before it, too."""
    if before and not before.endswith(("\n\n", "\r\n\r\n")):
        return rest
    lines = split_lines(rest)
    while lines and not lines[0].strip():
        lines.pop(0)
    return "".join(lines)
