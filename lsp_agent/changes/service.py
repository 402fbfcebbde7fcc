"""The journal of changes as the rest of the product meets it: one object a server."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lsp_agent.domain.errors import StoreError
from lsp_agent.domain.late import Late
from lsp_agent.domain.run import Run
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import Events
from lsp_agent.ports.store import Store
from lsp_agent.ports.tools import Tool
from lsp_agent.ports.workspace import Workspace

if TYPE_CHECKING:  # what is made late
    from lsp_agent.changes.checkpoints import Checkpoints
    from lsp_agent.changes.commands import CommandJournal
    from lsp_agent.changes.review import Review
    from lsp_agent.changes.snapshot import SnapshotLimits

_log = logging.getLogger(__name__)


def nobody_works(_session_id: str) -> bool:
    """No session is busy: the default of `Changes.is_busy`."""
    return False


class Changes:
    """Review, checkpoints, and the snapshots around commands; each is made, and imported, when first used.

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
        limits: "SnapshotLimits | None" = None,
    ) -> None:
        self.is_busy: Callable[[str], bool] = nobody_works
        """Whether a run of the session is active or waits; then nothing is restored. Set by who knows the agent."""
        self._store = store
        self._events = events
        self._clock = clock
        self._workspace = workspace
        self._is_secret = is_secret
        self._limits = limits
        self._review = Late(self._make_review)
        self._commands = Late(self._make_commands)
        self._checkpoints = Late(self._make_checkpoints)
        self._untouched: set[str] = set()
        """Sessions whose journal was empty when a turn began. Only a decision makes news, and that makes the review."""

    @property
    def review(self) -> "Review":
        """What the user decides."""
        return self._review()

    @property
    def commands(self) -> "CommandJournal":
        """What commands did to files."""
        return self._commands()

    @property
    def checkpoints(self) -> "Checkpoints":
        """Going back."""
        return self._checkpoints()

    def guard(self, tool: Tool, may_change: Callable[[Mapping[str, Any]], bool]) -> Tool:
        """`tool` with a checkpoint before each call that may change files."""
        from lsp_agent.changes.guarded import Guarded

        return Guarded(tool, self.commands, may_change)

    async def context(self, run: Run) -> Sequence[str]:
        """What the user decided since the last turn, for the model (`TurnServices.context`). Never raises."""
        try:
            if self._review.made is None and await self._is_untouched(run.session_id):
                return ()
            text = await self.review.feedback(run.session_id)
        except StoreError as error:
            _log.warning("what the user decided is not told to the model: %s", error)
            return ()
        return (f"<review>\n{text}\n</review>",) if text else ()

    async def _is_untouched(self, session_id: str) -> bool:
        if session_id not in self._untouched and not await self._store.journal(session_id):
            self._untouched.add(session_id)
        return session_id in self._untouched

    def _make_review(self) -> "Review":
        from lsp_agent.changes.review import Review

        return Review(store=self._store, events=self._events, clock=self._clock, workspace=self._workspace)

    def _make_commands(self) -> "CommandJournal":
        from lsp_agent.changes.commands import CommandJournal

        return CommandJournal(
            workspace=self._workspace,
            store=self._store,
            clock=self._clock,
            is_secret=self._is_secret,
            limits=self._limits,
        )

    def _make_checkpoints(self) -> "Checkpoints":
        from lsp_agent.changes.checkpoints import Checkpoints

        return Checkpoints(
            self.review,
            events=self._events,
            clock=self._clock,
            is_busy=lambda session_id: self.is_busy(session_id),
            settle=self.commands.settle,
        )
