"""The tools that only look: diagnostics, definition, references, symbols, call hierarchy."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import ToolError, WorkspaceError
from lsp_agent.domain.text import Position, Range
from lsp_agent.language.faces import (
    DEFINITION_OF,
    DEFINITION_SPEC,
    MOST_EACH,
    MOST_PLACES,
    MOST_SYMBOLS,
    REFERENCES_SPEC,
    REFERENCES_TO,
    LspCallHierarchyFace,
    LspDiagnosticsFace,
    LspPlacesFace,
    LspSymbolsFace,
)
from lsp_agent.language.finding import Candidate, candidates, the_file
from lsp_agent.language.service import Found, LanguageService
from lsp_agent.language.shapes import KINDS, Location, Symbol, span
from lsp_agent.language.watch import DiagnosticsWatch, shown_by
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.tools.arguments import one_line, text_argument
from lsp_agent.untrusted import clean
from lsp_agent.workspace.diagnostics import Problem, render_problems, severity_limit
from lsp_agent.workspace.lines import LineIndex
from lsp_agent.workspace.paths import path_to_uri, uri_to_path

_SHOWN_CHARS = 200


class LspDiagnostics(LspDiagnosticsFace):
    """`lsp_diagnostics`."""

    def __init__(self, service: LanguageService, watch: DiagnosticsWatch) -> None:
        self._service = service
        self._watch = watch

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        limit = severity_limit(arguments.get("severity"))
        shown = shown_by(context.workspace)
        sections: list[str] = []
        here: Sequence[Problem] = []
        uri = ""
        if text_argument(arguments, "file_path"):
            place = await the_file(arguments, context, self.spec.name, "file_path")
            if isinstance(place, ToolResult):
                return place
            uri = path_to_uri(place.path)
            known = await self._watch.check(place.path)
            here = [one for one in self._watch.problems(limit) if one.uri == uri]
            if not known and not here:
                return ToolResult(f"No language server reports on {place.shown}.{self._why()}")
            sections.append(_section("file_diagnostics", here, shown))
        rest = [one for one in self._watch.problems(limit) if one.uri != uri]
        sections.append(_section("project_diagnostics", rest, shown))
        locations_ = [{"uri": one.uri, "line": one.line} for one in [*here, *rest][:MOST_EACH]]
        return ToolResult("\n".join([*sections, _summary(here, rest)]), locations=tuple(locations_))

    def _why(self) -> str:
        problems = self._service.own.problems()
        return f" ({'; '.join(problems[:5])})" if problems else ""


def _section(name: str, found: Sequence[Problem], shown: Any) -> str:
    lines = render_problems(found, MOST_EACH, shown)
    return f"<{name}>\n" + "\n".join(lines or ["none"]) + f"\n</{name}>"


def _summary(here: Sequence[Problem], rest: Sequence[Problem]) -> str:
    def counts(found: Sequence[Problem]) -> str:
        errors, warnings = (len([one for one in found if one.severity == level]) for level in (1, 2))
        return f"{errors} errors, {warnings} warnings"

    return f"Summary: this file {counts(here)}; rest of the project {counts(rest)}."


@dataclass(frozen=True, slots=True)
class Wanted:
    """One kind of place to look for."""

    spec: ToolSpec
    what: str
    """What stands before the symbol in the title of a call."""
    ask: Callable[[LanguageService, Path, Position, str], Awaitable[Found]]
    heading: str
    """With `{count}` and `{symbol}`."""
    nothing: str
    """With `{symbol}`."""


DEFINITION = Wanted(
    DEFINITION_SPEC,
    DEFINITION_OF,
    ask=LanguageService.definition,
    heading="{symbol} is defined in",
    nothing="No definition of {symbol} was found.",
)
REFERENCES = Wanted(
    REFERENCES_SPEC,
    REFERENCES_TO,
    ask=LanguageService.references,
    heading="{count} references to {symbol}",
    nothing="No references to {symbol} were found.",
)


class LspPlaces(LspPlacesFace):
    """`lsp_definition` and `lsp_references`: the places that belong to a symbol."""

    def __init__(self, service: LanguageService, wanted: Wanted) -> None:
        super().__init__(wanted.spec, wanted.what)
        self._service = service
        self._wanted = wanted

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        tries = await candidates(arguments, context, self._service, self.spec.name)
        if isinstance(tries, ToolResult):
            return tries
        symbol = text_argument(arguments, "symbol")
        shown = one_line(symbol)
        for one in tries:
            found = await self._wanted.ask(self._service, one.path, one.at, symbol)
            if found.places:
                heading = self._wanted.heading.format(count=len(found.places), symbol=shown)
                return await places_result(self._service, context, heading, found)
        raise ToolError(self._wanted.nothing.format(symbol=shown))


class LspSymbols(LspSymbolsFace):
    """`lsp_symbols`."""

    def __init__(self, service: LanguageService) -> None:
        self._service = service

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        query = text_argument(arguments, "query")
        if text_argument(arguments, "file_path"):
            place = await the_file(arguments, context, self.spec.name, "file_path")
            if isinstance(place, ToolResult):
                return place
            via, found = await self._service.symbols(place.path)
            if not found:
                return ToolResult(f"No symbols were found in {place.shown}. Use view or grep.")
            lines = [f"{'  ' * one.depth}{_symbol(one)}" for one in found if one.kind != "variable" or one.depth < 2]
            return ToolResult(_list(f"{place.shown} ({via})", lines), locations=({"uri": place.uri},))
        if not query:
            raise ToolError("Give `file_path` or `query`.")
        via, found = await self._service.workspace_symbols(query)
        shown = shown_by(context.workspace)
        if not found:
            return ToolResult(f"No symbol is called like {one_line(query)}.")
        found = sorted(found, key=lambda one: (one.name.casefold() != query.casefold(), len(one.name)))
        return ToolResult(
            _list(f"Symbols like {one_line(query)} ({via})", [_symbol(one, shown(one.uri)) for one in found])
        )


def _symbol(one: Symbol, path: str = "") -> str:
    first, last = one.range.start.line + 1, one.range.end.line + 1
    lines = f"{first}-{last}" if last > first else f"{first}"
    where = f"{path}:{lines}" if path else f"lines {lines}" if last > first else f"line {lines}"
    name = one.path if path else one.name
    return f"{one.kind} {clean(one_line(name, 200))} ({where})"


def _list(heading: str, lines: Sequence[str]) -> str:
    more = [f"… and {len(lines) - MOST_SYMBOLS} more"] if len(lines) > MOST_SYMBOLS else []
    return "\n".join([f"{heading}:", *lines[:MOST_SYMBOLS], *more])


class LspCallHierarchy(LspCallHierarchyFace):
    """`lsp_call_hierarchy`."""

    def __init__(self, service: LanguageService) -> None:
        self._service = service

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        tries = await candidates(arguments, context, self._service, self.spec.name)
        if isinstance(tries, ToolResult):
            return tries
        symbol = one_line(text_argument(arguments, "symbol"))
        direction = text_argument(arguments, "direction", "incoming")
        shown = shown_by(context.workspace)
        for one in tries:
            via, lines = await self._calls(one, direction, shown)
            if lines:
                verb = "is called by" if direction == "incoming" else "calls"
                return ToolResult(_list(f"{symbol} {verb} ({via})", lines))
        if direction == "incoming":
            return await self._around_references(tries[0], symbol, context)
        raise ToolError(f"No language server knows what {symbol} calls. View it instead.")

    async def _calls(self, one: Candidate, direction: str, shown: Any) -> tuple[str, list[str]]:
        service = self._service
        prepared = await service.ask("textDocument/prepareCallHierarchy", one.path, service.where(one.path, one.at))
        items = prepared.result if prepared is not None and isinstance(prepared.result, list) else []
        if not items or not isinstance(items[0], Mapping):
            return "", []
        method = f"callHierarchy/{direction}Calls"
        answer = await service.ask(method, one.path, {"item": items[0]})
        end = "from" if direction == "incoming" else "to"
        calls = answer.result if answer is not None and isinstance(answer.result, list) else []
        lines = [
            _call(call[end], call.get("fromRanges"), shown) for call in calls if isinstance(call.get(end), Mapping)
        ]
        return (answer.via if answer is not None else ""), lines

    async def _around_references(self, one: Candidate, symbol: str, context: ToolContext) -> ToolResult:
        found = await self._service.references(one.path, one.at, symbol)
        shown = shown_by(context.workspace)
        callers: dict[str, list[int]] = {}
        for place in found.places[:MOST_PLACES]:
            path = _path(place.uri)
            around = (
                [s for s in (await self._service.parsed(path) or []) if _holds(s.range, place.range)] if path else []
            )
            if any(s.name_range == place.range for s in around):
                continue  # its own definition
            name = around[-1].path if around else "(top level)"
            callers.setdefault(f"{name} in {shown(place.uri)}", []).append(place.range.start.line + 1)
        if not callers:
            raise ToolError(f"No calls of {symbol} were found.")
        lines = [f"{name}, line {', '.join(map(str, sorted(set(at))[:10]))}" for name, at in callers.items()]
        return ToolResult(_list(f"{symbol} is used by ({found.via})", lines))


def _call(item: Mapping[str, Any], ranges: Any, shown: Any) -> str:
    number, where = item.get("kind"), span(item.get("selectionRange")) or span(item.get("range"))
    kind = KINDS[number] if isinstance(number, int) and 0 < number < len(KINDS) else "symbol"
    at = [one.start.line + 1 for one in map(span, ranges if isinstance(ranges, list) else ()) if one is not None]
    places = f", at line {', '.join(map(str, sorted(set(at))[:10]))}" if at else ""
    line = f":{where.start.line + 1}" if where is not None else ""
    return f"{kind} {clean(one_line(str(item.get('name')), 200))} ({shown(str(item.get('uri') or ''))}{line}{places})"


def _holds(outer: Range, inner: Range) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


async def places_result(service: LanguageService, context: ToolContext, heading: str, found: Found) -> ToolResult:
    """Places as `path:line:column  text of the line`, grouped by file, files below the roots first."""
    shown = shown_by(context.workspace)
    inside: list[Location] = []
    outside: list[Location] = []
    for place in found.places:
        path = _path(place.uri)
        below = path is not None and any(path.is_relative_to(root) for root in context.workspace.roots)
        (inside if below else outside).append(place)
    lines: list[str] = []
    indexes: dict[str, LineIndex | None] = {}
    for place in [*inside, *outside][:MOST_PLACES]:
        if place.uri not in indexes:
            path = _path(place.uri)
            text = await service.text(path) if path is not None else None
            indexes[place.uri] = LineIndex(text) if text is not None else None
        lines.append(_place(place, indexes[place.uri], shown(place.uri)))
    more = len(found.places) - MOST_PLACES
    content = "\n".join([f"{heading} ({found.via}):", *lines, *([f"… and {more} more"] if more > 0 else [])])
    touched = [{"uri": one.uri, "line": one.range.start.line} for one in found.places[:MOST_EACH]]
    return ToolResult(content, metadata={"via": found.via, "count": len(found.places)}, locations=tuple(touched))


def _place(place: Location, index: LineIndex | None, path: str) -> str:
    start = place.range.start
    body = index.body(start.line).strip()[:_SHOWN_CHARS] if index is not None else ""
    return f"{path}:{start.line + 1}:{start.column + 1}" + (f"  {clean(body)}" if body else "")


def _path(uri: str) -> Any:
    try:
        return uri_to_path(uri)
    except WorkspaceError:
        return None
