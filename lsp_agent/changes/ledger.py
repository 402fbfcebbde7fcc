"""What the entries of a session's journal mean together: files changed, hunks and their states, checkpoints.

    change      a file's text before and after, and the hunks between; written before the file is touched
    applied     the file really was changed so
    dropped     it was not
    resolve     hunks were accepted, rejected, undone or done again
    checkpoint  a moment that can be gone back to
    settled     what a command did to files has been written down
    restored    a checkpoint was gone back to
    told        the model has heard what the user decided

A hunk's states lie on a trail, like an editor's undo: `undone` (its text is not there), `pending`, then what the user
decided. Undo goes back on the trail, redo forward, a new decision cuts off what lies ahead. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lsp_agent.ports.changes import JournalEntry

PENDING, ACCEPTED, REJECTED, UNDONE = "pending", "accepted", "rejected", "undone"
_IN_THE_TEXT = frozenset({PENDING, ACCEPTED})


@dataclass(slots=True, eq=False)
class Change:
    """One file changed by one tool call. `before` and `after` are text ids; None = there was no file."""

    change_id: str
    position: int
    path: str
    uri: str
    kind: str
    before: str | None
    after: str | None
    base_version: int | None
    run_key: str | None
    run_id: str | None
    tool_call_id: str | None
    created_at_ms: int
    applied: bool = False
    made_in: str | None = None
    """The session of the sub-agent that made it; None = the journal's own session."""
    hunks: list["Hunk"] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Hunk:
    """Lines of `change.before` (`old_*`) that became lines of `change.after` (`new_*`)."""

    hunk_id: str
    change: Change
    number: int
    old_start: int
    old_end: int
    new_start: int
    new_end: int
    trail: list[tuple[str, str]]
    """(state, what led to it: `run:KEY` or `at:POSITION`)."""
    at: int = 1
    undone_at: list[int] = field(default_factory=list)
    """Positions of the undos that can be taken back, oldest first."""

    @property
    def state(self) -> str:
        """pending, accepted, rejected or undone."""
        return self.trail[self.at][0]

    @property
    def wire_state(self) -> str:
        """As PROTOCOL 6 says it: what was undone is rejected."""
        return REJECTED if self.state == UNDONE else self.state

    @property
    def is_in_text(self) -> bool:
        """Whether the file should hold the new lines."""
        return is_in_text(self.state)

    @property
    def order(self) -> tuple[int, int]:
        """Sorts hunks by when they were made, then from top to bottom."""
        return (self.change.position, self.number)


@dataclass(frozen=True, slots=True)
class FileStep:
    """What a decision did to one file: text ids before and after (None = no file), and hunks put in or taken out."""

    before: str | None
    after: str | None
    flips: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A moment. `kind`: run, command or restore. `manifest`: text id of a command's list of files."""

    checkpoint_id: str
    position: int
    kind: str
    run_key: str | None
    run_id: str | None
    message_id: str | None
    tool_call_id: str | None
    title: str
    created_at_ms: int
    message_ids: tuple[str, ...]
    manifest: str | None = None
    partial: bool = False


def is_in_text(state: str) -> bool:
    """Whether a hunk in this state is part of the text."""
    return state in _IN_THE_TEXT


