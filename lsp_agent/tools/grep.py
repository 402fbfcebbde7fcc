"""`grep`: lines of files by their text. Open documents are searched as they are in the editor."""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import ToolError, WorkspaceError
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.ports.workspace import Place
from lsp_agent.tools.arguments import object_schema, one_line, text_argument
from lsp_agent.tools.globs import glob_matcher
from lsp_agent.tools.line_search import Hit, invalid_pattern, line_searcher
from lsp_agent.tools.ripgrep import RipgrepError, ripgrep_lines
from lsp_agent.tools.searching import IGNORE_ARGUMENTS, files_below, may_look_at_all, model_path, search_places

LIMIT = 100
TIMEOUT_S = 5.0
MAX_LINE_CHARS = 500
_MAX_FILE_BYTES = 20 << 20
_MAX_COLLECTED = 5_000
"""Hits looked at before the newest files are chosen; beyond it the search stops."""


@dataclass(slots=True)
class _Found:
    """What a search has found so far."""

    hits: list[tuple[Path, Hit]] = field(default_factory=list)
    withheld: set[Path] = field(default_factory=set)
    incomplete: str = ""
    """Why there may be more; empty = there is not."""


@dataclass(frozen=True, slots=True)
class _Query:
    pattern: str
    literal: bool
    include: str
    wanted: Callable[[Path], bool]
    """Whether a path fits `include`."""
    search: Callable[[str, int], list[Hit]]
    """The in-process search, for open documents."""


class Grep:
    """Searches with ripgrep where it is there, else in this process. `withhold`: files that need permission each."""

    kind = "search"
    parallel = False
    read_only = True

    def __init__(self, ripgrep: Path | None, withhold: Callable[[Path], bool]) -> None:
        self._ripgrep = ripgrep
        self._withhold = withhold
        self.spec = ToolSpec(
            name="grep",
            description=(
                "Search the text of files with a regular expression (no look-around or back-references; set "
                "`literal_text` for plain text). Files open in the editor are searched as they are there. Hidden, "
                "git-ignored and binary files and files that may hold secrets are left out. One hit a line, newest "
                f"files first, at most {LIMIT} hits in {TIMEOUT_S:.0f} s; lines are cut at {MAX_LINE_CHARS} characters."
            ),
            input_schema=object_schema(
                {
                    "pattern": {"type": "string", "description": "What to search for."},
                    "path": {"type": "string", "description": "File or directory; every workspace root if absent."},
                    "include": {"type": "string", "description": "Glob of files to search, for example `*.{ts,tsx}`."},
                    "literal_text": {"type": "boolean", "description": "Search for `pattern` as plain text."},
                },
                ["pattern"],
            ),
        )

    def title(self, arguments: Mapping[str, Any]) -> str:
        return f"Search {one_line(text_argument(arguments, 'pattern', '…'))}"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        query = _query(arguments)
        places = search_places(arguments, context)
        denied = await may_look_at_all(context, self.spec.name, "read", places)
        if denied is not None:
            return denied
        found = _Found()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                for place in places:
                    await self._search(place, query, context, found)
        except TimeoutError:
            found.incomplete = f"the search was stopped after {TIMEOUT_S:.0f} seconds"
        return _result(context, found)

    async def _search(self, place: Place, query: _Query, context: ToolContext, found: _Found) -> None:
        """Open documents first: they are what the user looks at, and they win over their files."""
        open_paths: set[Path] = set()
        for document in context.workspace.open_documents_below(place.path):
            if document.path is None or document.path in open_paths:
                continue
            open_paths.add(document.path)
            if query.wanted(document.path) and not self._withheld(document.path, place, found):
                hits = await asyncio.to_thread(query.search, document.text, LIMIT)
                found.hits += [(document.path, hit) for hit in hits]
        if self._ripgrep is not None and place.path.exists():
            await self._search_disk(place, query, open_paths, found)
        elif place.path.exists():
            await self._search_slowly(place, query, context, open_paths, found)

    async def _search_disk(self, place: Place, query: _Query, open_paths: set[Path], found: _Found) -> None:
        directory = place.path if place.path.is_dir() else place.path.parent
        target = "./" if place.path.is_dir() else f"./{place.path.name}"
        arguments = ["--json", "--no-messages", f"--max-count={LIMIT}", f"--max-filesize={_MAX_FILE_BYTES}"]
        arguments += IGNORE_ARGUMENTS
        if query.include and "/" not in query.include:
            arguments += ["--type-add", f"wanted:{query.include}", "--type", "wanted"]
        if query.literal:
            arguments.append("--fixed-strings")
        arguments += ["--regexp", query.pattern, "--", target]
        if self._ripgrep is None:
            return
        collected = 0
        try:
            async with aclosing(ripgrep_lines(self._ripgrep, arguments, cwd=directory)) as lines:
                async for line in lines:
                    match = _match(line, directory)
                    if match is None or match[0] in open_paths or not query.wanted(match[0]):
                        continue
                    if self._withheld(match[0], place, found):
                        continue
                    found.hits.append(match)
                    collected += 1
                    if collected >= _MAX_COLLECTED:
                        found.incomplete = "there are very many hits"
                        break
        except RipgrepError as error:
            raise ToolError(invalid_pattern(query.pattern, str(error))) from error

    async def _search_slowly(
        self, place: Place, query: _Query, context: ToolContext, open_paths: set[Path], found: _Found
    ) -> None:
        files, cut = await files_below(context, place, None)
        if cut:
            found.incomplete = "there are very many files"
        for path in files:
            if path in open_paths or not query.wanted(path) or self._withheld(path, place, found):
                continue
            try:
                file = await context.workspace.read_text(context.workspace.place(str(path)), max_bytes=_MAX_FILE_BYTES)
            except WorkspaceError:
                continue  # binary, gone or closed to us: not something that has lines
            hits = await asyncio.to_thread(query.search, file.text, LIMIT)
            found.hits += [(path, hit) for hit in hits]
            if len(found.hits) >= _MAX_COLLECTED:
                found.incomplete = "there are very many hits"
                return

    def _withheld(self, path: Path, place: Place, found: _Found) -> bool:
        """A file named by the call itself was asked for by its name; others are left out when they may hold secrets."""
        if path == place.path or not self._withhold(path):
            return False
        found.withheld.add(path)
        return True


