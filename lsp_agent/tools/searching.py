"""What ls, glob and grep share: where to look, how a path is called, and which files are below a directory.

A path printed for the model is relative to the first root, because that is what a relative path of the model means;
anything else is absolute.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import ToolError, WorkspaceError
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.ports.workspace import Place
from lsp_agent.tools.arguments import text_argument
from lsp_agent.tools.gate import may_look
from lsp_agent.tools.ripgrep import RipgrepError, ripgrep_lines

LISTING_TIMEOUT_S = 30.0
_MAX_FILES = 200_000
IGNORE_ARGUMENTS = ("--no-require-git", "--no-ignore-global")


def search_places(arguments: Mapping[str, Any], context: ToolContext) -> list[Place]:
    """The place named by `path`, or every root. Raises: ToolError when it does not exist."""
    path = text_argument(arguments, "path")
    if not path:
        return [context.workspace.place(str(root)) for root in context.workspace.roots]
    place = context.workspace.place(path)
    if not place.path.exists() and not list(context.workspace.open_documents_below(place.path)):
        raise ToolError(f"{place.shown} does not exist.")
    return [place]


async def may_look_at_all(context: ToolContext, tool: str, action: str, places: Sequence[Place]) -> ToolResult | None:
    """`may_look` for each place; the first refusal, if any."""
    for place in places:
        denied = await may_look(context, tool, action, place)
        if denied is not None:
            return denied
    return None


def model_path(context: ToolContext, path: Path) -> str:
    """How the model may name `path` in its next call."""
    first = context.workspace.roots[0]
    return valid_text(path.relative_to(first).as_posix() if path.is_relative_to(first) else path.as_posix())


def valid_text(name: str) -> str:
    """`name` with what is not UTF-8 in it replaced: a file name may be any bytes, a message may not."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


async def files_below(context: ToolContext, place: Place, ripgrep: Path | None) -> tuple[list[Path], bool]:
    """Files that are neither hidden nor ignored, unsaved new ones included; and whether the list may be incomplete.

    A file as `place` is the list itself. Raises: ToolError when the directory cannot be listed.
    """
    if not place.path.is_dir():
        return [place.path], False
    if ripgrep is None:
        try:
            found = await context.workspace.walk(place, limit=_MAX_FILES)
        except WorkspaceError as error:
            raise ToolError(f"{place.shown} cannot be listed: {error}.") from error
        return found, len(found) >= _MAX_FILES
    listed, cut = await _listed_by_ripgrep(place, ripgrep)
    known = set(listed)
    for document in context.workspace.open_documents_below(place.path):
        path = document.path
        if path is not None and path not in known and not _is_hidden(path, place.path) and not path.exists():
            listed.append(path)
    return listed, cut


async def _listed_by_ripgrep(place: Place, ripgrep: Path) -> tuple[list[Path], bool]:
    found: list[Path] = []
    try:
        async with asyncio.timeout(LISTING_TIMEOUT_S):
            arguments = ["--files", "--null", "--no-messages", *IGNORE_ARGUMENTS]
            async with aclosing(ripgrep_lines(ripgrep, arguments, separator=b"\0", cwd=place.path)) as lines:
                async for line in lines:
                    found.append(place.path / line.decode("utf-8", "surrogateescape"))
                    if len(found) >= _MAX_FILES:
                        return found, True
    except TimeoutError:
        return found, True
    except RipgrepError as error:
        raise ToolError(f"{place.shown} cannot be listed: {error}.") from error
    return found, False


def _is_hidden(path: Path, below: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(below).parts)
