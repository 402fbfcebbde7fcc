"""The journal of changes as the rest of the product meets it: one object a server."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lsp_agent.changes.checkpoints import Checkpoints
from lsp_agent.changes.commands import CommandJournal
from lsp_agent.changes.guarded import Guarded
from lsp_agent.changes.review import Review
from lsp_agent.changes.snapshot import SnapshotLimits
from lsp_agent.domain.errors import StoreError
from lsp_agent.domain.run import Run
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import Events
from lsp_agent.ports.store import Store
from lsp_agent.ports.tools import Tool
from lsp_agent.ports.workspace import Workspace

_log = logging.getLogger(__name__)


def nobody_works(_session_id: str) -> bool:
    """No session is busy: the default of `Changes.is_busy`."""
    return False


class Changes:
    """Review, checkpoints, and the snapshots around commands.

    `is_secret(path relative to its root)`: files no snapshot may hold (`policy.protected.is_secret`).
    """

    def __init__(
        self,
        *,
        store: Store,
        events: Events,
        clock: Clock,
        workspace: Workspace,
        is_secret: Callable[[str], bool],
        limits: SnapshotLimits | None = None,
    ) -> None:
        self.is_busy: Callable[[str], bool] = nobody_works
        """Whether a run of the session is active or waits; then nothing is restored. Set by who knows the agent."""
        self.review = Review(store=store, events=events, clock=clock, workspace=workspace)
        self.commands = CommandJournal(
            workspace=workspace, store=store, clock=clock, is_secret=is_secret, limits=limits
        )
        self.checkpoints = Checkpoints(
            self.review,
            events=events,
            clock=clock,
            is_busy=lambda session_id: self.is_busy(session_id),
            settle=self.commands.settle,
        )

    def guard(self, tool: Tool, may_change: Callable[[Mapping[str, Any]], bool]) -> Tool:
        """`tool` with a checkpoint before each call that may change files."""
        return Guarded(tool, self.commands, may_change)

    async def context(self, run: Run) -> Sequence[str]:
        """What the user decided since the last turn, for the model (`TurnServices.context`). Never raises."""
        try:
            text = await self.review.feedback(run.session_id)
        except StoreError as error:
            _log.warning("what the user decided is not told to the model: %s", error)
            return ()
        return (f"<review>\n{text}\n</review>",) if text else ()
