"""Durable memory. Writes are values, committed in the order they were submitted, many in one transaction.

The agent hands over `Write`s and goes on; the store groups whatever waits into one transaction (`synchronous=FULL`) and
then calls back. Reads see everything submitted before them.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lsp_agent.domain.message import Message
from lsp_agent.domain.run import Run, RunState
from lsp_agent.domain.session import Session
from lsp_agent.ports.changes import JournalEntry, PutJournal, SetVisibleMessages

# ---------------------------------------------------------------------------------------------------------- writes


@dataclass(frozen=True, slots=True)
class PutSession:
    """Insert a session; replaces nothing (an id that exists is an error)."""

    session: Session


@dataclass(frozen=True, slots=True)
class PatchSession:
    """Set named columns of a session, leaving the others alone (so a rename is never undone by a late save).

    `changes` keys are field names of `Session` (todos as a tuple of Todo). `add` keys are numeric fields that are
    incremented in SQL (`cost_usd`, `prompt_tokens`, `completion_tokens`). `unless_titled` skips a `title` change when
    the user gave a name. `updated_at_ms` is always set to `now_ms`.
    """

    session_id: str
    now_ms: int
    changes: Mapping[str, Any]
    add: Mapping[str, float]
    unless_titled: bool = False


@dataclass(frozen=True, slots=True)
class DropSession:
    """Delete a session with its children, messages, runs, events and files."""

    session_id: str


@dataclass(frozen=True, slots=True)
class PutMessage:
    """Insert or replace one message row whole. A dropped message is never resurrected by a later put."""

    message: Message


@dataclass(frozen=True, slots=True)
class DropMessage:
    """Delete one message."""

    message_id: str


@dataclass(frozen=True, slots=True)
class AcceptRun:
    """Make a prompt durable. Its result is an `Accepted`.

    `new_session` is inserted in the same transaction when the caller named no session. Nothing at all is written when
    the session does not exist or when `run.run_id` was seen before (any session).
    """

    run: Run
    new_session: Session | None = None


@dataclass(frozen=True, slots=True)
class SetRunState:
    """Move a run along `domain.run.TRANSITIONS`. `into` is the run key a FOLDED one joined."""

    run_key: str
    state: RunState
    into: str | None = None


@dataclass(frozen=True, slots=True)
class SetRunPrompt:
    """Edit a queued run's prompt."""

    run_key: str
    prompt: str


@dataclass(frozen=True, slots=True)
class SetQueueOrder:
    """The queue of a session after a move: run keys from head to tail, for recovery."""

    session_id: str
    run_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AppendEvent:
    """One durable event or terminal event of the per-session log. Refused unless `seq` is the session's last one + 1.

    `payload` is the JSON of the notification's params, exactly as sent. `terminal_of` is the run key an
    `agent/runComplete` ends: the same transaction moves that run to DONE, and a second terminal for it is refused by
    the schema (unique index).
    """

    session_id: str
    seq: int
    payload: bytes
    terminal_of: str | None = None
    stop_reason: str | None = None


@dataclass(frozen=True, slots=True)
class RecordRead:
    """The session has seen this file in this state (read-before-edit)."""

    session_id: str
    path: str
    content_hash: str
    version: int | None
    read_at_ms: int


@dataclass(frozen=True, slots=True)
class PutFileVersion:
    """A file's text before or after an edit of this session (CORE 31). Versions count from 0 per (session, path)."""

    session_id: str
    path: str
    content: str
    run_key: str | None
    tool_call_id: str | None
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class PutGrant:
    """A permission the user gave: for a session, or for ever (`session_id` None)."""

    session_id: str | None
    root: str | None
    tool: str
    pattern: str
    allow: bool
    created_at_ms: int


Write = (
    PutSession
    | PatchSession
    | DropSession
    | PutMessage
    | DropMessage
    | AcceptRun
    | SetRunState
    | SetRunPrompt
    | SetQueueOrder
    | AppendEvent
    | RecordRead
    | PutFileVersion
    | PutGrant
    | PutJournal
    | SetVisibleMessages
)

