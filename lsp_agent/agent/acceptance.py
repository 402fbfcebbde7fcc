"""From a request to an accepted run: a place in the lane at once, attachments, one durable write, then the answer.

The place is taken synchronously when the request is read. The answer is given inside the commit's callback, before
anything that the acceptance sets in motion, so that it precedes the run's first event. A repeated request is recognised
by the store. Nothing here outlives its request except the run itself.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

from lsp_agent.agent.actions import Confirmed
from lsp_agent.agent.child_ids import is_child
from lsp_agent.agent.conductor import Conductor
from lsp_agent.agent.hub import Hub
from lsp_agent.agent.lane import Lane
from lsp_agent.agent.submission import Answer, Reject, RunAnswer, Submission
from lsp_agent.domain.errors import AgentError, RequestRejected, StoreError
from lsp_agent.domain.run import Run, RunState, StopReason
from lsp_agent.domain.session import UNTITLED, Session
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.store import Accepted, AcceptRun, Store, StoredRun

_log = logging.getLogger(__name__)

ATTACHMENTS_S = 30.0


class Acceptance:
    """Accepts prompts. `submit` and `steer` never wait; each calls `answer` or `reject` exactly once, now or later."""

    def __init__(self, store: Store, hub: Hub, clock: Clock, conductor: Conductor) -> None:
        self.store = store
        self.hub = hub
        self.conductor = conductor
        self._clock = clock
        self._accepted = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, submission: Submission, answer: Answer, reject: Reject) -> None:
        """One `agent/run`."""
        if submission.session_id is not None and is_child(submission.session_id):
            reject(of_a_subagent(submission.session_id))
            return
        run, session = self._new_run(submission)
        lane = self.conductor.lane(run.session_id)
        when_busy = submission.when_busy or ("queue" if submission.run_id is not None else "fold")
        try:
            run, actions = lane.reserve(run, when_busy)
        except RequestRejected as error:
            self._refuse_or_recognise(submission, lane, error, answer, reject)
            return
        self.conductor.perform(lane, actions)
        _Request(self, lane, run, session, submission, answer, reject).go()

    def steer(
        self, submission: Submission, expected_run_id: str, otherwise: str, answer: Answer, reject: Reject
    ) -> None:
        """One `agent/steer`: `submission.session_id` is set, its `run_id` is not. The state answered is `pending`
        while the prompt waits to join, else `queued`.
        """
        if is_child(str(submission.session_id)):
            reject(of_a_subagent(str(submission.session_id)))
            return
        run, session = self._new_run(submission)
        lane = self.conductor.lane(run.session_id)
        try:
            run, actions = lane.reserve_steering(run, expected_run_id, otherwise)
        except RequestRejected as error:
            self.conductor.tidy(lane)
            reject(error)
            return
        self.conductor.perform(lane, actions)

        def steered(given: RunAnswer) -> None:
            answer(replace(given, state=given.state if given.state in ("pending", "cancelled") else "queued"))

        _Request(self, lane, run, session, submission, steered, reject).go()

    async def close(self) -> None:
        """Refuse what has not been submitted to the store yet."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    def _new_run(self, submission: Submission) -> tuple[Run, Session | None]:
        now_ms = self._clock.now_ms()
        self._accepted += 1
        session = None
        if submission.session_id is None:
            title = submission.title or submission.options.title
            session = Session(
                self._clock.new_id(),
                title or UNTITLED,
                title_is_users=bool(title),
                root=submission.root,
                created_at_ms=now_ms,
                updated_at_ms=now_ms,
            )
        run = Run(
            self._clock.new_id(),
            session.session_id if session is not None else str(submission.session_id),
            submission.run_id,
            self._clock.new_id(),
            submission.prompt,
            options=submission.options,
            accept_seq=self._accepted,
            content_hash=submission.content_hash,
            accepted_at_ms=now_ms,
        )
        return run, session

    def _refuse_or_recognise(
        self, submission: Submission, lane: Lane, error: RequestRejected, answer: Answer, reject: Reject
    ) -> None:
        """A lane that is busy or full must not hide that this very run was accepted before."""
        self.conductor.tidy(lane)
        if submission.run_id is None or error.kind not in ("SessionBusy", "QueueFull"):
            reject(error)
            return
        self.recognise(submission, answer, reject, otherwise=error)

    def recognise(
        self, submission: Submission, answer: Answer, reject: Reject, *, otherwise: RequestRejected | None = None
    ) -> None:
        """Answer a repeated request with the run's present state, or refuse it, for `otherwise` when it is not one."""
        refusal: list[RequestRejected | None] = [otherwise or shutting_down()]

        async def work() -> None:
            try:
                stored = await self._settled(str(submission.run_id))
                if stored is not None:
                    refusal[0] = self._answer_again(stored, submission, answer)
                else:
                    refusal[0] = otherwise or _deleted_meanwhile(submission)
            except RequestRejected as error:
                refusal[0] = error
            except StoreError as error:
                refusal[0] = otherwise or not_stored(error)

        def done(_task: asyncio.Task[None]) -> None:
            if refusal[0] is not None:
                reject(refusal[0])

        self.spawn(work()).add_done_callback(done)

    async def _settled(self, run_id: str) -> StoredRun | None:
        """The stored run, read again while its end is still on the way to the store; its session is open then."""
        stored = await self.store.run(run_id)
        for _ in range(3):
            if stored is None:
                return None
            await self.hub.load(stored.run.session_id)
            lane = self.conductor.find(stored.run.session_id)
            if stored.state in (RunState.FOLDED, RunState.DONE) or (lane and lane.state_of(stored.run.run_key)):
                break
            await self.store.flush()
            stored = await self.store.run(run_id)
        return stored

    def _answer_again(self, stored: StoredRun, submission: Submission, answer: Answer) -> RequestRejected | None:
        run = stored.run
        lane = self.conductor.find(run.session_id)
        actions = lane.wake() if lane is not None else []
        state = _state(stored, lane)
        try:
            if run.content_hash != submission.content_hash or submission.session_id not in (None, run.session_id):
                return RequestRejected("DuplicateRun", "this run id was used for something else", state=state)
            items = lane.items() if lane is not None else []
            position = next((item.position for item in items if item.run.run_key == run.run_key), None)
            seq = self.hub.seq(run.session_id)
            answer(RunAnswer(run.session_id, run.run_id, run.message_id, state, position, seq))
            if submission.subscriber is not None:
                self.hub.subscribe(run.session_id, submission.subscriber)
            return None
        finally:
            if lane is not None:
                self.conductor.perform(lane, actions)

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run `work` in a task that `close` ends."""
        task = asyncio.get_running_loop().create_task(work, name="acceptance")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _Request:
    """One request between its place in the lane and its answer."""

    def __init__(
        self,
        world: Acceptance,
        lane: Lane,
        run: Run,
        session: Session | None,
        submission: Submission,
        answer: Answer,
        reject: Reject,
    ) -> None:
        self._world = world
        self._lane = lane
        self._run = run
        self._session = session
        self._submission = submission
        self._answer = answer
        self._reject = reject

    def go(self) -> None:
        """Submit at once when there is nothing to read, else from a task."""
        if self._submission.attachments is None and self._submission.expand is None:
            self._submit()
            return
        refusal: list[RequestRejected | None] = [shutting_down()]

        async def work() -> None:
            refusal[0] = await self._resolve(self._submission)

        def done(_task: "asyncio.Task[None]") -> None:
            # also for a task that was cancelled before its first step
            if refusal[0] is not None:
                self._refuse(refusal[0])
            else:
                self._submit()

        self._world.spawn(work()).add_done_callback(done)

    async def _resolve(self, submission: Submission) -> RequestRejected | None:
        try:
            async with asyncio.timeout(ATTACHMENTS_S):
                if submission.expand is not None:
                    self._run = replace(self._run, prompt=await submission.expand())
                if submission.attachments is not None:
                    self._run = replace(self._run, attachments=await submission.attachments())
        except RequestRejected as error:
            return error
        except TimeoutError:
            return RequestRejected("InvalidParams", "the attachments could not be read in time", path="attachments")
        except AgentError as error:
            return RequestRejected("InvalidParams", str(error), path="attachments")
        except Exception:  # noqa: BLE001 - a bug in reading must not leave a place behind that holds the session
            _log.exception("attachments could not be read")
            return RequestRejected("Internal", "the attachments could not be read")
        return None

    def _submit(self) -> None:
        run = self._run
        if not run.prompt.strip() and not any(part.is_text for part in run.attachments):
            self._refuse(RequestRejected("EmptyPrompt", "the prompt is empty", path="prompt"))
            return
        try:
            future = self._world.store.write([AcceptRun(run, self._session)], self._committed)
        except StoreError as error:
            self._refuse(not_stored(error))
            return
        future.add_done_callback(self._settled)

    def _settled(self, future: "asyncio.Future[Sequence[Any]]") -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._refuse(not_stored(error))

    def _refuse(self, error: RequestRejected) -> None:
        conductor = self._world.conductor
        conductor.perform(self._lane, self._lane.withdraw(self._run.run_key))
        conductor.tidy(self._lane)
        self._reject(error)

    def _committed(self, results: Sequence[Any]) -> None:
        """Right after the commit: answer, then whatever the lane starts. Nothing can come between."""
        accepted: Accepted = results[0]
        if accepted.duplicate is not None:
            conductor = self._world.conductor
            conductor.perform(self._lane, self._lane.withdraw(self._run.run_key))
            conductor.tidy(self._lane)
            self._world.recognise(self._submission, self._answer, self._reject)
            return
        if accepted.session is None:
            self._refuse(RequestRejected("SessionNotFound", "no such session", id=self._run.session_id))
            return
        hub = self._world.hub
        hub.open(self._run.session_id, accepted.session.seq)
        confirmed, actions = self._lane.confirm(self._run)
        try:
            self._answer(self._describe(confirmed))
            if self._submission.subscriber is not None:
                hub.subscribe(self._run.session_id, self._submission.subscriber)
        finally:
            self._world.conductor.perform(self._lane, actions)

    def _describe(self, confirmed: Confirmed) -> RunAnswer:
        run = self._run
        state = "pending" if confirmed.fold and run.fold_into is not None else confirmed.state
        seq = self._world.hub.seq(run.session_id)
        return RunAnswer(run.session_id, run.run_id, run.message_id, state, confirmed.position, seq)


def shutting_down() -> RequestRejected:
    """The refusal of everything that arrives, or is not durable yet, when the server stops."""
    return RequestRejected("ShuttingDown", "the server is shutting down")


def of_a_subagent(session_id: str) -> RequestRejected:
    """The refusal of whatever would change a sub-agent's session: it is its parent's (CORE 18)."""
    text = "this is the session of a sub-agent: it can be read, not continued, configured or deleted by itself"
    return RequestRejected("SessionNotFound", text, id=session_id)


def _deleted_meanwhile(submission: Submission) -> RequestRejected:
    """The refusal of a repeated request whose run went with its session while it was looked for; again, it is new."""
    text = "the run of this id was deleted with its session"
    return RequestRejected("SessionNotFound", text, retryable=True, id=submission.session_id)


def not_stored(error: BaseException) -> RequestRejected:
    """The refusal of a prompt that could not be made durable."""
    retryable = isinstance(error, StoreError) and error.retryable
    return RequestRejected("Store", "the prompt could not be stored", retryable=retryable)


def _state(stored: StoredRun, lane: Lane | None) -> str:
    live = lane.state_of(stored.run.run_key) if lane is not None else None
    if live is not None:
        return live
    match stored.state:
        case RunState.DONE:
            return stored.stop_reason or StopReason.CANCELLED.value
        case RunState.FOLDED:
            return stored.stop_reason or ("running" if lane is not None and lane.active else "end_turn")
        case RunState.QUEUED | RunState.RUNNING:
            return stored.state.value
