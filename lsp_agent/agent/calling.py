"""The tool calls of a step: checked, run between the user's hooks, and each given exactly one result (CORE 4).

Calls run in the order the model made them; neighbours that may run beside each other do, five at a time. Each runs in a
task of its own, so that a cancelled one has two seconds to clean up and no more. Whatever goes wrong in a tool is a
result for the model; only a cancellation ends the step.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from lsp_agent.agent.arguments import problems
from lsp_agent.agent.hooking import TurnHooks
from lsp_agent.agent.strictness import refusal_of
from lsp_agent.agent.turn_state import OpenCall, TurnState
from lsp_agent.agent.waiting import end_tasks
from lsp_agent.domain.errors import ToolError, WorkspaceError
from lsp_agent.domain.message import ToolCallPart
from lsp_agent.domain.model import Model
from lsp_agent.ports.tools import Tool, ToolContext, ToolResult
from lsp_agent.untrusted import clean, hidden_characters

_log = logging.getLogger(__name__)

CANCELLED_BY_USER = "The user cancelled this tool call."
STOPPED_BY_USER = "This tool call was not run: the user stopped the turn."
_QUICK_CHARS = 200_000
"""Arguments up to here are read again on the loop, longer ones in a thread."""


class Calls:
    """The calls of one step."""

    def __init__(
        self, state: TurnState, model: Model, arguments: Mapping[str, Mapping[str, Any]], hooks: TurnHooks
    ) -> None:
        self._state = state
        self._hooks = hooks
        self._model = model
        self._arguments = arguments
        self._running: dict[asyncio.Task[None], str] = {}
        self._cancelling = False
        self.stop_turn = False
        """A result asked to end the turn."""

    async def run(self, calls: Sequence[ToolCallPart]) -> None:
        """Give every call its result. On cancellation those that run may clean up; the others are left to the turn."""
        todo = [call for call in calls if not call.provider_executed]
        for group in self._groups(todo):
            if self.stop_turn:
                for call in group:
                    self._settle(call, ToolResult(STOPPED_BY_USER, is_error=True, status="cancelled"))
            else:
                await self._run_group(group)

    def _groups(self, calls: Sequence[ToolCallPart]) -> Iterator[list[ToolCallPart]]:
        """Neighbours that are all parallel together, every other call alone."""

        def is_parallel(call: ToolCallPart) -> bool:
            tool = self._state.tools.get(call.name)
            return tool is not None and tool.parallel

        for parallel, group in groupby(calls, is_parallel):
            if parallel:
                yield list(group)
            else:
                for call in group:
                    yield [call]

    def refuse(self, calls: Sequence[ToolCallPart], text: str) -> None:
        """Give every call an error result without running it."""
        for call in calls:
            self._settle(call, _error(text))

    async def _run_group(self, group: Sequence[ToolCallPart]) -> None:
        waiting = list(group)
        try:
            while waiting or self._running:
                while waiting and len(self._running) < max(self._state.limits.parallel_tools, 1):
                    self._begin(waiting.pop(0))
                if self._running:
                    await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                    self._forget_finished()
        except asyncio.CancelledError:
            await self._stop_running()
            raise

    def _forget_finished(self) -> None:
        for task in [task for task in self._running if task.done()]:
            del self._running[task]
            task.result()

    async def _stop_running(self) -> None:
        """Cancel what runs and give it its time; a second cancellation does not shorten it."""
        self._cancelling = True
        if not await end_tasks(self._running, self._state.limits.tool_cleanup_s):
            _log.warning("a cancelled tool did not stop in time")

    # -------------------------------------------------------------------------------------------------- one call

    def _begin(self, call: ToolCallPart) -> None:
        """Start the call's task, or refuse it on the spot."""
        tool = self._state.tools.get(call.name)
        arguments = self._arguments.get(call.tool_call_id)
        if tool is None:
            names = ", ".join(sorted(self._state.tools)) or "none"
            return self._settle(call, _error(f"There is no tool called {call.name!r}. Available tools: {names}."))
        if arguments is None:
            return self._settle(call, _error("The arguments of this call were not a valid JSON object. Call it again."))
        wrong = problems(arguments, tool.spec.input_schema)
        opened = self._state.open_calls.get(call.tool_call_id)
        if opened is not None:
            opened.raw_input, opened.title, opened.kind = arguments, _title(tool, arguments), tool.kind
        if wrong:
            return self._settle(call, _error(f"The arguments do not fit the tool {call.name!r}: {'; '.join(wrong)}."))
        if opened is not None:
            self._state.durable(opened.update("in_progress"))
        task = asyncio.create_task(self._perform(call, tool, arguments), name=f"tool {call.name}")
        self._running[task] = call.tool_call_id
        return None

    async def _perform(self, call: ToolCallPart, tool: Tool, arguments: Mapping[str, Any]) -> None:
        opened = self._state.open_calls.get(call.tool_call_id)

        async def perform(given: Mapping[str, Any], context: ToolContext) -> ToolResult:
            return await _outcome(tool, given, context)

        try:
            refused = await _refused(call, tool)
            result = refused or await self._hooks.around(tool, arguments, self._context(call, opened), perform)
        except asyncio.CancelledError:
            if self._cancelling:
                result = ToolResult(CANCELLED_BY_USER, is_error=True, status="cancelled")
            else:  # it cancelled itself: a bug of the tool, not the user's wish
                result = _error(f"The tool {call.name!r} was interrupted from inside.")
        if not self._cancelling or result.status == "cancelled" or not result.is_error:
            self._settle(call, result)
        else:  # an error that a cancellation caused
            self._settle(call, ToolResult(CANCELLED_BY_USER, is_error=True, status="cancelled"))

    def _context(self, call: ToolCallPart, opened: OpenCall | None) -> ToolContext:
        state, services = self._state, self._state.services

        def progress(text: str) -> None:
            if call.tool_call_id in state.open_calls:
                state.chunk("tool_call_content_chunk", call.tool_call_id, text)

        return ToolContext(
            run=state.run,
            call=call,
            message_id=opened.message_id if opened else "",
            model=self._model,
            mode=state.mode,
            workspace=services.workspace,
            approver=services.approver,
            store=services.store,
            events=services.events,
            clock=services.clock,
            progress=progress,
            todos=lambda: state.session.todos,
            called_by=services.called_by,
        )

    def _settle(self, call: ToolCallPart, result: ToolResult) -> None:
        if result.changes:
            self._state.durable({"sessionUpdate": "changes_update", "files": list(result.changes)})
        self.stop_turn = self.stop_turn or result.stop_turn
        status = result.status or ("failed" if result.is_error else "completed")
        discreet = self._state.services.discreet(result.content)
        if discreet != result.content:
            result = replace(result, content=discreet)
        hidden = hidden_characters(result.content)
        if hidden:  # whoever wrote them meant them for the model alone (RELIABILITY PI-03)
            metadata = {**result.metadata, "hidden_characters": hidden}
            result = replace(result, content=clean(result.content), metadata=metadata)
        self._state.settle_call(call.tool_call_id, result, status)


