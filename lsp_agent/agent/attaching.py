"""What a connection that attaches is given first: the log after its last event, or a snapshot (PROTOCOL 4, 10.8).

Reads only; the hub records what is sent meanwhile and subscribes the connection without a gap.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from lsp_agent.agent.channel import Channel
from lsp_agent.ports.store import Store

PAGE = 1000
REPLAY_MAX = 20_000

Snapshot = Callable[[str], Awaitable[Any]]
"""Makes the JSON of a session's present state."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where a connection joins the stream."""

    seq: int
    """Replay: the last event there is. Snapshot: the event the snapshot stands for; later ones follow."""
    mode: str
    """replay or snapshot."""
    snapshot: Any = None
    replay: list[tuple[str, bytes]] = field(default_factory=list)
    """Method and params of what is sent again."""
    replayed_to: int = 0


async def read(store: Store, channel: Channel, after_seq: int | None, snapshot: Snapshot | None) -> Point:
    """Decide the mode and read. The log must reach from `after_seq` to what was sent when the reading began."""
    sent = channel.sent
    if after_seq is not None and 0 <= after_seq <= sent and sent - after_seq <= REPLAY_MAX:
        rows = await _rows(store, channel, after_seq, sent)
        if rows is not None and (after_seq > 0 or await _is_whole(store, channel.session_id, rows)):
            return Point(channel.sent, "replay", None, rows, sent)
    content = await snapshot(channel.session_id) if snapshot is not None else None
    return Point(sent, "snapshot", content, [], sent)


async def _is_whole(store: Store, session_id: str, rows: list[tuple[str, bytes]]) -> bool:
    """Whether the log tells of the conversation's beginning. A fork's knows nothing of its first messages."""
    first, _ = await store.messages(session_id, limit=1)
    if not first:
        return True
    message_id = first[0].message_id.encode()
    return any(message_id in payload for _, payload in rows)


async def _rows(store: Store, channel: Channel, after_seq: int, sent: int) -> list[tuple[str, bytes]] | None:
    """Events after_seq + 1 … sent; None when one of them is not there any more."""
    found: list[tuple[str, bytes]] = []
    reached = after_seq
    while reached < sent:
        rows, _ = await store.events(channel.session_id, after_seq=reached, limit=PAGE)
        by_seq = {row.seq: (row.terminal, row.payload) for row in rows}
        by_seq.update({seq: (item.kind == "T", item.payload) for seq, item in channel.unstored.items()})
        before = reached
        while reached < sent and reached + 1 in by_seq:
            reached += 1
            terminal, payload = by_seq[reached]
            found.append(("agent/runComplete" if terminal else "agent/event", payload))
        if reached == before:
            return None
    return found