def _query(arguments: Mapping[str, Any]) -> _Query:
    pattern, include = text_argument(arguments, "pattern"), text_argument(arguments, "include").removeprefix("./")
    if not pattern:
        raise ToolError("pattern is empty.")
    if "\n" in pattern:
        raise ToolError("The pattern holds a line break, but lines are searched one by one.")
    literal = arguments.get("literal_text") is True
    matches = glob_matcher(include if include.startswith("/") else f"**/{include}") if include else None

    def wanted(path: Path) -> bool:
        return matches is None or matches(
            path.as_posix().lstrip("/") if not include.startswith("/") else path.as_posix()
        )

    def search(text: str, limit: int) -> list[Hit]:
        """Compiled when needed only: ripgrep's dialect has a few things that `regex` has not."""
        return line_searcher(pattern, literal=literal)(text, limit)

    return _Query(pattern, literal, include, wanted, search)


def _match(line: bytes, directory: Path) -> tuple[Path, Hit] | None:
    """A hit from one line of ripgrep's JSON; None for its other messages (docs of `rg --json`)."""
    if not line.startswith(b'{"type":"match"'):
        return None
    data = json.loads(line)["data"]
    text = _bytes_of(data["lines"])
    start = data["submatches"][0]["start"] if data["submatches"] else 0
    column = len(text[:start].decode("utf-8", "ignore")) + 1
    path = directory / _bytes_of(data["path"]).decode("utf-8", "surrogateescape")
    return path, Hit(data["line_number"], column, text.decode("utf-8", "replace").rstrip("\r\n"))


def _bytes_of(value: Mapping[str, str]) -> bytes:
    return value["text"].encode("utf-8") if "text" in value else base64.b64decode(value["bytes"])


def _result(context: ToolContext, found: _Found) -> ToolResult:
    by_file: dict[Path, list[Hit]] = {}
    for path, hit in found.hits:
        by_file.setdefault(path, []).append(hit)
    rows: list[str] = []
    shown = 0
    for path in _newest_first(context, list(by_file)):
        hits = sorted(by_file[path], key=lambda hit: hit.line)[: LIMIT - shown]
        if not hits:
            break
        shown += len(hits)
        rows.append(f"{model_path(context, path)}:")
        rows += [f"  Line {hit.line}, Char {hit.column}: {_cut(hit.text)}" for hit in hits]
    truncated = bool(found.incomplete) or shown < len(found.hits)
    notes = []
    if truncated:
        notes.append(f"(Results are truncated: {found.incomplete or 'there are more hits'}. Narrow the search.)")
    if found.withheld:
        names = ", ".join(sorted(model_path(context, path) for path in found.withheld)[:10])
        notes.append(f"(Not shown, because they may hold secrets: {names}. View asks the user for permission.)")
    head = f"Found {shown} {'match' if shown == 1 else 'matches'}" if shown else "No matches found"
    return ToolResult(
        content="\n".join([head, *rows, *notes]),
        metadata={"number_of_matches": shown, "truncated": truncated},
    )


def _newest_first(context: ToolContext, paths: Sequence[Path]) -> list[Path]:
    open_paths = {document.path for root in paths for document in context.workspace.open_documents_below(root)}

    def age(path: Path) -> tuple[float, str]:
        if path in open_paths:
            return float("-inf"), path.as_posix()
        try:
            return -path.stat().st_mtime, path.as_posix()
        except OSError:
            return 0.0, path.as_posix()

    return sorted(paths, key=age)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_LINE_CHARS else text[:MAX_LINE_CHARS] + "…"
