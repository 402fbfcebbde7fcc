"""`glob`: files by the shape of their path."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import ToolError
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.ports.workspace import Place
from lsp_agent.tools.arguments import object_schema, one_line, text_argument
from lsp_agent.tools.globs import glob_matcher, literal_prefix
from lsp_agent.tools.searching import files_below, may_look_at_all, model_path, search_places

LIMIT = 100


class Glob:
    """Names only; no file is opened."""

    kind = "search"
    parallel = False
    read_only = True

    def __init__(self, ripgrep: Path | None) -> None:
        self._ripgrep = ripgrep
        self.spec = ToolSpec(
            name="glob",
            description=(
                "Find files by path: `*` and `?` within a name, `**` for any number of directories, `[abc]`, `{a,b}`. "
                "A pattern without `/` fits at any depth. Relative to `path`, by default every workspace root. Hidden "
                f"and git-ignored files are left out, links are not followed. At most {LIMIT} paths, shortest first."
            ),
            input_schema=object_schema(
                {
                    "pattern": {"type": "string", "description": "For example `src/**/*.py` or `*.{ts,tsx}`."},
                    "path": {"type": "string", "description": "Directory to look in."},
                },
                ["pattern"],
            ),
        )

    def title(self, arguments: Mapping[str, Any]) -> str:
        return f"Find {one_line(text_argument(arguments, 'pattern', '…'))}"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        pattern = text_argument(arguments, "pattern")
        if not pattern:
            raise ToolError("pattern is empty.")
        prefix, rest = literal_prefix(pattern.removeprefix("./"))
        places = search_places(arguments, context)
        if prefix:
            places = [context.workspace.place(str(place.path / prefix)) for place in places]
        matches = glob_matcher(rest if prefix or "/" in rest else f"**/{rest}")
        denied = await may_look_at_all(context, self.spec.name, "list", places)
        if denied is not None:
            return denied
        found: list[str] = []
        incomplete = False
        for place in places:
            if not place.path.is_dir():
                continue
            files, cut = await files_below(context, place, self._ripgrep)
            incomplete = incomplete or cut
            chosen = await asyncio.to_thread(_chosen, files, place, matches)
            found += [model_path(context, path) for path in chosen]
        return _result(found, incomplete=incomplete)


def _chosen(files: list[Path], place: Place, matches: Any) -> list[Path]:
    return [path for path in files if matches(path.relative_to(place.path).as_posix())]


def _result(found: list[str], *, incomplete: bool) -> ToolResult:
    found.sort(key=lambda path: (len(path), path))
    truncated = incomplete or len(found) > LIMIT
    metadata = {"number_of_files": min(len(found), LIMIT), "truncated": truncated}
    if not found:
        return ToolResult(content="No files found.", metadata=metadata)
    content = "\n".join(found[:LIMIT])
    if truncated:
        content += f"\n\n(Results are truncated: {min(len(found), LIMIT)} shown. Use a more specific pattern or path.)"
    return ToolResult(content=content, metadata=metadata)
