"""Why a step's message ended and whether the turn ends with it. Pure."""

from collections.abc import Mapping, Sequence

from lsp_agent.agent.repetition import is_looping
from lsp_agent.domain.message import FinishReason
from lsp_agent.domain.run import StopReason
from lsp_agent.domain.stream import Finished

STOP_NOTICES: Mapping[StopReason, str] = {
    StopReason.LOOP: "Stopped: the model kept making the same tool calls with the same results.",
    StopReason.MAX_STEPS: "Stopped: the limit of steps for one run is reached.",
    StopReason.BUDGET: "Stopped: the limit of cost for one run is reached.",
}
"""What the user is told when a turn is stopped from outside the model."""


def message_reason(finished: Finished, *, has_calls: bool) -> FinishReason:
    """How the message ended. Calls decide: some servers report a plain stop beside them, others calls without any."""
    if finished.refusal or finished.reason is FinishReason.CONTENT_FILTER:
        return FinishReason.CONTENT_FILTER
    if finished.reason is FinishReason.MAX_TOKENS:
        return FinishReason.MAX_TOKENS
    if has_calls:
        return FinishReason.TOOL_USE
    if finished.reason in (FinishReason.STOP, FinishReason.TOOL_USE):
        return FinishReason.END_TURN
    return finished.reason


def stop_reason(reason: FinishReason) -> StopReason:
    """How a run ends whose last message ended so, without calls to run."""
    if reason is FinishReason.CONTENT_FILTER:
        return StopReason.REFUSAL
    if reason is FinishReason.MAX_TOKENS:
        return StopReason.MAX_TOKENS
    return StopReason.END_TURN


def reason_to_stop(
    signatures: Sequence[bytes], *, steps: int, max_steps: int, cost_usd: float, max_cost_usd: float
) -> StopReason | None:
    """Why a turn that wants another step does not get it; None = it does. A limit of 0 is none."""
    if is_looping(signatures):
        return StopReason.LOOP
    if max_steps and steps >= max_steps:
        return StopReason.MAX_STEPS
    if max_cost_usd and cost_usd >= max_cost_usd:
        return StopReason.BUDGET
    return None
