"""Bytes of a file as text and back, byte for byte.

UTF-8, UTF-8 with a byte order mark and UTF-16 with one are text; everything else is refused rather than guessed:
a guess written back is a damaged file (RELIABILITY FS-16).
"""

import codecs
from dataclasses import dataclass

from lsp_agent.domain.errors import FileUnreadable, WorkspaceError


@dataclass(frozen=True, slots=True)
class TextFormat:
    """How a text is stored. Line ends are part of the text and not of this."""

    codec: str = "utf-8"
    mark: bytes = b""
    """The byte order mark, which is not part of the text."""


_MARKS = (
    TextFormat("utf-8", codecs.BOM_UTF8),
    TextFormat("utf-16-le", codecs.BOM_UTF16_LE),
    TextFormat("utf-16-be", codecs.BOM_UTF16_BE),
)


def decode(data: bytes, shown: str) -> tuple[str, TextFormat]:
    """The text of `data` and how it is stored. Raises: FileUnreadable (`binary`, `not decodable`)."""
    form = next((form for form in _MARKS if data.startswith(form.mark)), TextFormat())
    body = data[len(form.mark) :]
    if form.codec == "utf-8" and b"\0" in body:
        raise FileUnreadable(shown, "binary")
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise FileUnreadable(shown, "not decodable")
    try:
        return body.decode(form.codec), form
    except UnicodeDecodeError as error:
        raise FileUnreadable(shown, "not decodable" if form.mark else _undecodable(body)) from error


def _undecodable(body: bytes) -> str:
    """Text in some other encoding holds no control characters but white space."""
    head = body[:8_192]
    controls = sum(byte < 32 and byte not in b"\t\n\f\r\x1b" for byte in head)
    return "binary" if controls > len(head) // 50 else "not decodable"


def encode(text: str, form: TextFormat, shown: str) -> bytes:
    """The bytes of `text`. Raises: WorkspaceError when it holds half a surrogate pair."""
    try:
        return form.mark + text.encode(form.codec)
    except UnicodeEncodeError as error:
        raise WorkspaceError(f"the new text of {shown} holds a character that cannot be stored") from error
