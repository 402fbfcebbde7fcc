"""From the name a model writes to a place in a file: by text, in one file or in all of them (CORE 26)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import ToolError
from lsp_agent.domain.text import Position
from lsp_agent.language.service import LanguageService
from lsp_agent.language.words import components, spots
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.ports.workspace import Place
from lsp_agent.tools.arguments import number_argument, one_line, text_argument
from lsp_agent.tools.gate import may_look
from lsp_agent.tools.reading import read_file

MAX_TRIES = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where the name stands."""

    path: Path
    at: Position


async def the_file(arguments: Mapping[str, Any], context: ToolContext, tool: str, key: str) -> Place | ToolResult:
    """The file an argument names, once it may be read; else the refusal. Raises: ToolError."""
    place = context.workspace.place(text_argument(arguments, key))
    denied = await may_look(context, tool, "read", place)
    return denied if denied is not None else place


async def candidates(
    arguments: Mapping[str, Any], context: ToolContext, service: LanguageService, tool: str
) -> list[Candidate] | ToolResult:
    """Where the symbol of `symbol`, `path` and `line` stands, likeliest first; or the refusal to read `path`.

    Raises: ToolError when it stands nowhere.
    """
    symbol = text_argument(arguments, "symbol").strip()
    if not components(symbol):
        raise ToolError("`symbol` is one name, perhaps qualified, without spaces: `Class.method`.")
    line = number_argument(arguments, "line", 0)
    if text_argument(arguments, "path"):
        place = await the_file(arguments, context, tool, "path")
        if isinstance(place, ToolResult):
            return place
        text = (await read_file(context, place)).text
        found = [Candidate(place.path, spot.at) for spot in spots(text, symbol) if not line or spot.at.line == line - 1]
        where = f"{place.shown}, line {line}" if line else place.shown
        if not found:
            raise ToolError(f"{one_line(symbol)} does not occur in {where}.")
        return found[:MAX_TRIES]
    last = components(symbol)[-1]
    scored: list[tuple[int, Candidate]] = []
    for path, text in await service.files_like(None, last):
        scored += [(spot.score, Candidate(path, spot.at)) for spot in spots(text, symbol, 3)]
    if not scored:
        raise ToolError(f"{one_line(symbol)} does not occur in any file of the workspace. Try grep for a part of it.")
    scored.sort(key=lambda one: (-one[0], _is_code(one[1].path), len(one[1].path.parts), one[1].path, one[1].at))
    return [one for _, one in scored[:MAX_TRIES]]


def _is_code(path: Path) -> int:
    return 1 if path.suffix.casefold() in (".md", ".txt", ".rst", ".json", ".toml", ".lock", ".csv", ".log", "") else 0
