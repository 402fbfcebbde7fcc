"""What a user attached from outside the roots: read once they have allowed it (PROTOCOL 13)."""

from typing import Protocol

from lsp_agent.domain.errors import WorkspaceError
from lsp_agent.domain.message import AttachmentPart
from lsp_agent.ports.workspace import Place


class Outside(Protocol):
    """Settles parts whose `deferred` is set."""

    def place(self, part: AttachmentPart) -> Place:
        """Where it leads now. Raises: WorkspaceError, with a sentence for user and model."""
        ...

    async def read(self, part: AttachmentPart, place: Place) -> AttachmentPart:
        """The part with its content, which is read from exactly `place`.

        The checks of an attachment inside the roots apply. Bounded in time. Raises: WorkspaceError as above.
        """
        ...


class NothingOutside:
    """Implements `Outside` where nothing of the kind can be read."""

    def place(self, part: AttachmentPart) -> Place:
        raise WorkspaceError("files outside the workspace cannot be read here")

    async def read(self, part: AttachmentPart, place: Place) -> AttachmentPart:
        raise WorkspaceError("files outside the workspace cannot be read here")
