"""Changes in files and checkpoints (PROTOCOL 6)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lsp_agent.protocol.base import Identifier, Int, Range, RunId, Text, Timestamp, Uri, Wire, open_enum

HunkState = Annotated[str, open_enum("pending", "accepted", "rejected")]


class Hunk(Wire):
    """One contiguous change of a file."""

    hunk_id: str
    range: Range
    """Its lines in the text before the change."""
    new_range: Range | None = None
    """Its lines in the text of today; absent when they were changed since, or are not in the text."""
    old_text: str
    new_text: str
    state: HunkState
    run_id: str | None
    tool_call_id: str | None


class ChangedFile(Wire):
    """A file with its hunks."""

    uri: str
    kind: str
    base_version: Int | None = None
    hunks: list[Hunk]


class ChangesListParams(Wire):
    """`agent/changes/list`."""

    session_id: Identifier
    run_id: RunId | None = None
    uri: Uri | None = None
    state: HunkState | None = None


class ChangesListResult(Wire):
    """Files with changes that fit the question."""

    files: list[ChangedFile]


class ChangeTarget(Wire):
    """Exactly one of a hunk, a file, a run, or `all: true`."""

    hunk_id: Identifier | None = None
    uri: Uri | None = None
    run_id: RunId | None = None
    all: Literal[True] | None = None

    @model_validator(mode="after")
    def _names_one(self) -> "ChangeTarget":
        if sum(value is not None for value in (self.hunk_id, self.uri, self.run_id, self.all)) != 1:
            raise ValueError("needs exactly one of hunkId, uri, runId, all")
        return self


class ChangesResolveParams(Wire):
    """`agent/changes/resolve`."""

    session_id: Identifier
    action: Literal["accept", "reject", "undo", "redo"]
    targets: Annotated[list[ChangeTarget], Field(min_length=1, max_length=10_000)]
    comment: Text | None = None


class Conflict(Wire):
    """A hunk that could not be resolved, with the text that is there now."""

    hunk_id: str
    reason: str
    current: str | None
    uri: Uri | None = None


class ChangesResolveResult(Wire):
    """What was done and what was not."""

    done: list[str]
    conflicts: list[Conflict]


class Checkpoint(Wire):
    """A state that can be gone back to."""

    checkpoint_id: str
    session_id: str
    run_id: str | None = None
    message_id: str | None = None
    title: str | None = None
    created_at: Timestamp
    kind: Annotated[str | None, open_enum("run", "command", "restore")] = None
    """What came after it: a run's first write, a command that may change files, a restore."""
    partial: bool = False
    """True when the state before a command could not be kept whole."""


class CheckpointListParams(Wire):
    """`agent/checkpoint/list`."""

    session_id: Identifier


class CheckpointListResult(Wire):
    """Newest first."""

    checkpoints: list[Checkpoint]


class CheckpointRestoreParams(Wire):
    """`agent/checkpoint/restore`."""

    checkpoint_id: Identifier
    files: bool
    conversation: bool
    dry_run: bool | None = None


class CheckpointRestoreResult(Wire):
    """`undo_checkpoint_id` is None after a dry run."""

    undo_checkpoint_id: str | None
    conflicts: list[Conflict]
