"""What a lane decides: a closed union of plain values that the conductor performs in the order given.

Knows nothing of tasks, stores or connections.
"""

from dataclasses import dataclass

from lsp_agent.domain.run import Run, StopReason


@dataclass(frozen=True, slots=True)
class Start:
    """Begin this run's turn; the lane counts it as active from now on."""

    run: Run


@dataclass(frozen=True, slots=True)
class Stop:
    """Cancel what is active. `key` is a run key or a compaction key; `reason` CANCELLED or INTERRUPTED."""

    key: str
    reason: StopReason


@dataclass(frozen=True, slots=True)
class Discard:
    """End a run that never started, as cancelled. `announce`: it owes an `agent/runComplete`."""

    run: Run
    announce: bool


@dataclass(frozen=True, slots=True)
class QueueChanged:
    """The visible queue is different now."""

    revision: int


@dataclass(frozen=True, slots=True)
class Reorder:
    """Remember this order of the queue, run keys from head to tail."""

    run_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Remember the new prompt of a queued run."""

    run_key: str
    prompt: str


@dataclass(frozen=True, slots=True)
class Rest:
    """What was active ended and nothing follows it now."""


Action = Start | Stop | Discard | QueueChanged | Reorder | Rewrite | Rest


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What became of a run when it was durable. `state`: running, queued or cancelled."""

    state: str
    position: int | None = None
    """Zero-based place in the visible queue; None when it does not wait."""
    fold: bool = False
    """It waits to join the running turn."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Answer of a cancel: run ids it covered (None for a run without one), and ids that it did not find."""

    run_ids: tuple[str | None, ...] = ()
    not_running: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One line of the visible queue. `kind`: queued or fold."""

    run: Run
    position: int
    kind: str
