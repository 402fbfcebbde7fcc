"""What one connection did."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statistics:
    """A snapshot of one connection. Sizes in bytes."""

    frames_in: int
    frames_out: int
    bytes_out: int
    resyncs: int
    """Stretches of bytes between frames that were thrown away."""
    skipped_bytes: int
    waiting_bytes: int
    peak_waiting_bytes: int
    dropped_chunks: int
    lagging: bool
    outstanding_requests: int
    ignored_responses: int
    """Answers to nobody."""
    ignored_notifications: int
