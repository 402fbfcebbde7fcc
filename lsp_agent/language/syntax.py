"""The symbols of a text without a language server: Python's own parser, else a tree-sitter grammar that is installed.

Grammars are optional packages (`tree_sitter_go`, …), looked for when a file of their language comes up and kept by
whoever owns the `Grammars`. Parsing is quick but not free: call it in a thread. Pure otherwise.
"""

import ast
import importlib
import importlib.util
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lsp_agent.domain.text import Position, Range
from lsp_agent.language.shapes import MAX_DEPTH, Symbol
from lsp_agent.workspace.lines import split_lines

MAX_CHARS = 2_000_000
_MODULES: Mapping[str, tuple[str, str]] = {
    ".js": ("tree_sitter_javascript", "language"), ".jsx": ("tree_sitter_javascript", "language"),
    ".mjs": ("tree_sitter_javascript", "language"), ".cjs": ("tree_sitter_javascript", "language"),
    ".ts": ("tree_sitter_typescript", "language_typescript"), ".tsx": ("tree_sitter_typescript", "language_tsx"),
    ".go": ("tree_sitter_go", "language"), ".rs": ("tree_sitter_rust", "language"),
    ".c": ("tree_sitter_c", "language"), ".h": ("tree_sitter_c", "language"),
    ".cc": ("tree_sitter_cpp", "language"), ".cpp": ("tree_sitter_cpp", "language"),
    ".hpp": ("tree_sitter_cpp", "language"), ".java": ("tree_sitter_java", "language"),
    ".rb": ("tree_sitter_ruby", "language"), ".php": ("tree_sitter_php", "language_php"),
    ".lua": ("tree_sitter_lua", "language"), ".cs": ("tree_sitter_c_sharp", "language"),
    ".sh": ("tree_sitter_bash", "language"), ".bash": ("tree_sitter_bash", "language"),
}  # fmt: skip
_DEFINING = re.compile(
    r"(function|method|class|struct|enum|interface|trait|module|type|impl|constructor|namespace)"
    r"(_?(definition|declaration|item|spec|specifier|alias_declaration|signature))?$"
)
_KIND_OF = {"impl": "class", "trait": "interface"}


class Grammars:
    """The tree-sitter parsers that are installed, by file suffix."""

    def __init__(self) -> None:
        self._parsers: dict[str, Any] = {}

    def parser(self, suffix: str) -> Any:
        """A parser, or None when its grammar is not installed."""
        if suffix not in self._parsers:
            self._parsers[suffix] = _load(suffix)
        return self._parsers[suffix]


def _load(suffix: str) -> Any:
    named = _MODULES.get(suffix)
    if named is None or importlib.util.find_spec(named[0]) is None:
        return None
    from tree_sitter import Language, Parser

    try:
        return Parser(Language(getattr(importlib.import_module(named[0]), named[1])()))
    except (ValueError, AttributeError, ImportError):
        return None  # a grammar of another version than the library: as good as none


def text_symbols(path: Path, text: str, grammars: Grammars) -> list[Symbol] | None:
    """What is defined in a text, parents first; None when nothing here can parse it."""
    suffix = path.suffix.casefold()
    if len(text) > MAX_CHARS:
        return None
    if suffix in (".py", ".pyi"):
        return _python(path, text)
    parser = grammars.parser(suffix)
    return None if parser is None else list(_tree(parser.parse(text.encode("utf-8", "replace")), path, text))


# ------------------------------------------------------------------------------------------------------------ Python


def _python(path: Path, text: str) -> list[Symbol] | None:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return list(_definitions(tree.body, path.as_uri(), split_lines(text), "", 0))


def _definitions(body: Sequence[ast.stmt], uri: str, lines: Sequence[str], container: str, depth: int) -> Iterator[Any]:
    for node in body if depth < MAX_DEPTH else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            is_class = isinstance(node, ast.ClassDef)
            kind = "class" if is_class else ("method" if container else "function")
            first = min([node.lineno, *[one.lineno for one in node.decorator_list]]) - 1
            start = Position(first, _column(lines, first, node.col_offset))
            yield Symbol(
                node.name,
                kind,
                Range(start, _position(lines, node.end_lineno, node.end_col_offset)),
                _name_range(lines, node.lineno - 1, node.name),
                container,
                uri,
                depth,
            )
            inner = f"{container}.{node.name}" if container else node.name
            yield from _definitions(node.body, uri, lines, inner, depth + 1)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and depth < 2:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            where = Range(
                _position(lines, node.lineno, node.col_offset), _position(lines, node.end_lineno, node.end_col_offset)
            )
            for target in targets:
                if isinstance(target, ast.Name):
                    at = _position(lines, target.lineno, target.col_offset)
                    name = Range(at, Position(at.line, at.column + len(target.id)))
                    yield Symbol(target.id, "variable", where, name, container, uri, depth)
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from _definitions(node.body, uri, lines, container, depth)


def _position(lines: Sequence[str], line: int | None, byte: int | None) -> Position:
    """The parser counts lines from 1 and UTF-8 bytes."""
    at = (line or 1) - 1
    return Position(at, _column(lines, at, byte or 0))


def _column(lines: Sequence[str], line: int, byte: int) -> int:
    text = lines[line] if line < len(lines) else ""
    return byte if text.isascii() else len(text.encode("utf-8")[:byte].decode("utf-8", "ignore"))


def _name_range(lines: Sequence[str], line: int, name: str) -> Range:
    text = lines[line] if line < len(lines) else ""
    found = re.search(rf"\b{re.escape(name)}\b", text)
    column = found.start() if found else 0
    return Range(Position(line, column), Position(line, column + len(name)))


# ------------------------------------------------------------------------------------------------------- tree-sitter


def _tree(tree: Any, path: Path, text: str) -> Iterator[Symbol]:
    lines = split_lines(text)
    uri = path.as_uri()
    waiting: list[tuple[Any, str, int]] = [(tree.root_node, "", 0)]
    while waiting:
        node, container, depth = waiting.pop()
        inner = container
        match = _DEFINING.match(node.type)
        name_node = _name_node(node) if match and node.is_named else None
        if match and name_node is not None and depth < MAX_DEPTH:
            name = name_node.text.decode("utf-8", "replace")
            kind = _KIND_OF.get(match[1], match[1])
            yield Symbol(name, kind, _range(lines, node), _range(lines, name_node), container, uri, depth)
            inner, depth = f"{container}.{name}" if container else name, depth + 1
        waiting += [(child, inner, depth) for child in reversed(node.children)]


def _name_node(node: Any) -> Any:
    found = node.child_by_field_name("name") or node.child_by_field_name("type")
    declarator = node.child_by_field_name("declarator")
    while found is None and declarator is not None:  # C: the name sits below its declarators
        if declarator.type in ("identifier", "field_identifier", "qualified_identifier"):
            return declarator
        declarator = declarator.child_by_field_name("declarator")
    return found if found is None or found.end_point[0] == found.start_point[0] else None


def _range(lines: Sequence[str], node: Any) -> Range:
    (start, start_byte), (end, end_byte) = node.start_point, node.end_point
    return Range(Position(start, _column(lines, start, start_byte)), Position(end, _column(lines, end, end_byte)))
