"""Performs what the lanes decide: one owner task a busy session, the task of its active turn or compaction.

Whatever is active ends in exactly one place (`_ended`), which completes the run once and lets the lane start the next.
A turn that raises, is cancelled before it began, or does not finish its clean-up in time is completed on its behalf.
Knows neither connections nor requests; acceptance is `acceptance.py`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, assert_never

from lsp_agent.agent import cancelled, run_updates
from lsp_agent.agent.actions import Action, Discard, QueueChanged, Reorder, Rest, Rewrite, Start, Stop
from lsp_agent.agent.lane import Lane
from lsp_agent.agent.services import TurnControl
from lsp_agent.domain.errors import ProviderError, RequestRejected, StoreError
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import Outcome, Run, RunError, RunState, StopReason
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import Events
from lsp_agent.ports.store import SetQueueOrder, SetRunPrompt, SetRunState, Store, Write

_log = logging.getLogger(__name__)

CLEANUP_S = 6.0

TurnRunner = Callable[[Run, TurnControl], Awaitable[Outcome]]
"""Runs one turn. Cancelled, it cleans up within its own limit and *returns* an outcome."""
CompactRunner = Callable[[str], Awaitable[object]]
"""Compacts one session by hand; cancellable, ends by itself in one `compaction_update`."""


def no_model(_run: Run) -> Model | None:
    """No model is known: the default of `Conductor.model_of`."""
    return None


@dataclass(slots=True, eq=False)
class Hold:
    """What is active in one session, as a task. `reason` and `failure` say why it was told to stop."""

    lane: Lane
    key: str
    run: Run | None
    ended: "asyncio.Future[None]"
    task: "asyncio.Task[Outcome | None] | None" = None
    entered: bool = False
    reason: StopReason | None = None
    failure: RunError | None = None
    timer: asyncio.TimerHandle | None = None


class Reins:
    """The lane's hold on a running turn, as the turn sees it (`services.TurnControl`)."""

    def __init__(self, conductor: "Conductor", hold: Hold) -> None:
        self._conductor = conductor
        self._hold = hold

    def take_folds(self) -> list[Run]:
        """Prompts that join now, durably folded; none once the turn is over or being cancelled."""
        runs, actions = self._hold.lane.take_folds(self._hold.key)
        writes = [SetRunState(run.run_key, RunState.FOLDED, self._hold.key) for run in runs]
        self._conductor.perform(self._hold.lane, actions, writes)
        return runs

    def stop_reason_on_cancel(self) -> StopReason:
        """CANCELLED, or INTERRUPTED when the server stops or the turn was cancelled by nobody we know."""
        return self._hold.reason or StopReason.INTERRUPTED


