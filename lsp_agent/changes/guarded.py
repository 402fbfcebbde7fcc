"""A tool that runs commands, with a checkpoint before each that may change files and its changes written down after."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lsp_agent.changes.commands import Begun, CommandJournal
from lsp_agent.domain.errors import StoreError, ToolError
from lsp_agent.domain.run import Run
from lsp_agent.ports.approver import Approver, Decision, PermissionAsk
from lsp_agent.ports.tools import Tool, ToolContext, ToolResult

_log = logging.getLogger(__name__)


class Guarded:
    """Implements `ports.tools.Tool` around another one.

    `may_change(arguments)`: whether the call could change files; one that cannot is passed through. The snapshot is
    made between the permission and the command, so that nothing the user does while being asked counts as the
    command's. Raises: ToolError when the snapshot cannot be stored: then nothing was run.
    """

    def __init__(self, tool: Tool, journal: CommandJournal, may_change: Callable[[Mapping[str, Any]], bool]) -> None:
        self._tool = tool
        self._journal = journal
        self._may_change = may_change
        self._late: set[asyncio.Task[Any]] = set()
        self.spec = tool.spec
        self.kind = tool.kind
        self.parallel = tool.parallel
        self.read_only = tool.read_only

    def title(self, arguments: Mapping[str, Any]) -> str:
        return self._tool.title(arguments)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        if not self._may_change(arguments):
            return await self._tool.run(arguments, context)
        gate = _Gate(context, self._journal, self.title(arguments))
        try:
            result = await self._tool.run(arguments, replace(context, approver=gate))
        except ToolError:
            await self._after(gate.begun)
            raise
        except BaseException:
            self._after_later(context, gate.begun)
            raise
        files = await self._after(gate.begun)
        return replace(result, changes=(*result.changes, *files)) if files else result

    async def _after(self, begun: Begun | None) -> list[dict[str, Any]]:
        if begun is None:
            return []
        try:
            return await self._journal.after_command(begun)
        except StoreError:
            _log.warning("what a command changed could not be written down")
            return []

    def _after_later(self, context: ToolContext, begun: Begun | None) -> None:
        """A cancelled call must end at once; what it did is told behind it."""

        async def tell() -> None:
            files = await self._after(begun)
            if files:
                context.events.durable(context.session_id, None, {"sessionUpdate": "changes_update", "files": files})

        if begun is not None:
            task = asyncio.create_task(tell(), name="changes of a cancelled command")
            self._late.add(task)
            task.add_done_callback(self._late.discard)


class _Gate:
    """Implements `ports.approver.Approver`: asks, and makes the snapshot when the answer is yes."""

    def __init__(self, context: ToolContext, journal: CommandJournal, title: str) -> None:
        self._approver: Approver = context.approver
        self._context = context
        self._journal = journal
        self._title = title
        self.begun: Begun | None = None

    async def ask(self, run: Run, tool_call_id: str, mode: str, ask: PermissionAsk) -> Decision:
        decision = await self._approver.ask(run, tool_call_id, mode, ask)
        if decision.allowed and self.begun is None:
            try:
                self.begun = await self._before()
            except StoreError as error:
                raise ToolError(
                    f"Nothing was run: no checkpoint could be stored before the command ({error})."
                ) from error
        return decision

    async def _before(self) -> Begun:
        context = self._context
        return await self._journal.before_command(
            context.author, context.call.tool_call_id, self._title, made_in=context.made_in
        )
