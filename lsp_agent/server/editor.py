"""The open documents of every connected editor as one, and the way to change them: `workspace/applyEdit`.

An editor may apply an edit, refuse it with `applied: false`, refuse it with a JSON-RPC error (Emacs), or never answer
(Vim). It may also apply it and report another text than we asked for; then the editor is right.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from lsp_agent.domain.errors import DocumentChanged, EditRefused
from lsp_agent.domain.text import TextEdit
from lsp_agent.ports.workspace import Document
from lsp_agent.server.documents import OpenDocuments
from lsp_agent.server.positions import to_wire_edits
from lsp_agent.wire.outgoing import ConnectionClosed, RemoteError
from lsp_agent.workspace.lines import apply_edits

_LOG = logging.getLogger(__name__)
APPLY_TIMEOUT_S: Final = 10.0
REPORT_TIMEOUT_S: Final = 2.0
"""How long the `didChange` may take after `applied: true`."""
SETTLE_S: Final = 0.3
"""Some editors report one `didChange` a hunk: another text than expected counts once nothing came for so long."""
CATCH_UP_S: Final = 1.0
"""How long an editor that refused may take to report the typing that made it refuse (Emacs: idle timers)."""
_ANNOTATION = "lsp-agent"


class EditorConnection(Protocol):
    """One connection, as far as editing needs it."""

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """`capabilities` of the client's `initialize`, as sent."""
        ...

    @property
    def documents(self) -> OpenDocuments:
        """What it has open; knows the position encoding."""
        ...

    async def request(self, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        """Ask the client and wait for its result.

        Raises: RemoteError for an error response, TimeoutError, ConnectionClosed.
        """
        ...


class ConnectedEditors:
    """Implements `ports.workspace.Editor` over all connections."""

    def __init__(
        self,
        *,
        apply_timeout_s: float = APPLY_TIMEOUT_S,
        report_timeout_s: float = REPORT_TIMEOUT_S,
        settle_s: float = SETTLE_S,
        catch_up_s: float = CATCH_UP_S,
    ) -> None:
        self._connections: list[EditorConnection] = []
        self._apply_timeout_s = apply_timeout_s
        self._report_timeout_s = report_timeout_s
        self._settle_s = settle_s
        self._catch_up_s = catch_up_s

    def add(self, connection: EditorConnection) -> None:
        """An editor has connected."""
        self._connections.append(connection)

    def remove(self, connection: EditorConnection) -> None:
        """It is gone; its documents are closed. May be called twice."""
        self._connections = [other for other in self._connections if other is not connection]

    @property
    def connections(self) -> Sequence[EditorConnection]:
        """Every connected editor."""
        return tuple(self._connections)

    # -------------------------------------------------------------------------------------------------- what is open

    def document(self, path: Path) -> Document | None:
        return self._latest([connection.documents.at_path(path) for connection in self._connections])

    def focused(self) -> list[Path]:
        """Real paths of what users look at, the editor used last first."""
        found: list[tuple[float, Path]] = []
        for connection in self._connections:
            uri = connection.documents.focused_uri
            document = connection.documents.get(uri) if uri is not None else None
            if document is not None and document.path is not None:
                found.append((connection.documents.last_used_s(document.uri), document.path))
        return [path for _, path in sorted(found, reverse=True)]

    def document_by_uri(self, uri: str) -> Document | None:
        return self._latest([connection.documents.get(uri) for connection in self._connections])

    def _latest(self, found: Sequence[Document | None]) -> Document | None:
        best, used_s = None, -1.0
        for connection, document in zip(self._connections, found, strict=True):
            if document is not None and connection.documents.last_used_s(document.uri) > used_s:
                best, used_s = document, connection.documents.last_used_s(document.uri)
        return best

    def documents(self) -> Sequence[Document]:
        """Every open document; a file open in several editors once, as `document` would return it."""
        chosen: dict[str, Document] = {}
        for connection in self._connections:
            for document in connection.documents.all():
                key = str(document.path) if document.path is not None else document.uri
                if key not in chosen or self._is_newer(connection, document, chosen[key]):
                    chosen[key] = document
        return list(chosen.values())

    def _is_newer(self, connection: EditorConnection, document: Document, other: Document) -> bool:
        holder = self._holder(other)
        if holder is None:
            return True
        return connection.documents.last_used_s(document.uri) > holder.documents.last_used_s(other.uri)

    def _holder(self, document: Document) -> EditorConnection | None:
        """The connection that has exactly this snapshot open."""
        for connection in self._connections:
            if connection.documents.get(document.uri) is document:
                return connection
        return None

    # ------------------------------------------------------------------------------------------------------- editing

    async def apply_edit(self, document: Document, edits: Sequence[TextEdit], label: str) -> None:
        connection = self._holder(document)
        if connection is None:
            raise DocumentChanged(f"{_name(document)} changed in the editor meanwhile")
        if not connection.documents.is_in_sync(document.uri):
            raise EditRefused(f"the editor's changes of {_name(document)} could not be understood; reopen it first")
        if not edits:
            return
        workspace = _sub(connection.capabilities, "workspace")
        if not workspace.get("applyEdit"):
            raise EditRefused(
                f"{_name(document)} is open in an editor that cannot apply edits; save and close it there first"
            )
        expected = apply_edits(document.text, edits)
        params = _apply_params(document, edits, label, connection.documents.encoding, _sub(workspace, "workspaceEdit"))
        await self._ask(connection, document, params)
        await self._until_reported(connection.documents, document, expected)

    async def _ask(self, connection: EditorConnection, document: Document, params: Mapping[str, Any]) -> None:
        """Send the edit. Returns when the editor says it is applied. Raises: DocumentChanged, EditRefused."""
        try:
            result = await connection.request("workspace/applyEdit", params, self._apply_timeout_s)
        except TimeoutError as error:
            raise EditRefused(
                f"the editor did not answer the edit of {_name(document)} within {self._apply_timeout_s:g} s"
            ) from error
        except ConnectionClosed as error:
            raise EditRefused(f"the editor went away before it applied the edit of {_name(document)}") from error
        except RemoteError as error:
            await self._raise_if_moved(connection.documents, document)
            raise EditRefused(f"the editor refused the edit of {_name(document)}: {error.message or error}") from error
        if isinstance(result, Mapping) and result.get("applied") is True:
            return
        await self._raise_if_moved(connection.documents, document)
        reason = result.get("failureReason") if isinstance(result, Mapping) else None
        why = f": {reason}" if isinstance(reason, str) and reason else ""
        raise EditRefused(f"the editor or its user refused the edit of {_name(document)}{why}")

    async def _raise_if_moved(self, documents: OpenDocuments, document: Document) -> None:
        """A refusal because the user typed is told by the `didChange` that has come, or comes just after it."""
        deadline = asyncio.get_running_loop().time() + self._catch_up_s
        while documents.version(document.uri) == document.version:
            if not await documents.changed(deadline):
                return
        raise DocumentChanged(f"{_name(document)} changed in the editor meanwhile")

    async def _until_reported(self, documents: OpenDocuments, document: Document, expected: str) -> None:
        """Wait for the `didChange` of an applied edit. Raises: EditRefused when none comes."""
        clock = asyncio.get_running_loop().time
        latest = clock() + self._report_timeout_s
        seen = document.version
        deadline = latest
        while True:
            current = documents.get(document.uri)
            if current is None:
                raise EditRefused(f"{_name(document)} was closed in the editor while it was edited")
            if current.version != seen:
                seen, deadline = current.version, min(latest, clock() + self._settle_s)
            if current.version != document.version and current.text == expected:
                return
            if not await documents.changed(deadline):
                break
        if seen == document.version:
            raise EditRefused(f"the editor said it applied the edit of {_name(document)} but reported no change")
        _LOG.info("%s: the editor reports another text than the edit asked for; taking the editor's", document.uri)


def _apply_params(
    document: Document, edits: Sequence[TextEdit], label: str, encoding: str, support: Mapping[str, Any]
) -> dict[str, Any]:
    """`ApplyWorkspaceEditParams` in the shape this client understands.

    `{"label": …, "edit": {"documentChanges": [{"textDocument": {"uri", "version"}, "edits": […]}]}}`, or `changes` for
    a client that knows no versions.
    """
    wire = to_wire_edits(document.text, edits, encoding)
    if not support.get("documentChanges"):
        return {"label": label, "edit": {"changes": {document.uri: wire}}}
    edit: dict[str, Any] = {
        "documentChanges": [{"textDocument": {"uri": document.uri, "version": document.version}, "edits": wire}]
    }
    if isinstance(support.get("changeAnnotationSupport"), Mapping):
        for one in wire:
            one["annotationId"] = _ANNOTATION
        edit["changeAnnotations"] = {_ANNOTATION: {"label": label, "needsConfirmation": False}}
    return {"label": label, "edit": edit}


def _sub(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = values.get(key)
    return value if isinstance(value, Mapping) else {}


def _name(document: Document) -> str:
    return document.path.name if document.path is not None else document.uri
