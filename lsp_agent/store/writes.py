"""One function a kind of write: what it does to the tables, inside a transaction somebody else began.

Runs in the database thread. Raises StoreError for what the contract forbids and lets sqlite3's errors through; either
way the group it belongs to is rolled back.
"""

import dataclasses
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from lsp_agent.domain.errors import StoreError
from lsp_agent.domain.run import RunState
from lsp_agent.domain.session import Session
from lsp_agent.ports import store as port
from lsp_agent.ports.changes import PutJournal, SetVisibleMessages
from lsp_agent.store import change_rows, rows, rules

_INSERT_SESSION = f"INSERT INTO sessions ({rows.SESSION_COLUMNS}) VALUES ({', '.join('?' * 17)})"
_INSERT_MESSAGE = f"INSERT INTO messages ({rows.MESSAGE_COLUMNS}) VALUES ({', '.join('?' * 10)})"
_UPSERT_MESSAGE = (
    f"{_INSERT_MESSAGE} ON CONFLICT (message_id) DO UPDATE SET role = excluded.role, parts = excluded.parts,"
    " model = excluded.model, provider = excluded.provider, is_summary = excluded.is_summary,"
    " created_at_ms = excluded.created_at_ms, updated_at_ms = excluded.updated_at_ms, run_key = excluded.run_key"
)
_INSERT_RUN = (
    f"INSERT INTO runs ({rows.RUN_COLUMNS}, position)"
    f" VALUES ({', '.join('?' * 10)}, (SELECT coalesce(max(position), 0) + 1 FROM runs))"
)
_UPDATE_SESSION = (
    "UPDATE sessions SET "
    + ", ".join(f"{name.strip()} = ?" for name in rows.SESSION_COLUMNS.split(",")[1:15])
    + " WHERE session_id = ?"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """What a write needs besides its value."""

    connection: sqlite3.Connection
    new_id: Callable[[], str]
    """Fresh ULIDs, for the copies a fork makes."""


def apply(context: Context, write: rules.StoredWrite) -> Any:
    """Perform one write; its result as `Store.write` promises."""
    return _APPLY[type(write)](context, write)


def read_session(connection: sqlite3.Connection, session_id: str) -> Session | None:
    """One session; None when there is none."""
    query = f"SELECT {rows.SESSION_COLUMNS} FROM sessions WHERE session_id = ?"
    row = connection.execute(query, (rows.clean_text(session_id),)).fetchone()
    return None if row is None else rows.session_from(row)


def _put_session(context: Context, write: port.PutSession) -> None:
    context.connection.execute(_INSERT_SESSION, rows.session_row(rules.new_row(write.session)))


def _patch_session(context: Context, write: port.PatchSession) -> None:
    session = read_session(context.connection, write.session_id)
    if session is None:
        raise StoreError(f"there is no session {write.session_id!r}")
    row = rows.session_row(rules.patched(session, write))
    context.connection.execute(_UPDATE_SESSION, (*row[1:15], row[0]))


def _drop_session(context: Context, write: port.DropSession) -> None:
    context.connection.execute("DELETE FROM sessions WHERE session_id = ?", (rows.clean_text(write.session_id),))
    change_rows.drop_orphans(context.connection)


def _put_message(context: Context, write: port.PutMessage) -> None:
    row = rows.message_row(write.message)
    dropped = context.connection.execute("SELECT 1 FROM dropped_messages WHERE message_id = ?", row[:1])
    if dropped.fetchone() is None:
        context.connection.execute(_UPSERT_MESSAGE, row)


def _drop_message(context: Context, write: port.DropMessage) -> None:
    key = (rows.clean_text(write.message_id),)
    context.connection.execute("DELETE FROM messages WHERE message_id = ?", key)
    context.connection.execute("INSERT OR IGNORE INTO dropped_messages (message_id) VALUES (?)", key)


def _accept_run(context: Context, write: port.AcceptRun) -> port.Accepted:
    row = rows.run_row(write.run)
    query = f"SELECT {rows.RUN_COLUMNS} FROM runs WHERE run_id = ? OR run_key = ?"
    seen = context.connection.execute(query, (row[2], row[0])).fetchone()
    if seen is not None:
        return port.Accepted(session=None, duplicate=rows.run_from(seen))
    if write.new_session is not None:
        context.connection.execute(_INSERT_SESSION, rows.session_row(rules.new_row(write.new_session)))
    session = read_session(context.connection, write.run.session_id)
    if session is None:
        return port.Accepted(session=None, duplicate=None)
    context.connection.execute(_INSERT_RUN, row)
    return port.Accepted(session=session, duplicate=None)


def _set_run_state(context: Context, write: port.SetRunState) -> None:
    if rules.checked_move(write.run_key, _run_state(context, write.run_key), write.state):
        context.connection.execute(
            "UPDATE runs SET state = ?, into_key = ? WHERE run_key = ?",
            (write.state.value, rows.clean_text_or_none(write.into), rows.clean_text(write.run_key)),
        )


def _set_run_prompt(context: Context, write: port.SetRunPrompt) -> None:
    if _run_state(context, write.run_key) is not RunState.QUEUED:
        raise StoreError(f"run {write.run_key!r} is not queued any more")
    values = (rows.clean_text(write.prompt), rows.clean_text(write.run_key))
    context.connection.execute("UPDATE runs SET prompt = ? WHERE run_key = ?", values)


def _run_state(context: Context, run_key: str) -> RunState:
    query = "SELECT state FROM runs WHERE run_key = ?"
    row = context.connection.execute(query, (rows.clean_text(run_key),)).fetchone()
    if row is None:
        raise StoreError(f"there is no run {run_key!r}")
    return RunState(row[0])


def _set_queue_order(context: Context, write: port.SetQueueOrder) -> None:
    query = "SELECT run_key, position FROM runs WHERE session_id = ? AND state = 'queued'"
    current = context.connection.execute(query, (rows.clean_text(write.session_id),)).fetchall()
    places = rules.reordered(current, [rows.clean_text(key) for key in write.run_keys])
    moves = [(position, run_key) for run_key, position in places.items()]
    context.connection.executemany("UPDATE runs SET position = ? WHERE run_key = ?", moves)


def _append_event(context: Context, write: port.AppendEvent) -> None:
    key = (rows.clean_text(write.session_id), write.seq)
    updated = context.connection.execute("UPDATE sessions SET seq = ?2 WHERE session_id = ?1 AND seq = ?2 - 1", key)
    if updated.rowcount == 0:
        raise StoreError(f"event {write.seq} of session {write.session_id!r} does not follow the last one")
    terminal_of = rows.clean_text_or_none(write.terminal_of)
    if terminal_of is not None:
        _end_run(context, terminal_of, write)
    context.connection.execute(
        "INSERT INTO events (session_id, seq, payload, terminal_of) VALUES (?, ?, ?, ?)",
        (*key, write.payload, terminal_of),
    )
    if write.seq % rules.PRUNE_EVERY == 0 and write.seq > rules.EVENTS_KEPT:
        horizon = (key[0], write.seq - rules.EVENTS_KEPT)
        context.connection.execute("DELETE FROM events WHERE session_id = ? AND seq <= ?", horizon)


def _end_run(context: Context, run_key: str, write: port.AppendEvent) -> None:
    ended = context.connection.execute(
        "UPDATE runs SET state = 'done', stop_reason = ?, terminal_seq = ?"
        " WHERE run_key = ? AND state <> 'folded' AND terminal_seq IS NULL",
        (rows.clean_text_or_none(write.stop_reason), write.seq, run_key),
    )
    if ended.rowcount == 0:
        raise StoreError(f"run {run_key!r} cannot end: it is unknown, has ended, or was folded into another")


def _record_read(context: Context, write: port.RecordRead) -> None:
    version = None if write.version is None else rows.clean_int(write.version)
    context.connection.execute(
        "INSERT OR REPLACE INTO read_files (session_id, path, content_hash, version, read_at_ms)"
        " VALUES (?, ?, ?, ?, ?)",
        (
            rows.clean_text(write.session_id),
            rows.clean_text(write.path),
            rows.clean_text(write.content_hash),
            version,
            rows.clean_int(write.read_at_ms),
        ),
    )


def _put_file_version(context: Context, write: port.PutFileVersion) -> None:
    context.connection.execute(
        "INSERT INTO files (session_id, path, version, content, run_key, tool_call_id, created_at_ms) VALUES (?1, ?2,"
        " (SELECT coalesce(max(version), -1) + 1 FROM files WHERE session_id = ?1 AND path = ?2), ?3, ?4, ?5, ?6)",
        (
            rows.clean_text(write.session_id),
            rows.clean_text(write.path),
            rows.encode_text(write.content),
            rows.clean_text_or_none(write.run_key),
            rows.clean_text_or_none(write.tool_call_id),
            rows.clean_int(write.created_at_ms),
        ),
    )


def _put_grant(context: Context, write: port.PutGrant) -> None:
    key = (
        rows.clean_text_or_none(write.session_id),
        rows.clean_text_or_none(write.root),
        rows.clean_text(write.tool),
        rows.clean_text(write.pattern),
    )
    context.connection.execute(
        "DELETE FROM grants WHERE session_id IS ? AND root IS ? AND tool = ? AND pattern = ?", key
    )
    context.connection.execute(
        "INSERT INTO grants (session_id, root, tool, pattern, allow, created_at_ms) VALUES (?, ?, ?, ?, ?, ?)",
        (*key, int(write.allow), rows.clean_int(write.created_at_ms)),
    )


def _copy_session(context: Context, write: rules.CopySession) -> Session:
    connection, source_id = context.connection, rows.clean_text(write.source_id)
    if read_session(connection, source_id) is None:
        raise StoreError(f"there is no session {write.source_id!r}")
    query = f"SELECT {rows.MESSAGE_COLUMNS} FROM messages WHERE session_id = ? ORDER BY position"
    originals = connection.execute(query, (source_id,)).fetchall()
    if write.at_message_id is not None:
        ids = [row[0] for row in originals]
        if write.at_message_id not in ids:
            raise StoreError(f"session {write.source_id!r} has no message {write.at_message_id!r}")
        originals = originals[: ids.index(write.at_message_id) + 1]
    new_ids = {row[0]: context.new_id() for row in originals}
    summary = write.new_session.summary_message_id
    session = dataclasses.replace(write.new_session, summary_message_id=new_ids.get(summary) if summary else None)
    row = rows.session_row(rules.new_row(session))
    connection.execute(_INSERT_SESSION, row)
    connection.executemany(_INSERT_MESSAGE, [(new_ids[old[0]], row[0], *old[2:9], None) for old in originals])
    if write.at_message_id is None:
        connection.execute(
            "INSERT INTO read_files (session_id, path, content_hash, version, read_at_ms)"
            " SELECT ?, path, content_hash, version, read_at_ms FROM read_files WHERE session_id = ?",
            (row[0], source_id),
        )
    copied = read_session(connection, row[0])
    assert copied is not None
    return copied


_APPLY: Mapping[type, Callable[[Context, Any], Any]] = {
    port.PutSession: _put_session,
    port.PatchSession: _patch_session,
    port.DropSession: _drop_session,
    port.PutMessage: _put_message,
    port.DropMessage: _drop_message,
    port.AcceptRun: _accept_run,
    port.SetRunState: _set_run_state,
    port.SetRunPrompt: _set_run_prompt,
    port.SetQueueOrder: _set_queue_order,
    port.AppendEvent: _append_event,
    port.RecordRead: _record_read,
    port.PutFileVersion: _put_file_version,
    port.PutGrant: _put_grant,
    PutJournal: lambda context, write: change_rows.put_journal(context.connection, write),
    SetVisibleMessages: lambda context, write: change_rows.set_visible(context.connection, write),
    rules.CopySession: _copy_session,
}
