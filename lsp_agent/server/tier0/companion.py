"""What a connection without event UI sees of its runs: progress, a transcript, the answer's first line.

It listens to the sessions this editor started, in place of the editor itself: a plain LSP client is never sent an
`agent/event`, which it would log as unknown.
"""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from lsp_agent.config.paths import DataDirRefused
from lsp_agent.domain.errors import AgentError, RequestRejected
from lsp_agent.server.connection import Connection
from lsp_agent.server.core import Core
from lsp_agent.server.tier0.folder import Folder
from lsp_agent.server.tier0.hints import Hints, Mark
from lsp_agent.server.tier0.progress import Progress
from lsp_agent.server.tier0.run_line import RunLine, one_line
from lsp_agent.server.tier0.transcript import Transcript

_log = logging.getLogger(__name__)

FIRST_LINE_CHARS = 300
READY = "ready. Ask by a code action on any line, by a comment `agent: …`, or with the command lspAgent.prompt."
_ENDS = {
    "max_tokens": "the answer was cut at the model's limit",
    "max_steps": "the run reached its limit of steps",
    "budget": "the run reached its budget",
    "refusal": "the model refused",
    "loop": "the run was stopped: it repeated itself",
}


@dataclass(slots=True, eq=False)
class _Session:
    """One session this editor follows."""

    line: RunLine = field(default_factory=RunLine)
    progress: Progress | None = None
    given: int | str | None = None
    """A progress token of the command that asked, for a client that makes none with us."""
    is_running: bool = False
    transcript: Transcript | None = None
    changed: dict[str, None] = field(default_factory=dict)
    """URIs the session's runs have changed."""


