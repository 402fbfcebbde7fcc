"""Leaving nothing open: what a turn that was cancelled or has failed still says before its end (CORE 6).

Everything here is synchronous, so no cancellation can come in between.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from lsp_agent.agent.calling import CANCELLED_BY_USER
from lsp_agent.agent.live import LiveMessage
from lsp_agent.agent.turn_state import TurnState
from lsp_agent.domain.errors import AgentError, ProviderError, StoreError
from lsp_agent.domain.message import FinishReason, Role
from lsp_agent.domain.run import RunError, StopReason
from lsp_agent.ports.tools import ToolResult

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a turn is closed before its time."""

    stop_reason: StopReason
    finish: FinishReason
    title: str
    details: str
    call_text: str
    call_status: str
    error: RunError | None = None


def cancelled(stop_reason: StopReason) -> Ending:
    """The user stopped it, or the server is going down."""
    if stop_reason is StopReason.INTERRUPTED:
        text = "The server stopped while this tool call was open. Its effect is unknown."
        details = "The server stopped during this turn."
        return Ending(stop_reason, FinishReason.ERROR, "Interrupted", details, text, "cancelled")
    title = "User canceled request"
    return Ending(stop_reason, FinishReason.CANCELED, title, "", CANCELLED_BY_USER, "cancelled")


def failed(error: BaseException) -> Ending:
    """Something went wrong; `error` says what, in words a user may read when it is one of ours."""
    if isinstance(error, ProviderError):
        title = (error.title[:1].upper() + error.title[1:]) or "Provider Error"
        known = RunError(error.kind, title, error.message, error.retryable)
    elif isinstance(error, StoreError):
        known = RunError("Store", "Storage error", str(error), error.retryable)
    elif isinstance(error, AgentError):
        known = RunError("Internal", "Internal error", str(error))
    else:
        known = RunError("Internal", "Internal error", f"The agent failed: {type(error).__name__}.")
    text = "The tool call was not finished because the turn ended with an error."
    return Ending(StopReason.ERROR, FinishReason.ERROR, known.title, known.message, text, "failed", known)


def failure_of(work: "asyncio.Task[Any]") -> Ending | None:
    """How a turn that is done went wrong; None when it went well. Bugs are logged."""
    if work.cancelled():
        return failed(RuntimeError("the turn cancelled itself"))
    error = work.exception()
    if error is None:
        return None
    if not isinstance(error, AgentError):
        _log.error("the turn failed", exc_info=error)
    return failed(error)


def close_turn(state: TurnState, live: LiveMessage | None, ending: Ending) -> LiveMessage:
    """Give every open call a result and the message its end; returns the turn's last assistant message.

    A message that ended by itself keeps its end; one that waited for its tools does not.
    """
    if live is None:
        message = state.new_message(Role.ASSISTANT, [])
        if state.model is not None:
            message.model, message.provider = state.model.model_id, state.model.provider_id
        live = LiveMessage(state, message)
    finish = live.message.finish
    if finish is None or finish.reason is FinishReason.TOOL_USE:
        live.finish(ending.finish, ending.title, ending.details)
    for call_id in list(state.open_calls):
        state.settle_call(call_id, ToolResult(ending.call_text, is_error=True), ending.call_status)
    return live
