"""What the language servers say of an edit: settled, bounded, and as a difference (issue 3, point 10; CORE 35).

Before an edit the known diagnostics are kept; after it, what comes in is awaited until nothing changed for a moment.
Where nobody reports on a file nobody waits. What comes later is kept for the session's next step, and announced.
"""

import asyncio
import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import WorkspaceError
from lsp_agent.language.client import LanguageClient
from lsp_agent.language.service import LanguageService
from lsp_agent.ports.events import Events
from lsp_agent.ports.tools import ToolContext
from lsp_agent.ports.workspace import Workspace
from lsp_agent.workspace.diagnostics import Delta, Problem, compare, problems_in, render_problem
from lsp_agent.workspace.paths import path_to_uri, uri_to_path
from lsp_agent.workspace.pushed import PushedDiagnostics

_log = logging.getLogger(__name__)

MAX_LINES = 10
MAX_NOTES = 20
_SEVERITY = 3
"""Hints are for editors to draw."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds."""

    before_s: float = 2.0
    """For what a server of ours says of the file as it was; only when it was never asked before."""
    quiet_s: float = 0.3
    """Nothing changed for so long = settled."""
    first_s: float = 1.0
    """For the first word about the edit, of an editor that may have nothing to say."""
    own_first_s: float = 3.0
    """For that of a server of ours, which is known to be at work."""
    total_s: float = 5.0
    late_s: float = 20.0
    """What comes within this time after a result is told at the next step."""
    poll_s: float = 0.03
    attached_s: float = 1.0
    """For the editor to say whether a server of its own knows the file."""


@dataclass(slots=True)
class Before:
    """What was known before an edit."""

    problems: Sequence[Problem]
    known: set[str]
    """URIs somebody had reported on, even if there was nothing to say."""
    reported: dict[Path, Hashable] = field(default_factory=dict)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    """Publications by server and URI."""


@dataclass(frozen=True, slots=True)
class Change:
    """A changed file: its path, URI, and hunks as (old start, old end, new start, new end) in lines."""

    path: Path
    uri: str
    hunks: Sequence[tuple[int, int, int, int]]


