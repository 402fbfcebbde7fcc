"""The questions the store answers, each a function that runs whole in the reading thread.

Takes a query-only connection; every function sees one state of the database.
"""

import sqlite3
from collections.abc import Callable
from typing import Any

from lsp_agent.domain.message import Message
from lsp_agent.domain.session import Session
from lsp_agent.ports.store import Grant, SeenFile, StoredEvent, StoredRun
from lsp_agent.store import rows, rules
from lsp_agent.store.writes import read_session

Connection = sqlite3.Connection

session = read_session


def sessions(
    connection: Connection, limit: int, after: tuple[int, str] | None, query: str | None, root: str | None
) -> tuple[list[Session], str | None]:
    """A page of top-level sessions, most recently updated first."""
    where, values = ["parent_session_id IS NULL"], []
    if after is not None:
        where.append("(updated_at_ms, session_id) < (?, ?)")
        values += [after[0], rows.clean_text(after[1])]
    if root is not None:
        where.append("root = ?")
        values.append(rows.clean_text(root))
    if query:
        where.append("instr(folded(title), ?) > 0")
        values.append(rows.clean_text(query).casefold())
    found = connection.execute(
        f"SELECT {rows.SESSION_COLUMNS} FROM sessions WHERE {' AND '.join(where)}"
        " ORDER BY updated_at_ms DESC, session_id DESC LIMIT ?",
        (*values, limit + 1),
    ).fetchall()
    page = [rows.session_from(row) for row in found[:limit]]
    return page, rules.session_cursor(page[-1]) if len(found) > limit else None


def messages(
    connection: Connection,
    session_id: str,
    limit: int | None,
    after: int,
    from_message: str | None,
    message_from: Callable[[rows.Row], Message],
) -> tuple[list[Message], str | None]:
    """A page of a conversation, oldest first. `message_from` decodes a row."""
    key = rows.clean_text(session_id)
    if from_message is not None:
        query = "SELECT position FROM messages WHERE message_id = ? AND session_id = ?"
        start = connection.execute(query, (rows.clean_text(from_message), key)).fetchone()
        after = after if start is None else max(after, start[0] - 1)
    found = connection.execute(
        f"SELECT {rows.MESSAGE_COLUMNS}, position FROM messages WHERE session_id = ? AND position > ?"
        " ORDER BY position LIMIT ?",
        (key, after, -1 if limit is None else limit + 1),
    ).fetchall()
    page = found if limit is None else found[:limit]
    return [message_from(row) for row in page], str(page[-1][-1]) if len(found) > len(page) else None


def run(connection: Connection, run_id: str) -> StoredRun | None:
    """By the caller's correlator."""
    query = f"SELECT {rows.RUN_COLUMNS} FROM runs WHERE run_id = ?"
    row = connection.execute(query, (rows.clean_text(run_id),)).fetchone()
    return None if row is None else rows.run_from(row)


def unfinished_runs(connection: Connection) -> list[StoredRun]:
    """Running ones first, then what was folded into them, then the queue from its head."""
    columns = ", ".join(f"r.{name.strip()}" for name in rows.RUN_COLUMNS.split(","))
    found = connection.execute(
        f"SELECT {columns} FROM runs r LEFT JOIN runs t ON t.run_key = r.into_key"
        " WHERE r.state <> 'done' AND (r.state <> 'folded' OR t.state IN ('queued', 'running'))"
        " ORDER BY CASE r.state WHEN 'running' THEN 0 WHEN 'folded' THEN 1 ELSE 2 END, r.position"
    )
    return [rows.run_from(row) for row in found.fetchall()]


def events(connection: Connection, session_id: str, after_seq: int, limit: int) -> tuple[list[StoredEvent], int]:
    """Log rows after `after_seq`, and the oldest seq that is still there."""
    key = rows.clean_text(session_id)
    (oldest,) = connection.execute("SELECT min(seq) FROM events WHERE session_id = ?", (key,)).fetchone()
    found = connection.execute(
        "SELECT seq, payload, terminal_of IS NOT NULL FROM events WHERE session_id = ? AND seq > ?"
        " ORDER BY seq LIMIT ?",
        (key, rows.clean_int(after_seq), limit),
    ).fetchall()
    return [StoredEvent(seq, bytes(payload), bool(terminal)) for seq, payload, terminal in found], oldest or 0


def seen_file(connection: Connection, session_id: str, path: str) -> SeenFile | None:
    """What the session last saw of a file."""
    row: Any = connection.execute(
        "SELECT content_hash, version, read_at_ms FROM read_files WHERE session_id = ? AND path = ?",
        (rows.clean_text(session_id), rows.clean_text(path)),
    ).fetchone()
    return None if row is None else SeenFile(*row)


def file_versions(connection: Connection, session_id: str, path: str) -> list[str]:
    """Texts by version, oldest first."""
    found = connection.execute(
        "SELECT content FROM files WHERE session_id = ? AND path = ? ORDER BY version",
        (rows.clean_text(session_id), rows.clean_text(path)),
    ).fetchall()
    return [rows.decode_text(content) for (content,) in found]


def grants(connection: Connection) -> list[Grant]:
    """Every remembered grant, oldest first."""
    found = connection.execute("SELECT session_id, root, tool, pattern, allow FROM grants ORDER BY position").fetchall()
    return [Grant(session_id, root, tool, pattern, bool(allow)) for session_id, root, tool, pattern, allow in found]
