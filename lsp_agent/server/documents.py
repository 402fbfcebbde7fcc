"""What one connected editor has open, where its user is, and what its other language servers report.

Everything arrives as plain LSP notifications and is taken at once, in wire order, so that whatever was sent before a
request is visible to it. A notification nobody can understand is logged and ignored, never raised. Columns are the
connection's; what leaves this module counts code points.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from lsp_agent.domain.errors import RequestRejected, WorkspaceError
from lsp_agent.domain.text import Position, Range
from lsp_agent.ports.workspace import Document
from lsp_agent.server.editorstate import EditorState
from lsp_agent.server.positions import from_wire_position, from_wire_range, wire_range
from lsp_agent.server.textbuffer import TextBuffer
from lsp_agent.workspace.lines import LineIndex
from lsp_agent.workspace.paths import real_path, uri_to_path
from lsp_agent.workspace.pushed import PushedDiagnostics, PushedSelection

_LOG = logging.getLogger(__name__)
Params = Mapping[str, Any]
_Change = tuple[tuple[tuple[int, int], tuple[int, int]] | None, str]
"""A range in wire columns (None = the whole text) and the text to put there."""


@dataclass(slots=True, eq=False)
class _OpenDocument:
    uri: str
    path: Path | None
    language_id: str
    version: int
    buffer: TextBuffer
    touched_s: float
    in_sync: bool = True
    """False after a change we could not understand: until the next full text nothing may rely on what we hold."""
    snapshot: Document | None = None


class OpenDocuments:
    """The documents, focus, selections and diagnostics of one connection.

    `encoding` is the negotiated position encoding; set it (once, after `initialize`) before the first document arrives.
    """

    def __init__(self, encoding: str = "utf-16", *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.encoding = encoding
        self._clock_s = clock_s
        self._open: dict[str, _OpenDocument] = {}
        self._uri_of: dict[Path, str] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._state = EditorState()
        self._focused_at_s = 0.0

    # ------------------------------------------------------------------------------------------ text notifications

    def did_open(self, params: object) -> None:
        """`textDocument/didOpen`. A document that is open already is replaced."""
        try:
            item = _mapping(_mapping(params).get("textDocument"))
            uri, text = _string(item, "uri"), _string(item, "text")
            path = _real_path(uri)
        except ValueError as error:
            _LOG.warning("didOpen ignored: %s", error)
            return
        version = item.get("version")
        language = item.get("languageId")
        self._forget(uri)
        self._open[uri] = _OpenDocument(
            uri=uri,
            path=path,
            language_id=language if isinstance(language, str) else "",
            version=version if _is_int(version) else 0,
            buffer=TextBuffer(text, self.encoding),
            touched_s=self._clock_s(),
        )
        if path is not None:
            self._uri_of[path] = uri
        self._wake()

    def did_change(self, params: object) -> None:
        """`textDocument/didChange`: full and incremental changes, in order. An unknown document is ignored."""
        document: _OpenDocument | None = None
        try:
            values = _mapping(params)
            item = _mapping(values.get("textDocument"))
            document = self._find(_string(item, "uri"))
            changes = _changes(values.get("contentChanges"))
        except ValueError as error:
            _LOG.warning("didChange ignored: %s", error)
            if document is not None:
                document.in_sync = False
            return
        if document is None:
            _LOG.warning("didChange ignored: the document is not open")
            return
        for span, text in changes:
            if span is None:
                document.buffer.replace_all(text)
                document.in_sync = True
            else:
                document.buffer.replace(*span, text)
        version = item.get("version")
        document.version = version if _is_int(version) else document.version + 1
        document.snapshot = None
        document.touched_s = self._clock_s()
        self._wake()

    def did_close(self, params: object) -> None:
        """`textDocument/didClose`."""
        try:
            uri = _string(_mapping(_mapping(params).get("textDocument")), "uri")
        except ValueError as error:
            _LOG.warning("didClose ignored: %s", error)
            return
        self._forget(uri)
        self._state.closed(self.key_of(uri))
        self._wake()

    def did_save(self, params: object) -> None:
        """`textDocument/didSave`: a new file has a real path from now on; a text that came along is taken."""
        try:
            values = _mapping(params)
            document = self._find(_string(_mapping(values.get("textDocument")), "uri"))
        except ValueError as error:
            _LOG.warning("didSave ignored: %s", error)
            return
        if document is None:
            return
        path = _real_path(document.uri)
        if path != document.path:
            self._forget_path(document)
            document.path, document.snapshot = path, None
            if path is not None:
                self._uri_of[path] = document.uri
        text = values.get("text")
        if isinstance(text, str) and (not document.in_sync or text != document.buffer.text):
            document.buffer.replace_all(text)
            document.in_sync, document.snapshot = True, None
            self._wake()

    def _forget(self, uri: str) -> None:
        document = self._find(uri)
        if document is not None:
            del self._open[document.uri]
            self._forget_path(document)

    def _forget_path(self, document: _OpenDocument) -> None:
        if document.path is not None and self._uri_of.get(document.path) == document.uri:
            del self._uri_of[document.path]

    # ------------------------------------------------------------------------------------------------- what is open

    def get(self, uri: str) -> Document | None:
        """The open document by URI (another spelling of the same file will do); None when it is not open."""
        document = self._find(uri)
        return self._snapshot(document) if document is not None else None

    def at_path(self, path: Path) -> Document | None:
        """The open document by real path."""
        uri = self._uri_of.get(path)
        return self._snapshot(self._open[uri]) if uri is not None else None

    def all(self) -> list[Document]:
        """Every open document, in the order of opening."""
        return [self._snapshot(document) for document in self._open.values()]

    def version(self, uri: str) -> int | None:
        """The current version; None when it is not open. Costs nothing, unlike `get` after a change."""
        document = self._find(uri)
        return document.version if document is not None else None

    def is_in_sync(self, uri: str) -> bool:
        """False when the document is not open or a change of it could not be understood."""
        document = self._find(uri)
        return document is not None and document.in_sync

    def last_used_s(self, uri: str) -> float:
        """When the user was last seen in this document or this editor, on the clock of the constructor."""
        document = self._find(uri)
        return max(self._focused_at_s, document.touched_s) if document is not None else 0.0

    def _find(self, uri: str) -> _OpenDocument | None:
        found = self._open.get(uri)
        if found is not None or not self._open:
            return found
        try:
            path = _real_path(uri)
        except ValueError:
            return None
        other = self._uri_of.get(path) if path is not None else None
        return self._open[other] if other is not None else None

    def _snapshot(self, document: _OpenDocument) -> Document:
        if document.snapshot is None:
            document.snapshot = Document(
                uri=document.uri,
                path=document.path,
                version=document.version,
                language_id=document.language_id,
                text=document.buffer.text,
            )
        return document.snapshot

    # ------------------------------------------------------------------------------------------------------- waiting

    async def wait_for_version(self, uri: str, version: int, timeout_s: float = 0.5) -> Document:
        """The document at exactly `version`; waits up to `timeout_s` for the changes that lead to it.

        Raises: RequestRejected(StaleDocument) with `uri`, `wanted` and `have` (null when not open): at once when the
        document is past that version (PROTOCOL 10.12).
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            document = self._find(uri)
            have = document.version if document is not None else None
            if document is not None and have == version and document.in_sync:
                return self._snapshot(document)
            if (have is not None and have >= version) or not await self.changed(deadline):
                raise RequestRejected(
                    "StaleDocument",
                    f"version {version} of {uri} was asked for, but it is at {'none' if have is None else have}",
                    retryable=True,
                    uri=uri,
                    wanted=version,
                    have=have,
                )

    async def changed(self, deadline: float) -> bool:
        """Wait for the next change of any document, until `deadline` on the loop's clock; False when none came."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(future)
        try:
            async with asyncio.timeout_at(deadline):
                await future
        except TimeoutError:
            return False
        finally:
            if future in self._waiting:
                self._waiting.remove(future)
        return True

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    # --------------------------------------------------------------------------------- focus, selections, diagnostics

    @property
    def focused_uri(self) -> str | None:
        """What the user looked at last; None when the editor does not say or nothing has focus."""
        return self._state.focused_uri

    def did_focus(self, params: object) -> None:
        """`agent/editor/didFocus {uri?}`."""
        uri = params.get("uri") if isinstance(params, Mapping) else None
        if isinstance(uri, str):
            self._focused_at_s = self._clock_s()
        self._state.focused_uri = uri if isinstance(uri, str) else None

    def did_change_selection(self, params: object) -> None:
        """`agent/editor/didChangeSelection {uri, version, selections}`; the newest replaces the earlier ones."""
        try:
            values = _mapping(params)
            uri, version, spans = _string(values, "uri"), values.get("version"), values.get("selections")
            if not isinstance(spans, list):
                raise ValueError("selections is a list of ranges")
            for span in spans:
                wire_range(span)
        except ValueError as error:
            _LOG.warning("didChangeSelection ignored: %s", error)
            return
        self._focused_at_s = self._clock_s()
        self._state.select(PushedSelection(uri, version if _is_int(version) else None, tuple(spans)), self.key_of(uri))

    def selection(self, uri: str | None) -> PushedSelection | None:
        """The selection last pushed for `uri`, or last pushed at all when `uri` is None."""
        return self._state.selection(None if uri is None else self.key_of(uri))

    def did_publish_diagnostics(self, params: object) -> None:
        """`agent/editor/didPublishDiagnostics {uri, version?, server, items}`; replaces that server's for the file."""
        try:
            values = _mapping(params)
            uri, server, items = _string(values, "uri"), values.get("server"), values.get("items")
            if not isinstance(items, list):
                raise ValueError("items is a list of diagnostics")
        except ValueError as error:
            _LOG.warning("didPublishDiagnostics ignored: %s", error)
            return
        version = values.get("version")
        name = server if isinstance(server, str) else ""
        self._state.publish(self.key_of(uri), uri, name, version if _is_int(version) else None, items)
        self._state.reported(self.key_of(uri))

    def reports(self, uri: str) -> int:
        """How often something was reported about a file, also when it was nothing."""
        return self._state.reports(self.key_of(uri))

    def keep_context_diagnostics(self, uri: str, items: object) -> None:
        """Keep the `context.diagnostics` of a code action request, which cover the asked range only."""
        if isinstance(items, list):
            self._state.keep_context(self.key_of(uri), uri, self.version(uri), items)

    def diagnostics(self, uri: str | None = None) -> list[PushedDiagnostics]:
        """What is known for one file, or for all, one entry a file and server; empty lists left out."""
        return self._state.diagnostics(None if uri is None else self.key_of(uri))

    def key_of(self, uri: str) -> str:
        """One spelling for all spellings of a file's URI."""
        if uri in self._open:
            return uri
        document = self._find(uri)
        return document.uri if document is not None else uri

    # ----------------------------------------------------------------------------------- for attachments and requests

    async def document_at(self, uri: str, version: int | None) -> Document | None:
        """The document, at exactly `version` when one is named. None when it is not open and no version was named.

        Raises: RequestRejected(StaleDocument).
        """
        return self.get(uri) if version is None else await self.wait_for_version(uri, version)

    def range_in(self, text: str, value: object) -> Range:
        """An LSP range of this connection in `text`, clamped. Raises: ValueError."""
        return from_wire_range(LineIndex(text), value, self.encoding)

    def position_in(self, text: str, value: object) -> Position:
        """An LSP position of this connection in `text`, clamped. Raises: ValueError."""
        return from_wire_position(LineIndex(text), value, self.encoding)


def _changes(value: object) -> list[_Change]:
    """`contentChanges` checked whole before any of it is applied. Raises: ValueError."""
    if not isinstance(value, list):
        raise ValueError("contentChanges is a list")
    changes: list[_Change] = []
    for change in value:
        text = _string(_mapping(change), "text")
        span = change.get("range")
        changes.append((None if span is None else wire_range(span), text))
    return changes


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("an object was expected")
    return value


def _string(values: Params, key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key} is a string")
    return value


def _is_int(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _real_path(uri: str) -> Path | None:
    """The real path of a `file:` URI, None for other schemes. Raises: ValueError."""
    try:
        path = uri_to_path(uri)
        return real_path(path) if path is not None else None
    except (WorkspaceError, OSError) as error:
        raise ValueError(str(error)) from error
