"""What a shell command does to files: a snapshot before it, the difference after it, written into the journal.

So a command's changes are hunks like those of an edit: shown, rejected, undone, and taken back by a checkpoint
(RELIABILITY SH-22). A snapshot is made once the command is allowed and before it starts, and is on the disk by then. A
command whose end nobody saw (a crash) is settled when its checkpoint is needed.
"""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lsp_agent.changes.ledger import Checkpoint, Ledger
from lsp_agent.changes.showing import shown_files
from lsp_agent.changes.snapshot import Scan, SnapshotLimits, scan
from lsp_agent.domain.align import blocks, bodies, lines_of
from lsp_agent.domain.run import Run
from lsp_agent.ports.changes import HunkLines, PutJournal, change_entry, text_id
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.store import Store, Write
from lsp_agent.ports.workspace import Workspace
from lsp_agent.workspace.files import FileState
from lsp_agent.workspace.paths import path_to_uri

_log = logging.getLogger(__name__)

SLACK_S = 3.0
"""How long a snapshot may take beyond its own bound (a disk that does not answer)."""
MAX_SESSIONS = 8
MAX_CHANGES = 500
"""Files of one command that are written down; a command that touches more is taken back by other means."""
WRITE_CHARS = 2 << 20
"""Characters of texts in one write, so that nobody waits long behind a first snapshot."""

Known = dict[Path, tuple[FileState, str]]


@dataclass(frozen=True, slots=True)
class Begun:
    """A command that is about to run."""

    run: Run
    checkpoint_id: str
    tool_call_id: str | None
    scan: Scan
    unsaved: Mapping[Path, str]
    """Texts of open documents that differ from the disk: what the user may save meanwhile."""
    made_in: str | None = None
    """The session of the sub-agent that runs it."""


