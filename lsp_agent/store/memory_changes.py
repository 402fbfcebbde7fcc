"""The journal of changes in memory; the twin of `change_rows`, held to it by the contract tests."""

import dataclasses
from collections.abc import Sequence

from lsp_agent.domain.errors import StoreError
from lsp_agent.ports.changes import JournalEntry, PutJournal, SetVisibleMessages, text_id
from lsp_agent.store import rows
from lsp_agent.store.change_rows import deflated, inflated
from lsp_agent.store.tables import MessageRow, Tables, Transaction

clean = rows.clean_text


def put_journal(transaction: Transaction, write: PutJournal) -> None:
    """Append the entry with its texts; nothing at all when the entry id is known."""
    tables, session_id, entry_id = transaction.tables, clean(write.session_id), clean(write.entry_id)
    if entry_id in tables.journal:
        return
    if session_id not in tables.sessions:
        raise StoreError(f"there is no session {write.session_id!r}")
    ids = tuple([kept.row[0] for kept in _conversation(transaction, session_id)]) if write.keeps_conversation else ()
    entry = JournalEntry(
        position=transaction.next_position(),
        session_id=session_id,
        entry_id=entry_id,
        kind=clean(write.kind),
        body=rows.decode_json(rows.encode_json(write.body)),
        created_at_ms=rows.clean_int(write.created_at_ms),
        message_ids=ids,
    )
    transaction.put(tables.journal, entry_id, entry)
    for text in write.texts:
        transaction.put(tables.texts, text_id(text), deflated(text))
        transaction.put(tables.text_users, (session_id, text_id(text)), True)


def set_visible(transaction: Transaction, write: SetVisibleMessages) -> None:
    """Move messages between the conversation and what is set aside."""
    tables, session_id = transaction.tables, clean(write.session_id)
    if session_id not in tables.sessions:
        raise StoreError(f"there is no session {write.session_id!r}")
    wanted = {clean(one) for one in write.message_ids}
    leaving = [kept for kept in _conversation(transaction, session_id) if kept.row[0] not in wanted]
    coming = [kept for key, kept in tables.hidden.items() if kept.row[1] == session_id and key in wanted]
    for kept in leaving:
        transaction.remove(tables.messages, kept.row[0])
        transaction.put(tables.hidden, kept.row[0], kept)
        transaction.put(tables.dropped, kept.row[0], True)
    for kept in coming:
        transaction.remove(tables.hidden, kept.row[0])
        transaction.put(tables.messages, kept.row[0], kept)
        transaction.remove(tables.dropped, kept.row[0])
    now = _conversation(transaction, session_id)
    summaries = [kept.row[0] for kept in now if kept.row[6]]
    session = tables.sessions[session_id]
    updated_at_ms = max([session.updated_at_ms, *(kept.row[7] for kept in coming)])
    session = dataclasses.replace(
        session,
        message_count=len(now),
        updated_at_ms=updated_at_ms,
        summary_message_id=summaries[-1] if summaries else None,
    )
    transaction.put(tables.sessions, session_id, session)


def journal(tables: Tables, session_id: str) -> list[JournalEntry]:
    """A session's entries, in order."""
    found = [entry for entry in tables.journal.values() if entry.session_id == clean(session_id)]
    return sorted(found, key=lambda entry: entry.position)


def texts(tables: Tables, text_ids: Sequence[str]) -> dict[str, str]:
    """Texts by id."""
    return {key: inflated(tables.texts[key]) for key in text_ids if key in tables.texts}


def _conversation(transaction: Transaction, session_id: str) -> list[MessageRow]:
    kept = [transaction.tables.messages[key] for key in transaction.messages_of(session_id)]
    return sorted(kept, key=lambda one: one.position)
