"""What the journal keeps of a file that a tool made of bytes: its text, or a line that names them.

Bytes that are no text, and many, are not kept: a line with their size and hash is enough to find out later whether the
file is still what was made, so it can be taken back; it cannot be made again from the line. Pure.
"""

import hashlib
import mmap
import re

from lsp_agent.domain.errors import FileUnreadable
from lsp_agent.workspace.encoding import decode

MAX_KEPT_BYTES = 1 << 20
_LINE = re.compile(r"\[file of \d+ bytes, sha256 [0-9a-f]{64}\]")


def kept(data: bytes | mmap.mmap, shown: str) -> str:
    """The text of `data`; the line of what is none, or too long to be kept."""
    if len(data) <= MAX_KEPT_BYTES:
        try:
            return decode(bytes(data), shown)[0]
        except FileUnreadable:
            pass  # no text
    return line(data)


def line(data: bytes | mmap.mmap) -> str:
    """Names a content."""
    return f"[file of {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}]"


def is_line(text: str) -> bool:
    """Whether this only names a content."""
    return len(text) < 200 and _LINE.fullmatch(text) is not None


def stands_for(kept_text: str, text: str) -> bool:
    """Whether a file with this text (or line) is what was kept; one in UTF-16 that was too long counts as changed."""
    return kept_text == text or (is_line(kept_text) and kept_text == line(text.encode("utf-8", "surrogatepass")))


def holds(data: bytes, text: str, shown: str) -> bool:
    """Whether `data` is exactly this text, or what this line names."""
    if is_line(text) and line(data) == text:
        return True
    try:
        return decode(data, shown)[0] == text
    except FileUnreadable:
        return False
