"""Defects planted one at a time: those of the reference (CORE 37, RELIABILITY 0.1) and the nearest of our own.

Each is a small patch of the real class. The simulation must find every one; what it does not find it does not test.
"""

import asyncio
from dataclasses import replace

from lsp_agent.agent import acceptance, cancelled, conductor, recovery
from lsp_agent.agent.actions import Cancelled, Discard, Start
from lsp_agent.agent.hub import Hub
from lsp_agent.agent.lane import Active, Lane
from lsp_agent.agent.ledger import Ledger
from lsp_agent.domain.run import StopReason


def queue_is_not_drained_after_an_error(patch):  # CORE 37.1
    complete, finish = conductor.Conductor._complete, Lane.finish
    failed = set()

    def noting(self, hold, run):
        complete(self, hold, run)
        task = hold.task
        if hold.entered and task.done() and not task.cancelled():
            outcome = task.result()
            if outcome is not None and outcome.stop_reason is StopReason.ERROR:
                failed.add(hold.key)

    def stranding(self, key):
        return [action for action in finish(self, key) if key not in failed or not isinstance(action, Start)]

    patch(conductor.Conductor, "_complete", noting)
    patch(Lane, "finish", stranding)


def folded_prompts_get_lost(patch):  # CORE 37.2
    take_folds = Lane.take_folds

    def losing(self, key):
        runs, actions = take_folds(self, key)
        return runs[:1], actions

    patch(Lane, "take_folds", losing)


def completion_comes_late(patch):  # CORE 37.3
    complete = conductor.Conductor._complete
    patch(
        conductor.Conductor,
        "_complete",
        lambda self, hold, run: asyncio.get_running_loop().call_later(0.03, complete, self, hold, run),
    )


def no_completion_for_what_never_ran(patch):  # CORE 37.4
    end = cancelled.end_unstarted
    patch(cancelled, "end_unstarted", lambda *a, **k: end(*a, **{**k, "announce": False}))


def cancel_is_lost_while_compacting(patch):  # CORE 37.5
    cancel = Lane.cancel

    def deaf(self, run_id=None, *, drop_queue=True):
        if self.active is not None and self.active.run is None:
            return Cancelled(), []
        return cancel(self, run_id, drop_queue=drop_queue)

    patch(Lane, "cancel", deaf)


def compaction_does_not_occupy_the_lane(patch):  # CORE 37.6
    def beginning(self, key):
        self._refuse_when_shut()
        if self.active is not None:
            raise self._session_busy()
        self.active = Active(key, None)

    def freeing(self, lane, is_needed, answer, reject):
        compact(self, lane, is_needed, answer, reject)
        lane.active = None

    compact = conductor.Conductor.compact
    patch(Lane, "begin_compaction", beginning)
    patch(conductor.Conductor, "compact", freeing)


def chunks_overtake_durable_events(patch):  # the tail of CORE 37.16, on the wire
    chunk = Hub.chunk

    def hasty(self, session_id, run, kind, key, text):
        channel = self._channels[session_id]
        waiting, channel.waiting = channel.waiting, type(channel.waiting)()
        chunk(self, session_id, run, kind, key, text)
        channel.waiting = waiting

    patch(Hub, "chunk", hasty)


def cancel_poisons_the_next_prompt(patch):
    cancel, reserve = Lane.cancel, Lane.reserve
    poisoned = set()

    def marking(self, run_id=None, *, drop_queue=True):
        if not self.busy:
            poisoned.add(id(self))
        return cancel(self, run_id, drop_queue=drop_queue)

    def poisoning(self, run, when_busy):
        result = reserve(self, run, when_busy)
        if id(self) in poisoned:
            poisoned.discard(id(self))
            cancel(self)
        return result

    patch(Lane, "cancel", marking)
    patch(Lane, "reserve", poisoning)


def idle_cancel_is_remembered(patch):
    find = conductor.Conductor.lane
    patch(conductor.Conductor, "find", lambda self, session_id: find(self, session_id))
    cancel_poisons_the_next_prompt(patch)


def a_reserved_head_is_overtaken(patch):
    start_next = Lane._start_next

    def overtaking(self):
        self._entries.sort(key=lambda entry: not entry.ready)
        return start_next(self)

    patch(Lane, "_start_next", overtaking)


def the_answer_comes_after_the_start(patch):
    committed = acceptance._Request._committed

    def late(self, results):
        answer = self._answer
        self._answer = lambda given: asyncio.get_running_loop().call_later(0.02, answer, given)
        committed(self, results)

    patch(acceptance._Request, "_committed", late)


def two_turns_at_once(patch):
    start_next = Lane._start_next

    def careless(self):
        if self.active is not None and self.active.stopping is not None:
            self.active = None
        return start_next(self)

    patch(Lane, "_start_next", careless)


def an_abandoned_turn_still_speaks(patch):
    note = Hub.complete

    def forgetful(self, run, outcome, *, writes=()):
        seq = note(self, run, outcome, writes=writes)
        if run.session_id in self._channels:
            self._channels[run.session_id].ended.clear()
        return seq

    patch(Hub, "complete", forgetful)


def a_stuck_clean_up_blocks_for_ever(patch):
    patch(conductor.Conductor, "_abandon", lambda self, hold: None)