class DiagnosticsWatch:
    """Diagnostics around edits, for all sessions of a workspace."""

    def __init__(self, service: LanguageService, *, patience: Patience | None = None) -> None:
        self._service = service
        self._patience = patience or Patience()
        self._notes: dict[str, list[str]] = {}
        self._late: dict[str, asyncio.Task[None]] = {}

    # ----------------------------------------------------------------------------------------------- before and after

    async def before(self, path: Path | None) -> Before:
        """Look before an edit. A server of ours is started for `path` and told its present text; bounded."""
        if path is not None and not await self._editor_knows(path):
            await self._prime(path)
        return self._look(path)

    async def after(
        self, before: Before, changes: Sequence[Mapping[str, Any]], context: ToolContext
    ) -> tuple[str, Any]:
        """What the edit did to the diagnostics, as text for the model and as metadata; empty when nobody reports.

        `changes`: files as in PROTOCOL 6. What comes later is watched for.
        """
        changed = changes_of(changes)
        sources = await self._sources(changed)
        if not changed or not any(sources.values()):
            return "", None
        arrived = await self._settled(before, changed, sources)
        now = self.problems(_SEVERITY)
        known = before.known | {one.uri for one in before.problems}
        unknown = {one.uri for one in changed if sources[one.uri] is not True and one.uri not in known}
        delta = compare(before.problems, now, lambda uri, line: _moved(changed, uri, line))
        text = delta_text(delta, {one.uri for one in changed}, unknown, shown_by(context.workspace), arrived=arrived)
        self._watch_late(changed, now, context)
        return text, _metadata(delta)

    async def check(self, path: Path) -> bool:
        """Have a file looked at as it is now; bounded. False when nobody reports on it."""
        if await self._editor_knows(path):
            return True
        uri, patience = path_to_uri(path), self._patience
        clients = await self._service.own.clients(path, self._service.start_s)
        counts = [client.publications.get(uri, 0) for client in clients]
        told = [client.version(uri) for client in clients]
        await self._service.feed(clients, path)
        for client, count, version in zip(clients, counts, told, strict=True):
            if client.version(uri) != version:
                await client.published_since(uri, count, patience.total_s)
        return bool(clients)

    def problems(self, limit: int = 4) -> list[Problem]:
        """Everything that is known now, at least as severe as `limit`; each once: an editor's server and ours may be
        the same program."""
        return list(dict.fromkeys(problems_in([_spelled(one) for one in self._published()], limit)))

    def pending_notes(self, session_id: str) -> str:
        """What came in late for a session since the last call; empty when nothing did."""
        return "\n".join(self._notes.pop(session_id, []))

    async def warm(self, path: Path) -> None:
        """Start a server of ours for a file that will perhaps be edited. Bounded by the start; never raises."""
        if not await self._editor_knows(path):
            await self._service.fed(path)

    async def close(self) -> None:
        """Watch no more."""
        tasks = list(self._late.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)

    # -------------------------------------------------------------------------------------------------------- looking

    def _published(self) -> list[PushedDiagnostics]:
        own = [one for client in self._service.own.all_running() for one in client.published.values()]
        return [*self._service.editor.diagnostics(None), *[_spelled(one) for one in own]]

    def _look(self, path: Path | None) -> Before:
        counts = {
            (client.name, uri): count
            for client in self._service.own.all_running()
            for uri, count in client.publications.items()
        }
        known = {_spelling(uri) for _, uri in counts}
        reported: dict[Path, Hashable] = {}
        for one in [path] if path is not None else self._service.open_paths():
            reported[one] = self._service.editor.reported(one)
        return Before(self.problems(_SEVERITY), known, reported, counts)

    async def _editor_knows(self, path: Path) -> bool:
        """Whether a server of the editor's works on this file: it reported on it, or finds symbols in it."""
        editor, method = self._service.editor, "textDocument/documentSymbol"
        if editor.diagnostics(path):
            return True
        if not editor.offers(method, path):
            return False
        params = {"textDocument": {"uri": path_to_uri(path)}}
        return any(answer.result for answer in await editor.query(method, params, path, self._patience.attached_s))

    async def _prime(self, path: Path) -> None:
        if not path.is_file():
            return
        uri, patience = path_to_uri(path), self._patience
        deadline = asyncio.get_running_loop().time() + patience.before_s
        try:
            async with asyncio.timeout_at(deadline):
                clients = await self._service.fed(path, start_s=patience.before_s)
                for client in clients:
                    await client.published_since(uri, 0, patience.before_s)
        except TimeoutError:
            _log.info("no diagnostics of %s before the edit", path.name)

    async def _sources(self, changed: Sequence[Change]) -> dict[str, list[LanguageClient] | bool]:
        """By URI: True = the editor's servers, else ours, fed with the new text."""
        found: dict[str, list[LanguageClient] | bool] = {}
        for one in changed:
            if await self._editor_knows(one.path):
                found[one.uri] = True
                continue
            clients = await self._service.own.clients(one.path, self._patience.first_s)
            found[one.uri] = clients
            await self._service.feed(clients, one.path)
            for client in clients:
                client.saved(path_to_uri(one.path))
        return found

    async def _settled(
        self, before: Before, changed: Sequence[Change], sources: Mapping[str, list[LanguageClient] | bool]
    ) -> bool:
        """Wait until it is quiet. True when something was said after the edit."""
        loop, patience = asyncio.get_running_loop(), self._patience
        begun = loop.time()
        last, since = self._state(changed), begun
        first_s = patience.own_first_s if any(isinstance(one, list) and one for one in sources.values()) else 0.0
        first_s = max(first_s, patience.first_s)
        while True:
            news = all(self._has_news(before, one, sources[one.uri]) for one in changed)
            now = loop.time()
            if (news and now - since >= patience.quiet_s) or now - begun >= patience.total_s:
                return news
            if not news and now - since >= first_s:
                return False
            await asyncio.sleep(patience.poll_s)
            state = self._state(changed)
            if state != last:
                last, since = state, loop.time()

    def _state(self, changed: Sequence[Change]) -> Hashable:
        own = [sum(client.publications.values()) for client in self._service.own.all_running()]
        return tuple(own), tuple([self._service.editor.reported(one.path) for one in changed])

    def _has_news(self, before: Before, one: Change, source: list[LanguageClient] | bool) -> bool:
        if source is True:
            return self._service.editor.reported(one.path) != before.reported.get(one.path)
        if not source:
            return True
        uri = path_to_uri(one.path)
        return all(client.publications.get(uri, 0) > before.counts.get((client.name, uri), 0) for client in source)

    # ---------------------------------------------------------------------------------------------------------- later

    def _watch_late(self, changed: Sequence[Change], told: Sequence[Problem], context: ToolContext) -> None:
        previous = self._late.pop(context.session_id, None)
        if previous is not None:
            previous.cancel()
        work = self._later(changed, told, context.session_id, context.events, context.workspace)
        task = asyncio.get_running_loop().create_task(work, name="late diagnostics")
        self._late[context.session_id] = task
        task.add_done_callback(lambda done: self._forget(context.session_id, done))

    def _forget(self, session_id: str, task: "asyncio.Task[None]") -> None:
        if self._late.get(session_id) is task:
            del self._late[session_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("watching for late diagnostics failed: %s", type(error).__name__)

    async def _later(
        self, changed: Sequence[Change], told: Sequence[Problem], session_id: str, events: Events, workspace: Workspace
    ) -> None:
        loop, patience = asyncio.get_running_loop(), self._patience
        texts = await self._texts(changed)
        deadline = loop.time() + patience.late_s
        last, since = self._state(changed), 0.0
        while loop.time() < deadline:
            await asyncio.sleep(max(patience.poll_s, patience.quiet_s / 2))
            state = self._state(changed)
            if state != last:
                last, since = state, loop.time()
            if not since or loop.time() - since < patience.quiet_s:
                continue
            since = 0.0
            if await self._texts(changed) != texts:
                return  # somebody types: what is said now is not about our edit
            now = self.problems(_SEVERITY)
            delta = compare(told, now)
            told = now
            if delta.new or delta.fixed:
                self._note(session_id, delta, events, shown_by(workspace))

    def _note(self, session_id: str, delta: Delta, events: Events, shown: Callable[[str], str]) -> None:
        text = "Diagnostics that came in after your last edit: " + delta_text(delta, set(), set(), shown, arrived=True)
        notes = self._notes.setdefault(session_id, [])
        notes.append(text)
        del notes[:-MAX_NOTES]
        update = {"sessionUpdate": "notice", "level": "info", "code": "late_diagnostics", "message": text}
        # of no run: the run may have ended, and nothing may follow its end (PROTOCOL 10.4)
        events.durable(session_id, None, update)

    async def _texts(self, changed: Sequence[Change]) -> list[str | None]:
        return [await self._service.text(one.path) for one in changed]


def changes_of(changes: Sequence[Mapping[str, Any]]) -> list[Change]:
    """The local files among `changes` (PROTOCOL 6)."""
    found: list[Change] = []
    for change in changes:
        try:
            path = uri_to_path(str(change.get("uri") or ""))
        except WorkspaceError:
            continue
        if path is None:
            continue
        hunks: list[tuple[int, int, int, int]] = []
        for hunk in change.get("hunks") or ():
            old, new = hunk.get("range"), hunk.get("newRange")
            if isinstance(old, Mapping) and isinstance(new, Mapping):
                lines = [old["start"]["line"], old["end"]["line"], new["start"]["line"], new["end"]["line"]]
                hunks.append((lines[0], lines[1], lines[2], lines[3]))
        found.append(Change(path, path_to_uri(path), hunks))
    return found


def delta_text(
    delta: Delta, changed: set[str], unknown: set[str], shown: Callable[[str], str], *, arrived: bool
) -> str:
    """At most `MAX_LINES` lines and a summary, new ones first.

    `unknown`: files of which nothing was known before the edit: what is in them is not called new.
    """
    found = [("new", one) for one in delta.new if one.uri not in unknown]
    found += [("there", one) for one in delta.new if one.uri in unknown]
    counts = [
        f"{len(of)} {name}"
        for name, of in (
            ("new", [one for word, one in found if word == "new"]),
            ("fixed", delta.fixed),
            ("still there", delta.still),
            ("not seen before", [one for word, one in found if word == "there"]),
        )
        if of
    ]
    if not counts:
        return "no diagnostics." if arrived else "none so far; the language server has not answered yet."
    found += [("fixed", one) for one in delta.fixed]
    near = [one for one in delta.still if one.severity <= 2 and (one.uri in changed or not changed)]
    found += [("still", one) for one in near]
    words = {"new": "new", "there": "", "fixed": "fixed", "still": "still"}
    lines = [f"{words[word]} {render_problem(one, shown)}".strip() for word, one in found[:MAX_LINES]]
    if len(found) > MAX_LINES:
        lines.append(f"… and {len(found) - MAX_LINES} more")
    waiting = "" if arrived else " (the language server has not answered yet; what it says is told later)"
    return f"{', '.join(counts)}{waiting}.\n" + "\n".join(lines)


def shown_by(workspace: Workspace) -> Callable[[str], str]:
    """Makes a path for the model of a URI."""

    def shown(uri: str) -> str:
        try:
            return workspace.place(uri).shown
        except WorkspaceError:
            return uri

    return shown


def _moved(changed: Sequence[Change], uri: str, line: int) -> int:
    """Where a line of before an edit is after it."""
    shift = 0
    for one in changed:
        if one.uri == uri:
            for old_start, old_end, new_start, new_end in one.hunks:
                if line >= old_end:
                    shift = new_end - old_end
                elif line >= old_start:
                    return min(new_start + line - old_start, max(new_end - 1, new_start))
    return line + shift


def _spelled(one: PushedDiagnostics) -> PushedDiagnostics:
    uri = _spelling(one.uri)
    return one if uri == one.uri else PushedDiagnostics(uri, one.server, one.version, one.items)


def _spelling(uri: str) -> str:
    """One spelling for all spellings of a file's URI."""
    try:
        path = uri_to_path(uri)
    except WorkspaceError:
        return uri
    return path_to_uri(path) if path is not None else uri


def _metadata(delta: Delta) -> dict[str, Any]:
    return {"new": len(delta.new), "fixed": len(delta.fixed), "still": len(delta.still)}