# ----------------------------------------------------------------------------------------------------------- rows


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as remembered: enough to answer a repeated `agent/run` and to recover."""

    run: Run
    state: RunState
    stop_reason: str | None = None
    """Of a DONE run."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Result of `AcceptRun`. Exactly one of three cases.

    accepted: `session` set, `duplicate` None · seen before: `duplicate` set (compare its `run.content_hash`) · no such
    session: both None.
    """

    session: Session | None
    duplicate: StoredRun | None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One row of the event log."""

    seq: int
    payload: bytes
    terminal: bool


@dataclass(frozen=True, slots=True)
class SeenFile:
    """What a session last saw of a file."""

    content_hash: str
    version: int | None
    read_at_ms: int


@dataclass(frozen=True, slots=True)
class Grant:
    """A remembered permission."""

    session_id: str | None
    root: str | None
    tool: str
    pattern: str
    allow: bool


class Store(Protocol):
    """The one database of a data directory."""

    def write(
        self, writes: Sequence[Write], on_commit: Callable[[Sequence[Any]], None] | None = None
    ) -> "asyncio.Future[Sequence[Any]]":
        """Submit writes that are committed together, atomically and in order of submission over all callers.

        Never waits. `on_commit(results)` runs on the event loop right after the commit, callbacks strictly in the order
        of submission, before the future's waiters wake; results are one a write (`Accepted` for `AcceptRun`, None
        otherwise). A cancelled future cancels nothing. On failure the future raises StoreError, `on_commit` is not
        called, later writes are not affected, and an unobserved failure is logged, not raised.
        """
        ...

    async def session(self, session_id: str) -> Session | None:
        """One session; None when it does not exist."""
        ...

    async def sessions(
        self, *, limit: int, cursor: str | None = None, query: str | None = None, root: str | None = None
    ) -> tuple[list[Session], str | None]:
        """A page, most recently updated first, no child sessions; and the cursor of the next page.

        `query` matches titles, case-insensitively. Raises: RequestRejected(InvalidParams) for a broken cursor.
        """
        ...

    async def messages(
        self, session_id: str, *, limit: int | None = None, cursor: str | None = None, from_message: str | None = None
    ) -> tuple[list[Message], str | None]:
        """A page, oldest first. `from_message`: start at that message (inclusive), for history after a summary."""
        ...

    async def run(self, run_id: str) -> StoredRun | None:
        """By the caller's correlator."""
        ...

    async def unfinished_runs(self) -> list[StoredRun]:
        """Every run that is QUEUED, RUNNING or FOLDED into an unfinished run, in queue order. For recovery."""
        ...

    async def events(self, session_id: str, *, after_seq: int, limit: int) -> tuple[list[StoredEvent], int]:
        """Log rows with seq > after_seq, ascending; and the oldest seq the log still holds (0 when empty)."""
        ...

    async def seen_file(self, session_id: str, path: str) -> SeenFile | None:
        """What `RecordRead` last said."""
        ...

    async def file_versions(self, session_id: str, path: str) -> list[str]:
        """Texts by version, oldest first."""
        ...

    async def grants(self) -> list[Grant]:
        """Every remembered grant."""
        ...

    async def journal(self, session_id: str) -> list[JournalEntry]:
        """A session's journal of changes, in order."""
        ...

    async def journal_entry(self, entry_id: str) -> JournalEntry | None:
        """One entry, whichever session it belongs to."""
        ...

    async def texts(self, text_ids: Sequence[str]) -> dict[str, str]:
        """Texts the journal names, by `text_id`; those the store does not have are left out."""
        ...

    async def flush(self) -> None:
        """Wait until everything submitted so far is committed. Bounded by the caller."""
        ...

    async def close(self) -> None:
        """Commit what waits, close, release the lock. May be called twice."""
        ...
