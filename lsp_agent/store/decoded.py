"""Messages that were decoded before. A conversation is read whole at every turn, and nearly all of it is as it was.

Used by the reading thread alone. An entry counts only for the very row it was made of, so nothing has to be told when a
message changes; parts are shared between readings and are not changed in place by anybody who reads them.
"""

from collections import OrderedDict

from lsp_agent.domain.message import Message, Part
from lsp_agent.store.rows import Row, message_from

MAX_BYTES = 4 * 1024 * 1024
"""Of stored parts; a conversation that is longer is decoded in part each time."""


class DecodedMessages:
    """A bounded memory of rows and their parts, least recently used out first."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._known: OrderedDict[str, tuple[Row, list[Part]]] = OrderedDict()

    def message(self, row: Row) -> Message:
        """The message of a row, of its own but for the parts. Raises: StoreError as `rows.message_from`."""
        message_id: str = row[0]
        known = self._known.get(message_id)
        if known is None or known[0] != row:
            message = message_from(row)
            self._keep(message_id, row, message.parts)
            return message
        self._known.move_to_end(message_id)
        return message_from(row, known[1])

    def _keep(self, message_id: str, row: Row, parts: list[Part]) -> None:
        old = self._known.pop(message_id, None)
        if old is not None:
            self._bytes -= len(old[0][3])
        size = len(row[3])
        if size > self._max_bytes:
            return
        self._known[message_id] = (row, list(parts))
        self._bytes += size
        while self._bytes > self._max_bytes:
            _, (oldest, _) = self._known.popitem(last=False)
            self._bytes -= len(oldest[3])
