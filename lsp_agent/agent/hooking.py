"""Where the user's hooks stand in a turn: around each tool call, before a prompt enters, and before the turn ends.

Only a session of the user's own has hooks; what a sub-agent does belongs to the call that started it, which has been
asked about (CORE 25). A hook can forbid and take away; what it allows goes no further than the mode `full-auto` would:
deny rules, protected paths, plan mode and whatever must be asked every time stay as they are.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lsp_agent.agent.arguments import problems
from lsp_agent.agent.turn_state import TurnState
from lsp_agent.domain.message import Message
from lsp_agent.domain.run import Run
from lsp_agent.ports.approver import Approver, Decision, PermissionAsk
from lsp_agent.ports.hooks import HookResult
from lsp_agent.ports.tools import Tool, ToolContext, ToolResult

Perform = Callable[[Mapping[str, Any], ToolContext], Awaitable[ToolResult]]
"""Runs the tool; whatever goes wrong in it is a result, only a cancellation is raised."""

MAX_CONTINUATIONS = 3
"""How often hooks may keep one turn from ending."""
WITHHELD = "[A hook of the user held this prompt back.]"
NOT_PASSED_ON = "A hook held this prompt back. It was not sent to the model."
_LEANING = {"allow": "full-auto", "ask": "ask"}


@dataclass(frozen=True, slots=True)
class Entry:
    """Whether a prompt may enter, and what hooks add to it."""

    allowed: bool = True
    reason: str = ""
    context: str = ""


class TurnHooks:
    """The hooks of one turn. `begun`: the summary each session stood on when SessionStart was last said of it."""

    def __init__(self, state: TurnState, begun: dict[str, str | None]) -> None:
        self._state = state
        self._begun = begun
        self._continued = 0

    def wants(self, event: str, tool: str = "") -> bool:
        """Whether hooks of this event would run in this session."""
        state = self._state
        return state.session.parent_session_id is None and state.services.hooks.wants(event, tool)

    # ---------------------------------------------------------------------------------------------------- prompts

    async def session_start(self, *, is_new: bool = False) -> HookResult:
        """SessionStart, when the session is begun, taken up again, or shortened since; else nothing."""
        state = self._state
        session_id, summary = state.run.session_id, state.session.summary_message_id
        if not self.wants("SessionStart") or self._begun.get(session_id, "") == summary:
            return HookResult()
        source = "compact" if session_id in self._begun else "startup" if is_new else "resume"
        result = await self._run("SessionStart", state.run, payload={"source": source})
        self._begun[session_id] = summary
        return result

    async def entry(self, run: Run) -> Entry:
        """UserPromptSubmit: whether the prompt of `run` may enter the conversation."""
        result = await self._run("UserPromptSubmit", run, payload={"prompt": run.prompt})
        return Entry(not (result.halt or result.decision == "deny"), result.reason, result.context)

    async def first_entry(self, run: Run, *, is_new: bool) -> Entry:
        """What SessionStart and then UserPromptSubmit say of the turn's own prompt."""
        started = await self.session_start(is_new=is_new)
        if started.halt:
            return Entry(False, started.reason)
        entry = await self.entry(run)
        return replace(entry, context=_lines(started.context, entry.context))

    async def reason_to_go_on(self, last: Message) -> str:
        """Stop: why the turn may not end yet, in words for the model; empty when it may."""
        if self._continued >= MAX_CONTINUATIONS or not self.wants("Stop"):
            return ""
        payload = {"stop_hook_active": self._continued > 0, "last_assistant_message": last.text}
        result = await self._run("Stop", self._state.run, payload=payload)
        if result.halt or result.decision != "deny":
            return ""
        self._continued += 1
        return _lines(f"A hook of the user does not let this end yet: {result.reason}", result.context)

    # ------------------------------------------------------------------------------------------------------ calls

    async def around(self, tool: Tool, arguments: Mapping[str, Any], context: ToolContext, run: Perform) -> ToolResult:
        """Run a tool with its hooks before and after it."""
        name = tool.spec.name
        before = HookResult()
        if self.wants("PreToolUse", name):
            before = await self._call("PreToolUse", tool, arguments, context)
            refused = _refusal(before)
            if refused is not None:
                return refused
            if before.input is not None:
                arguments = before.input
                wrong = problems(arguments, tool.spec.input_schema)
                if wrong:
                    text = f"A hook of the user changed the arguments so that they do not fit: {'; '.join(wrong)}."
                    return ToolResult(text, is_error=True, metadata=_hook_metadata(before))
                self._announce_change(tool, arguments, context)
            if before.decision in _LEANING:
                approver = Leaning(context.approver, context.call.tool_call_id, _LEANING[before.decision])
                context = replace(context, approver=approver)
        result = await run(arguments, context)
        after = HookResult()
        if not result.is_error and self.wants("PostToolUse", name):
            response = {"content": result.content, "is_error": False, "success": True}
            try:
                after = await self._call("PostToolUse", tool, arguments, context, tool_response=response)
            except asyncio.CancelledError:
                after = HookResult()  # the tool has run: its result must be known, whoever cancels meanwhile
        return _extended(result, before, after)

    async def _call(
        self, event: str, tool: Tool, arguments: Mapping[str, Any], context: ToolContext, **more: Any
    ) -> HookResult:
        payload = {"tool_input": dict(arguments), **more}
        call_id = context.call.tool_call_id
        return await self._run(event, self._state.run, tool=tool.spec.name, tool_call_id=call_id, payload=payload)

    def _announce_change(self, tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> None:
        """Clients are shown what runs, not what the model wrote."""
        opened = self._state.open_calls.get(context.call.tool_call_id)
        if opened is not None:
            opened.raw_input, opened.title = arguments, tool.title(arguments) or tool.spec.name
            self._state.durable(opened.update("in_progress"))

    # -------------------------------------------------------------------------------------------------------- all

    async def _run(
        self, event: str, run: Run, *, tool: str = "", tool_call_id: str = "", payload: Mapping[str, Any]
    ) -> HookResult:
        if not self.wants(event, tool):
            return HookResult()
        state = self._state
        told = {"mode": state.mode, **payload}
        result = await state.services.hooks.run(event, run, tool=tool, tool_call_id=tool_call_id, payload=told)
        for message in result.metadata.get("messages", ()):
            state.notice("hook", message, level="info")
        return result


@dataclass(frozen=True, slots=True)
class Leaning:
    """The approver of one call, asked as if the mode were another one. Plan mode stays."""

    inner: Approver
    tool_call_id: str
    mode: str

    async def ask(self, run: Run, tool_call_id: str, mode: str, ask: PermissionAsk) -> Decision:
        leans = tool_call_id == self.tool_call_id and mode != "plan"
        return await self.inner.ask(run, tool_call_id, self.mode if leans else mode, ask)


def _refusal(said: HookResult) -> ToolResult | None:
    """The result of a call that does not run; None when it may."""
    metadata = _hook_metadata(said)
    if said.halt:
        text = f"This call was not run: a hook of the user ended the turn. {said.reason}".rstrip()
        return ToolResult(text, is_error=True, metadata=metadata, stop_turn=True, status="rejected")
    if said.decision == "deny":
        text = f"This call was not run: a hook of the user forbids it. {said.reason}".rstrip()
        return ToolResult(text, is_error=True, metadata=metadata, status="rejected")
    return None


def _extended(result: ToolResult, before: HookResult, after: HookResult) -> ToolResult:
    """The result with what hooks add to it. A hook that objects afterwards undoes nothing; the model reads why."""
    if not before.metadata and not after.metadata:
        return result
    objection = f"A hook of the user objects: {after.reason}" if after.decision == "deny" else ""
    return replace(
        result,
        content=_lines(result.content, before.context, after.context, objection),
        metadata={**result.metadata, **_hook_metadata(before, after)},
        stop_turn=result.stop_turn or after.halt,
    )


def _hook_metadata(before: HookResult, after: HookResult | None = None) -> dict[str, Any]:
    """Under `hook` what came before the call; what came after it under `hook_after`."""
    found = {"hook": dict(before.metadata), "hook_after": dict(after.metadata) if after is not None else {}}
    return {name: value for name, value in found.items() if value}


def _lines(*texts: str) -> str:
    return "\n".join([text for text in texts if text])