def a_repeated_request_runs_again(patch):
    committed = acceptance._Request._committed

    def repeating(self, results):
        if results[0].duplicate is not None:
            stored = results[0].duplicate
            self._run = replace(self._run, message_id=stored.run.message_id)
            results = [
                replace(results[0], duplicate=None, session=self._world.store.disk.sessions[self._run.session_id])
            ]
        committed(self, results)

    patch(acceptance._Request, "_committed", repeating)


def withdrawing_forgets_the_next(patch):
    withdraw = Lane.withdraw
    patch(Lane, "withdraw", lambda self, key: [a for a in withdraw(self, key) if not isinstance(a, Start)])


def dropping_the_queue_is_silent(patch):
    cancel = Lane.cancel

    def silent(self, run_id=None, *, drop_queue=True):
        answer, actions = cancel(self, run_id, drop_queue=drop_queue)
        return answer, [action for action in actions if not isinstance(action, Discard)]

    patch(Lane, "cancel", silent)


def cancel_misses_what_is_reserved(patch):
    cancel = Lane.cancel

    def missing(self, run_id=None, *, drop_queue=True):
        held = [entry for entry in self._entries if not entry.ready]
        self._entries = [entry for entry in self._entries if entry.ready]
        result = cancel(self, run_id, drop_queue=drop_queue)
        self._entries += held
        return result

    patch(Lane, "cancel", missing)


def keep_drops_the_queue(patch):
    cancel = Lane.cancel
    patch(Lane, "cancel", lambda self, run_id=None, *, drop_queue=True: cancel(self, run_id))


def a_fold_is_never_released(patch):
    def stuck(self, key):
        self._entries = [entry for entry in self._entries if entry.into != key]

    patch(Lane, "_release", stuck)


def folds_survive_only_in_memory(patch):
    patch(conductor, "SetRunState", lambda run_key, state, into: conductor.SetQueueOrder("", ()))


def named_prompts_are_folded(patch):
    take_folds = Lane.take_folds

    def greedy(self, key):
        for entry in self._entries:
            entry.fold, entry.into = True, key
        return take_folds(self, key)

    patch(Lane, "take_folds", greedy)


def refused_events_are_dropped(patch):
    def dropping(self, channel, item):
        item.ready = True
        self._on_ready(channel)

    patch(Ledger, "_refused", dropping)


def attaching_has_a_gap(patch):
    attach = Hub.attach

    async def gap(self, session_id, subscriber, after_seq, answer, snapshot=None):
        channel = await self.load(session_id)
        channel.recordings = _Deaf(channel.recordings)
        await attach(self, session_id, subscriber, after_seq, answer, snapshot)

    patch(Hub, "attach", gap)


class _Deaf(list):
    def append(self, _recording):
        pass


def attaching_sends_twice(patch):
    attach = Hub.attach

    async def twice(self, session_id, subscriber, after_seq, answer, snapshot=None):
        await self.load(session_id)
        self.subscribe(session_id, subscriber)
        channel = self._channels[session_id]
        channel.subscribers = _Sticky(channel.subscribers)
        await attach(self, session_id, subscriber, after_seq, answer, snapshot)

    patch(Hub, "attach", twice)


class _Sticky(dict):
    def pop(self, key, default=None):
        return default


def attaching_forgets_the_text_so_far(patch):
    patch(Hub, "_catch_up", lambda self, channel, subscriber: None)


def recovery_forgets_the_interrupted(patch):
    async def forgetful(*_):
        return None

    patch(recovery, "_interrupt", forgetful)


def recovery_forgets_the_queue(patch):
    patch(Lane, "restore", lambda self, runs, *, revision=0: None)


def recovery_numbers_from_zero(patch):
    load = Hub.load

    async def fresh(self, session_id):
        if session_id not in self._channels:
            await self._store.session(session_id)
            self.open(session_id, 0)
        return await load(self, session_id)

    patch(Hub, "load", fresh)


def shutdown_loses_the_active_run(patch):
    patch(Lane, "stop", lambda self: setattr(self, "_stopped", True) or [])


def an_error_is_completed_twice(patch):
    complete = conductor.Conductor._complete

    def again(self, hold, run):
        complete(self, hold, run)
        if hold.failure is not None or (hold.reason is not None and hold.timer is not None and hold.entered):
            complete(self, hold, run)

    patch(conductor.Conductor, "_complete", again)


def the_queue_is_a_stack(patch):
    start_next = Lane._start_next

    def last_first(self):
        if self.active is None and self._entries and self._entries[-1].ready:
            self._entries.insert(0, self._entries.pop())
        return start_next(self)

    patch(Lane, "_start_next", last_first)


def moving_to_the_head_starts_nothing(patch):
    settled = Lane._settled
    patch(Lane, "_settled", lambda self, actions: [a for a in settled(self, actions) if not isinstance(a, Start)])


MUTANTS = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", None) == __name__ and not name.startswith("_")
}


class Patch:
    """Sets attributes and puts them back."""

    def __init__(self):
        self._before = []

    def __call__(self, owner, name, value):
        self._before.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    def undo(self):
        for owner, name, value in reversed(self._before):
            setattr(owner, name, value)


def hunt(name, simulate, seeds):
    """The first seed that finds the mutant, and what it says; (None, []) when it survives."""
    patch = Patch()
    MUTANTS[name](patch)
    try:
        for seed in seeds:
            try:
                found = simulate(seed)
            except Exception as error:
                found = [f"crash: {error!r}"]
            if found:
                return seed, found
        return None, []
    finally:
        patch.undo()
