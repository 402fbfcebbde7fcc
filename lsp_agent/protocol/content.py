"""Prompts as blocks, and attachments (PROTOCOL 3 and 13).

A prompt is a string or a list of blocks. Blocks are flattened by `protocol.accept`: text blocks are joined by a line
feed, everything else becomes an attachment behind the ones sent as such:

    image          image attachment            resource_link  buffer attachment (open text wins over the file on disk)
    resource       text attachment named by its URI; an image attachment when it is a blob with an image type
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from lsp_agent.protocol.base import Base64, Count, Identifier, Int, Position, Range, Short, Text, Uri, Wire


def kind_tag(value: Any) -> str | None:
    """The union tag of an object by its `type`. Angle brackets keep tags apart from field names in error paths."""
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>" if isinstance(kind, str) else None


# ------------------------------------------------------------------------------------------------------------ blocks


class TextBlock(Wire):
    """Plain text (markdown)."""

    type: Literal["text"]
    text: Text


class ImageBlock(Wire):
    """An image as base64."""

    type: Literal["image"]
    data: Base64
    mime_type: Short
    uri: Uri | None = None


class EmbeddedResource(Wire):
    """A text or a blob, with where it is from."""

    uri: Uri
    mime_type: Short | None = None
    text: Text | None = None
    blob: Base64 | None = None

    @model_validator(mode="after")
    def _has_content(self) -> "EmbeddedResource":
        if (self.text is None) == (self.blob is None):
            raise ValueError("needs either text or blob")
        return self


class ResourceBlock(Wire):
    """A resource with its content."""

    type: Literal["resource"]
    resource: EmbeddedResource


class ResourceLinkBlock(Wire):
    """A resource to be read by the server."""

    type: Literal["resource_link"]
    uri: Uri
    name: Short | None = None
    mime_type: Short | None = None


ContentBlock = Annotated[
    Annotated[TextBlock, Tag("<text>")]
    | Annotated[ImageBlock, Tag("<image>")]
    | Annotated[ResourceBlock, Tag("<resource>")]
    | Annotated[ResourceLinkBlock, Tag("<resource_link>")],
    Discriminator(kind_tag),
]


def _prompt_tag(value: Any) -> str | None:
    if isinstance(value, str):
        return "<string>"
    return "<blocks>" if isinstance(value, list | tuple) else None


Prompt = Annotated[
    Annotated[Text, Tag("<string>")] | Annotated[list[ContentBlock], Field(max_length=1000), Tag("<blocks>")],
    Discriminator(_prompt_tag),
]

# ------------------------------------------------------------------------------------------------------- attachments


class BufferAttachment(Wire):
    """The live text of an open document, unsaved edits included; a closed file is read from disk."""

    type: Literal["buffer"]
    uri: Uri
    version: Int | None = None
    range: Range | None = None


class SelectionAttachment(Wire):
    """Selected text. Without a range: the selection last pushed."""

    type: Literal["selection"]
    uri: Uri | None = None
    version: Int | None = None
    range: Range | None = None


class FileAttachment(Wire):
    """A file."""

    type: Literal["file"]
    uri: Uri


class TextAttachment(Wire):
    """Text that is in no file."""

    type: Literal["text"]
    text: Text
    name: Short | None = None


class ImageAttachment(Wire):
    """An image: a URI to read, or base64 with its type."""

    type: Literal["image"]
    uri: Uri | None = None
    data: Base64 | None = None
    mime_type: Short | None = None

    @model_validator(mode="after")
    def _has_source(self) -> "ImageAttachment":
        if self.data is None and self.uri is None:
            raise ValueError("needs uri, or data with mimeType")
        if self.data is not None and self.mime_type is None:
            raise ValueError("data needs mimeType")
        return self


class DiagnosticsAttachment(Wire):
    """What language servers reported, of one document or of all. `severity`: the least severe still wanted (1–4)."""

    type: Literal["diagnostics"]
    uri: Uri | None = None
    severity: Count | None = None


class SymbolAttachment(Wire):
    """The definition around a position."""

    type: Literal["symbol"]
    uri: Uri
    position: Position


class ChangesAttachment(Wire):
    """What a run changed."""

    type: Literal["changes"]
    run_id: Identifier


class TerminalAttachment(Wire):
    """The output of a terminal."""

    type: Literal["terminal"]
    terminal_id: Identifier


Attachment = Annotated[
    Annotated[BufferAttachment, Tag("<buffer>")]
    | Annotated[SelectionAttachment, Tag("<selection>")]
    | Annotated[FileAttachment, Tag("<file>")]
    | Annotated[TextAttachment, Tag("<text>")]
    | Annotated[ImageAttachment, Tag("<image>")]
    | Annotated[DiagnosticsAttachment, Tag("<diagnostics>")]
    | Annotated[SymbolAttachment, Tag("<symbol>")]
    | Annotated[ChangesAttachment, Tag("<changes>")]
    | Annotated[TerminalAttachment, Tag("<terminal>")],
    Discriminator(kind_tag),
]
Attachments = Annotated[list[Attachment], Field(max_length=256)]
