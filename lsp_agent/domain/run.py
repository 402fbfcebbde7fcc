"""A submitted prompt and its fate: what was accepted, what state it is in, how it ended.

Every accepted prompt is a `Run`, with or without the caller's `run_id`. `run_key` is ours, unique and never shown; the
wire shows `run_id`, which may be None. The transition table is the whole life:

    queued ──▶ running ──▶ done          folded: joined another run's turn, ends with it
       └─────────┴──────▶ done           (cancelled or dropped before it started, interrupted)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lsp_agent.domain.message import AttachmentPart
from lsp_agent.domain.model import Sampling
from lsp_agent.domain.usage import Usage


class RunState(StrEnum):
    """Where a run is. `DONE` and `FOLDED` are final."""

    QUEUED = "queued"
    RUNNING = "running"
    FOLDED = "folded"
    DONE = "done"


TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.FOLDED, RunState.DONE}),
    RunState.RUNNING: frozenset({RunState.DONE}),
    RunState.FOLDED: frozenset(),
    RunState.DONE: frozenset(),
}


class StopReason(StrEnum):
    """Why a run ended (PROTOCOL 9)."""

    END_TURN = "end_turn"
    MAX_TOKENS = "max_tokens"
    MAX_STEPS = "max_steps"
    BUDGET = "budget"
    REFUSAL = "refusal"
    LOOP = "loop"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Per-run choices of PROTOCOL 3. None or 0 = the session's or the configuration's value."""

    model: str | None = None
    mode: str | None = None
    sampling: Sampling = Sampling()
    provider_options: Mapping[str, Any] = field(default_factory=dict)
    max_steps: int = 0
    max_cost_usd: float = 0.0
    non_interactive: bool = False
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A prompt as accepted. Immutable; its state lives in the lane and in the store."""

    run_key: str
    """Internal ULID, unique for ever."""
    session_id: str
    run_id: str | None
    """The caller's correlator, echoed everywhere."""
    message_id: str
    """Id the user message will have."""
    prompt: str
    attachments: tuple[AttachmentPart, ...] = ()
    options: RunOptions = RunOptions()
    accept_seq: int = 0
    """Order of acceptance in this process, from 1; 0 = restored after a restart."""
    content_hash: str = ""
    """Of prompt, attachments and options as the caller sent them: same id and same hash is a safe retry."""
    fold: bool = False
    """May join a running turn (accepted on a busy session without a run id, or `whenBusy: fold`, or steered)."""
    fold_into: str | None = None
    """`agent/steer`: the run key it must join; when that ends first it becomes a turn of its own."""
    accepted_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a run failed, for `agent/runComplete.error`. `kind` as in PROTOCOL 9."""

    kind: str
    title: str
    message: str
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class ChangeCount:
    """Size of what a run changed in files: files, lines added, lines removed."""

    files: int = 0
    added: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: everything `agent/runComplete` says but the ids and the seq."""

    stop_reason: StopReason
    message_id: str | None = None
    text: str = ""
    error: RunError | None = None
    usage: Usage = Usage()
    changes: ChangeCount = ChangeCount()
    steps: int = 0
    duration_ms: int = 0

    @property
    def cancelled(self) -> bool:
        """PROTOCOL 9: implies `stopReason: cancelled` and no error."""
        return self.stop_reason is StopReason.CANCELLED