class CommandJournal:
    """Snapshots around commands, for every session."""

    def __init__(
        self,
        *,
        workspace: Workspace,
        store: Store,
        clock: Clock,
        is_secret: Callable[[str], bool],
        limits: SnapshotLimits | None = None,
    ) -> None:
        self._workspace = workspace
        self._store = store
        self._clock = clock
        self._is_secret = is_secret
        self._limits = limits or SnapshotLimits()
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._running: set[str] = set()

    async def before_command(
        self, run: Run, tool_call_id: str | None, title: str, *, made_in: str | None = None
    ) -> Begun:
        """A checkpoint of every file a command could change, stored when this returns. Raises: StoreError."""
        session_id = run.session_id
        found = await self._scan(session_id)
        await self._keep_texts(session_id, found)
        manifest = json.dumps({str(path): name for path, (_, name) in sorted(found.files.items())})
        checkpoint_id = self._clock.new_id()
        body = {
            "kind": "command",
            "runKey": run.run_key,
            "runId": run.run_id,
            "messageId": run.message_id,
            "toolCallId": tool_call_id,
            "title": f"Before: {' '.join(title[:400].split())[:80]}",
            "manifest": text_id(manifest),
            "partial": found.partial,
        }
        now_ms = self._clock.now_ms()
        write = PutJournal(session_id, checkpoint_id, "checkpoint", body, now_ms, (manifest,), keeps_conversation=True)
        await self._store.write([write])
        self._running.add(checkpoint_id)
        return Begun(run, checkpoint_id, tool_call_id, found, self._unsaved(found), made_in)

    async def after_command(self, begun: Begun) -> list[dict[str, Any]]:
        """Write down what the command did; the files as in PROTOCOL 6. Raises: StoreError."""
        session_id = begun.run.session_id
        try:
            now = await self._scan(session_id)
            await self._keep_texts(session_id, now)
            writes = [
                self._entry(begun, path, before, after) for path, before, after in await self._differences(begun, now)
            ]
            return await self._write(session_id, begun.checkpoint_id, writes)
        finally:
            self._running.discard(begun.checkpoint_id)

    async def settle(self, session_id: str, ledger: Ledger) -> bool:
        """Write down what unfinished commands of the session did; True when there was one. Raises: StoreError."""
        open_ones = [
            one
            for one in ledger.checkpoints.values()
            if one.manifest is not None
            and one.checkpoint_id not in ledger.settled
            and one.checkpoint_id not in self._running
        ]
        for checkpoint in open_ones[-1:]:  # the newest snapshot knows the state that all the others led to
            await self._settle(session_id, checkpoint)
        for checkpoint in open_ones[:-1]:
            await self._write(session_id, checkpoint.checkpoint_id, [])
        return bool(open_ones)

    # ------------------------------------------------------------------------------------------------------ inside

    async def _settle(self, session_id: str, checkpoint: Checkpoint) -> None:
        texts = await self._store.texts([checkpoint.manifest or ""])
        named = json.loads(texts.get(checkpoint.manifest or "", "{}"))
        nothing = FileState(0, 0, 0, 0, 0)
        then = Scan({Path(path): (nothing, name) for path, name in named.items()}, {}, checkpoint.partial)
        run = Run(checkpoint.run_key or "", session_id, checkpoint.run_id, checkpoint.message_id or "", "")
        begun = Begun(run, checkpoint.checkpoint_id, checkpoint.tool_call_id, then, {})
        self._running.add(checkpoint.checkpoint_id)
        await self.after_command(begun)

    async def _scan(self, session_id: str) -> Scan:
        """The files now. One that takes too long is a snapshot of nothing, and says so."""
        ledger = Ledger(await self._store.journal(session_id))
        touched = [Path(path) for path in dict.fromkeys(change.path for change in ledger.changes.values())]
        known = self._known.setdefault(session_id, {})
        job = partial(scan, tuple(self._workspace.roots), touched, dict(known), self._is_secret, self._limits)
        try:
            async with asyncio.timeout(self._limits.seconds * 2 + SLACK_S):
                return await asyncio.to_thread(job)
        except TimeoutError:
            _log.warning("a snapshot took too long")
            return Scan(partial=True)

    async def _keep_texts(self, session_id: str, found: Scan) -> None:
        """Store the texts that were read, some at a time."""
        for texts in _portions(found.texts):
            entry = PutJournal(session_id, self._clock.new_id(), "texts", {}, self._clock.now_ms(), texts)
            await self._store.write([entry])
        self._known[session_id] = dict(found.files)
        self._known.move_to_end(session_id)
        while len(self._known) > MAX_SESSIONS:
            self._known.popitem(last=False)

    def _unsaved(self, found: Scan) -> dict[Path, str]:
        documents = [one for root in self._workspace.roots for one in self._workspace.open_documents_below(root)]
        return {
            one.path: one.text
            for one in documents
            if one.path is not None and one.path in found.files and found.files[one.path][1] != text_id(one.text)
        }

    async def _differences(self, begun: Begun, now: Scan) -> list[tuple[Path, str | None, str | None]]:
        """Files with their texts before and after (None = no file)."""
        then = begun.scan
        changed = [path for path, (_, name) in now.files.items() if path in then.files and then.files[path][1] != name]
        created = [path for path in now.files if path not in then.files] if not then.partial else []
        removed = [path for path in then.files if path not in now.files and not path.exists()]
        if len(changed) + len(created) + len(removed) > MAX_CHANGES:
            _log.warning("a command changed more files than are written down")
        paths = [*changed, *created, *removed][:MAX_CHANGES]
        names = [side.files[path][1] for path in paths for side in (then, now) if path in side.files]
        texts = await self._store.texts(names)
        saved = _saved_by_user(begun, self._workspace)

        def text(side: Scan, path: Path) -> str | None:
            return texts.get(side.files[path][1]) if path in side.files else None

        pairs = [(path, text(then, path), text(now, path)) for path in paths]
        return [
            (path, before, after)
            for path, before, after in pairs
            if before != after and (after is None or saved.get(path) != after)
        ]

    def _entry(self, begun: Begun, path: Path, before: str | None, after: str | None) -> PutJournal:
        kind = "create" if before is None else "delete" if after is None else "edit"
        return change_entry(
            begun.run,
            change_id=self._clock.new_id(),
            path=str(path),
            uri=path_to_uri(path),
            kind=kind,
            before=before,
            after=after,
            hunks=hunks_between(before or "", after or "", self._clock.new_id),
            tool_call_id=begun.tool_call_id,
            created_at_ms=self._clock.now_ms(),
            applied=True,
            made_in=begun.made_in,
        )

    async def _write(self, session_id: str, checkpoint_id: str, entries: list[PutJournal]) -> list[dict[str, Any]]:
        settled = PutJournal(
            session_id, self._clock.new_id(), "settled", {"checkpoint": checkpoint_id}, self._clock.now_ms()
        )
        writes: list[Write] = [*entries, settled]
        await self._store.write(writes)
        if not entries:
            return []
        ledger = Ledger(await self._store.journal(session_id))
        wanted = {entry.entry_id for entry in entries}
        changes = [change for change in ledger.changes.values() if change.change_id in wanted]
        names = [name for change in changes for name in (change.before, change.after) if name is not None]
        texts = await self._store.texts(names)
        after = {change.path: texts.get(change.after) if change.after else None for change in changes}
        return shown_files(ledger, [hunk for change in changes for hunk in change.hunks], after, {}, texts.get)


def hunks_between(before: str, after: str, new_id: Callable[[], str]) -> list[HunkLines]:
    """The hunks that lead from one text to the other; one of everything where only line ends differ."""
    old, new = lines_of(before), lines_of(after)
    found = blocks(bodies(old), bodies(new)) or [(0, len(old), 0, len(new))]
    return [(new_id(), *block) for block in found]


def _saved_by_user(begun: Begun, workspace: Workspace) -> dict[Path, str]:
    """Open documents that had unsaved text before the command, with the text they have now."""
    documents = [one for root in workspace.roots for one in workspace.open_documents_below(root)]
    return {one.path: one.text for one in documents if one.path is not None and one.path in begun.unsaved}


def _portions(texts: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    portion: list[str] = []
    size = 0
    for text in texts.values():
        if portion and size + len(text) > WRITE_CHARS:
            yield tuple(portion)
            portion, size = [], 0
        portion.append(text)
        size += len(text)
    if portion:
        yield tuple(portion)