class Conductor:
    """Owns the lanes and the tasks of what is active in them. All methods but `rest` and `quiet` are synchronous."""

    def __init__(
        self,
        store: Store,
        events: Events,
        clock: Clock,
        turns: TurnRunner,
        compactor: CompactRunner,
        *,
        model_of: Callable[[Run], Model | None] = no_model,
        cleanup_s: float = CLEANUP_S,
    ) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._turns = turns
        self._compactor = compactor
        self._model_of = model_of
        self._cleanup_s = cleanup_s
        self._lanes: dict[str, Lane] = {}
        self._holds: dict[str, Hold] = {}
        self._abandoned: set[asyncio.Task[Outcome | None]] = set()
        self._outcomes: dict[str, asyncio.Future[Outcome]] = {}
        self._is_stopped = False

    # ------------------------------------------------------------------------------------------------ lanes

    @property
    def lanes(self) -> Iterable[Lane]:
        """Every lane there is."""
        return list(self._lanes.values())

    def lane(self, session_id: str) -> Lane:
        """The session's lane, made on first use."""
        if session_id not in self._lanes:
            lane = self._lanes[session_id] = Lane(session_id)
            if self._is_stopped:
                lane.stop()
        return self._lanes[session_id]

    def find(self, session_id: str) -> Lane | None:
        """The session's lane when it has one."""
        return self._lanes.get(session_id)

    def tidy(self, lane: Lane) -> None:
        """Forget a lane that holds nothing and whose queue nobody has ever seen."""
        if lane.is_empty and not lane.revision and self._lanes.get(lane.session_id) is lane:
            del self._lanes[lane.session_id]

    def forget(self, session_id: str) -> None:
        """The session is deleted."""
        self._lanes.pop(session_id, None)

    # ------------------------------------------------------------------------------------------------ performing

    def perform(self, lane: Lane, actions: Iterable[Action], writes: Sequence[Write] = ()) -> None:
        """Do what the lane decided, in order. `writes` are committed with the change of the queue that they mean."""
        unwritten = list(writes)
        for action in actions:
            match action:
                case Start():
                    self._start(lane, action.run)
                case Stop():
                    self._stop(self._holds[lane.session_id], action.reason)
                case Discard():
                    cancelled.end_unstarted(
                        self._events,
                        self._clock,
                        action.run,
                        announce=action.announce,
                        model=self._model_of(action.run),
                    )
                    self._tell_outcome(action.run, Outcome(StopReason.CANCELLED))
                case QueueChanged():
                    update = run_updates.queue_update(action.revision, lane.items())
                    self._events.durable(lane.session_id, None, update, writes=unwritten)
                    unwritten = []
                case Reorder():
                    unwritten.append(SetQueueOrder(lane.session_id, action.run_keys))
                case Rewrite():
                    unwritten.append(SetRunPrompt(action.run_key, action.prompt))
                case Rest():
                    self._events.durable(lane.session_id, None, run_updates.idle())
                case _:
                    assert_never(action)
        if unwritten:
            # an order that looks the same as before: nothing to announce, nothing lost when the store refuses it
            with contextlib.suppress(StoreError):
                self._store.write(unwritten).add_done_callback(_observe)

    def compact(
        self,
        lane: Lane,
        is_needed: Callable[[], Awaitable[bool]],
        answer: Callable[[str], None],
        reject: Callable[[RequestRejected], None],
    ) -> None:
        """Run a compaction in a lane that `begin_compaction` has occupied.

        `is_needed` looks whether there is anything to compact; what it raises refuses the request. The request is
        answered `started` or `nothing` exactly once, `nothing` also when it was cancelled before it began.
        """
        refusal: RequestRejected | None = None
        is_answered = False

        async def work(_hold: Hold) -> None:
            nonlocal refusal, is_answered
            try:
                needed = await is_needed()
            except RequestRejected as error:
                refusal = error
                return
            if needed:
                is_answered = True
                answer("started")
                await self._compactor(lane.session_id)

        def ended(_done: "asyncio.Future[None]") -> None:
            if refusal is not None:
                reject(refusal)
            elif not is_answered:
                answer("nothing")

        if lane.active is not None:
            self._occupy(lane, lane.active.key, None, work).ended.add_done_callback(ended)

    def fail(self, session_id: str, run_key: str | None) -> None:
        """The store lost an event of this run: it ends with the error kind `Store`."""
        hold = self._holds.get(session_id)
        if hold is not None and hold.run is not None and hold.key == run_key and hold.failure is None:
            hold.failure = RunError("Store", "Storage error", "What happened in this turn could not be stored.")
            self._halt(hold)

    # ------------------------------------------------------------------------------------------------ ending

    def outcome_of(self, run_key: str) -> "asyncio.Future[Outcome]":
        """How the run will have ended, once its terminal event is issued. Ask before it can have."""
        outcome = self._outcomes.setdefault(run_key, asyncio.get_running_loop().create_future())
        outcome.add_done_callback(lambda _: self._outcomes.pop(run_key, None))
        return outcome

    def abandon(self, session_id: str) -> None:
        """What is active in the session has been cancelled and had its time: it ends now."""
        hold = self._holds.get(session_id)
        if hold is not None:
            self._abandon(hold)

    async def rest(self, session_id: str) -> None:
        """Wait until nothing is active in the session; bounded by the time given to clean-up."""
        hold = self._holds.get(session_id)
        while hold is not None:
            await asyncio.wait({hold.ended})
            hold = self._holds.get(session_id)

    def stop(self, deadline_s: float) -> None:
        """Shutdown begins: nothing starts any more and nothing is taken; what is active has `deadline_s` to end."""
        self._is_stopped = True
        self._cleanup_s = min(self._cleanup_s, deadline_s)
        for lane in self.lanes:
            self.perform(lane, lane.stop())

    async def quiet(self) -> None:
        """Wait until nothing is active in any session."""
        while self._holds:
            await self.rest(next(iter(self._holds)))

    def _start(self, lane: Lane, run: Run) -> None:
        async def work(hold: Hold) -> Outcome:
            return await self._turns(run, Reins(self, hold))

        self._occupy(lane, run.run_key, run, work)

    def _occupy(
        self, lane: Lane, key: str, run: Run | None, work: Callable[[Hold], Coroutine[Any, Any, Outcome | None]]
    ) -> Hold:
        loop = asyncio.get_running_loop()
        hold = self._holds[lane.session_id] = Hold(lane, key, run, loop.create_future())
        hold.task = loop.create_task(_guarded(work, hold), name=f"session {lane.session_id}")
        hold.task.add_done_callback(lambda _task: self._ended(hold))
        return hold

    def _stop(self, hold: Hold, reason: StopReason) -> None:
        hold.reason = hold.reason or reason
        self._halt(hold)

    def _halt(self, hold: Hold) -> None:
        if hold.task is not None and hold.timer is None:
            hold.task.cancel()
            hold.timer = asyncio.get_running_loop().call_later(self._cleanup_s, self._abandon, hold)

    def _abandon(self, hold: Hold) -> None:
        """Its clean-up hangs: the session goes on without it, and the hub lets nothing of it through any more."""
        if hold.task is None or hold.ended.done():
            return
        _log.error("clean-up in session %s did not end in time", hold.lane.session_id)
        self._abandoned.add(hold.task)
        hold.task.add_done_callback(self._abandoned.discard)
        hold.task.cancel()
        self._ended(hold)

    def _ended(self, hold: Hold) -> None:
        """The only exit: complete the run, then let the lane go on. Once for every hold."""
        if hold.ended.done():
            return
        hold.ended.set_result(None)
        if hold.timer is not None:
            hold.timer.cancel()
        lane = hold.lane
        if self._holds.get(lane.session_id) is hold:
            del self._holds[lane.session_id]
        try:
            if hold.run is not None:
                self._complete(hold, hold.run)
        except Exception:  # noqa: BLE001 - whatever went wrong, the next run must start
            _log.exception("a run could not be completed")
        actions = lane.finish(hold.key)
        self.perform(lane, [action for action in actions if hold.run is not None or not isinstance(action, Rest)])
        self.tidy(lane)

    def _tell_outcome(self, run: Run, outcome: Outcome) -> None:
        waiting = self._outcomes.get(run.run_key)
        if waiting is not None and not waiting.done():
            waiting.set_result(outcome)

    def _complete(self, hold: Hold, run: Run) -> None:
        outcome = self._outcome(hold)
        try:
            if hold.entered:
                self._events.complete(run, outcome)
            else:
                reason = outcome.stop_reason
                cancelled.end_unstarted(self._events, self._clock, run, reason=reason, model=self._model_of(run))
        finally:
            self._tell_outcome(run, outcome)

    def _outcome(self, hold: Hold) -> Outcome:
        if not hold.entered:
            return Outcome(hold.reason or StopReason.INTERRUPTED)
        task = hold.task
        outcome = task.result() if task is not None and task.done() and not task.cancelled() else None
        if outcome is None:
            outcome = Outcome(StopReason.INTERRUPTED)
        if hold.failure is not None:
            outcome = replace(outcome, stop_reason=StopReason.ERROR, error=hold.failure)
        elif hold.reason is not None:
            # the canceller was told that it is cancelled, whatever the turn managed to finish
            outcome = replace(outcome, stop_reason=hold.reason, error=None)
        return outcome


async def _guarded(work: Callable[[Hold], Coroutine[Any, Any, Outcome | None]], hold: Hold) -> Outcome | None:
    """The turn's guard: whatever leaves it becomes an outcome."""
    hold.entered = True
    try:
        return await work(hold)
    except asyncio.CancelledError:
        return None
    except Exception as error:  # noqa: BLE001 - a bug in a turn ends the turn, not the session
        if not isinstance(error, StoreError | ProviderError):
            _log.exception("a turn failed")
        return Outcome(StopReason.ERROR, error=_describe(error))


def _describe(error: Exception) -> RunError:
    match error:
        case ProviderError():
            return RunError(error.kind, error.title, error.message, error.retryable)
        case StoreError():
            return RunError("Store", "Storage error", str(error), error.retryable)
        case _:
            return RunError("Internal", "Internal error", "Something went wrong inside the server; see its log.")


def _observe(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        _log.warning("a write was refused: %s", error)
