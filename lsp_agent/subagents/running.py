"""Running a sub-agent: a child session with its own prompt, tools, model and limits, and its answer as a tool result.

The child can never do more than its caller: its tools are some of the caller's, its mode is the caller's or a tighter
one, what the user grants it stays in its session. What it answers is text from somewhere else and reaches the caller
inside a fence (RELIABILITY PI-06).
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lsp_agent.agent.child_ids import child_session_id
from lsp_agent.agent.children import Child, Children
from lsp_agent.agent.services import TurnLimits, TurnServices, no_context
from lsp_agent.agent.turn import TurnRunner
from lsp_agent.agent.waiting import ended
from lsp_agent.domain.errors import RequestRejected, StoreError, ToolError
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import Outcome, Run, RunOptions, StopReason
from lsp_agent.domain.session import Session
from lsp_agent.ports.approver import Approver
from lsp_agent.ports.hooks import NoHooks
from lsp_agent.ports.tools import Tool, ToolContext, ToolResult, Tools
from lsp_agent.ports.workspace import Workspace
from lsp_agent.subagents.definitions import NEVER_GIVEN, narrower
from lsp_agent.untrusted import fence

_log = logging.getLogger(__name__)

MAX_ANSWER_CHARS = 100_000
_CUT_SHORT: Mapping[StopReason, str] = {
    StopReason.MAX_STEPS: "it reached its limit of steps",
    StopReason.LOOP: "it repeated itself and was stopped",
    StopReason.BUDGET: "the budget was used up",
    StopReason.MAX_TOKENS: "its answer was cut at the model's limit",
}
"""Ends after which what it said may still be of use."""


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """Bounds on one sub-agent. Times in seconds."""

    max_steps: int = 50
    total_s: float = 3600.0
    tool_cleanup_s: float = 0.8
    cleanup_s: float = 1.3
    """Both shorter than the caller's, so that a cancelled child has ended when its caller's tool call must."""
    after_s: float = 0.3
    """For ending what it left running."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one sub-agent is to do, and what with."""

    title: str
    prompt: str
    instructions: str
    model: Model
    tools: Tools
    source: str
    """Who answers, for the fence: `a sub-agent`."""
    mode: str | None = None
    """Tighter than the caller's, or None."""
    with_context: bool = False
    """Gets the blocks the caller's prompt has: rules, git, skills."""
    workspace: Workspace | None = None
    approver: Approver | None = None


class ChildTools:
    """Implements `ports.tools.Tools`: those of `base` that `allows` names, without what no sub-agent is given."""

    def __init__(self, base: Tools, allows: Callable[[Tool], bool]) -> None:
        self._base = base
        self._allows = allows

    def for_turn(self, *, mode: str, interactive: bool) -> Sequence[Tool]:
        offered = self._base.for_turn(mode=mode, interactive=interactive)
        return [tool for tool in offered if tool.spec.name not in NEVER_GIVEN and self._allows(tool)]


async def nothing_left(_session_id: str) -> None:
    """Nothing outlives a sub-agent: the default of `Runner`."""


def same_mode(_session_id: str) -> str | None:
    """Nobody has changed the mode: the default of `Runner`."""
    return None


