"""Putting hunks into files and taking them out, file by file: what accept, reject, undo, redo and restore all do.

Taken out are the newest first, put in the oldest first, so that every hunk meets the text it was made for. When a file
is still as an earlier decision left it and that very decision is taken back, its earlier text comes back exactly.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lsp_agent.changes.ledger import FileStep, Hunk, Ledger, is_in_text
from lsp_agent.changes.livefiles import LiveFiles
from lsp_agent.changes.placing import Blocked, TextOf, flip
from lsp_agent.domain.errors import AgentError, WorkspaceError
from lsp_agent.ports.changes import text_id
from lsp_agent.ports.store import Store


@dataclass(frozen=True, slots=True)
class Conflict:
    """A hunk left as it is. `current`: the text that stands there now; None = no file, or unreadable."""

    hunk_id: str
    uri: str | None
    reason: str
    current: str | None


@dataclass(slots=True)
class Outcome:
    """What became of a decision."""

    states: dict[str, str] = field(default_factory=dict)
    """New state by hunk id."""
    conflicts: list[Conflict] = field(default_factory=list)
    steps: dict[str, FileStep] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    """Texts the steps name."""
    now: dict[str, str | None] = field(default_factory=dict)
    """What each file that was looked at holds, by path."""


class Steps:
    """Performs decisions on one session's hunks."""

    def __init__(self, store: Store, live: LiveFiles) -> None:
        self._store = store
        self._live = live

    async def perform(self, ledger: Ledger, wanted: Mapping[str, str], label: str, *, dry_run: bool = False) -> Outcome:
        """Bring hunks to the states `wanted`, as far as it goes; a conflict leaves its hunk as it was.

        `dry_run`: find out what would happen. Raises: StoreError.
        """
        outcome = Outcome()
        by_path: dict[str, list[Hunk]] = {}
        for hunk_id, state in wanted.items():
            hunk = ledger.hunks[hunk_id]
            if is_in_text(state) == hunk.is_in_text:
                outcome.states[hunk_id] = state
            else:
                by_path.setdefault(hunk.change.path, []).append(hunk)
        for path, hunks in by_path.items():
            await self._file(ledger, path, hunks, wanted, outcome, label, dry_run=dry_run)
        return outcome

    async def texts_for(self, ledger: Ledger, paths: Iterable[str]) -> TextOf:
        """The texts that the changes of these files name. Raises: StoreError."""
        changes = [change for path in paths for change in ledger.of_path(path)]
        names = [name for change in changes for name in (change.before, change.after) if name is not None]
        steps = [ledger.file_steps[path] for path in paths if path in ledger.file_steps]
        names += [step.before for step in steps if step.before is not None]
        return (await self._store.texts(names)).get

    async def _file(
        self,
        ledger: Ledger,
        path: str,
        hunks: Sequence[Hunk],
        wanted: Mapping[str, str],
        outcome: Outcome,
        label: str,
        *,
        dry_run: bool,
    ) -> None:
        text_of = await self.texts_for(ledger, [path])
        file = _File(ledger, path, hunks, text_of)
        try:
            if dry_run:
                before = await self._live.read(path)
                after = await asyncio.to_thread(file.plan, before)
            else:
                before, after = await self._live.put(path, file.plan, label, on_disk=file.brings_back)
        except WorkspaceError as error:
            current = await self._current(path)
            outcome.conflicts += [_conflict(hunk, str(error), current) for hunk in hunks]
            return
        outcome.now[path] = after
        outcome.states.update({hunk_id: wanted[hunk_id] for hunk_id in file.done})
        outcome.conflicts += file.conflicts
        if file.done:
            names = [None if text is None else text_id(text) for text in (before, after)]
            outcome.steps[path] = FileStep(names[0], names[1], dict(file.done))
            outcome.texts += [text for text in (before, after) if text is not None]

    async def _current(self, path: str) -> str | None:
        try:
            return await self._live.read(path)
        except AgentError:
            return None


class _File:
    """The step of one file; `plan` may be called more than once, the last call counts."""

    def __init__(self, ledger: Ledger, path: str, hunks: Sequence[Hunk], text_of: TextOf) -> None:
        self._hunks = sorted(hunks, key=lambda hunk: hunk.order)
        self._present = {hunk.hunk_id for change in ledger.of_path(path) for hunk in change.hunks if hunk.is_in_text}
        self._last = ledger.file_steps.get(path)
        self._text_of = text_of
        self.done: dict[str, bool] = {}
        self.conflicts: list[Conflict] = []
        self._planned: tuple[str | None, str | None] | None = None

    @property
    def brings_back(self) -> bool:
        """Whether a file that was deleted is to be there again."""
        return any(hunk.change.kind == "delete" and hunk.is_in_text for hunk in self._hunks)

    def plan(self, text: str | None) -> str | None:
        """What the file shall hold; fills `done` and `conflicts`. The last answer is remembered."""
        if self._planned is None or self._planned[0] != text:
            self._planned = (text, self._plan(text))
        return self._planned[1]

    def _plan(self, text: str | None) -> str | None:
        self.done, self.conflicts = {}, []
        if self._takes_back(text):
            self.done = {hunk.hunk_id: not hunk.is_in_text for hunk in self._hunks}
            before = self._last.before if self._last is not None else None
            return self._text_of(before) if before is not None else None
        present = set(self._present)
        taken_out = [hunk for hunk in reversed(self._hunks) if hunk.is_in_text]
        put_in = [hunk for hunk in self._hunks if not hunk.is_in_text]
        for hunk in [*taken_out, *put_in]:
            found = flip(text, hunk, not hunk.is_in_text, present, self._text_of)
            if isinstance(found, Blocked):
                self.conflicts.append(_conflict(hunk, found.reason, found.current))
                continue
            text = found
            self.done[hunk.hunk_id] = not hunk.is_in_text
            present ^= {hunk.hunk_id}
        return text

    def _takes_back(self, text: str | None) -> bool:
        """Whether the newest decision about the file is undone whole, and nobody has touched the file since."""
        step = self._last
        if step is None or (None if text is None else text_id(text)) != step.after:
            return False
        if step.before is not None and self._text_of(step.before) is None:
            return False
        return {hunk.hunk_id: hunk.is_in_text for hunk in self._hunks} == dict(step.flips)


def _conflict(hunk: Hunk, reason: str, current: str | None) -> Conflict:
    return Conflict(hunk.hunk_id, hunk.change.uri, reason, current)
