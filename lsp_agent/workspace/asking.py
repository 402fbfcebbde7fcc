"""The connection that attaches something, as far as attachments need it."""

from collections.abc import Sequence
from typing import Protocol

from lsp_agent.domain.text import Position, Range
from lsp_agent.ports.workspace import Document
from lsp_agent.workspace.pushed import PushedDiagnostics, PushedSelection


class AttachmentSource(Protocol):
    """The asking connection: its documents, in its encoding (`server.documents.OpenDocuments`)."""

    @property
    def encoding(self) -> str:
        """utf-8, utf-16 or utf-32: what `range_in` and `position_in` read."""
        ...

    async def document_at(self, uri: str, version: int | None) -> Document | None:
        """The open document, at exactly `version` when one is named. Raises: RequestRejected(StaleDocument)."""
        ...

    def range_in(self, text: str, value: object) -> Range:
        """A range as the client writes it, clamped to `text`. Raises: ValueError."""
        ...

    def position_in(self, text: str, value: object) -> Position:
        """A position as the client writes it, clamped to `text`. Raises: ValueError."""
        ...

    def selection(self, uri: str | None) -> PushedSelection | None:
        """The selection last pushed, for a document or at all."""
        ...

    def diagnostics(self, uri: str | None = None) -> Sequence[PushedDiagnostics]:
        """What other servers reported, for a document or all."""
        ...
