"""Journal entries and texts as SQLite keeps them: the SQL of schema 2.

Runs in the database threads. Knows nothing of what an entry means.
"""

import sqlite3
import zlib
from collections.abc import Sequence

from lsp_agent.domain.errors import StoreError
from lsp_agent.ports.changes import JournalEntry, PutJournal, SetVisibleMessages, text_id
from lsp_agent.store import rows

_COLUMNS = "position, session_id, entry_id, kind, body, created_at_ms, message_ids"
_MESSAGE = f"position, {rows.MESSAGE_COLUMNS}"
_CHUNK = 500
"""Values in one IN list; SQLite takes some thousands."""


def deflated(text: str) -> bytes:
    """A text as `texts.data` holds it."""
    return zlib.compress(rows.encode_text(text), 6)


def inflated(data: bytes) -> str:
    """The inverse. Raises: StoreError for data that is not whole."""
    try:
        return rows.decode_text(zlib.decompress(data))
    except (zlib.error, UnicodeDecodeError) as error:
        raise StoreError("a stored text of the journal is damaged") from error


def put_journal(connection: sqlite3.Connection, write: PutJournal) -> None:
    """Append the entry with its texts; nothing at all when the entry id is known."""
    entry_id, session_id = rows.clean_text(write.entry_id), rows.clean_text(write.session_id)
    if connection.execute("SELECT 1 FROM journal WHERE entry_id = ?", (entry_id,)).fetchone() is not None:
        return
    messages = None
    if write.keeps_conversation:
        found = connection.execute(
            "SELECT message_id FROM messages WHERE session_id = ? ORDER BY position", (session_id,)
        )
        messages = rows.encode_json([row[0] for row in found.fetchall()])
    connection.execute(
        "INSERT INTO journal (session_id, entry_id, kind, body, created_at_ms, message_ids) VALUES (?, ?, ?, ?, ?, ?)",
        (
            session_id,
            entry_id,
            rows.clean_text(write.kind),
            rows.encode_json(write.body),
            rows.clean_int(write.created_at_ms),
            messages,
        ),
    )
    for text in write.texts:
        key = text_id(text)
        if connection.execute("SELECT 1 FROM texts WHERE text_id = ?", (key,)).fetchone() is None:
            connection.execute("INSERT INTO texts (text_id, data) VALUES (?, ?)", (key, deflated(text)))
        connection.execute("INSERT OR IGNORE INTO journal_texts (session_id, text_id) VALUES (?, ?)", (session_id, key))


def set_visible(connection: sqlite3.Connection, write: SetVisibleMessages) -> None:
    """Move rows between `messages` and `hidden_messages`; positions stay."""
    session_id = rows.clean_text(write.session_id)
    if connection.execute("SELECT 1 FROM sessions WHERE session_id = ?", (session_id,)).fetchone() is None:
        raise StoreError(f"there is no session {write.session_id!r}")
    wanted = {rows.clean_text(one) for one in write.message_ids}
    for source, target, leaving in (("messages", "hidden_messages", True), ("hidden_messages", "messages", False)):
        found = connection.execute(f"SELECT message_id FROM {source} WHERE session_id = ?", (session_id,)).fetchall()
        moving = [row for row in found if (row[0] in wanted) is not leaving]
        connection.executemany(
            f"INSERT INTO {target} ({_MESSAGE}) SELECT {_MESSAGE} FROM {source} WHERE message_id = ?", moving
        )
        connection.executemany(f"DELETE FROM {source} WHERE message_id = ?", moving)
        mark = "INSERT OR IGNORE INTO dropped_messages (message_id) VALUES (?)"
        unmark = "DELETE FROM dropped_messages WHERE message_id = ?"
        connection.executemany(mark if leaving else unmark, moving)
    connection.execute(
        "UPDATE sessions SET summary_message_id = (SELECT message_id FROM messages WHERE session_id = ?1"
        " AND is_summary = 1 ORDER BY position DESC LIMIT 1) WHERE session_id = ?1",
        (session_id,),
    )


def drop_orphans(connection: sqlite3.Connection) -> None:
    """Delete texts that no session names any more."""
    connection.execute(
        "DELETE FROM texts WHERE NOT EXISTS (SELECT 1 FROM journal_texts WHERE journal_texts.text_id = texts.text_id)"
    )


def journal(connection: sqlite3.Connection, session_id: str) -> list[JournalEntry]:
    """A session's entries, in order."""
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM journal WHERE session_id = ? ORDER BY position", (rows.clean_text(session_id),)
    )
    return [_entry(row) for row in found.fetchall()]


def journal_entry(connection: sqlite3.Connection, entry_id: str) -> JournalEntry | None:
    """One entry by its id."""
    query = f"SELECT {_COLUMNS} FROM journal WHERE entry_id = ?"
    row = connection.execute(query, (rows.clean_text(entry_id),)).fetchone()
    return None if row is None else _entry(row)


def texts(connection: sqlite3.Connection, text_ids: Sequence[str]) -> dict[str, str]:
    """Texts by id."""
    wanted, found = list(dict.fromkeys(text_ids)), {}
    for start in range(0, len(wanted), _CHUNK):
        part = wanted[start : start + _CHUNK]
        marks = ", ".join("?" * len(part))
        query = f"SELECT text_id, data FROM texts WHERE text_id IN ({marks})"
        found.update({key: inflated(data) for key, data in connection.execute(query, part).fetchall()})
    return found


def _entry(row: rows.Row) -> JournalEntry:
    messages = tuple(rows.decode_json(row[6])) if row[6] is not None else ()
    return JournalEntry(row[0], row[1], row[2], row[3], rows.decode_json(row[4]), row[5], messages)
