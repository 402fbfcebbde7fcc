"""One step: one model request, as often as it takes, folded into one assistant message (CORE 4 and 5)."""

from lsp_agent.agent.costs import step_usage
from lsp_agent.agent.live import LiveMessage
from lsp_agent.agent.requests import turn_request
from lsp_agent.agent.retry import persistently
from lsp_agent.agent.turn_state import TurnState
from lsp_agent.agent.watchdog import listen
from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.message import FinishReason, Message
from lsp_agent.domain.model import Model
from lsp_agent.domain.stream import Finished
from lsp_agent.domain.usage import Usage
from lsp_agent.ports.provider import Provider


class _Attempts:
    """The attempts at one step, all folded into one message."""

    def __init__(self, state: TurnState, model: Model, live: LiveMessage) -> None:
        self._state = state
        self._model = model
        self._live = live
        self._sent: list[Message] = []
        self._empty = False

    async def once(self, provider: Provider) -> Finished:
        request = turn_request(self._state, self._model, provider)
        self._sent = list(request.messages)
        await listen(provider, request, self._state.limits, self._live.feed)
        finished = self._live.fold.finished
        if finished is None:
            raise ProviderError("Provider", "Broken stream", "The model's answer ended in the middle.", retryable=True)
        if finished.reason is FinishReason.ERROR:
            raise ProviderError("Provider", "Provider error", finished.refusal or "The model's service failed.")
        self._refuse_nothing(finished)
        return finished

    def _refuse_nothing(self, finished: Finished) -> None:
        """An answer without any content to the user's own words is an error, worth one more try."""
        asked = not self._state.history or not self._state.history[-1].tool_results
        if asked and not self._live.message.parts and not finished.refusal and _is_ordinary(finished.reason):
            first, self._empty = not self._empty, True
            raise ProviderError("Provider", "Empty answer", "The model answered with nothing.", retryable=first)

    def again(self, error: ProviderError, delay_s: float) -> None:
        """Before a retry: what was said is taken back, and the user is told why it takes longer."""
        self.charge_lost()
        self._live.restart()
        when = f"in {delay_s:g} s" if delay_s else "at once"
        self._state.notice("retry", f"{error.title}: {error.message} Trying again {when}.")

    def charge_lost(self) -> None:
        """A failed attempt costs what the service reported before it failed."""
        reported = self._live.fold.usage
        if reported is not None and not reported.is_zero:
            self._state.charge(step_usage(reported, self._model, (), self._live.message))
            self._live.fold.usage = None

    def usage(self) -> Usage:
        """Of the attempt that succeeded."""
        return step_usage(self._live.fold.usage, self._model, self._sent, self._live.fold.snapshot())


def _is_ordinary(reason: FinishReason) -> bool:
    return reason in (FinishReason.END_TURN, FinishReason.STOP, FinishReason.UNKNOWN, FinishReason.TOOL_USE)


async def take_step(state: TurnState, model: Model, live: LiveMessage) -> tuple[Finished, Usage]:
    """Ask the model and fold its answer into `live`, which stays unfinished.

    Raises: ProviderError when the attempts are used up; the partial answer of the last one stays.
    """
    attempts = _Attempts(state, model, live)
    try:
        finished = await persistently(
            attempts.once, services=state.services, limits=state.limits, model=model, on_retry=attempts.again
        )
    except BaseException:  # a cancelled or failed request has been paid for, too
        attempts.charge_lost()
        raise
    for warning in live.fold.warnings:
        state.notice("provider", warning)
    return finished, attempts.usage()
