"""One function a kind of write, on the tables in memory; the twin of `writes`, held to it by the contract tests."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from lsp_agent.domain.errors import StoreError
from lsp_agent.domain.run import RunState
from lsp_agent.domain.session import Session
from lsp_agent.ports import store as port
from lsp_agent.ports.changes import PutJournal, SetVisibleMessages
from lsp_agent.store import memory_changes, rows, rules
from lsp_agent.store.tables import MessageRow, RunRow, Transaction

clean = rows.clean_text


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """What a write needs besides its value."""

    transaction: Transaction
    new_id: Callable[[], str]


def apply(context: Context, write: rules.StoredWrite) -> Any:
    """Perform one write; its result as `Store.write` promises. Raises: StoreError."""
    return _APPLY[type(write)](context, write)


def stored_run(kept: RunRow) -> port.StoredRun:
    """A run as SQLite would give it back."""
    body = rows.run_row(kept.run)
    return rows.run_from((*body[:3], kept.state.value, kept.stop_reason, kept.into, *body[6:]))


def stored_session(session: Session) -> Session:
    """A session as SQLite would give it back; an independent copy."""
    return rows.session_from(rows.session_row(session))


def _session(context: Context, session_id: str) -> Session:
    session = context.transaction.tables.sessions.get(clean(session_id))
    if session is None:
        raise StoreError(f"there is no session {session_id!r}")
    return session


def _run(context: Context, run_key: str) -> RunRow:
    kept = context.transaction.tables.runs.get(clean(run_key))
    if kept is None:
        raise StoreError(f"there is no run {run_key!r}")
    return kept


def _insert_session(context: Context, session: Session) -> None:
    row = stored_session(rules.new_row(session))
    tables = context.transaction.tables
    if row.session_id in tables.sessions:
        raise StoreError(f"the session database refused a write: session {row.session_id!r} exists")
    if row.parent_session_id is not None:
        _session(context, row.parent_session_id)
    context.transaction.put(tables.sessions, row.session_id, row)


def _save_session(context: Context, session: Session) -> None:
    context.transaction.put(context.transaction.tables.sessions, session.session_id, session)


def _put_session(context: Context, write: port.PutSession) -> None:
    _insert_session(context, write.session)


def _patch_session(context: Context, write: port.PatchSession) -> None:
    _save_session(context, stored_session(rules.patched(_session(context, write.session_id), write)))


def _drop_session(context: Context, write: port.DropSession) -> None:
    context.transaction.drop_session(clean(write.session_id))


def _put_message(context: Context, write: port.PutMessage) -> None:
    row = rows.message_row(write.message)
    tables = context.transaction.tables
    if row[0] in tables.dropped:
        return
    kept = tables.messages.get(row[0])
    if kept is not None:
        context.transaction.put(tables.messages, row[0], MessageRow(kept.position, (row[0], kept.row[1], *row[2:])))
        return
    _insert_message(context, row)


def _insert_message(context: Context, row: tuple[Any, ...]) -> None:
    session = _session(context, row[1])
    position = context.transaction.next_position()
    context.transaction.put(context.transaction.tables.messages, row[0], MessageRow(position, row))
    changes: dict[str, Any] = {"message_count": session.message_count + 1}
    changes["updated_at_ms"] = max(session.updated_at_ms, row[7])
    _save_session(context, dataclasses.replace(session, **changes))


def _drop_message(context: Context, write: port.DropMessage) -> None:
    tables, key = context.transaction.tables, clean(write.message_id)
    kept = tables.messages.get(key)
    if kept is not None:
        context.transaction.remove(tables.messages, key)
        session = _session(context, kept.row[1])
        _save_session(context, dataclasses.replace(session, message_count=session.message_count - 1))
    context.transaction.put(tables.dropped, key, True)


def _accept_run(context: Context, write: port.AcceptRun) -> port.Accepted:
    tables = context.transaction.tables
    run = stored_run(RunRow(0, write.run, RunState.QUEUED)).run
    seen = tables.runs.get(run.run_key) or tables.runs.get(tables.run_keys.get(run.run_id or "", ""))
    if seen is not None:
        return port.Accepted(session=None, duplicate=stored_run(seen))
    if write.new_session is not None:
        _insert_session(context, write.new_session)
    session = tables.sessions.get(run.session_id)
    if session is None:
        return port.Accepted(session=None, duplicate=None)
    context.transaction.put(tables.runs, run.run_key, RunRow(context.transaction.next_position(), run, RunState.QUEUED))
    if run.run_id is not None:
        context.transaction.put(tables.run_keys, run.run_id, run.run_key)
    return port.Accepted(session=stored_session(session), duplicate=None)


def _set_run_state(context: Context, write: port.SetRunState) -> None:
    kept = _run(context, write.run_key)
    if rules.checked_move(write.run_key, kept.state, write.state):
        moved = dataclasses.replace(kept, state=write.state, into=rows.clean_text_or_none(write.into))
        context.transaction.put(context.transaction.tables.runs, kept.run.run_key, moved)


def _set_run_prompt(context: Context, write: port.SetRunPrompt) -> None:
    kept = context.transaction.tables.runs.get(clean(write.run_key))
    if kept is None:
        raise StoreError(f"there is no run {write.run_key!r}")
    if kept.state is not RunState.QUEUED:
        raise StoreError(f"run {write.run_key!r} is not queued any more")
    edited = dataclasses.replace(kept, run=dataclasses.replace(kept.run, prompt=clean(write.prompt)))
    context.transaction.put(context.transaction.tables.runs, kept.run.run_key, edited)


def _set_queue_order(context: Context, write: port.SetQueueOrder) -> None:
    tables, session_id = context.transaction.tables, clean(write.session_id)
    current = [
        (key, kept.position)
        for key, kept in tables.runs.items()
        if kept.run.session_id == session_id and kept.state is RunState.QUEUED
    ]
    for key, position in rules.reordered(current, [clean(key) for key in write.run_keys]).items():
        context.transaction.put(tables.runs, key, dataclasses.replace(tables.runs[key], position=position))


def _append_event(context: Context, write: port.AppendEvent) -> None:
    session, tables = _session(context, write.session_id), context.transaction.tables
    key = (session.session_id, write.seq)
    if write.seq != session.seq + 1:
        raise StoreError(f"event {write.seq} of session {write.session_id!r} does not follow the last one")
    terminal_of = rows.clean_text_or_none(write.terminal_of)
    if terminal_of is not None:
        _end_run(context, terminal_of, write, key)
    event = port.StoredEvent(write.seq, bytes(write.payload), terminal_of is not None)
    context.transaction.put(tables.events, key, event)
    _save_session(context, dataclasses.replace(session, seq=write.seq))
    if write.seq % rules.PRUNE_EVERY == 0 and write.seq > rules.EVENTS_KEPT:
        horizon = write.seq - rules.EVENTS_KEPT
        for old in [row for row in tables.events if row[0] == key[0] and row[1] <= horizon]:
            context.transaction.remove(tables.events, old)
        for run_key in [run_key for run_key, row in tables.terminals.items() if row not in tables.events]:
            context.transaction.remove(tables.terminals, run_key)


def _end_run(context: Context, run_key: str, write: port.AppendEvent, key: tuple[str, int]) -> None:
    tables = context.transaction.tables
    kept = tables.runs.get(run_key)
    if kept is None or kept.state is RunState.FOLDED or kept.terminal_seq is not None or run_key in tables.terminals:
        raise StoreError(f"run {run_key!r} cannot end: it is unknown, has ended, or was folded into another")
    stop_reason = rows.clean_text_or_none(write.stop_reason)
    ended = dataclasses.replace(kept, state=RunState.DONE, stop_reason=stop_reason, terminal_seq=write.seq)
    context.transaction.put(tables.runs, run_key, ended)
    context.transaction.put(tables.terminals, run_key, key)


def _record_read(context: Context, write: port.RecordRead) -> None:
    session = _session(context, write.session_id)
    version = None if write.version is None else rows.clean_int(write.version)
    seen = port.SeenFile(clean(write.content_hash), version, rows.clean_int(write.read_at_ms))
    context.transaction.put(context.transaction.tables.seen, (session.session_id, clean(write.path)), seen)


def _put_file_version(context: Context, write: port.PutFileVersion) -> None:
    session, tables = _session(context, write.session_id), context.transaction.tables
    key = (session.session_id, clean(write.path))
    context.transaction.put(tables.files, key, (*tables.files.get(key, ()), rows.encode_text(write.content)))


def _put_grant(context: Context, write: port.PutGrant) -> None:
    if write.session_id is not None:
        _session(context, write.session_id)
    tables = context.transaction.tables
    grant = port.Grant(
        rows.clean_text_or_none(write.session_id),
        rows.clean_text_or_none(write.root),
        clean(write.tool),
        clean(write.pattern),
        bool(write.allow),
    )
    for position, old in list(tables.grants.items()):
        if dataclasses.replace(old, allow=grant.allow) == grant:
            context.transaction.remove(tables.grants, position)
    context.transaction.put(tables.grants, context.transaction.next_position(), grant)


def _copy_session(context: Context, write: rules.CopySession) -> Session:
    tables, source = context.transaction.tables, _session(context, write.source_id)
    kept = sorted((tables.messages[key] for key in context.transaction.messages_of(source.session_id)), key=_position)
    originals = [one.row for one in kept]
    if write.at_message_id is not None:
        ids = [row[0] for row in originals]
        if write.at_message_id not in ids:
            raise StoreError(f"session {write.source_id!r} has no message {write.at_message_id!r}")
        originals = originals[: ids.index(write.at_message_id) + 1]
    new_ids = {row[0]: context.new_id() for row in originals}
    summary = write.new_session.summary_message_id
    session = dataclasses.replace(write.new_session, summary_message_id=new_ids.get(summary) if summary else None)
    _insert_session(context, session)
    session_id = clean(session.session_id)
    for row in originals:
        _insert_message(context, (new_ids[row[0]], session_id, *row[2:9], None))
    if write.at_message_id is None:
        for (owner, path), seen in list(tables.seen.items()):
            if owner == source.session_id:
                context.transaction.put(tables.seen, (session_id, path), seen)
    return stored_session(_session(context, session_id))


def _position(kept: MessageRow) -> int:
    return kept.position


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
    PutJournal: lambda context, write: memory_changes.put_journal(context.transaction, write),
    SetVisibleMessages: lambda context, write: memory_changes.set_visible(context.transaction, write),
    rules.CopySession: _copy_session,
}
