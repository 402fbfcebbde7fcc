"""Tools that do a little more than what they wrap: say what an edit did to the diagnostics, or wake a server early."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import WorkspaceError
from lsp_agent.language.watch import DiagnosticsWatch
from lsp_agent.ports.tools import Tool, ToolContext, ToolResult
from lsp_agent.tools.arguments import text_argument

_log = logging.getLogger(__name__)


def with_diagnostics(tool: Tool, watch: DiagnosticsWatch) -> Tool:
    """`tool`, whose results end with what its edit did to the diagnostics."""
    return WithDiagnostics(tool, watch)


def with_warming(tool: Tool, watch: DiagnosticsWatch) -> Tool:
    """`tool` (view), which lets a language server of ours read the file while the model thinks about it."""
    return Warming(tool, watch)


class WithDiagnostics:
    """See `with_diagnostics`."""

    def __init__(self, tool: Tool, watch: DiagnosticsWatch) -> None:
        self.spec, self.kind, self.parallel, self.read_only = tool.spec, tool.kind, tool.parallel, tool.read_only
        self._tool = tool
        self._watch = watch

    def title(self, arguments: Mapping[str, Any]) -> str:
        return self._tool.title(arguments)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        before = await self._watch.before(named_path(arguments, context))
        result = await self._tool.run(arguments, context)
        if result.is_error or not result.changes:
            return result
        try:
            text, figures = await self._watch.after(before, result.changes, context)
        except asyncio.CancelledError:
            return result  # the edit is made: its result must not be lost for a look at what it did
        if not text:
            return result
        content = f"{result.content}\n\n<diagnostics>\nDiagnostics after this edit: {text}\n</diagnostics>"
        return replace(result, content=content, metadata={**result.metadata, "diagnostics": figures})


class Warming:
    """See `with_warming`. `close` is not needed: what it starts belongs to the servers."""

    def __init__(self, tool: Tool, watch: DiagnosticsWatch) -> None:
        self.spec, self.kind, self.parallel, self.read_only = tool.spec, tool.kind, tool.parallel, tool.read_only
        self._tool = tool
        self._watch = watch
        self._tasks: set[asyncio.Task[None]] = set()

    def title(self, arguments: Mapping[str, Any]) -> str:
        return self._tool.title(arguments)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        result = await self._tool.run(arguments, context)
        path = named_path(arguments, context)
        if not result.is_error and path is not None and len(self._tasks) < 4:
            task = asyncio.get_running_loop().create_task(self._watch.warm(path), name="warm a language server")
            self._tasks.add(task)
            task.add_done_callback(self._done)
        return result

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("warming failed: %s", type(error).__name__)


def named_path(arguments: Mapping[str, Any], context: ToolContext) -> Path | None:
    """The file that `file_path` names; None when it names none below a root."""
    named = text_argument(arguments, "file_path")
    if not named:
        return None
    try:
        place = context.workspace.place(named)
    except WorkspaceError:
        return None
    return place.path if place.inside else None
