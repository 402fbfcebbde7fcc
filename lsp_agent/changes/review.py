"""What the user decides about the agent's changes: list, accept, reject, undo, redo (PROTOCOL 6).

One decision of a session at a time. The files are changed first, then the decision is stored, then announced; a crash
in between leaves hunks whose text is as wanted already, which the next decision finds out and takes as done.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from lsp_agent.agent.child_ids import is_child
from lsp_agent.changes.choosing import Target, choose, is_of
from lsp_agent.changes.ledger import PENDING, Hunk, Ledger
from lsp_agent.changes.livefiles import LiveFiles
from lsp_agent.changes.showing import is_there, shown_files
from lsp_agent.changes.steps import Conflict, Outcome, Steps
from lsp_agent.domain.errors import RequestRejected, WorkspaceError
from lsp_agent.ports.changes import PutJournal
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import Events
from lsp_agent.ports.store import Store
from lsp_agent.ports.workspace import Workspace
from lsp_agent.untrusted import clean

MAX_COMMENT_CHARS = 4_000
_LABELS = {"reject": "Agent: reject changes", "undo": "Agent: undo changes", "redo": "Agent: redo changes"}


@dataclass(frozen=True, slots=True)
class Resolved:
    """Ids of the hunks that are as wanted now, and those that were left as they are."""

    done: Sequence[str]
    conflicts: Sequence[Conflict]


class Review:
    """The journal of every session, as the user works with it. Raises everywhere: StoreError."""

    def __init__(self, *, store: Store, events: Events, clock: Clock, workspace: Workspace) -> None:
        self.store = store
        self.live = LiveFiles(workspace)
        self.steps = Steps(store, self.live)
        self._events = events
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._silent: set[str] = set()
        """Sessions of which the model has heard everything: their journal need not be read at every turn."""

    def owner(self, session_id: str) -> asyncio.Lock:
        """The lock under which one session's decisions are made."""
        return self._locks.setdefault(session_id, asyncio.Lock())

    def path_of(self, uri: str) -> str:
        """The real path a file's URI leads to, however it is spelled; the URI itself when it leads nowhere."""
        return self.live.path_of(uri)

    async def ledger(self, session_id: str) -> Ledger:
        """The journal. Raises: RequestRejected(SessionNotFound)."""
        entries = await self.store.journal(session_id)
        if not entries and await self.store.session(session_id) is None:
            raise RequestRejected("SessionNotFound", "no such session", id=session_id)
        return Ledger(entries)

    async def home(self, session_id: str) -> str:
        """The session whose journal holds a session's changes: a sub-agent's are its caller's."""
        while is_child(session_id):
            session = await self.store.session(session_id)
            if session is None or session.parent_session_id is None:
                break
            session_id = session.parent_session_id
        return session_id

    # ----------------------------------------------------------------------------------------------------- asking

    async def files(
        self, session_id: str, *, run_id: str | None = None, uri: str | None = None, state: str | None = None
    ) -> list[dict[str, Any]]:
        """`files` of `agent/changes/list`: the hunks that fit, where they are now. Raises: RequestRejected."""
        home = await self.home(session_id)
        made_in = session_id if home != session_id else None
        ledger = await self.ledger(home)
        path = None if uri is None else self.path_of(uri)
        hunks = [
            hunk
            for hunk in ledger.hunks.values()
            if is_of(hunk, made_in)
            and (run_id is None or hunk.change.run_id == run_id)
            and (path is None or hunk.change.path == path)
            and (state is None or hunk.wire_state == state)
        ]
        return await self._show(ledger, hunks, {})

    async def pending(self, session_id: str, uri: str) -> list[dict[str, Any]]:
        """The hunks of one file that wait for a decision and can be seen in it; `[]` for an unknown session."""
        try:
            files = await self.files(session_id, uri=uri, state=PENDING)
        except RequestRejected:
            return []
        return [hunk for file in files for hunk in file["hunks"] if "newRange" in hunk]

    # --------------------------------------------------------------------------------------------------- deciding

    async def resolve(
        self, session_id: str, action: str, targets: Sequence[Target], comment: str | None = None
    ) -> Resolved:
        """`agent/changes/resolve`. `action`: accept, reject, undo, redo. Raises: RequestRejected.

        Promise: a hunk in `conflicts` was not touched; repeating a decision changes nothing.
        """
        home = await self.home(session_id)
        async with self.owner(home):
            ledger = await self.ledger(home)
            choice = choose(ledger, action, targets, made_in=session_id if home != session_id else None)
            label = _LABELS.get(action, "Agent: changes")
            work = asyncio.create_task(self._decide(home, ledger, action, choice.wanted, label, comment))
            outcome = await _finished(work)
        refused = [Conflict(hunk_id, None, reason, None) for hunk_id, reason in choice.refused.items()]
        done = [*choice.already, *outcome.states]
        return Resolved(done, [*outcome.conflicts, *refused])

    async def _decide(
        self, session_id: str, ledger: Ledger, action: str, wanted: Any, label: str, comment: str | None
    ) -> Outcome:
        outcome = await self.steps.perform(ledger, wanted, label)
        said = clean(comment)[:MAX_COMMENT_CHARS] if comment and comment.strip() else ""
        if outcome.states or said:
            body = {"action": action, "comment": said}
            await self.record(session_id, ledger, "resolve", self._clock.new_id(), body, outcome)
        return outcome

    async def record(
        self, session_id: str, ledger: Ledger, kind: str, entry_id: str, body: dict[str, Any], outcome: Outcome
    ) -> None:
        """Store a decision and announce the hunks' new states."""
        steps = {
            path: {"before": step.before, "after": step.after, "flips": dict(step.flips)}
            for path, step in outcome.steps.items()
        }
        now_ms = self._clock.now_ms()
        write = PutJournal(
            session_id,
            entry_id,
            kind,
            {**body, "states": outcome.states, "files": steps},
            now_ms,
            tuple(dict.fromkeys(outcome.texts)),
        )
        self._silent.discard(session_id)
        await self.store.write([write])
        if not outcome.states:
            return
        after = await self.ledger(session_id)
        hunks = [after.hunks[hunk_id] for hunk_id in outcome.states if hunk_id in after.hunks]
        files = await self._show(after, hunks, outcome.now)
        self._events.durable(session_id, None, {"sessionUpdate": "changes_update", "files": files})
        await self.store.flush()  # so that the event goes out before the answer

    # ----------------------------------------------------------------------------------------------- for the model

    async def feedback(self, session_id: str) -> str:
        """What the user decided since this was last asked, for the model; empty when there is nothing to say.

        What is returned counts as told.
        """
        if session_id in self._silent:
            return ""
        async with self.owner(session_id):
            ledger = Ledger(await self.store.journal(session_id))
            news = [entry for entry in ledger.entries if entry.position > ledger.told_until]
            lines = [line for entry in news if entry.kind == "resolve" for line in _sentences(ledger, entry.body)]
            if lines:
                body, now_ms = {"until": news[-1].position}, self._clock.now_ms()
                await self.store.write([PutJournal(session_id, self._clock.new_id(), "told", body, now_ms)])
            self._silent.add(session_id)
        return "\n".join(lines)

    # ------------------------------------------------------------------------------------------------------ inside

    async def _show(self, ledger: Ledger, hunks: Sequence[Hunk], known: dict[str, str | None]) -> list[dict[str, Any]]:
        paths = list(dict.fromkeys(hunk.change.path for hunk in hunks))
        text_of = await self.steps.texts_for(ledger, paths)
        texts, versions = {}, {}
        for path in paths:
            texts[path] = known[path] if path in known else await self._read(path)
            versions[path] = await self.live.version(path)

        def show() -> list[dict[str, Any]]:
            seen = [
                hunk
                for hunk in hunks
                if hunk.change.applied or is_there(ledger, hunk, texts[hunk.change.path], text_of)
            ]
            return shown_files(ledger, seen, texts, versions, text_of)

        return await asyncio.to_thread(show)

    async def _read(self, path: str) -> str | None:
        try:
            return await self.live.read(path)
        except WorkspaceError:
            return None


async def _finished(work: "asyncio.Task[Outcome]") -> Outcome:
    """The outcome; a cancelled caller still waits, so that what was done to files is also written down."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work], timeout=60.0)
        raise


def _sentences(ledger: Ledger, body: Any) -> list[str]:
    """One decision in words."""
    action, comment = body.get("action"), body.get("comment")
    states = body.get("states", {})
    paths = {ledger.hunks[one].change.path.rpartition("/")[2] for one in states if one in ledger.hunks}
    names = sorted(" ".join(clean(name).split()) for name in paths)
    where = ", ".join(names[:8])
    found = []
    if states and action in ("reject", "undo", "redo"):
        verb = {"reject": "rejected", "undo": "undid", "redo": "put back"}[action]
        count = f"{len(states)} change" + ("s" if len(states) != 1 else "")
        found.append(f"The user {verb} {count} of yours in {where}. View a file again before you edit it.")
    if comment:
        found.append(f"The user's comment on your changes{f' in {where}' if where else ''}: {comment}")
    return found