async def _outcome(tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
    """What the tool says; whatever goes wrong in it is a result, too (CORE 0.8). A cancellation passes through."""
    try:
        return await tool.run(arguments, context)
    except ToolError as error:
        return ToolResult(str(error), is_error=True, metadata=error.metadata, stop_turn=error.stop_turn)
    except WorkspaceError as error:
        return _error(str(error))
    except Exception as error:  # noqa: BLE001  # a bug of a tool
        _log.exception("tool %s failed", tool.spec.name)
        return _error(f"The tool {tool.spec.name!r} failed: {type(error).__name__}: {error}")


async def _refused(call: ToolCallPart, tool: Tool) -> ToolResult | None:
    """Why the call's own text is not taken; None when it is."""
    writes = tool.kind == "edit"
    if len(call.input) <= _QUICK_CHARS:
        why = refusal_of(call.input, writes=writes)
    else:
        why = await asyncio.to_thread(refusal_of, call.input, writes=writes)
    return _error(why) if why else None


def _error(text: str) -> ToolResult:
    return ToolResult(text, is_error=True)


def _title(tool: Tool, arguments: Mapping[str, Any]) -> str:
    try:
        return tool.title(arguments) or tool.spec.name
    except Exception:  # noqa: BLE001  # the port forbids it; a title is not worth a turn
        _log.exception("title of tool %s failed", tool.spec.name)
        return tool.spec.name