class Runner:
    """Runs sub-agents. `bind` it before the first call: tools are made before the agent that runs them."""

    def __init__(
        self,
        *,
        limits: ChildLimits | None = None,
        live_mode: Callable[[str], str | None] = same_mode,
        end_session: Callable[[str], Awaitable[None]] = nothing_left,
        context: Callable[[Run], Awaitable[Sequence[str]]] = no_context,
    ) -> None:
        """`live_mode`: a session's mode as the user has set it by now. `end_session`: ends a session's commands.

        `context`: what a sub-agent is given of the blocks of its caller's prompt; asking for it must use nothing up.
        """
        self._limits = limits or ChildLimits()
        self._live_mode = live_mode
        self._end_session = end_session
        self._context = context
        self._world: tuple[TurnServices, Children] | None = None
        self._turns: dict[str, TurnRunner] = {}
        """By session, of the children that run now."""
        self._ending: set[asyncio.Future[None]] = set()

    def bind(self, services: TurnServices, children: Children) -> None:
        """`services` are those of the callers' turns."""
        self._world = services, children

    @property
    def services(self) -> TurnServices:
        """Those of the callers' turns."""
        return self._bound[0]

    @property
    def _bound(self) -> tuple[TurnServices, Children]:
        if self._world is None:
            raise ToolError("Sub-agents cannot be started yet.")
        return self._world

    def flush(self, session_id: str) -> None:
        """Submit what a running child has said and not stored yet. Never waits."""
        turns = self._turns.get(session_id)
        if turns is not None:
            turns.flush(session_id)

    async def run(self, assignment: Assignment, context: ToolContext) -> ToolResult:
        """Run it as a child of the call in `context`. Errors of the child are error results.

        Cancellation cancels the child and passes on. Raises: ToolError when it cannot be started or takes too long.
        """
        services, children = self._bound
        child = self._child(services, assignment, context)
        session_id = child.session.session_id
        try:
            async with asyncio.timeout(self._limits.total_s):
                outcome = await children.run(child)
        except TimeoutError as error:
            raise ToolError(f"The sub-agent took longer than {self._limits.total_s:g} s and was stopped.") from error
        except (RequestRejected, StoreError) as error:
            raise ToolError(f"The sub-agent could not be started: {error}.") from error
        finally:
            self._turns.pop(session_id, None)
            await self._end(session_id)
        return result_of(outcome, session_id, assignment.source)

    async def _end(self, session_id: str) -> None:
        work = asyncio.ensure_future(self._end_session(session_id))
        self._ending.add(work)
        work.add_done_callback(self._ending.discard)
        if not await ended([work], self._limits.after_s):
            _log.warning("what a sub-agent started did not end in time")
        elif not work.cancelled() and (error := work.exception()) is not None:
            _log.error("what a sub-agent started could not be ended", exc_info=error)

    def _child(self, services: TurnServices, assignment: Assignment, context: ToolContext) -> Child:
        parent, call, clock = context.run, context.call, services.clock
        left_usd = services.spending.left_usd(parent.session_id)
        if left_usd is not None and left_usd <= 0:
            raise ToolError("The budget of this run is used up; no sub-agent was started.")
        now_ms = clock.now_ms()
        session = Session(
            child_session_id(context.message_id, call.tool_call_id),
            title=assignment.title,
            title_is_users=True,
            parent_session_id=parent.session_id,
            parent_tool_call_id=call.tool_call_id,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        options = RunOptions(
            model=assignment.model.ref,
            max_steps=self._limits.max_steps,
            max_cost_usd=left_usd or 0.0,
            non_interactive=parent.options.non_interactive,
        )
        run = Run(
            clock.new_id(),
            session.session_id,
            None,
            clock.new_id(),
            assignment.prompt,
            options=options,
            accepted_at_ms=now_ms,
        )
        return Child(session, run, self._turn_runner(services, assignment, context, session.session_id))

    def _turn_runner(
        self, services: TurnServices, assignment: Assignment, context: ToolContext, session_id: str
    ) -> TurnRunner:
        def limits() -> TurnLimits:
            tighter = self._limits
            return replace(services.limits(), tool_cleanup_s=tighter.tool_cleanup_s, cleanup_s=tighter.cleanup_s)

        async def caller_context(_run: Run) -> Sequence[str]:
            return await self._context(context.run)

        def options(_session: Session) -> Mapping[str, Any]:
            return {"mode": self._mode(assignment, context)}

        turns = TurnRunner(
            replace(
                services,
                tools=assignment.tools,
                workspace=assignment.workspace or services.workspace,
                approver=assignment.approver or services.approver,
                instructions=assignment.instructions,
                context=caller_context if assignment.with_context else no_context,
                hooks=NoHooks(),
                limits=limits,
                called_by=context.author,
            )
        )
        turns.options_of = options
        self._turns[session_id] = turns
        return turns

    def _mode(self, assignment: Assignment, context: ToolContext) -> str:
        """The tightest of what the caller had when it called, what the user has set since, and the definition's."""
        modes = [context.mode]
        if assignment.mode is not None:
            modes.append(assignment.mode)
        live = None if context.run.options.mode else self._live_mode(context.session_id)
        if live is not None:
            modes.append(live)
        return narrower(*modes)


def result_of(outcome: Outcome, session_id: str, source: str) -> ToolResult:
    """What the caller's model reads of a sub-agent that has ended (CORE 18)."""
    metadata = {
        "sessionId": session_id,
        "stopReason": outcome.stop_reason.value,
        "steps": outcome.steps,
        "costUsd": outcome.usage.cost_usd,
    }

    def problem(text: str) -> ToolResult:
        return ToolResult(text, is_error=True, metadata=metadata)

    if outcome.error is not None or outcome.stop_reason is StopReason.ERROR:
        why = outcome.error.message if outcome.error is not None else "something went wrong"
        return problem(f"The sub-agent failed: {why}")
    if outcome.stop_reason in (StopReason.CANCELLED, StopReason.INTERRUPTED):
        return problem("The sub-agent was stopped before it had an answer.")
    if outcome.stop_reason is StopReason.REFUSAL:
        return problem("The sub-agent's model refused this task.")
    cut_short = _CUT_SHORT.get(outcome.stop_reason, "")
    text = outcome.text.strip()
    if not text:
        return problem(f"The sub-agent ended without an answer{f': {cut_short}' if cut_short else ''}.")
    if len(text) > MAX_ANSWER_CHARS:
        text, cut_short = text[:MAX_ANSWER_CHARS], cut_short or "its answer was too long"
    content = fence(text, f"the answer of {source}", nonce)
    if cut_short:
        content += f"\n(The sub-agent did not finish: {cut_short}.)"
    return ToolResult(content, metadata=metadata)


def nonce() -> str:
    """A word nobody can guess, for a fence."""
    return secrets.token_hex(6)
