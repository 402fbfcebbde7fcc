"""The writer thread of one connection: takes batches from the outbox, makes bytes of them, writes them.

It alone waits for the client's pipe. Chunks get their JSON and their number here, off the event loop.
"""

import logging
import os
import select
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from lsp_agent.wire.json_decode import replace_surrogates
from lsp_agent.wire.outbox import Chunk, Entry, Marker, Outbox, Ready, event_pieces
from lsp_agent.wire.stdio import Pipes

_log = logging.getLogger(__name__)

_KEY_FIELDS = {
    "agent_message_chunk": "messageId",
    "agent_thought_chunk": "messageId",
    "terminal_output_chunk": "terminalId",
}
_OTHER_KEY_FIELD = "toolCallId"
_REMEMBERED_COUNTERS = 4096
_WRITE_BYTES = 1024 * 1024


class ChunkEncoder:
    """Makes the params of chunk events and counts, per message, those that were made for this connection."""

    def __init__(self) -> None:
        self._counters: OrderedDict[tuple[str, str], int] = OrderedDict()

    def encode(self, chunk: Chunk) -> bytes:
        """The JSON of the params. Shape: PROTOCOL 8, `chunk` from 1 per (session, key)."""
        text = chunk.parts[0] if len(chunk.parts) == 1 else "".join(chunk.parts)
        counter = (chunk.session_id, chunk.key)
        number = self._counters.pop(counter, 0) + 1
        self._counters[counter] = number
        if len(self._counters) > _REMEMBERED_COUNTERS:
            self._counters.popitem(last=False)
        params: dict[str, Any] = {
            "sessionId": chunk.session_id,
            "runId": chunk.run_id,
            "seq": chunk.seq,
            "chunk": number,
            "update": {
                "sessionUpdate": chunk.kind,
                _KEY_FIELDS.get(chunk.kind, _OTHER_KEY_FIELD): chunk.key,
                "content": {"type": "text", "text": text},
            },
        }
        if chunk.parent is not None:
            params["parent"] = dict(chunk.parent)
        try:
            return orjson.dumps(params)
        except TypeError:  # a lone surrogate, cut off by the model's service
            params["update"]["content"]["text"] = replace_surrogates(text)
            return orjson.dumps(params)


class Writer:
    """Drains one outbox into one file descriptor until the outbox closes or the other side is gone.

    `on_gone` is called in the writer thread, once, when the client cannot be written to any more; `on_end`, also there,
    when the thread is about to end for whatever reason.
    """

    def __init__(self, outbox: Outbox, pipes: Pipes, on_gone: Callable[[], None], on_end: Callable[[], None]) -> None:
        self._outbox = outbox
        self._pipes = pipes
        self._on_gone = on_gone
        self._on_end = on_end
        self._encoder = ChunkEncoder()
        self._thread = threading.Thread(target=self._run, name="lsp-agent-writer", daemon=True)
        self.frames = 0
        self.bytes = 0

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def _run(self) -> None:
        try:
            while (batch := self._outbox.take()) is not None:
                try:
                    alive = self._write(self._join(batch))
                    self._outbox.finished()
                finally:
                    for entry in batch:
                        if type(entry) is Marker:
                            entry.reached()
                if not alive:
                    break
        except Exception as error:  # noqa: BLE001 - the boundary of a thread: a client lost must not go unnoticed
            _log.error("the writer thread failed: %s", type(error).__name__)
        finally:
            if not self._outbox.closed:
                self._outbox.close()
                self._on_gone()
            self._on_end()

    def _join(self, batch: Sequence[Entry]) -> bytes:
        out: list[bytes] = []
        for entry in batch:
            if type(entry) is Chunk:
                pieces = event_pieces(self._encoder.encode(entry))
            elif type(entry) is Ready:
                pieces = entry.pieces
            else:
                continue
            self.frames += 1
            out.append(b"Content-Length: %d\r\n\r\n" % sum(map(len, pieces)))
            out.extend(pieces)
        return b"".join(out)

    def _write(self, data: bytes) -> bool:
        """Write it all. False when the client is gone or the connection is being closed."""
        rest = memoryview(data)
        while rest:
            try:
                count = os.write(self._pipes.write_fd, rest[:_WRITE_BYTES])
            except BlockingIOError:
                if not self._pipes.wait(self._pipes.write_fd, select.POLLOUT):
                    return False
                continue
            except OSError as error:
                _log.info("the client cannot be written to any more: %s", type(error).__name__)
                return False
            self.bytes += count
            self._outbox.progressed(count)
            rest = rest[count:]
        return True
