"""Making room in the middle of a turn: the same run summarizes and goes on (CORE 9)."""

from lsp_agent.agent.compaction import Compaction, CompactionForbidden
from lsp_agent.agent.costs import is_nearly_full, tokens
from lsp_agent.agent.hooking import TurnHooks
from lsp_agent.agent.system_prompt import continuation
from lsp_agent.agent.turn_state import TurnState
from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.model import Model


class Room:
    """The compactions of one turn. At most one a step; one that did not help is the last."""

    def __init__(self, state: TurnState, hooks: TurnHooks) -> None:
        self._state = state
        self._hooks = hooks
        self._current: Compaction | None = None
        self._allowed = state.limits.auto_summarize
        self._just_made = False

    async def after_step(self, model: Model, *, go_on: bool) -> None:
        """Shorten the conversation when the step left it nearly full. `go_on`: another step follows."""
        if not is_nearly_full(self._state.session, model):
            self._just_made = False
        elif self._allowed and self._just_made:
            self._allowed = False
            text = "The conversation is nearly full again right after it was shortened; it is not shortened once more."
            self._state.notice("compaction", text)
        elif self._allowed and (go_on or self._state.session.parent_session_id is None):
            await self._make(model, go_on=go_on)  # nobody goes on with a sub-agent that has answered

    async def after_overflow(self, model: Model) -> bool:
        """Shorten what the service found too long; False when that is not allowed or did not work."""
        return self._state.limits.auto_summarize and await self._make(model, go_on=True)

    def close(self) -> None:
        """The turn is over: an open compaction ends as cancelled."""
        if self._current is not None:
            self._current.close("cancelled")

    async def _make(self, model: Model, *, go_on: bool) -> bool:
        state = self._state
        self._just_made = True
        self._current = Compaction(state.services, state.limits, state.session, state.run)
        try:
            compacted = await self._current.perform(model, state.history)
        except (ProviderError, CompactionForbidden):  # announced there; the turn goes on with what it has
            self._allowed = False
            return False
        state.history = [compacted.summary]
        state.account(compacted.usage)
        if go_on:
            self._continue(model)
            started = await self._hooks.session_start()
            if started.context:
                text = f"Context from the user's hooks:\n{started.context}"
                state.put_user(text, (), None, synthetic=True)
        return True

    def _continue(self, model: Model) -> None:
        """Say that the session was shortened, quote the request, and attach again what does not fill the room made."""
        state = self._state
        attachments = state.run.attachments
        weight = sum(tokens(part.text or "") for part in attachments)
        if model.context_window and weight * 10 > model.context_window:
            attachments = ()
        state.put_user(continuation("\n\n".join(state.prompts)), attachments, None, synthetic=True)
