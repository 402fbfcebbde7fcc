"""The asking editor's documents as they were when a request was read.

Attachments are read a little later, in a task; what the user types meanwhile must not change what was attached.
Documents that the request names are kept as they are now, which costs a reference each; a version that has not arrived
yet is still waited for (PROTOCOL 10.12).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lsp_agent.domain.text import Position, Range
from lsp_agent.ports.workspace import Document
from lsp_agent.server.documents import OpenDocuments
from lsp_agent.workspace.pushed import PushedDiagnostics, PushedSelection


class FrozenDocuments:
    """Implements `workspace.asking.AttachmentSource` over one connection, at one moment."""

    def __init__(self, documents: OpenDocuments, items: Sequence[Mapping[str, Any]]) -> None:
        self._documents = documents
        named = {item["uri"] for item in items if isinstance(item.get("uri"), str)}
        self._selections = {uri: documents.selection(uri) for uri in (*named, None)}
        pushed = {selection.uri for selection in self._selections.values() if selection is not None}
        self._kept = {uri: document for uri in named | pushed if (document := documents.get(uri)) is not None}
        wants_diagnostics = any(item.get("type") == "diagnostics" for item in items)
        self._diagnostics = {uri: documents.diagnostics(uri) for uri in (*named, None)} if wants_diagnostics else {}

    @property
    def encoding(self) -> str:
        """The connection's position encoding."""
        return self._documents.encoding

    async def document_at(self, uri: str, version: int | None) -> Document | None:
        """The open document, at exactly `version` when one is named. Raises: RequestRejected(StaleDocument)."""
        kept = self._kept.get(uri)
        if kept is not None and version in (None, kept.version) and self._documents_agree(uri, kept):
            return kept
        return await self._documents.document_at(uri, version)

    def _documents_agree(self, uri: str, kept: Document) -> bool:
        """False when a change could not be understood: then the live state says what is wrong."""
        return self._documents.is_in_sync(uri) or self._documents.version(uri) != kept.version

    def range_in(self, text: str, value: object) -> Range:
        """A range as the client writes it, clamped to `text`. Raises: ValueError."""
        return self._documents.range_in(text, value)

    def position_in(self, text: str, value: object) -> Position:
        """A position as the client writes it, clamped to `text`. Raises: ValueError."""
        return self._documents.position_in(text, value)

    def selection(self, uri: str | None) -> PushedSelection | None:
        """The selection last pushed before the request."""
        return self._selections[uri] if uri in self._selections else self._documents.selection(uri)

    def diagnostics(self, uri: str | None = None) -> Sequence[PushedDiagnostics]:
        """What other servers had reported before the request."""
        return self._diagnostics[uri] if uri in self._diagnostics else self._documents.diagnostics(uri)
