"""What the agent tells the world. The order of calls is the order on the wire, per session.

Three classes of PROTOCOL 8: durable (numbered, stored, never dropped), chunk (may be merged), ephemeral (latest wins).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from lsp_agent.domain.run import Outcome, Run
from lsp_agent.ports.store import Write

Update = Mapping[str, Any]
"""One `update` object of PROTOCOL 8, JSON-ready, camelCase, with its `sessionUpdate`."""


class Events(Protocol):
    """The event hub as the turn sees it. No method waits."""

    def durable(self, session_id: str, run: Run | None, update: Update, *, writes: Sequence[Write] = ()) -> int:
        """Number, store (in one transaction with `writes`) and, once committed, send. Returns the seq."""
        ...

    def chunk(self, session_id: str, run: Run | None, kind: str, key: str, text: str) -> None:
        """Text to append. `kind` is a `*_chunk` name; `key` the messageId, toolCallId or terminalId it belongs to.

        Sent at once, behind durable events that wait for their commit.
        """
        ...

    def ephemeral(self, session_id: str, run: Run | None, update: Update) -> None:
        """A value whose latest state is all that matters."""
        ...

    def complete(self, run: Run, outcome: Outcome, *, writes: Sequence[Write] = ()) -> int:
        """The one terminal event of `run`: stored with the run's final state, then sent as `agent/runComplete`."""
        ...


class Subscriber(Protocol):
    """One connection, as the hub sees it. No method waits or raises."""

    def notify(self, method: str, params: bytes, *, kind: str, key: str, session_id: str) -> None:
        """Enqueue one notification whose params are already JSON.

        `kind`: `D`, `C` or `E`. `key` tells which earlier C or E it may be merged with (same session, same key).
        """
        ...

    def chunk(
        self,
        session_id: str,
        run_id: str | None,
        update_kind: str,
        key: str,
        text: str,
        seq: int,
        parent: Mapping[str, Any] | None = None,
    ) -> None:
        """Enqueue text of a chunk; the outbox merges what has piled up and numbers `chunk` when it leaves.

        `parent` is added to the params of a sub-agent's chunk.
        """
        ...


EventListener = Callable[[str, Update], None]
