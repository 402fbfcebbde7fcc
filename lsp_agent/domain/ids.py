"""Identifiers and the order of things in time.

A ULID carries its millisecond and sorts by it, so ids made in one process sort in the order they were made even
inside one millisecond. Knows nothing of the clock port: whoever makes an id passes the time.
"""

import os
from collections.abc import Callable
from typing import NewType

SessionId = NewType("SessionId", str)
RunId = NewType("RunId", str)
MessageId = NewType("MessageId", str)
ToolCallId = NewType("ToolCallId", str)

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class UlidFactory:
    """Makes monotonic ULIDs (https://github.com/ulid/spec).

    Shape: 26 characters of Crockford base 32. Promise: never waits; two calls never return the same or a smaller id,
    also when the clock steps back.
    """

    def __init__(self, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._entropy = entropy
        self._last = 0

    def new(self, now_ms: int) -> str:
        """The next id, for the wall-clock time `now_ms` (milliseconds since the epoch)."""
        fresh = (now_ms << 80) | int.from_bytes(self._entropy(10), "big")
        self._last = fresh if fresh > self._last else self._last + 1
        value, digits = self._last, []
        for _ in range(26):
            digits.append(_ALPHABET[value & 31])
            value >>= 5
        return "".join(reversed(digits))
