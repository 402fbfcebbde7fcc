"""What language servers answer, in one shape each: locations, symbols, edits of files, code actions. Pure.

LSP allows several forms of everything; a malformed piece is left out, never an error.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lsp_agent.domain.text import Position, Range, TextEdit

KINDS = (
    "", "file", "module", "namespace", "package", "class", "method", "property", "field", "constructor", "enum",
    "interface", "function", "variable", "constant", "string", "number", "boolean", "array", "object", "key", "null",
    "enum member", "struct", "event", "operator", "type parameter",
)  # fmt: skip
"""LSP 3.17 SymbolKind by number."""
MAX_DEPTH = 40


@dataclass(frozen=True, slots=True)
class Location:
    """A range in a file."""

    uri: str
    range: Range


@dataclass(frozen=True, slots=True)
class Symbol:
    """Something with a name. `range` is all of it, `name_range` its name."""

    name: str
    kind: str
    range: Range
    name_range: Range
    container: str = ""
    """Names of what it lies in, joined with `.`."""
    uri: str = ""
    depth: int = 0

    @property
    def path(self) -> str:
        """`Container.name`."""
        return f"{self.container}.{self.name}" if self.container else self.name


@dataclass(frozen=True, slots=True)
class FileEdits:
    """Edits of one file, positions in its present text."""

    uri: str
    edits: Sequence[TextEdit]


@dataclass(frozen=True, slots=True)
class EditPlan:
    """A WorkspaceEdit. `unsupported` names operations on whole files, which we do not perform."""

    files: Sequence[FileEdits] = ()
    unsupported: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """A code action. `edit` None = it has to be resolved, or is a command."""

    title: str
    kind: str
    edit: EditPlan | None
    raw: Mapping[str, Any] = field(default_factory=dict)
    disabled: str = ""


def position(value: Any) -> Position | None:
    """An LSP position; None for anything else."""
    if not isinstance(value, Mapping):
        return None
    line, column = value.get("line"), value.get("character")
    if isinstance(line, int) and isinstance(column, int) and line >= 0 and column >= 0:
        return Position(line, column)
    return None


def span(value: Any) -> Range | None:
    """An LSP range; None for anything else."""
    if not isinstance(value, Mapping):
        return None
    start, end = position(value.get("start")), position(value.get("end"))
    return Range(start, end) if start is not None and end is not None and start <= end else None


def wire_position(at: Position) -> dict[str, int]:
    """One of ours in LSP's shape, in code points."""
    return {"line": at.line, "character": at.column}


def wire_range(of: Range) -> dict[str, Any]:
    """One of ours in LSP's shape, in code points."""
    return {"start": wire_position(of.start), "end": wire_position(of.end)}


def locations(result: Any) -> list[Location]:
    """`Location | Location[] | LocationLink[]`, each place once."""
    found: dict[Location, None] = {}
    for item in result if isinstance(result, list) else [result]:
        if isinstance(item, Mapping):
            uri = item.get("uri") or item.get("targetUri")
            where = span(item.get("range")) or span(item.get("targetSelectionRange")) or span(item.get("targetRange"))
            if isinstance(uri, str) and where is not None:
                found.setdefault(Location(uri, where))
    return list(found)


def symbols(result: Any, uri: str) -> list[Symbol]:
    """`DocumentSymbol[] | SymbolInformation[] | WorkspaceSymbol[]` flat, in the server's order, parents first."""
    return list(_symbols(result, uri, "", 0)) if isinstance(result, list) else []


def _symbols(items: Sequence[Any], uri: str, container: str, depth: int) -> Iterator[Symbol]:
    for item in items if depth < MAX_DEPTH else ():
        if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
            continue
        name, number = item["name"], item.get("kind")
        kind = KINDS[number] if isinstance(number, int) and 0 < number < len(KINDS) else "symbol"
        place = item.get("location")
        if isinstance(place, Mapping):
            where = span(place.get("range")) or Range(Position(0, 0), Position(0, 0))
            of = str(item.get("containerName") or "")
            yield Symbol(name, kind, where, where, of, str(place.get("uri") or uri), 1 if of else 0)
            continue
        whole = span(item.get("range"))
        if whole is None:
            continue
        yield Symbol(name, kind, whole, span(item.get("selectionRange")) or whole, container, uri, depth)
        children = item.get("children")
        if isinstance(children, list):
            yield from _symbols(children, uri, f"{container}.{name}" if container else name, depth + 1)


def edit_plan(result: Any) -> EditPlan | None:
    """A `WorkspaceEdit`; None when it is none. `documentChanges` wins over `changes`, as LSP says."""
    if not isinstance(result, Mapping):
        return None
    listed, plain = result.get("documentChanges"), result.get("changes")
    edits: dict[str, list[TextEdit]] = {}
    unsupported: list[str] = []
    if isinstance(listed, list):
        for change in listed:
            if isinstance(change, Mapping) and isinstance(change.get("kind"), str):
                unsupported.append(f"{change['kind']} a file")
            elif isinstance(change, Mapping) and isinstance(document := change.get("textDocument"), Mapping):
                edits.setdefault(str(document.get("uri") or ""), []).extend(_edits(change.get("edits")))
    elif isinstance(plain, Mapping):
        for uri, items in plain.items():
            edits.setdefault(str(uri), []).extend(_edits(items))
    else:
        return None
    return EditPlan(tuple([FileEdits(uri, tuple(made)) for uri, made in edits.items() if made]), tuple(unsupported))


def _edits(items: Any) -> list[TextEdit]:
    found: list[TextEdit] = []
    for item in items if isinstance(items, list) else ():
        where = span(item.get("range")) if isinstance(item, Mapping) else None
        if where is not None and isinstance(item.get("newText"), str):
            found.append(TextEdit(where, item["newText"]))
    return found


def actions(result: Any) -> list[Action]:
    """`(Command | CodeAction)[]`."""
    found: list[Action] = []
    for item in result if isinstance(result, list) else ():
        if not isinstance(item, Mapping) or not isinstance(item.get("title"), str):
            continue
        why = item.get("disabled")
        reason = str(why.get("reason") or "not now") if isinstance(why, Mapping) else ""
        plan = edit_plan(item.get("edit"))
        found.append(Action(item["title"], str(item.get("kind") or ""), plan, item, reason))
    return found
