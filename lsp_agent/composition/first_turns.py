"""What happens before a turn of this process begins."""

import asyncio

from lsp_agent.agent.services import TurnControl
from lsp_agent.agent.turn import TurnRunner
from lsp_agent.composition.rooms import Rooms
from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.run import Outcome, Run


class FirstTurns:
    """A turn runner that reads a changed configuration, finds a model, and says once which when nobody chose it.

    The notice goes out before any text of a buffer leaves the machine (CONFIGURATION, last section).
    """

    def __init__(self, turns: TurnRunner, rooms: Rooms) -> None:
        self._turns = turns
        self._rooms = rooms
        self._providers = rooms.providers
        self._settled = rooms.ground.settled
        self._announced = False

    async def __call__(self, run: Run, control: TurnControl) -> Outcome:
        """Run one turn. A cancellation while it is prepared ends it like one in the turn: with its prompt stored."""
        task = asyncio.current_task()
        try:
            await self._prepare(run)
        except asyncio.CancelledError:
            if task is not None:
                task.uncancel()
                task.cancel()  # arrives at the turn's first await, which closes what it has begun
        return await self._turns(run, control)

    async def _prepare(self, run: Run) -> None:
        has_changed, _ = await asyncio.gather(self._rooms.refresh(), self._rooms.subagents.refresh())
        if has_changed:  # it may have switched a sub-agent off, or made a folder one that is obeyed
            await self._rooms.subagents.refresh()
        self._rooms.mcp.follow()
        for text in self._settled.news():
            self._notice(run, "warning", "configuration", text)
        await self._providers.prepare()
        if not self._announced:
            self._announced = True
            self._announce(run)

    def _announce(self, run: Run) -> None:
        try:
            choice = self._providers.explain()
        except ProviderError:
            return  # the turn fails with the same error, in its own words
        if not choice.is_configured:
            self._notice(run, "info", "model", f"Using {choice.large.ref}: {choice.reason}.")

    def _notice(self, run: Run, level: str, code: str, message: str) -> None:
        update = {"sessionUpdate": "notice", "level": level, "code": code, "message": message}
        self._rooms.ground.hub.durable(run.session_id, run, update)
