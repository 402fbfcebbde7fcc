"""AWS event streams from bytes: an incremental decoder, pure and without any I/O.

A message is `total length, headers length, CRC of both | headers | payload | CRC of everything before`, numbers in four
bytes, big-endian. What comes out has the shape of server-sent events, so that dialects need not know which framing
carried them. Source: AWS, "Event stream encoding"; Bedrock, InvokeModelWithResponseStream.
"""

import base64
import binascii
import struct
import zlib

import orjson

from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.sse import MAX_EVENT_BYTES, SseEvent

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_OVERHEAD = _PRELUDE.size + _CRC.size
_FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type; 6 (bytes) and 7 (text) carry their length."""
_TEXT = 7


class EventStreamDecoder:
    """Turns chunks of bytes into whole events; `{"bytes": base64}` payloads are unwrapped.

    An exception message becomes an event named `error` with `{"type": "error", "error": {"type", "message"}}`.
    """

    def __init__(self, service: str = "bedrock", max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._service = service
        self._max = max_event_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        self._wanted = _PRELUDE.size

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Every event that `chunk` completes, in order.

        Raises: ProviderError, retryable for a damaged stream, not for a message that outgrows the cap.
        """
        self._pieces.append(chunk)
        self._size += len(chunk)
        if self._size < self._wanted:
            return []
        data = memoryview(b"".join(self._pieces))
        events: list[SseEvent] = []
        at = 0
        while len(data) - at >= _PRELUDE.size:
            total = self._total(data[at : at + _PRELUDE.size])
            if len(data) - at < total:
                self._wanted = total
                break
            event = self._event(data[at : at + total])
            if event is not None:
                events.append(event)
            at += total
            self._wanted = _PRELUDE.size
        rest = bytes(data[at:])
        self._pieces, self._size = [rest], len(rest)
        return events

    def finish(self) -> list[SseEvent]:
        """Half a message is none."""
        return []

    def _total(self, prelude: memoryview) -> int:
        total, headers, check = _PRELUDE.unpack(prelude)
        if zlib.crc32(prelude[:8]) != check or total < _OVERHEAD + headers:
            raise self._damaged()
        if total > self._max:
            text = f"One event of the answer is larger than {self._max} bytes."
            raise ProviderError("Provider", "Answer too large", text)
        return int(total)

    def _event(self, message: memoryview) -> SseEvent | None:
        if zlib.crc32(message[:-4]) != _CRC.unpack(message[-4:])[0]:
            raise self._damaged()
        size = _PRELUDE.unpack(message[: _PRELUDE.size])[1]
        end = _PRELUDE.size + size
        headers = self._headers(bytes(message[_PRELUDE.size : end]))
        payload = bytes(message[end:-4])
        kind = headers.get(":message-type", "event")
        if kind == "event":
            return headers.get(":event-type", ""), self._unwrapped(payload)
        name = headers.get(":exception-type") or headers.get(":error-code") or kind
        said = headers.get(":error-message") or _message_in(payload)
        error = {"type": "error", "error": {"type": name, "message": said or f"the answer was aborted ({name})"}}
        return "error", orjson.dumps(error)

    def _headers(self, data: bytes) -> dict[str, str]:
        """The text headers; others are skipped."""
        found: dict[str, str] = {}
        at = 0
        try:
            while at < len(data):
                start = at + 1
                at = start + data[at]
                name, kind = data[start:at].decode("utf-8", "replace"), data[at]
                at += 1
                size = _FIXED_SIZES.get(kind)
                if size is None:
                    size = int.from_bytes(data[at : at + 2], "big")
                    at += 2
                if kind == _TEXT:
                    found[name] = data[at : at + size].decode("utf-8", "replace")
                at += size
        except IndexError as error:
            raise self._damaged() from error
        return found

    def _unwrapped(self, payload: bytes) -> bytes:
        try:
            value = orjson.loads(payload)
            inner = value.get("bytes") if isinstance(value, dict) else None
            return base64.b64decode(inner, validate=True) if isinstance(inner, str) else payload
        except (orjson.JSONDecodeError, binascii.Error):
            # what reads the payload complains of it
            return payload

    def _damaged(self) -> ProviderError:
        text = f"{self._service}: the answer arrived damaged."
        return ProviderError("Provider", "Connection lost", text, retryable=True)


def _message_in(payload: bytes) -> str:
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return ""
    said = value.get("message") or value.get("Message") if isinstance(value, dict) else ""
    return str(said or "")
