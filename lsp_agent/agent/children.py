"""Runs of sub-agents: child sessions whose only run is a tool call of their parent (CORE 18).

A child goes through the same lane, conductor and store as every run. So it is durable, ends exactly once, is
interrupted by a shutdown and closed after a crash; what is special is who waits for it: the tool call of the parent,
whose cancellation is the child's.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lsp_agent.agent.conductor import Conductor, TurnRunner
from lsp_agent.agent.hub import Hub
from lsp_agent.agent.lane import Lane
from lsp_agent.agent.services import TurnControl
from lsp_agent.agent.waiting import ended
from lsp_agent.domain.errors import StoreError
from lsp_agent.domain.run import Outcome, Run
from lsp_agent.domain.session import Session
from lsp_agent.ports.store import Accepted, AcceptRun, Store

CLEANUP_S = 1.6
"""How long a cancelled child may take: less than the two seconds its parent's tool call has (CORE 4)."""


@dataclass(frozen=True, slots=True)
class Child:
    """A sub-agent to be run. `session` names its parent; `turns` runs the one turn it has."""

    session: Session
    run: Run
    turns: TurnRunner


class TurnsByRun:
    """A turn runner that gives children their own; everything else goes to `others`."""

    def __init__(self, others: TurnRunner) -> None:
        self._others = others
        self.own: dict[str, TurnRunner] = {}
        """By run key."""

    async def __call__(self, run: Run, control: TurnControl) -> Outcome:
        """Run one turn, as `conductor.TurnRunner` promises."""
        return await self.own.get(run.run_key, self._others)(run, control)


class Children:
    """Starts sub-agents and waits for them."""

    def __init__(self, store: Store, hub: Hub, conductor: Conductor, turns: TurnsByRun) -> None:
        self._store = store
        self._hub = hub
        self._conductor = conductor
        self._turns = turns

    async def run(self, child: Child) -> Outcome:
        """Make the child durable, run it, and return how it ended; its terminal event has been issued by then.

        Cancelled, it cancels the child, waits for its end (at most `CLEANUP_S`, then it is given up) and passes on.
        Raises: RequestRejected ShuttingDown, StoreError when it could not be stored.
        """
        conductor, session_id = self._conductor, child.run.session_id
        lane = conductor.lane(session_id)
        try:
            run, actions = lane.reserve(child.run, "reject")
        finally:
            conductor.tidy(lane)
        conductor.perform(lane, actions)
        outcome = conductor.outcome_of(run.run_key)
        outcome.add_done_callback(_observe)
        self._turns.own[run.run_key] = child.turns
        outcome.add_done_callback(lambda _: self._turns.own.pop(run.run_key, None))
        self._submit(lane, child.session, run, outcome)
        try:
            return await asyncio.shield(outcome)
        except asyncio.CancelledError:
            _, actions = lane.cancel()
            conductor.perform(lane, actions)
            conductor.tidy(lane)
            if not await ended([outcome], CLEANUP_S):
                conductor.abandon(session_id)
            raise

    def _submit(self, lane: Lane, session: Session, run: Run, outcome: "asyncio.Future[Outcome]") -> None:
        def refuse(error: BaseException) -> None:
            self._conductor.perform(lane, lane.withdraw(run.run_key))
            self._conductor.tidy(lane)
            if not outcome.done():
                outcome.set_exception(error)

        def settled(future: "asyncio.Future[Sequence[Any]]") -> None:
            error = StoreError("The store was closed.") if future.cancelled() else future.exception()
            if error is not None:
                refuse(error)

        def committed(results: Sequence[Any]) -> None:
            accepted: Accepted = results[0]
            if accepted.session is None:
                refuse(StoreError("The sub-agent was stored before."))
                return
            self._hub.adopt(run.session_id, str(session.parent_session_id), str(session.parent_tool_call_id))
            self._hub.open(run.session_id, accepted.session.seq)
            _, actions = lane.confirm(run)
            self._conductor.perform(lane, actions)
            self._conductor.tidy(lane)

        try:
            future = self._store.write([AcceptRun(run, session)], committed)
        except StoreError as error:
            refuse(error)
        else:
            future.add_done_callback(settled)


def _observe(outcome: "asyncio.Future[Outcome]") -> None:
    if not outcome.cancelled():
        outcome.exception()
