"""What a prompt that never ran leaves behind: its user message, and an answer that says why (CORE 2.7)."""

from lsp_agent.agent import run_updates
from lsp_agent.domain.message import FinishPart, FinishReason, Message, Role, TextPart
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import Outcome, Run, RunState, StopReason
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import Events
from lsp_agent.ports.store import PutMessage, SetRunState, Write

CANCELLED_TITLE = "User canceled request"
INTERRUPTED_TITLE = "Interrupted"
INTERRUPTED_DETAILS = "The server stopped before this turn was finished."


def end_unstarted(
    events: Events,
    clock: Clock,
    run: Run,
    *,
    reason: StopReason = StopReason.CANCELLED,
    announce: bool = True,
    model: Model | None = None,
) -> None:
    """Store and announce the two messages, then the terminal event when the run owes one. Never waits."""
    now_ms = clock.now_ms()
    answer = _answer(clock.new_id(), run, reason, now_ms, model)
    finish = answer.finish
    events.durable(
        run.session_id,
        run,
        run_updates.user_message(run.message_id, run.prompt, run.attachments),
        writes=[PutMessage(user_message(run, now_ms))],
    )
    closing: list[Write] = [PutMessage(answer)]
    if not announce:
        closing.append(SetRunState(run.run_key, RunState.DONE))
    events.durable(
        run.session_id,
        run,
        run_updates.finished_message(
            answer.message_id, "", finish or _finish(reason, now_ms), model=answer.model, provider=answer.provider
        ),
        writes=closing,
    )
    if announce:
        events.complete(run, Outcome(reason, message_id=answer.message_id))


def user_message(run: Run, now_ms: int) -> Message:
    """The user message of a prompt, finished."""
    return Message(
        run.message_id,
        run.session_id,
        Role.USER,
        [TextPart(run.prompt), *run.attachments, FinishPart(FinishReason.STOP, time_ms=now_ms)],
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        run_key=run.run_key,
    )


def _answer(message_id: str, run: Run, reason: StopReason, now_ms: int, model: Model | None) -> Message:
    return Message(
        message_id,
        run.session_id,
        Role.ASSISTANT,
        [_finish(reason, now_ms)],
        model=model.model_id if model is not None else None,
        provider=model.provider_id if model is not None else None,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        run_key=run.run_key,
    )


def _finish(reason: StopReason, now_ms: int) -> FinishPart:
    if reason is StopReason.INTERRUPTED:
        return FinishPart(FinishReason.ERROR, INTERRUPTED_TITLE, INTERRUPTED_DETAILS, now_ms)
    return FinishPart(FinishReason.CANCELED, CANCELLED_TITLE, time_ms=now_ms)
