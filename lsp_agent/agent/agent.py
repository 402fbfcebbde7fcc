"""The agent as the server sees it: prompts in, decisions at once, events out through the hub.

Methods that are not `async` decide while the request is being read, so that wire order is decision order; the others
may wait for the store, and are called from a task of their own.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from lsp_agent.agent import recovery, run_updates
from lsp_agent.agent.acceptance import Acceptance, not_stored, of_a_subagent
from lsp_agent.agent.actions import Action, Cancelled
from lsp_agent.agent.attaching import Point, Snapshot
from lsp_agent.agent.child_ids import is_child
from lsp_agent.agent.children import Children, TurnsByRun
from lsp_agent.agent.conductor import CLEANUP_S, CompactRunner, Conductor, TurnRunner, no_model
from lsp_agent.agent.hub import Hub
from lsp_agent.agent.lane import Lane
from lsp_agent.agent.submission import Answer, Reject, Submission
from lsp_agent.domain.errors import RequestRejected, StoreError
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import Run
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import Subscriber
from lsp_agent.ports.store import DropSession, Store

_log = logging.getLogger(__name__)

SHUTDOWN_S = 5.0


def nothing_pending(_session_id: str) -> dict[str, list[Any]]:
    """No open permissions or questions: the default of `Agent.pending`."""
    return {"permissions": [], "questions": []}


class Agent:
    """One data directory's sessions. Make it, `recover()`, then call it."""

    def __init__(
        self,
        store: Store,
        hub: Hub,
        clock: Clock,
        turns: TurnRunner,
        compactor: CompactRunner,
        *,
        pending: Callable[[str], dict[str, list[Any]]] = nothing_pending,
        snapshot: Snapshot | None = None,
        model_of: Callable[[Run], Model | None] = no_model,
        cleanup_s: float = CLEANUP_S,
    ) -> None:
        self._store = store
        self._clock = clock
        self._pending = pending
        self._snapshot = snapshot
        self.hub = hub
        routed = TurnsByRun(turns)
        self._conductor = Conductor(store, hub, clock, routed, compactor, model_of=model_of, cleanup_s=cleanup_s)
        self.children = Children(store, hub, self._conductor, routed)
        """Runs sub-agents."""
        self._acceptance = Acceptance(store, hub, clock, self._conductor)
        hub.on_failure(self._conductor.fail)

    # ------------------------------------------------------------------------------------------------ at once

    def run(self, submission: Submission, answer: Answer, reject: Reject) -> None:
        """`agent/run`. Exactly one of `answer` and `reject` is called, now or later, on the loop."""
        self._acceptance.submit(submission, answer, reject)

    def steer(
        self, submission: Submission, expected_run_id: str, otherwise: str, answer: Answer, reject: Reject
    ) -> None:
        """`agent/steer`; `submission` names the session and has no run id. `otherwise`: reject or queue."""
        self._acceptance.steer(submission, expected_run_id, otherwise, answer, reject)

    def cancel(self, session_id: str, run_id: str | None = None, *, drop_queue: bool = True) -> Cancelled:
        """`agent/cancel`: covers everything accepted before this call and nothing after it. Never fails."""
        lane = self._conductor.find(session_id)
        if lane is None:
            return Cancelled((), (run_id,) if run_id is not None else ())
        answer, actions = lane.cancel(run_id, drop_queue=drop_queue)
        self._perform(lane, actions)
        return answer

    def queue(
        self,
        session_id: str,
        op: str = "list",
        *,
        item: str = "",
        prompt: str = "",
        index: int = 0,
        if_revision: int | None = None,
    ) -> dict[str, Any]:
        """`agent/queue`: the operation, then `{revision, count, items}`. `item` is a run id or a message id.

        Raises: RequestRejected RevisionConflict, RunNotFound, EmptyPrompt, InvalidParams (unknown `op`).
        """
        lane = self._conductor.lane(session_id)
        try:
            self._perform(lane, self._queue_actions(lane, op, item, prompt, index, if_revision))
            items = lane.items()
            return {"revision": lane.revision, "count": len(items), "items": run_updates.whole_queue_items(items, item)}
        finally:
            self._conductor.tidy(lane)

    def compact(self, session_id: str, answer: Callable[[str], None], reject: Reject) -> None:
        """`agent/session/compact`: answers `started` or `nothing`, or is refused; prompts queue behind it."""
        if is_child(session_id):
            reject(of_a_subagent(session_id))
            return
        lane = self._conductor.lane(session_id)
        try:
            lane.begin_compaction(self._clock.new_id())
        except RequestRejected as error:
            self._conductor.tidy(lane)
            reject(error)
            return
        self._conductor.compact(lane, self._may_compact(session_id), answer, reject)

    def is_busy(self, session_id: str) -> bool:
        """A run or a compaction is active, or a prompt waits to start."""
        lane = self._conductor.find(session_id)
        return lane is not None and lane.busy

    def queued(self, session_id: str) -> int:
        """Length of the session's visible queue."""
        lane = self._conductor.find(session_id)
        return lane.queued if lane is not None else 0

    def status(self, session_id: str | None = None) -> dict[str, Any]:
        """The agent's part of `agent/status`: `busy`, `sessions {open, busy}`, `queued`; of one session or of all.

        A sub-agent's session counts only when it is named.
        """
        lanes = [lane for lane in self._conductor.lanes if session_id in (None, lane.session_id)]
        lanes = [lane for lane in lanes if session_id is not None or not is_child(lane.session_id)]
        busy = sum(1 for lane in lanes if lane.busy)
        return {
            "busy": busy > 0,
            "sessions": {"open": len(lanes), "busy": busy},
            "queued": sum([lane.queued for lane in lanes]),
        }

    def detach(self, session_id: str, subscriber: Subscriber) -> None:
        """`agent/session/detach`. Cancels nothing."""
        self.hub.unsubscribe(session_id, subscriber)

    def drop(self, subscriber: Subscriber) -> None:
        """The connection is gone. Cancels nothing (PROTOCOL 10.9)."""
        self.hub.drop(subscriber)

    # ------------------------------------------------------------------------------------------------ waiting

    async def attach(
        self,
        session_id: str,
        subscriber: Subscriber,
        after_seq: int | None,
        answer: Callable[[dict[str, Any]], None],
    ) -> None:
        """`agent/session/attach`: answer, missed events, live events; restored runs of the session may start now.

        Raises: RequestRejected SessionNotFound, StoreError; then `answer` was not called.
        """

        def joined(point: Point) -> None:
            lane = self._conductor.find(session_id)
            result: dict[str, Any] = {
                "seq": point.seq,
                "mode": point.mode,
                "pending": self._pending_with_children(session_id),
                "activeRunId": lane.active_run_id if lane is not None else None,
                "queueRevision": lane.revision if lane is not None else 0,
            }
            if point.snapshot is not None:
                result["snapshot"] = point.snapshot
            answer(result)

        await self.hub.attach(session_id, subscriber, after_seq, joined, self._snapshot)
        lane = self._conductor.find(session_id)
        if lane is not None:
            self._perform(lane, lane.wake())

    async def delete_session(self, session_id: str) -> None:
        """`agent/session/delete`: cancels what is active and queued, sends its last events, then deletes.

        Raises: RequestRejected SessionNotFound, StoreError.
        """
        if is_child(session_id):
            raise of_a_subagent(session_id)
        await self.hub.load(session_id)
        lane = self._conductor.lane(session_id)
        self._conductor.perform(lane, lane.close())
        await self._conductor.rest(session_id)
        # first what was accepted meanwhile, which ends it; then the terminal events of that
        await self._store.flush()
        await self._store.flush()
        try:
            await self._store.write([DropSession(session_id)])
        finally:
            self._conductor.forget(session_id)
        self.hub.forget(session_id)

    async def recover(self) -> int:
        """Once, before the first request: see `recovery`. Returns how many runs were interrupted."""
        return await recovery.recover(self._store, self.hub, self._clock, self._conductor)

    async def shutdown(self, deadline_s: float = SHUTDOWN_S) -> None:
        """Refuse new prompts, interrupt what is active, keep the queue, send and store what is left. May be repeated.

        The store stays open. Takes `deadline_s` for the runs and as long again for a store that hangs.
        """
        self._conductor.stop(deadline_s)
        await self._acceptance.close()
        await self._conductor.quiet()
        try:
            async with asyncio.timeout(deadline_s):
                await self.hub.settle()
        except (TimeoutError, StoreError):
            _log.warning("not everything could be stored before the server stopped")
        await self.hub.close()

    # ------------------------------------------------------------------------------------------------ inner

    def _pending_with_children(self, session_id: str) -> dict[str, list[Any]]:
        """What waits for the user in a session and in its sub-agents' sessions."""
        found = {name: list(records) for name, records in self._pending(session_id).items()}
        for child in self.hub.children(session_id):
            for name, records in self._pending(child).items():
                found.setdefault(name, []).extend(records)
        return found

    def _perform(self, lane: Lane, actions: list[Action]) -> None:
        self._conductor.perform(lane, actions)
        self._conductor.tidy(lane)

    def _queue_actions(
        self, lane: Lane, op: str, item: str, prompt: str, index: int, if_revision: int | None
    ) -> list[Action]:
        match op:
            case "list":
                return []
            case "edit":
                if not prompt.strip():
                    raise RequestRejected("EmptyPrompt", "the prompt is empty", path="prompt")
                return lane.edit(item, prompt, if_revision=if_revision)
            case "move":
                return lane.move(item, index, if_revision=if_revision)
            case "remove":
                return lane.remove(item, if_revision=if_revision)
            case "clear":
                return lane.clear(if_revision=if_revision)
            case "sendNow":
                return lane.send_now(item, if_revision=if_revision)
            case _:
                raise RequestRejected("InvalidParams", "unknown queue operation", path="op")

    def _may_compact(self, session_id: str) -> Callable[[], Any]:
        async def look() -> bool:
            try:
                session = await self._store.session(session_id)
            except StoreError as error:
                raise not_stored(error) from error
            if session is None:
                raise RequestRejected("SessionNotFound", "no such session", id=session_id)
            self.hub.open(session_id, session.seq)
            return session.message_count > 0

        return look
