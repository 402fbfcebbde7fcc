"""The base protocol as a client speaks it, on purpose without the product's own code."""

import json
from typing import Any


def frame(message: Any) -> bytes:
    """One message as bytes, header included."""
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def raw_frame(body: bytes) -> bytes:
    """Any body with a correct header."""
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


class FrameReader:
    """Cuts bytes into messages. Strict: anything but a correct frame is an AssertionError."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """The messages completed by `data`."""
        self._buffer += data
        out: list[Any] = []
        start = 0
        while (end := self._buffer.find(b"\r\n\r\n", start)) >= 0:
            header = bytes(self._buffer[start:end])
            assert header.startswith(b"Content-Length: "), f"not a header: {header[:80]!r}"
            assert b"\n" not in header, f"more than one header: {header[:80]!r}"
            length = int(header[16:])
            if len(self._buffer) < end + 4 + length:
                break
            body = bytes(self._buffer[end + 4 : end + 4 + length])
            out.append(json.loads(body.decode("utf-8")))
            start = end + 4 + length
        del self._buffer[:start]
        return out

    @property
    def unfinished_bytes(self) -> int:
        """Bytes of a message that is not complete."""
        return len(self._buffer)
