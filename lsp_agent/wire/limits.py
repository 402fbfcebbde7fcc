"""The numbers that bound one connection (PROTOCOL 11)."""

from dataclasses import dataclass

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one connection. The defaults are the promises of PROTOCOL 11; tests use smaller ones."""

    max_body_bytes: int = 32 * _MIB
    """A longer message is skipped and refused with -32600."""
    max_header_bytes: int = 8 * 1024
    max_depth: int = 64
    """Nesting of arrays and objects in one message."""
    read_bytes: int = 64 * 1024
    """Most bytes of one read."""
    ingress_messages: int = 1024
    """Messages that were read and not handled yet; the reader thread waits beyond that."""
    ingress_bytes: int = 48 * _MIB
    turn_s: float = 0.004
    """Longest stretch of message handling before the loop's other work gets its turn."""
    outstanding_requests: int = 64
    """Unanswered requests of the client; one more is `Overloaded`, but for the reserved lane."""
    retry_after_ms: int = 250
    batch_bytes: int = 256 * 1024
    """About as much is joined into one write."""
    chunk_bytes: int = 256 * 1024
    """A chunk does not grow beyond that by merging."""
    coalesce_bytes: int = 1 * _MIB
    """With more than this waiting, chunks are held back to be merged; at or below it a connection has recovered."""
    coalesce_s: float = 0.25
    drop_bytes: int = 8 * _MIB
    """With more than this waiting, chunks and ephemeral events are dropped."""
    lag_bytes: int = 16 * _MIB
    lag_s: float = 30.0
    """Without a byte of progress for that long, the connection lags."""
    abandon_bytes: int = 256 * _MIB
    """With more than this waiting the connection is given up: what it is owed is in the log, memory is not infinite."""
