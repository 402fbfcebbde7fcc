"""`ls`: a directory as a tree."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import ToolError
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.tools.arguments import number_argument, object_schema, one_line, text_argument
from lsp_agent.tools.gate import may_look
from lsp_agent.tools.globs import glob_matcher
from lsp_agent.tools.searching import files_below, valid_text

MAX_ENTRIES = 1_000
UNVERSIONED_DEPTH = 2
UNVERSIONED_ENTRIES = 100


class Ls:
    """Files that are neither hidden nor ignored, with the directories they are in."""

    kind = "search"
    parallel = False
    read_only = True

    def __init__(self, ripgrep: Path | None) -> None:
        self._ripgrep = ripgrep
        self.spec = ToolSpec(
            name="ls",
            description=(
                "Show a directory as a tree. Hidden and git-ignored files are left out, and directories without files. "
                f"At most {MAX_ENTRIES} entries; outside a git work tree {UNVERSIONED_ENTRIES}, {UNVERSIONED_DEPTH} "
                "levels deep unless `depth` says otherwise."
            ),
            input_schema=object_schema(
                {
                    "path": {"type": "string", "description": "The first workspace root if absent."},
                    "ignore": {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "Glob patterns to leave out; without `/` they fit at any depth.",
                    },
                    "depth": {"type": "integer", "minimum": 0, "description": "Levels to show; 0 = all."},
                }
            ),
        )

    def title(self, arguments: Mapping[str, Any]) -> str:
        return f"List {one_line(text_argument(arguments, 'path', '.'))}"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        place = context.workspace.place(text_argument(arguments, "path") or ".")
        denied = await may_look(context, self.spec.name, "list", place)
        if denied is not None:
            return denied
        if not place.path.is_dir():
            what = "is a file, not a directory" if place.path.exists() else "does not exist"
            raise ToolError(f"{place.shown} {what}.")
        ignored = _ignored(arguments.get("ignore"))
        versioned = any((directory / ".git").exists() for directory in (place.path, *place.path.parents))
        depth = number_argument(arguments, "depth", 0 if versioned else UNVERSIONED_DEPTH)
        files, cut = await files_below(context, place, self._ripgrep)
        relative = sorted(path.relative_to(place.path).parts for path in files)
        limit = MAX_ENTRIES if versioned else UNVERSIONED_ENTRIES
        rows, entries, more = _tree([parts for parts in relative if not ignored(parts)], depth, limit)
        content = "\n".join([f"{place.path.as_posix()}/", *rows])
        if not rows:
            content += "\n(empty)"
        if more or cut:
            content += f"\n(There is more: only {entries} entries are shown. List a directory below it.)"
        return ToolResult(
            content=content,
            metadata={"number_of_files": entries, "truncated": more or cut},
            locations=({"uri": place.uri},),
        )


def _ignored(patterns: Any) -> Any:
    texts = [pattern for pattern in patterns if isinstance(pattern, str)] if isinstance(patterns, list) else []
    tests = [glob_matcher(text.strip("/") if "/" in text.strip("/") else f"**/{text.strip('/')}") for text in texts]

    def ignored(parts: Sequence[str]) -> bool:
        prefixes = ["/".join(parts[: at + 1]) for at in range(len(parts))]
        return any(test(prefix) for test in tests for prefix in prefixes)

    return ignored


def _tree(paths: Sequence[tuple[str, ...]], depth: int, limit: int) -> tuple[list[str], int, bool]:
    """Rows of the tree, how many entries they are, and whether there are more than `limit`. Depth 0 = all levels."""
    rows: list[str] = []
    shown: set[tuple[str, ...]] = set()
    for parts in paths:
        for level in range(1, len(parts) + 1):
            entry = parts[:level]
            if entry in shown or (depth and level > depth):
                continue
            if len(shown) >= limit:
                return rows, len(shown), True
            shown.add(entry)
            rows.append("  " * level + "- " + valid_text(entry[-1]) + ("/" if level < len(parts) else ""))
    return rows, len(shown), False
