"""Server-sent events from bytes: an incremental decoder, pure and without any I/O.

It works on bytes only, so a character split over two reads is never decoded in halves. Knows nothing of HTTP and
nothing of what the data means. Source: WHATWG HTML, 9.2.6 "Interpreting an event stream".
"""

from lsp_agent.domain.errors import ProviderError

MAX_EVENT_BYTES = 32 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"

SseEvent = tuple[str, bytes]
"""Event name (empty when the stream named none) and data, lines joined by one newline."""


class SseDecoder:
    """Turns chunks of bytes into whole events.

    Shape: lines end with CRLF, LF or CR, in any mixture; comments, `id` and `retry` are dropped; an event without data
    is no event. Promise: linear in the bytes fed, also for one line of many megabytes in small chunks.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._partial: list[bytes] = []
        self._partial_bytes = 0
        self._skip_line_feed = False
        self._first_line = True
        self._event = ""
        self._data: list[bytes] = []
        self._data_bytes = 0

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Every event that `chunk` completes, in order; empty for comments and halves.

        Raises: ProviderError (not retryable) when one event outgrows the cap.
        """
        if not chunk:
            return []
        if self._skip_line_feed:
            self._skip_line_feed = False
            if chunk.startswith(b"\n"):
                chunk = chunk[1:]
        if b"\r" in chunk:
            self._skip_line_feed = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in chunk:
            self._keep(chunk)
            return []
        if self._partial:
            chunk = b"".join(self._partial) + chunk
            self._partial.clear()
            self._partial_bytes = 0
        lines = chunk.split(b"\n")
        rest = lines.pop()
        events = self._take(lines)
        if rest:
            self._keep(rest)
        return events

    def finish(self) -> list[SseEvent]:
        """What a server left without its closing blank line: the standard drops it, but some end `[DONE]` that way."""
        line = b"".join(self._partial)
        self._partial.clear()
        self._partial_bytes = 0
        return self._take([line, b""])

    def _keep(self, piece: bytes) -> None:
        self._partial.append(piece)
        self._partial_bytes += len(piece)
        if self._partial_bytes + self._data_bytes > self._max:
            raise _too_large(self._max)

    def _take(self, lines: list[bytes]) -> list[SseEvent]:
        events: list[SseEvent] = []
        if self._first_line and lines:
            self._first_line = False
            lines[0] = lines[0].removeprefix(_BOM)
        for line in lines:
            if not line:
                if self._data:
                    data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                    events.append((self._event, data))
                    self._data = []
                    self._data_bytes = 0
                self._event = ""
            elif line.startswith(b"data:"):
                self._add(line[6:] if line.startswith(b" ", 5) else line[5:])
            elif line.startswith(b"event:"):
                self._event = line[6:].strip().decode("utf-8", "replace")
            elif line == b"data":
                self._add(b"")
        return events

    def _add(self, data: bytes) -> None:
        self._data.append(data)
        self._data_bytes += len(data)
        if self._data_bytes > self._max:
            raise _too_large(self._max)


def _too_large(limit: int) -> ProviderError:
    return ProviderError("Provider", "Answer too large", f"One event of the answer is larger than {limit} bytes.")
