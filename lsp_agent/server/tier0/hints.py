"""The agent's pending changes as hints in an editor with no plugin: diagnostics, lenses, hovers (PROTOCOL 14, tier 0).

What is drawn is worked out from the journal and the text of today, again after each event and, a moment after the last
keystroke, while the user types. Nothing is sent that the client did not advertise.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lsp_agent.domain.errors import AgentError
from lsp_agent.server.connection import Connection
from lsp_agent.server.tier0.run_line import one_line
from lsp_agent.wire.outgoing import ConnectionClosed, RemoteError

if TYPE_CHECKING:
    from lsp_agent.changes.review import Review

_log = logging.getLogger(__name__)

SOURCE = "lsp-agent"
QUIET_S = 0.2
"""How long the user must not have typed before the hints are drawn again."""
ROUND_S = 30.0
REFRESH_S = 5.0
HINT = 4
SHOWN_CHARS = 80


@dataclass(frozen=True, slots=True)
class Mark:
    """A pending hunk where it is now. Lines are zero-based and half-open; equal ones mean lines were removed there."""

    session_id: str
    hunk_id: str
    start: int
    end: int
    old_text: str
    new_text: str

    @property
    def title(self) -> str:
        """What was done, in a few words."""
        old = one_line(self.old_text.strip(), SHOWN_CHARS)
        if not self.new_text:
            return f"The agent removed: {old}" if old else "The agent removed empty lines here"
        if not self.old_text:
            return "The agent added this"
        return f"The agent changed this, it was: {old}" if old else "The agent changed this"

    @property
    def target(self) -> dict[str, str]:
        """The argument of a command about this hunk."""
        return {"hunkId": self.hunk_id, "sessionId": self.session_id}

    def span(self) -> dict[str, Any]:
        """As an LSP range; a removal is shown at the line that came up."""
        end = {"line": self.end, "character": 0} if self.end > self.start else {"line": self.start, "character": 1}
        return {"start": {"line": self.start, "character": 0}, "end": end}

    def meets(self, first: int, last: int) -> bool:
        """Whether it has to do with the lines `first` to `last` (inclusive)."""
        return self.start <= last and max(self.end - 1, self.start) >= first


class Hints:
    """The marks of one connection, by URI as the editor writes it."""

    def __init__(self, connection: Connection, review: "Callable[[], Review]") -> None:
        self._connection = connection
        self._review = review
        self._marks: dict[str, list[Mark]] = {}
        self._sessions: dict[str, dict[str, None]] = {}
        """By URI, the sessions that changed it."""
        self._drawn: dict[str, int | None] = {}
        """By URI, the document version the marks are for."""
        self._due: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()

    def marks(self, uri: str) -> Sequence[Mark]:
        """The hunks that wait in a document, top to bottom."""
        return self._marks.get(self._connection.documents.key_of(uri), ())

    def heard(self, session_id: str, files: Iterable[Mapping[str, Any]]) -> None:
        """A `changes_update` of a session this editor follows."""
        for file in files:
            uri = self._connection.documents.key_of(str(file.get("uri")))
            self._sessions.setdefault(uri, {})[session_id] = None
            self._due[uri] = None
        self._moved.set()
        if self._task is None or self._task.done():
            self._task = self._connection.endpoint.spawn(self._run(), name="hints")

    # ------------------------------------------------------------------------------------------------------ inside

    async def _run(self) -> None:
        """Draw what is due; while there are marks, wait for typing and draw again."""
        while self._due or any(self._marks.values()):
            due, self._due = list(self._due), {}
            self._moved.clear()
            for uri in due:
                await self._draw(uri)
            if not self._due and any(self._marks.values()):
                await self._typing()

    async def _typing(self) -> None:
        """Until an event comes, or the user has typed and paused."""
        loop = asyncio.get_running_loop()
        typed = loop.create_task(self._connection.documents.changed(loop.time() + ROUND_S))
        told = loop.create_task(self._moved.wait())
        try:
            await asyncio.wait([typed, told], return_when=asyncio.FIRST_COMPLETED)
            while (
                not self._moved.is_set()
                and typed.done()
                and await self._connection.documents.changed(loop.time() + QUIET_S)
            ):
                pass  # still typing
        finally:
            for task in (typed, told):
                task.cancel()
        for uri in self._marks:
            if self._connection.documents.version(uri) != self._drawn.get(uri):
                self._due[uri] = None

    async def _draw(self, uri: str) -> None:
        documents = self._connection.documents
        version = documents.version(uri)
        found: list[Mark] = []
        for session_id in self._sessions.get(uri, {}):
            try:
                found += [_mark(session_id, hunk) for hunk in await self._review().pending(session_id, uri)]
            except AgentError as error:
                _log.info("no hints for a document: %s", type(error).__name__)
        found = list({mark.hunk_id: mark for mark in found}.values())  # a sub-agent's are its caller's, too
        found.sort(key=lambda mark: (mark.start, mark.end))
        had = bool(self._marks.get(uri))
        self._marks[uri], self._drawn[uri] = found, version
        if not found:
            del self._marks[uri]
        if found or had:
            self._publish(uri, version, found)
            self._refresh_lenses()

    def _publish(self, uri: str, version: int | None, marks: Sequence[Mark]) -> None:
        text_document = self._connection.capabilities.get("textDocument")
        said = text_document.get("publishDiagnostics") if isinstance(text_document, Mapping) else None
        if not isinstance(said, Mapping):
            return
        params: dict[str, Any] = {"uri": uri, "diagnostics": [_diagnostic(mark) for mark in marks]}
        if said.get("versionSupport") and version is not None:
            params["version"] = version
        self._connection.endpoint.notify("textDocument/publishDiagnostics", params)

    def _refresh_lenses(self) -> None:
        """Editors ask for lenses when the user types, not when a change is kept; where they can be told, they are."""
        if self._connection.agreed.allows("workspace/codeLens/refresh"):
            _ = self._connection.endpoint.spawn(self._ask_to_refresh(), name="lenses")

    async def _ask_to_refresh(self) -> None:
        try:
            await self._connection.request("workspace/codeLens/refresh", {}, REFRESH_S)
        except (RemoteError, ConnectionClosed, TimeoutError) as error:
            _log.info("the lenses are as they were: %s", type(error).__name__)


def is_ours(diagnostic: object) -> bool:
    """Whether a diagnostic an editor sends back is one of these hints."""
    return isinstance(diagnostic, Mapping) and diagnostic.get("source") == SOURCE


def _mark(session_id: str, hunk: Mapping[str, Any]) -> Mark:
    span = hunk["newRange"]
    start, end = span["start"]["line"], span["end"]["line"]
    return Mark(session_id, hunk["hunkId"], start, end, hunk["oldText"], hunk["newText"])


def _diagnostic(mark: Mark) -> dict[str, Any]:
    return {"range": mark.span(), "severity": HINT, "source": SOURCE, "code": "change", "message": mark.title}
