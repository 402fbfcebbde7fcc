"""How many decisions of a session wait for its user: said when the first comes and when the last is made.

Shared by whatever asks, so that a session is not called running while one of its questions is still open.
"""

from collections import Counter

from lsp_agent.domain.run import Run
from lsp_agent.ports.events import Events


class Attention:
    """Announces `state_update` `requires_action` and `running` (PROTOCOL 8)."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._waiting: Counter[str] = Counter()

    def begin(self, run: Run) -> None:
        """One more decision waits in the run's session."""
        self._waiting[run.session_id] += 1
        if self._waiting[run.session_id] == 1:
            self._say(run, "requires_action")

    def end(self, run: Run, *, ends_run: bool = False) -> None:
        """One is made or withdrawn. `ends_run`: with its run, which says itself what comes then."""
        self._waiting[run.session_id] -= 1
        if self._waiting[run.session_id] <= 0:
            del self._waiting[run.session_id]
            if not ends_run:
                self._say(run, "running")

    def _say(self, run: Run, state: str) -> None:
        self._events.durable(run.session_id, run, {"sessionUpdate": "state_update", "state": state})