class Companion:
    """Implements `ports.events.Subscriber` for one connection. Nothing here waits or raises."""

    def __init__(self, connection: Connection, core: Core) -> None:
        self._connection = connection
        self._core = core
        self._sessions: dict[str, _Session] = {}
        self._folder: Folder | None = None
        changes: Any = getattr(core, "changes", None)
        self._hints = Hints(connection, lambda: changes.review) if changes is not None else None
        self._has_offered = False
        self.about: dict[str, Any] | None = None
        """What the prompt document is about: `{uri, range}` of the action that opened it."""

    # -------------------------------------------------------------------------------------------- what it knows

    @property
    def folder(self) -> Folder:
        """Where our documents are. Raises: RequestRejected when the only place lies in the workspace."""
        if self._folder is None:
            try:
                self._folder = Folder(os.environ, self._core.workspace.roots)
            except DataDirRefused as error:
                # an error answer shows no path of ours (PROTOCOL 1)
                why = "There is no state directory outside the workspace to write a document in; set LSP_AGENT_DATA_DIR"
                raise RequestRejected("CapabilityMissing", why, capability="stateDirectory") from error
        return self._folder

    def follow(self, session_id: str, given: int | str | None = None) -> None:
        """This editor's user works in that session from now on."""
        self._connection.last_session = session_id
        session = self._sessions.setdefault(session_id, _Session())
        session.given = given if given is not None else session.given

    def watch(self, session_id: str) -> None:
        """Hear of a session's runs, also of one that runs already."""
        session = self._sessions.setdefault(session_id, _Session())
        if self._connection.agreed.events:
            return
        if self._core.agent.is_busy(session_id) and not session.is_running:
            self._begin(session)
        self._core.agent.hub.subscribe(session_id, self)

    def follows(self, session_id: str) -> bool:
        """Whether the session was started or chosen from this editor, or belongs to a sub-agent of one that was."""
        return session_id in self._sessions or self._core.agent.hub.listens(session_id, self)

    def greet(self) -> None:
        """Say once a workspace, to an editor with no plugin, how the agent is asked."""
        if not self._connection.agreed.has_agent_block:
            _ = self._connection.endpoint.spawn(self._greet(), name="greeting")

    @property
    def is_busy(self) -> bool:
        """Whether one of its sessions runs."""
        return any(self._core.agent.is_busy(session_id) for session_id in self._sessions)

    def pending(self) -> list[dict[str, Any]]:
        """Permission questions of its sessions, oldest first."""
        return [record for record in self._core.approvals.pending() if self.follows(record["sessionId"])]

    def line(self, session_id: str) -> str:
        """What goes on in a session; empty when nothing does."""
        session = self._sessions.get(session_id)
        return session.line.text if session is not None and session.is_running else ""

    def marks(self, uri: str) -> Sequence[Mark]:
        """The agent's changes that wait for a decision in a document."""
        return self._hints.marks(uri) if self._hints is not None else ()

    def changed(self, session_id: str) -> list[str]:
        """URIs the session's runs have changed since this editor follows it."""
        session = self._sessions.get(session_id)
        return list(session.changed) if session is not None else []

    def transcript(self, session_id: str) -> Transcript:
        """The session's transcript, or a new one, not followed yet. Raises: RequestRejected."""
        session = self._sessions.get(session_id)
        if session is not None and session.transcript is not None:
            return session.transcript
        return Transcript(self._connection, self._core, self.folder, session_id, lambda: self.line(session_id))

    def keep(self, session_id: str, transcript: Transcript) -> None:
        """From now on the transcript follows its session, which exists."""
        self.watch(session_id)
        self._sessions[session_id].transcript = transcript
        transcript.touch()

    # ---------------------------------------------------------------------------------------------- what it hears

    def notify(self, method: str, params: bytes, *, kind: str, key: str, session_id: str) -> None:
        try:
            values = orjson.loads(params)
            if method == "agent/runComplete":
                self._completed(session_id, values)
            elif method == "agent/event":
                self._update(session_id, values["update"])
        except Exception:  # noqa: BLE001 - a bug in what is shown must not stop the stream
            _log.exception("%s could not be shown", method)

    def chunk(
        self,
        session_id: str,
        run_id: str | None,
        update_kind: str,
        key: str,
        text: str,
        seq: int,
        parent: Mapping[str, Any] | None = None,
    ) -> None:
        session = self._sessions.get(session_id)
        if session is not None:
            session.line.take_chunk(update_kind, key, text)
            self._moved(session)

    def cancel_progress(self, token: object) -> None:
        """`window/workDoneProgress/cancel`: the run is stopped, and what waits behind it."""
        for session_id, session in self._sessions.items():
            if session.progress is not None and session.progress.token == token:
                _ = self._core.agent.cancel(session_id)

    # ------------------------------------------------------------------------------------------------------ inside

    async def _greet(self) -> None:
        try:
            is_new = await asyncio.to_thread(lambda: self.folder.is_new(self._core.workspace.roots))
        except (AgentError, OSError) as error:
            _log.info("no greeting: %s", type(error).__name__)
            return
        if is_new:
            self._connection.show(f"Agent: {READY}")

    def _update(self, session_id: str, update: Mapping[str, Any]) -> None:
        session = self._sessions.get(session_id)
        if session is None:
            return
        kind = update.get("sessionUpdate")
        if not session.is_running and (kind == "user_message" or update.get("state") == "running"):
            self._begin(session)
        if kind == "notice" and update.get("code") not in ("retry", *_ENDS):
            # what is tried again stands in the progress, why a run ended in its last line
            level = {"error": 1, "warning": 2}.get(str(update.get("level")), 3)
            self._connection.show(f"Agent: {one_line(str(update.get('message')), FIRST_LINE_CHARS)}", level=level)
        if kind == "changes_update":
            files = [file for file in update.get("files", ()) if "uri" in file]
            session.changed.update({str(file["uri"]): None for file in files})
            if self._hints is not None:
                self._hints.heard(session_id, files)
        session.line.take(update)
        self._moved(session)

    def _begin(self, session: _Session) -> None:
        session.is_running, session.line = True, RunLine()
        session.progress = Progress(self._connection, session.line.text, given=session.given)
        session.given = None

    def _moved(self, session: _Session) -> None:
        if session.progress is not None:
            session.progress.report(session.line.text)
        if session.transcript is not None:
            session.transcript.touch()

    def _completed(self, session_id: str, end: Mapping[str, Any]) -> None:
        session = self._sessions.get(session_id)
        if session is None:
            return
        session.is_running = False
        level, text = closing_line(end)
        if session.progress is not None:
            session.progress.end(text)
            session.progress = None
        if session.transcript is not None:
            session.transcript.touch()
        if end.get("stopReason") == "interrupted":
            return
        is_first = not self._has_offered and session.transcript is None and not end.get("cancelled")
        hint = " (whole conversation: lspAgent.transcript)" if is_first else ""
        self._connection.show(f"Agent: {text}{hint}", level=level)
        if is_first:
            self._has_offered = True
            self._offer_transcript(session_id)

    def _offer_transcript(self, session_id: str) -> None:
        surface = self._connection.surface
        if surface is None or not self._connection.agreed.allows("window/showDocument"):
            return

        def opened(choice: str) -> None:
            if choice == "open":
                from lsp_agent.server.tier0.documents import open_transcript_later

                _ = self._connection.endpoint.spawn(
                    open_transcript_later(self._connection, session_id), name="transcript"
                )

        surface.choose("The whole conversation can be opened as a document.", {"open": "Open transcript"}, opened)


def closing_line(end: Mapping[str, Any]) -> tuple[int, str]:
    """The message level and the line that says how a run ended (params of `agent/runComplete`)."""
    error = end.get("error")
    if isinstance(error, Mapping):
        title, message = str(error.get("title") or "the run failed"), str(error.get("message") or "")
        return 1, one_line(f"{title}: {message}" if message else title, FIRST_LINE_CHARS)
    if end.get("cancelled"):
        return 3, "stopped"
    first = next((line.strip() for line in str(end.get("text") or "").splitlines() if line.strip()), "")
    reason = _ENDS.get(str(end.get("stopReason")))
    parts = [part for part in (reason, one_line(first, FIRST_LINE_CHARS), _changes(end.get("changes"))) if part]
    return 2 if reason else 3, " — ".join(parts) or "done"


def _changes(changes: object) -> str:
    if not isinstance(changes, Mapping) or not changes.get("files"):
        return ""
    files = changes["files"]
    return f"{files} file{'' if files == 1 else 's'} changed (+{changes.get('added', 0)} −{changes.get('removed', 0)})"
