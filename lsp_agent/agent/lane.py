"""The lane: every decision about the runs of one session, made synchronously and returned as actions.

A prompt takes its place when its request is read (`reserve`), is filled in when it is durable (`confirm`) and starts
when everything before it has ended. A place that is still reserved holds the ones behind it, so wire order is start
order whatever its attachments cost. A prompt that may fold is bound to one turn; when that turn ends first, the prompt
stays in its place and becomes a turn of its own. Sources: PROTOCOL 3, CORE 0.1, 2.

Deliberately knows no event loop, store, connection or clock, and never waits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lsp_agent.agent.actions import (
    Action,
    Cancelled,
    Confirmed,
    Discard,
    QueueChanged,
    QueueItem,
    Reorder,
    Rest,
    Rewrite,
    Start,
    Stop,
)
from lsp_agent.domain.errors import RequestRejected
from lsp_agent.domain.run import Run, StopReason

QUEUE_MAX = 1000


@dataclass(slots=True)
class Active:
    """What occupies the lane: a run, or a compaction (`run` None)."""

    key: str
    run: Run | None
    stopping: StopReason | None = None
    """Why it is being cancelled; the first reason stays."""


@dataclass(slots=True)
class Entry:
    """A place in the lane. RESERVED until `ready`."""

    run: Run
    ready: bool = False
    fold: bool = False
    into: str | None = None
    """Key of the turn a fold is bound to; None = the first that starts."""
    interrupts: str | None = None
    """Key that was active when an interrupting prompt took its place."""

    @property
    def owes_completion(self) -> bool:
        """Dropped before it started, it gets a terminal event: not a nameless prompt that would have been folded."""
        return self.run.run_id is not None or not self.fold


class Lane:
    """The runs of one session: at most one active, the others in order of acceptance."""

    def __init__(self, session_id: str, *, queue_max: int = QUEUE_MAX) -> None:
        self.session_id = session_id
        self.active: Active | None = None
        self.revision = 0
        """Counts changes of the visible queue."""
        self._entries: list[Entry] = []
        self._doomed: dict[str, Entry] = {}
        """Reserved places that a cancel covered; they end as soon as they are durable."""
        self._shown: list[tuple[Run, bool]] = []
        self._queue_max = queue_max
        self._dormant = False
        self._stopped = False
        self._closed = False

    def __repr__(self) -> str:
        active = "-"
        if self.active is not None:
            name = "compaction" if self.active.run is None else (self.active.run.run_id or self.active.key)
            active = name + ("!" if self.active.stopping else "*")
        marks = [
            ("~" if e.fold else "") + (e.run.run_id or e.run.run_key) + ("" if e.ready else "?") for e in self._entries
        ]
        doomed = [f"x{e.run.run_id or key}" for key, e in self._doomed.items()]
        flags = " dormant" * self._dormant + " stopped" * self._stopped + " closed" * self._closed
        return f"<{active} | {' '.join(marks + doomed) or '-'}{flags}>"

    # ------------------------------------------------------------------------------------------------- what it is

    @property
    def busy(self) -> bool:
        """Something is active or waits to start."""
        return self.active is not None or bool(self._entries)

    @property
    def is_empty(self) -> bool:
        """Nothing at all is left in it, not even a doomed place."""
        return not self.busy and not self._doomed

    @property
    def active_run_id(self) -> str | None:
        """The active run's correlator."""
        return self.active.run.run_id if self.active is not None and self.active.run is not None else None

    @property
    def queued(self) -> int:
        """Length of the visible queue."""
        return sum(1 for entry in self._entries if entry.ready)

    def items(self) -> list[QueueItem]:
        """The visible queue: what is durable and has not started, in order."""
        ready = [entry for entry in self._entries if entry.ready]
        return [QueueItem(e.run, at, "fold" if e.fold else "queued") for at, e in enumerate(ready)]

    def state_of(self, run_key: str) -> str | None:
        """`running` or `queued` for a run of this lane; None for any other."""
        if self.active is not None and self.active.key == run_key:
            return "running"
        return "queued" if any(entry.run.run_key == run_key for entry in self._entries) else None

    # ------------------------------------------------------------------------------------------------- acceptance

    def reserve(self, run: Run, when_busy: str) -> tuple[Run, list[Action]]:
        """Take a place for `run` now; returns it with its fold fields set.

        Raises: RequestRejected SessionBusy (`reject`), QueueFull, SessionNotFound (the session is being deleted),
        ShuttingDown. A refused run leaves no trace.
        """
        self._refuse_when_shut()
        if when_busy == "reject" and self.busy:
            raise self._session_busy()
        self._refuse_when_full()
        entry = Entry(run)
        if when_busy == "fold" and self.busy:
            entry.fold, entry.into = True, self._running_key()
        if when_busy == "interrupt" and self.busy:
            entry.interrupts = self.active.key if self.active is not None else None
            self._entries.insert(0, entry)
        else:
            self._entries.append(entry)
        entry.run = replace(run, fold=entry.fold)
        return entry.run, self.wake()

    def reserve_steering(self, run: Run, expected_run_id: str, otherwise: str) -> tuple[Run, list[Action]]:
        """Take a place that folds into the run named; `otherwise` queue or reject when another one, or none, is active.

        Raises: RequestRejected RunMismatch, and as `reserve`.
        """
        self._refuse_when_shut()
        into = self._steerable(expected_run_id)
        if into is None and otherwise != "queue":
            raise RequestRejected("RunMismatch", "another run is active", activeRunId=self.active_run_id)
        self._refuse_when_full()
        entry = Entry(replace(run, fold=into is not None, fold_into=into), fold=into is not None, into=into)
        self._entries.append(entry)
        return entry.run, self.wake()

    def confirm(self, run: Run) -> tuple[Confirmed, list[Action]]:
        """The run is durable (with its attachments): it may start, or it was cancelled meanwhile."""
        doomed = self._doomed.pop(run.run_key, None)
        if doomed is not None:
            return Confirmed("cancelled"), [Discard(run, doomed.owes_completion)]
        entry = next(entry for entry in self._entries if entry.run.run_key == run.run_key)
        entry.run, entry.ready = run, True
        actions: list[Action] = []
        if any(later.ready for later in self._entries[self._entries.index(entry) + 1 :]):
            actions.append(self._reorder())
        if self.active is not None and self.active.key == entry.interrupts:
            actions += self._stop_active(StopReason.CANCELLED)
        actions += self._start_next()
        self._settle(actions)
        if self.active is not None and self.active.key == run.run_key:
            return Confirmed("running"), actions
        position = next(item.position for item in self.items() if item.run.run_key == run.run_key)
        return Confirmed("queued", position, entry.fold), actions

    def withdraw(self, run_key: str) -> list[Action]:
        """A reserved run is refused after all: its place is free again. Unknown keys are ignored."""
        self._doomed.pop(run_key, None)
        self._entries = [entry for entry in self._entries if entry.run.run_key != run_key or entry.ready]
        self._release(run_key)
        actions = self._start_next()
        self._settle(actions)
        return actions

    def take_folds(self, key: str) -> tuple[list[Run], list[Action]]:
        """At a step boundary of turn `key`: the prompts that join it now, in order of acceptance.

        Nothing for a turn that is being cancelled or is not the active one.
        """
        if self.active is None or self.active.key != key or self.active.stopping is not None:
            return [], []
        taken: list[Entry] = []
        for entry in self._entries:
            if entry.fold and entry.into == key:
                if not entry.ready:
                    break
                taken.append(entry)
        self._entries = [entry for entry in self._entries if entry not in taken]
        actions: list[Action] = []
        self._settle(actions)
        return [entry.run for entry in taken], actions

    def finish(self, key: str) -> list[Action]:
        """What was active has ended, however it ended; the next one starts. A stale key is ignored."""
        if self.active is None or self.active.key != key:
            return []
        self.active = None
        self._release(key)
        actions = self._start_next()
        if self.active is None:
            actions.append(Rest())
        self._settle(actions)
        return actions

    def begin_compaction(self, key: str) -> None:
        """Occupy the lane with a compaction. Raises: RequestRejected SessionBusy, ShuttingDown, SessionNotFound."""
        self._refuse_when_shut()
        if self.busy:
            raise self._session_busy()
        self.active = Active(key, None)

    def cancel(self, run_id: str | None = None, *, drop_queue: bool = True) -> tuple[Cancelled, list[Action]]:
        """Cancel one run, or the active one with everything accepted so far (PROTOCOL 3). A no-op when idle.

        Without `run_id` and with `drop_queue` False, the visible queue stays and goes on.
        """
        covered: list[str | None] = []
        actions: list[Action] = []
        active = self.active
        if active is not None and (run_id is None or (active.run is not None and active.run.run_id == run_id)):
            actions += self._stop_active(StopReason.CANCELLED)
            if active.run is not None:
                covered.append(active.run.run_id)
        for entry in list(self._entries):
            if entry.run.run_id == run_id if run_id is not None else (drop_queue or not entry.ready):
                actions += self._drop(entry)
                if entry.owes_completion:
                    covered.append(entry.run.run_id)
        if run_id is not None and any(entry.run.run_id == run_id for entry in self._doomed.values()):
            covered = covered or [run_id]
        actions += self._start_next()
        self._settle(actions)
        return Cancelled(tuple(covered), (run_id,) if run_id is not None and not covered else ()), actions

    def stop(self) -> list[Action]:
        """Shutdown: the active run is interrupted, nothing starts any more, the queue stays for the next process."""
        self._stopped = True
        return self._stop_active(StopReason.INTERRUPTED)

    def close(self) -> list[Action]:
        """The session is being deleted: everything is cancelled and nothing is accepted any more."""
        self._closed = True
        return self.cancel()[1]

    def restore(self, runs: Sequence[Run], *, revision: int = 0) -> None:
        """Runs that were queued when the last process ended. They wait for `wake`. Revisions go on from `revision`."""
        self.revision = max(self.revision, revision)
        self._entries += [Entry(replace(run, fold=False, fold_into=None), ready=True) for run in runs]
        self._shown = [(entry.run, entry.fold) for entry in self._entries if entry.ready]
        self._dormant = bool(self._entries)

    def wake(self) -> list[Action]:
        """Somebody is interested in the session again: restored runs may start."""
        self._dormant = False
        actions = self._start_next()
        self._settle(actions)
        return actions

    # ------------------------------------------------------------------------------------------------- the queue

    def edit(self, item: str, prompt: str, *, if_revision: int | None = None) -> list[Action]:
        """Replace a waiting run's prompt. Raises: RequestRejected RevisionConflict, RunNotFound."""
        entry = self._waiting(item, if_revision)
        entry.run = replace(entry.run, prompt=prompt)
        return self._settled([Rewrite(entry.run.run_key, prompt)])

    def move(self, item: str, index: int, *, if_revision: int | None = None) -> list[Action]:
        """Put a waiting run at zero-based `index` of the visible queue; too large means the end."""
        entry = self._waiting(item, if_revision)
        self._entries.remove(entry)
        ready = [other for other in self._entries if other.ready]
        if 0 <= index < len(ready):
            self._entries.insert(self._entries.index(ready[index]), entry)
        else:
            self._entries.append(entry)
        return self._settled([self._reorder(), *self._start_next()])

    def remove(self, item: str, *, if_revision: int | None = None) -> list[Action]:
        """Drop one waiting run."""
        return self._settled([*self._drop(self._waiting(item, if_revision)), *self._start_next()])

    def clear(self, *, if_revision: int | None = None) -> list[Action]:
        """Drop every waiting run; the active one goes on."""
        self._check_revision(if_revision)
        actions: list[Action] = []
        for entry in [entry for entry in self._entries if entry.ready]:
            actions += self._drop(entry)
        return self._settled(actions)

    def send_now(self, item: str, *, if_revision: int | None = None) -> list[Action]:
        """Cancel what is active and run this one first."""
        entry = self._waiting(item, if_revision)
        self._entries.remove(entry)
        entry.fold, entry.into = False, None
        self._entries.insert(0, entry)
        self._dormant = False
        return self._settled([self._reorder(), *self._stop_active(StopReason.CANCELLED), *self._start_next()])

    # ------------------------------------------------------------------------------------------------- inner

    def _start_next(self) -> list[Action]:
        if self.active is not None or self._stopped or self._dormant or self._closed or not self._entries:
            return []
        head = self._entries[0]
        if not head.ready:
            return []
        del self._entries[0]
        head.fold = False
        self.active = Active(head.run.run_key, head.run)
        for entry in self._entries:
            if entry.fold and entry.into is None:
                entry.into = head.run.run_key
        return [Start(head.run)]

    def _stop_active(self, reason: StopReason) -> list[Action]:
        if self.active is None or self.active.stopping is not None:
            return []
        self.active.stopping = reason
        return [Stop(self.active.key, reason)]

    def _drop(self, entry: Entry) -> list[Action]:
        self._entries = [other for other in self._entries if other is not entry]
        self._release(entry.run.run_key)
        if entry.ready:
            return [Discard(entry.run, entry.owes_completion)]
        self._doomed[entry.run.run_key] = entry
        return []

    def _release(self, key: str) -> None:
        """Folds bound to a turn that is over become turns of their own, where they stand."""
        for entry in self._entries:
            if entry.into == key:
                entry.fold, entry.into = False, None

    def _running_key(self) -> str | None:
        return self.active.key if self.active is not None and self.active.run is not None else None

    def _steerable(self, run_id: str) -> str | None:
        """The key of the active run when it is the one named, or of the one named that starts next."""
        if self.active is not None:
            run = self.active.run
            return self.active.key if run is not None and run.run_id == run_id and not self.active.stopping else None
        return next((entry.run.run_key for entry in self._entries[:1] if entry.run.run_id == run_id), None)

    def _waiting(self, item: str, if_revision: int | None) -> Entry:
        self._check_revision(if_revision)
        for entry in self._entries:
            if entry.ready and item in (entry.run.run_id, entry.run.message_id):
                return entry
        raise RequestRejected("RunNotFound", "no such run waits in the queue", id=item)

    def _check_revision(self, wanted: int | None) -> None:
        if wanted is not None and wanted != self.revision:
            raise RequestRejected("RevisionConflict", "the queue has changed", revision=self.revision)

    def _refuse_when_shut(self) -> None:
        if self._stopped:
            raise RequestRejected("ShuttingDown", "the server is shutting down")
        if self._closed:
            raise RequestRejected("SessionNotFound", "the session is being deleted", id=self.session_id)

    def _refuse_when_full(self) -> None:
        if len(self._entries) >= self._queue_max:
            raise RequestRejected("QueueFull", "too many prompts wait", retryable=True, max=self._queue_max)

    def _session_busy(self) -> RequestRejected:
        return RequestRejected("SessionBusy", "the session is busy", retryable=True, activeRunId=self.active_run_id)

    def _reorder(self) -> Reorder:
        return Reorder(tuple([entry.run.run_key for entry in self._entries if entry.ready]))

    def _settled(self, actions: list[Action]) -> list[Action]:
        self._settle(actions)
        return actions

    def _settle(self, actions: list[Action]) -> None:
        """Notice whether the visible queue is another one than last time."""
        shown = [(entry.run, entry.fold) for entry in self._entries if entry.ready]
        same = len(shown) == len(self._shown) and all(
            new is old and new_fold == old_fold
            for (new, new_fold), (old, old_fold) in zip(shown, self._shown, strict=True)
        )
        if not same:
            self._shown = shown
            self.revision += 1
            actions.append(QueueChanged(self.revision))
