"""Attachments from outside the roots, once the user has allowed them (PROTOCOL 13).

Such a part is stored with what was asked for: `deferred` holds the PROTOCOL 13 object and the position encoding it was
written in. It is settled at the start of its turn, by the same checks as one inside. An open document is what it was
when the run was accepted; that text is not stored, so after a restart the file is read as it is then, and a version
that was named is refused rather than approximated.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lsp_agent.domain.errors import RequestRejected, WorkspaceError
from lsp_agent.domain.message import AttachmentPart
from lsp_agent.domain.text import Position, Range
from lsp_agent.ports.workspace import Document, Place, Workspace
from lsp_agent.workspace.attachments import AttachmentContext, AttachmentLimits, resolve_attachments
from lsp_agent.workspace.pushed import PushedDiagnostics, PushedSelection

READ_S = 30.0
RangeIn = Callable[[str, object, str], Range]
"""(text, a range as a client wrote it, encoding) → the range, clamped. Raises: ValueError."""
PositionIn = Callable[[str, object, str], Position]


class OutsideFiles:
    """Implements `ports.attachments.Outside` over the workspace."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        range_in: RangeIn,
        position_in: PositionIn,
        limits: AttachmentLimits | None = None,
    ) -> None:
        self._workspace = workspace
        self._range_in = range_in
        self._position_in = position_in
        self._limits = limits or AttachmentLimits()

    def place(self, part: AttachmentPart) -> Place:
        return self._workspace.place(str(self._item(part).get("uri", "")))

    async def read(self, part: AttachmentPart, place: Place) -> AttachmentPart:
        if part.held is not None:
            return replace(part, text=part.held, deferred={}, held=None)
        source = _Nobody(str(part.deferred.get("encoding", "utf-16")), self._range_in, self._position_in)
        context = AttachmentContext(source, self._workspace, self._limits, allowed=place.path)
        try:
            async with asyncio.timeout(READ_S):
                (read,) = await resolve_attachments([self._item(part)], context)
        except RequestRejected as error:
            raise WorkspaceError(str(error)) from error
        except TimeoutError as error:
            raise WorkspaceError(f"{place.shown} could not be read in time") from error
        if read.deferred:  # a link has led it elsewhere since the question was asked
            raise WorkspaceError(f"{place.shown} is not what was asked about any more")
        return read

    @staticmethod
    def _item(part: AttachmentPart) -> Mapping[str, object]:
        item = part.deferred.get("item")
        return item if isinstance(item, Mapping) else {}


@dataclass(frozen=True, slots=True)
class _Nobody:
    """Implements `AttachmentSource` for a connection that may be gone: it has no documents, only its encoding."""

    encoding: str
    to_range: RangeIn
    to_position: PositionIn

    async def document_at(self, uri: str, version: int | None) -> Document | None:
        if version is not None:
            raise RequestRejected("StaleDocument", f"version {version} of the document is not known any more")
        return None

    def range_in(self, text: str, value: object) -> Range:
        return self.to_range(text, value, self.encoding)

    def position_in(self, text: str, value: object) -> Position:
        return self.to_position(text, value, self.encoding)

    def selection(self, uri: str | None) -> PushedSelection | None:
        return None

    def diagnostics(self, uri: str | None = None) -> Sequence[PushedDiagnostics]:
        return ()
