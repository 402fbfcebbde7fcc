"""Names that open documents define, found by how definitions look. Cheap and approximate: for completion only. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lsp_agent.ports.workspace import Document
from lsp_agent.workspace.lines import LineIndex

MAX_TEXT_CHARS = 512 * 1024
MAX_SYMBOLS = 2_000
_KEPT = 64
_WORDS = (
    "def|class|function|func|fn|struct|interface|type|enum|trait|impl|module|namespace|macro_rules!|const|object|"
    "protocol|defmodule|defp?|sub|union|record"
)
_BEFORE = (
    "export|default|public|private|protected|internal|static|async|abstract|final|pub|unsafe|declare|override|open|"
    "sealed|data|inline"
)
_DEFINITION = re.compile(
    rf"^[ \t]*(?:(?:{_BEFORE})(?:\([a-z]+\))?[ \t]+){{0,6}}(?:{_WORDS})\*?[ \t]+"
    r"(?:\([^)\n]{0,200}\)[ \t]*)?([A-Za-z_$][\w$]{0,200})",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition. Line and column are zero-based, the column in code points; `text` is its line."""

    name: str
    line: int
    column: int
    text: str


class Symbols:
    """Remembers the symbols of the documents it was asked about last, by their version."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, tuple[Symbol, ...]]] = {}

    def of(self, document: Document) -> tuple[Symbol, ...]:
        """In order of appearance; none for a document that is too long to look through while somebody types."""
        held = self._known.get(document.uri)
        if held is not None and held[0] == document.version:
            return held[1]
        found = tuple(_symbols(document.text)) if len(document.text) <= MAX_TEXT_CHARS else ()
        self._known.pop(document.uri, None)
        self._known[document.uri] = (document.version, found)
        if len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]
        return found


def _symbols(text: str) -> Iterator[Symbol]:
    index = LineIndex(text)
    for count, found in enumerate(_DEFINITION.finditer(text)):
        if count >= MAX_SYMBOLS:
            return
        at = index.position(found.start(1))
        yield Symbol(found[1], at.line, at.column, index.body(at.line))