class Ledger:
    """The journal of one session, folded."""

    def __init__(self, entries: Sequence[JournalEntry]) -> None:
        self.entries = entries
        self.changes: dict[str, Change] = {}
        self.hunks: dict[str, Hunk] = {}
        self.checkpoints: dict[str, Checkpoint] = {}
        self.settled: set[str] = set()
        self.file_steps: dict[str, FileStep] = {}
        """The newest decision about each path."""
        self.told_until = 0
        self._run_ends: dict[str, int] = {}
        for entry in entries:
            self._take(entry)

    def until(self, position: int) -> "Ledger":
        """The ledger as it was before the entry at `position`."""
        return Ledger([entry for entry in self.entries if entry.position < position])

    def of_path(self, path: str) -> Iterator[Change]:
        """The changes of a file, oldest first."""
        return (change for change in self.changes.values() if change.path == path)

    def number_of(self, cause: str) -> int:
        """When something last was done: a run's newest change, or the decision's own position."""
        kind, _, key = cause.partition(":")
        return self._run_ends.get(key, 0) if kind == "run" else int(key)

    # ------------------------------------------------------------------------------------------------------ inside

    def _take(self, entry: JournalEntry) -> None:
        body = entry.body
        match entry.kind:
            case "change":
                self._change(entry)
            case "applied":
                if (change := self.changes.get(body["change"])) is not None:
                    change.applied = True
            case "dropped":
                self._drop(body["change"])
            case "resolve" | "restored":
                self._resolve(entry)
            case "checkpoint":
                self.checkpoints[entry.entry_id] = _checkpoint(entry)
            case "settled":
                self.settled.add(body["checkpoint"])
            case "told":
                self.told_until = max(self.told_until, int(body["until"]))
            case _:
                pass  # of a newer version: what is not understood changes nothing

    def _change(self, entry: JournalEntry) -> None:
        body = entry.body
        run_key = body.get("runKey")
        change = Change(
            change_id=entry.entry_id,
            position=entry.position,
            path=body["path"],
            uri=body["uri"],
            kind=body["kind"],
            before=body.get("before"),
            after=body.get("after"),
            base_version=body.get("baseVersion"),
            run_key=run_key,
            run_id=body.get("runId"),
            tool_call_id=body.get("toolCallId"),
            created_at_ms=entry.created_at_ms,
            applied=bool(body.get("applied")),
            made_in=body.get("madeIn"),
        )
        cause = f"run:{run_key}"
        self._run_ends[str(run_key)] = entry.position
        for number, (hunk_id, old_start, old_end, new_start, new_end) in enumerate(body["hunks"]):
            trail = [(UNDONE, cause), (PENDING, cause)]
            hunk = Hunk(hunk_id, change, number, old_start, old_end, new_start, new_end, trail)
            change.hunks.append(hunk)
            self.hunks[hunk_id] = hunk
        self.changes[entry.entry_id] = change

    def _drop(self, change_id: str) -> None:
        change = self.changes.pop(change_id, None)
        for hunk in change.hunks if change is not None else ():
            del self.hunks[hunk.hunk_id]

    def _resolve(self, entry: JournalEntry) -> None:
        body = entry.body
        action = body.get("action", "restore")
        for hunk_id, state in body.get("states", {}).items():
            hunk = self.hunks.get(hunk_id)
            if hunk is None:
                continue
            if action == "undo" and hunk.at > 0:
                hunk.at -= 1
                hunk.undone_at.append(entry.position)
            elif action == "redo" and hunk.at + 1 < len(hunk.trail):
                hunk.at += 1
                if hunk.undone_at:
                    hunk.undone_at.pop()
            else:
                hunk.trail[hunk.at + 1 :] = [(state, f"at:{entry.position}")]
                hunk.at += 1
                hunk.undone_at.clear()
        for path, step in body.get("files", {}).items():
            self.file_steps[path] = FileStep(step["before"], step["after"], step["flips"])


def _checkpoint(entry: JournalEntry) -> Checkpoint:
    body: Mapping[str, Any] = entry.body
    return Checkpoint(
        checkpoint_id=entry.entry_id,
        position=entry.position,
        kind=body.get("kind", "run"),
        run_key=body.get("runKey"),
        run_id=body.get("runId"),
        message_id=body.get("messageId"),
        tool_call_id=body.get("toolCallId"),
        title=body.get("title", ""),
        created_at_ms=entry.created_at_ms,
        message_ids=entry.message_ids,
        manifest=body.get("manifest"),
        partial=bool(body.get("partial")),
    )
