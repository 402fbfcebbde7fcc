"""One transaction: many groups of writes committed together, each of them atomic by itself.

Runs whole in the database thread; between BEGIN and COMMIT nothing can be cancelled. Knows nothing of the event loop.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lsp_agent.domain.errors import StoreError
from lsp_agent.ports.changes import SetVisibleMessages
from lsp_agent.ports.store import DropMessage, DropSession, PutMessage
from lsp_agent.store import rules, writes

Writes = Sequence[rules.StoredWrite]
Outcome = Sequence[Any] | StoreError

DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_HOPELESS = DAMAGE | {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
"""Errors that the groups of a batch would each meet again."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What became of a batch: one outcome a group, in order."""

    outcomes: list[Outcome]
    is_connection_dead: bool = False
    """The disk failed: nothing the connection says can be believed (RELIABILITY F10)."""
    is_damaged: bool = False
    """The file is not whole any more."""


class _TransactionLostError(Exception):
    """SQLite rolled the whole transaction back, or it must be: nothing of the batch is there."""

    def __init__(self, cause: sqlite3.Error) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _ReplayError(Exception):
    """A group failed in a batch whose saves were merged: do it again without merging."""


def commit(context: writes.Context, groups: Sequence[Writes], make_room: Callable[[], bool]) -> Committed:
    """Commit `groups` in order. `make_room` is asked once when the disk is full; True = there is room again."""
    try:
        return Committed(_whole(context, groups))
    except _TransactionLostError as lost:
        cause = lost.cause
    if primary_code(cause) == sqlite3.SQLITE_FULL and make_room():
        try:
            return Committed(_whole(context, groups))
        except _TransactionLostError as lost:
            cause = lost.cause
    if primary_code(cause) in _HOPELESS:
        return _given_up(context, [store_error(cause)] * len(groups), cause)
    return _one_by_one(context, groups)


def _given_up(context: writes.Context, outcomes: list[Outcome], cause: sqlite3.Error) -> Committed:
    code = primary_code(cause)
    is_dead = code == sqlite3.SQLITE_IOERR or context.connection.in_transaction
    return Committed(outcomes, is_connection_dead=is_dead, is_damaged=code in DAMAGE)


def _one_by_one(context: writes.Context, groups: Sequence[Writes]) -> Committed:
    outcomes: list[Outcome] = []
    for group in groups:
        try:
            outcomes += _transaction(context, [group])
        except _TransactionLostError as lost:
            outcomes.append(store_error(lost.cause))
            if primary_code(lost.cause) in _HOPELESS:
                outcomes += [store_error(lost.cause)] * (len(groups) - len(outcomes))
                return _given_up(context, outcomes, lost.cause)
    return Committed(outcomes, is_connection_dead=context.connection.in_transaction)


def _whole(context: writes.Context, groups: Sequence[Writes]) -> list[Outcome]:
    merged = merge_saves(groups)
    if merged is None:
        return _transaction(context, groups)
    try:
        return _transaction(context, merged, must_all_succeed=True)
    except _ReplayError:
        return _transaction(context, groups)


def _transaction(
    context: writes.Context, groups: Sequence[Sequence[rules.StoredWrite | None]], *, must_all_succeed: bool = False
) -> list[Outcome]:
    connection = context.connection
    try:
        connection.execute("BEGIN IMMEDIATE")
        outcomes = [_group(context, group) for group in groups]
        if must_all_succeed and any(isinstance(done, StoreError) or rules.is_rejected(done) for done in outcomes):
            raise _ReplayError
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise _TransactionLostError(error) from error
    finally:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # then it is still in one, and given up above
                connection.execute("ROLLBACK")
    return outcomes


def _group(context: writes.Context, group: Sequence[rules.StoredWrite | None]) -> Outcome:
    connection = context.connection
    connection.execute("SAVEPOINT one_group")
    try:
        results = [None if write is None else writes.apply(context, write) for write in group]
    except (*rules.REFUSALS, sqlite3.Error) as error:
        fatal = isinstance(error, sqlite3.Error) and primary_code(error) not in _ALONE
        if fatal or not connection.in_transaction:
            raise _TransactionLostError(
                error if isinstance(error, sqlite3.Error) else sqlite3.DatabaseError()
            ) from error
        _undo(connection)
        return store_error(error)
    if rules.is_rejected(results):
        _undo(connection)
        return results
    connection.execute("RELEASE one_group")
    return results


_ALONE = frozenset({sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE})
"""Errors of one statement that leave the transaction whole."""


def _undo(connection: sqlite3.Connection) -> None:
    connection.execute("ROLLBACK TO one_group")
    connection.execute("RELEASE one_group")


def merge_saves(groups: Sequence[Writes]) -> list[list[rules.StoredWrite | None]] | None:
    """`groups` with every message saved once, in its last state at its first place; None when nothing can be merged.

    A write in between that could make a later save mean something else (a drop) ends the merging of what is before it.
    """
    first: dict[str, tuple[int, int, str]] = {}
    merged: list[list[rules.StoredWrite | None]] = [list(group) for group in groups]
    is_merged = False
    for number, group in enumerate(groups):
        for index, write in enumerate(group):
            if isinstance(write, PutMessage):
                message = write.message
                place = first.get(message.message_id)
                if place is None or place[2] != message.session_id:
                    first[message.message_id] = (number, index, message.session_id)
                    continue
                merged[place[0]][place[1]] = write
                merged[number][index] = None
                is_merged = True
            elif isinstance(write, DropMessage | DropSession | SetVisibleMessages | rules.CopySession):
                first.clear()
    return merged if is_merged else None


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 when it has none."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def store_error(error: Exception) -> StoreError:
    """Any failure as the store's own, with a text for people. Chained by the caller where it raises."""
    if not isinstance(error, sqlite3.Error):
        return rules.refusal(error)
    code = primary_code(error)
    if code == sqlite3.SQLITE_FULL:
        return StoreError("the disk is full: the session database cannot be written", retryable=True)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError("another program holds the session database", retryable=True)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreError("the session database cannot be written: check the rights of the data directory")
    if code == sqlite3.SQLITE_IOERR:
        return StoreError("the disk reported an error: the last writes are not safe", retryable=True)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreError("the session database is damaged; it is set aside at the next start")
    if code == sqlite3.SQLITE_CONSTRAINT:
        return StoreError(f"the session database refused a write: {error}")
    return StoreError(f"the session database failed: {error}")
