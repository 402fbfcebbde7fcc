"""A turn: a prompt enters the conversation, the model answers in steps, and the run ends with exactly one outcome.

Reads like CORE 3. A prompt that a hook holds back enters as a note without its text, and the run ends with `refusal`.
The turn works in a task of its own; the caller's task only waits for it, so a cancellation has one
place to arrive, clean-up is bounded, and an outcome is returned whatever happens inside.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lsp_agent.agent.calling import Calls
from lsp_agent.agent.closing import cancelled, close_turn, failure_of
from lsp_agent.agent.compaction import load_history
from lsp_agent.agent.costs import context_counters
from lsp_agent.agent.fallback import announcement, wants_other_model
from lsp_agent.agent.hooking import NOT_PASSED_ON, WITHHELD, Entry, TurnHooks
from lsp_agent.agent.live import LiveMessage
from lsp_agent.agent.outside import settle_attachments
from lsp_agent.agent.repetition import signature
from lsp_agent.agent.room import Room
from lsp_agent.agent.services import TurnControl, TurnServices
from lsp_agent.agent.step import take_step
from lsp_agent.agent.stopping import STOP_NOTICES, message_reason, reason_to_stop, stop_reason
from lsp_agent.agent.titles import TitleTasks, is_prompt
from lsp_agent.agent.turn_state import TurnState, stored_options
from lsp_agent.agent.waiting import bounded
from lsp_agent.domain.errors import ProviderError, StoreError
from lsp_agent.domain.message import FinishReason, Message, Role
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import Outcome, Run, RunState, StopReason
from lsp_agent.domain.session import Session
from lsp_agent.domain.stream import Finished, TextDelta
from lsp_agent.ports.store import SetRunState


class TurnRunner:
    """Runs turns. One object serves every session; only its title tasks outlive a turn."""

    def __init__(self, services: TurnServices) -> None:
        self._services = services
        self._titles = TitleTasks(services)
        self._active: dict[str, _Turn] = {}
        self._begun: dict[str, str | None] = {}
        """The summary each session stood on when its hooks were last told that it starts."""
        self.options_of: Callable[[Session], Mapping[str, Any]] = stored_options
        """A session's options in force, asked before every step; may be replaced by who knows of unstored ones."""

    async def __call__(self, run: Run, control: TurnControl) -> Outcome:
        """Run `run` to its end.

        Promise: returns an Outcome on success, failure and cancellation, at most `cleanup_s` after the latter, with
        every tool call and message closed. Only a cancellation before the first step of this coroutine passes through.
        """
        turn = _Turn(run, control, TurnState(run, self._services, self.options_of), self._titles, self._begun)
        self._active[run.session_id] = turn
        try:
            work = asyncio.create_task(turn.play(), name=f"turn {run.session_id}")
            was_cancelled = await bounded(work, turn.state.limits.cleanup_s)
            return turn.end(work, was_cancelled=was_cancelled)
        finally:
            if self._active.get(run.session_id) is turn:
                del self._active[run.session_id]

    def flush(self, session_id: str) -> None:
        """Submit what a running turn of the session has said and not stored yet. Never waits."""
        turn = self._active.get(session_id)
        if turn is not None:
            turn.flush()

    async def aclose(self, timeout_s: float) -> None:
        """Give up titles that are still being thought about. May be called twice."""
        await self._titles.aclose(timeout_s)


