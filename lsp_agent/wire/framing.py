"""Bytes in, message bodies out: the base protocol of LSP 3.17 as a pure incremental parser.

It survives every input: a length nobody can mean, a body that is too long (skipped without being kept), text between
frames. It knows nothing of JSON, threads or answers.
"""

import re
from dataclasses import dataclass

_NAME = b"content-length"
_HEADER_LINE = re.compile(rb"[A-Za-z0-9-]+[ \t]*:")
_NEXT_FRAME = re.compile(rb"Content-Length: \d{1,18}\r?\n\r?\n")
_KEEP_BYTES = 64
"""Longer than any header that `_NEXT_FRAME` matches, so that one cut in two is found with the next piece."""
_SANE_BYTES = 1024 * 1024 * 1024
"""A declared length beyond this is not worth believing: look for the next header instead of counting."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message body, as sent."""

    body: bytes


@dataclass(frozen=True, slots=True)
class FrameError:
    """A frame that was refused; the connection goes on. `reason` is one sentence without any of the sender's text."""

    reason: str


class FrameParser:
    """Cuts a byte stream into frames.

    Shape: `Content-Length: 2\\r\\n\\r\\n{}` repeated; other headers are ignored, names are case-insensitive, a bare
    line feed is taken as a line end. Promise: never raises; work is linear in the bytes fed; keeps at most one body
    and one header in memory.
    """

    def __init__(self, max_body: int = 32 * 1024 * 1024, max_header: int = 8 * 1024) -> None:
        self._max_body = max_body
        self._max_header = max_header
        self._head = b""
        """The unfinished header line (or, while skipping, the last few bytes)."""
        self._header_bytes = 0
        self._length: int | None = None
        self._refusal: FrameError | None = None
        self._pieces: list[bytes] = []
        self._refused_bytes = 0
        """Length of the refused body whose header is being read; 0 = not worth counting."""
        self._missing = 0
        """Bytes of the current body still to come."""
        self._skipping = 0
        """Bytes of a refused body still to come."""
        self._lost = False
        self.frames = 0
        self.resyncs = 0
        """Stretches of bytes between frames that were thrown away."""
        self.skipped_bytes = 0

    def feed(self, data: bytes) -> list[Frame | FrameError]:
        """Take the next bytes and return what they completed, in order."""
        out: list[Frame | FrameError] = []
        position = 0
        if self._missing == 0 and self._head:
            data, self._head = self._head + data, b""
        while position < len(data):
            if self._missing:
                position = self._take_body(data, position, out)
            elif self._skipping:
                position = self._skip(data, position)
            else:
                position = self._take_header_line(data, position, out)
        return out

    def _take_body(self, data: bytes, position: int, out: list[Frame | FrameError]) -> int:
        end = min(len(data), position + self._missing)
        piece = data if position == 0 and end == len(data) else data[position:end]
        self._pieces.append(piece)
        self._missing -= end - position
        if self._missing == 0:
            body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces = []
            self.frames += 1
            out.append(Frame(body))
        return end

    def _skip(self, data: bytes, position: int) -> int:
        # A raw header cannot occur inside JSON, so seeing one means that the announced body never came.
        end = min(len(data), position + self._skipping)
        found = _NEXT_FRAME.search(data, position, end + _KEEP_BYTES)
        if found is not None and found.start() < end:
            self.skipped_bytes += found.start() - position
            self._skipping = 0
            return found.start()
        if end < len(data) or end - position == self._skipping:
            self.skipped_bytes += end - position
            self._skipping = 0
            return end
        keep = max(position, end - _KEEP_BYTES)
        self.skipped_bytes += keep - position
        self._skipping -= keep - position
        self._head = data[keep:]
        return end

    def _take_header_line(self, data: bytes, position: int, out: list[Frame | FrameError]) -> int:
        newline = data.find(b"\n", position)
        if newline < 0:
            rest = data[position:]
            if len(rest) + self._header_bytes > self._max_header:
                self._discard(len(rest) - _KEEP_BYTES)
                rest = rest[-_KEEP_BYTES:]
            self._head = rest
            return len(data)
        line = data[position:newline].removesuffix(b"\r")
        self._header_bytes += newline + 1 - position
        if line:
            self._read_header(line)
        else:
            self._end_header(out)
        if self._header_bytes > self._max_header:
            self._discard(self._header_bytes)
        return newline + 1

    def _read_header(self, line: bytes) -> None:
        at = line.lower().rfind(_NAME)
        if at < 0:
            if _HEADER_LINE.match(line) is None:
                self._discard(len(line))
            return
        name, colon, value = line[at:].partition(b":")
        digits = value.strip()
        numeric = name.strip().lower() == _NAME and digits.isdigit()
        if at > 0 or not colon:
            self._discard(at)  # what stood before it was no header: the last body was longer than announced
            if not numeric:
                return
        self._length, self._refusal, self._refused_bytes = None, None, 0
        if not numeric:
            self._refusal = FrameError("Content-Length is not a number")
        elif len(digits) > 18 or int(digits) > self._max_body:
            self._refusal = FrameError(f"message is longer than {self._max_body} bytes")
            if len(digits) <= 18 and int(digits) <= _SANE_BYTES:
                self._refused_bytes = int(digits)
        else:
            self._length = int(digits)

    def _end_header(self, out: list[Frame | FrameError]) -> None:
        refusal, length = self._refusal, self._length
        if refusal is not None:
            self._skipping = self._refused_bytes
            out.append(refusal)
        elif length == 0:
            self.frames += 1
            out.append(Frame(b""))
        elif length is not None:
            self._missing = length
        if length is not None or refusal is not None:
            self._lost = False
        self._header_bytes, self._length, self._refusal, self._refused_bytes = 0, None, None, 0

    def _discard(self, count: int) -> None:
        """Forget a header that was none, and count the stretch once."""
        self.skipped_bytes += max(0, count)
        self._header_bytes, self._length, self._refusal, self._refused_bytes = 0, None, None, 0
        if not self._lost:
            self._lost = True
            self.resyncs += 1