class _Turn:
    """One turn at work."""

    def __init__(
        self, run: Run, control: TurnControl, state: TurnState, titles: TitleTasks, begun: dict[str, str | None]
    ) -> None:
        self.state = state
        self._control = control
        self._titles = titles
        self._hooks = TurnHooks(state, begun)
        self._room = Room(self.state, self._hooks)
        self._live: LiveMessage | None = None
        self._entered = self._gone = self._stopped_by_tool = self._switched = False
        self._signatures: list[bytes] = []

    async def play(self) -> StopReason:
        """The whole turn. Raises whatever goes wrong; `end` makes an outcome of it."""
        model = await self._begin()
        if model is None:
            return StopReason.REFUSAL
        while True:
            await self._take_folds()
            self._pass_on_notes()
            self.state.check_store()
            finished, model = await self._step(model)
            stopped = await self._act(model, finished)
            if stopped is StopReason.END_TURN and await self._kept_going():
                stopped = None
            if stopped in (None, StopReason.END_TURN):
                await self._room.after_step(model, go_on=stopped is None)
            if stopped is not None:
                return stopped

    # -------------------------------------------------------------------------------------------------- beginning

    async def _begin(self) -> Model | None:
        """Let the prompt enter. None = a hook held it back, which has been said."""
        state, run, services = self.state, self.state.run, self.state.services
        session = await services.store.session(run.session_id)
        if session is None:
            self._gone = True
            raise StoreError("The session does not exist any more.")
        state.enter(session)
        state.history = await load_history(services, session)
        state.taken_ids = {call.tool_call_id for message in state.history for call in message.tool_calls}
        is_first = not any(is_prompt(message) and message.text != WITHHELD for message in state.history)
        waits = self._hooks.wants("SessionStart") or self._hooks.wants("UserPromptSubmit")
        if waits:
            self._say_running()
        entry = await self._hooks.first_entry(run, is_new=is_first)
        entered = self._enter(entry)
        if not waits:
            self._say_running()
        if not entry.allowed:
            self._answer_withheld()
            return None
        state.run = replace(run, attachments=tuple(await settle_attachments(state, entered)))
        state.context = await services.context(run)
        if is_first and not run.options.title:
            self._titles.start(session, run.prompt)
        state.model = services.providers.resolve(run.options.model or state.options.get("model.large") or None)
        return state.model

    def _say_running(self) -> None:
        self.state.durable({"sessionUpdate": "state_update", "state": "running"})

    def _enter(self, entry: Entry) -> Message:
        run = self.state.run
        self._entered = True
        return self._add_prompt(run, entry, SetRunState(run.run_key, RunState.RUNNING))

    def _add_prompt(self, run: Run, entry: Entry, *writes: SetRunState) -> Message:
        state = self.state
        if not entry.allowed:
            withheld = state.put_user(WITHHELD, (), run.message_id, *writes)
            state.notice("hook", f"A hook held a prompt back: {entry.reason}")
            return withheld
        state.prompts.append(run.prompt)
        entered = state.put_user(run.prompt, run.attachments, run.message_id, *writes)
        if entry.context:
            state.put_user(f"Context from the user's hooks:\n{entry.context}", (), None, synthetic=True)
        return entered

    def _answer_withheld(self) -> None:
        """The answer to a prompt that was held back: nobody was asked."""
        self._live = LiveMessage(self.state, self.state.new_message(Role.ASSISTANT, []))
        self._live.feed([TextDelta(NOT_PASSED_ON)])
        self._live.finish(FinishReason.CONTENT_FILTER, "Held back by a hook")

    def _pass_on_notes(self) -> None:
        """What became known of edits of this session after their results."""
        note = self.state.services.notes(self.state.run.session_id)
        if note:
            self.state.put_user(note, (), None, synthetic=True)

    async def _take_folds(self) -> None:
        """Prompts that join now. What was taken enters the conversation, also when a cancellation comes between."""
        waiting = list(self._control.take_folds())
        try:
            while waiting:
                entry = await self._hooks.entry(waiting[0])
                await settle_attachments(self.state, self._add_prompt(waiting.pop(0), entry))
        finally:
            for run in waiting:
                self._add_prompt(run, Entry())

    # ------------------------------------------------------------------------------------------------------ steps

    async def _step(self, model: Model) -> tuple[Finished, Model]:
        """One model request into a new message, and who answered it.

        A context that overflows is shortened once; a service that stays overloaded is left for another, once a run.
        """
        state = self.state
        state.begin_step()
        shortened = False
        while True:
            message = state.new_message(Role.ASSISTANT, [])
            message.model, message.provider = model.model_id, model.provider_id
            self._live = live = LiveMessage(state, message)
            try:
                finished, usage = await take_step(state, model, live)
            except ProviderError as error:
                other = self._other_model(error, model)
                if other is not None:
                    live.withdraw()
                    self._live, model = None, other
                    continue
                if error.kind != "ContextOverflow" or shortened:
                    raise
                live.withdraw()
                self._live, shortened = None, True
                if not await self._room.after_overflow(model):
                    raise
                continue
            state.charge(usage, context_counters(usage, state.session))
            return finished, model

    def _other_model(self, error: ProviderError, model: Model) -> Model | None:
        """Whom the run goes on with, which the user is told; None = the error stands."""
        state = self.state
        if not wants_other_model(error, model, state.limits.fallback_model, switched=self._switched):
            return None
        self._switched = True
        try:
            other = state.services.providers.resolve(state.limits.fallback_model)
        except ProviderError:
            return None  # what it was overloaded with says more
        state.notice("fallback", announcement(error, model, other))
        state.model = other
        return other

    async def _act(self, model: Model, finished: Finished) -> StopReason | None:
        """Run the step's calls. Returns why the turn ends here; None = another step."""
        state, live = self.state, self._live
        assert live is not None
        calls = live.message.tool_calls
        reason = message_reason(finished, has_calls=bool(calls))
        live.finish(reason, "Refused" if finished.refusal else "", finished.refusal)
        state.history.append(live.message)
        runner = Calls(state, model, live.fold.arguments, self._hooks)
        if reason is not FinishReason.TOOL_USE:
            runner.refuse(calls, "This tool call was not run: the answer was cut off before it was complete.")
            return stop_reason(reason)
        await runner.run(calls)
        await state.refresh_todos()
        if runner.stop_turn:
            self._stopped_by_tool = True
            live.finish(FinishReason.END_TURN)
            return StopReason.END_TURN
        self._signatures.append(signature(calls, state.results))
        return self._limit_reached()

    def _limit_reached(self) -> StopReason | None:
        """Why there is no further step, which the user is told; None = there may be one."""
        state = self.state
        stopped = reason_to_stop(
            self._signatures,
            steps=state.steps,
            max_steps=state.run.options.max_steps or state.limits.max_steps,
            cost_usd=state.usage.cost_usd,
            max_cost_usd=state.run.options.max_cost_usd or state.limits.max_cost_usd,
        )
        if stopped is not None:
            state.notice(stopped.value, STOP_NOTICES[stopped])
        return stopped

    async def _kept_going(self) -> bool:
        """Whether a hook wants more of a turn that would end by itself. Limits of the run stand above it."""
        live = self._live
        if self._stopped_by_tool or live is None:
            return False
        text = await self._hooks.reason_to_go_on(live.message)
        if not text or self._limit_reached() is not None:
            return False
        self.state.put_user(text, (), None, synthetic=True)
        return True

    # ----------------------------------------------------------------------------------------------------- ending

    def flush(self) -> None:
        """Store what is said and not stored yet. Never waits."""
        if self._live is not None:
            self._live.flush()

    def end(self, work: "asyncio.Task[StopReason]", *, was_cancelled: bool) -> Outcome:
        """Close what is open and sum the turn up. Never waits."""
        state = self.state
        ending = cancelled(self._control.stop_reason_on_cancel()) if was_cancelled else failure_of(work)
        if ending is not None:
            self._room.close()
            if not self._gone:
                if not self._entered:
                    self._enter(Entry())
                self._live = close_turn(state, self._live, ending)
        stopped = ending.stop_reason if ending else work.result()
        state.sealed = True
        return state.outcome(stopped, self._live.message if self._live else None, ending.error if ending else None)
