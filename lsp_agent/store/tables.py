"""The tables of the in-memory store, with what SQLite gives for nothing: undo, cascades, unique terminals.

Values are immutable or owned; every change goes through `put` and `remove`, which remember how to take it back.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lsp_agent.domain.run import Run, RunState
from lsp_agent.domain.session import Session
from lsp_agent.ports.changes import JournalEntry
from lsp_agent.ports.store import Grant, SeenFile, StoredEvent

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message as the database would hold it, encoded."""

    position: int
    row: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run and what became of it."""

    position: int
    run: Run
    state: RunState
    stop_reason: str | None = None
    terminal_seq: int | None = None
    into: str | None = None


@dataclass(slots=True)
class Tables:
    """Everything that is committed."""

    sessions: dict[str, Session] = field(default_factory=dict)
    messages: dict[str, MessageRow] = field(default_factory=dict)
    dropped: dict[str, bool] = field(default_factory=dict)
    runs: dict[str, RunRow] = field(default_factory=dict)
    run_keys: dict[str, str] = field(default_factory=dict)
    """Run key by the caller's run id."""
    events: dict[tuple[str, int], StoredEvent] = field(default_factory=dict)
    terminals: dict[str, tuple[str, int]] = field(default_factory=dict)
    """The log row that ended a run, while the log holds it."""
    seen: dict[tuple[str, str], SeenFile] = field(default_factory=dict)
    files: dict[tuple[str, str], tuple[bytes, ...]] = field(default_factory=dict)
    grants: dict[int, Grant] = field(default_factory=dict)
    journal: dict[str, JournalEntry] = field(default_factory=dict)
    """By entry id, in order."""
    texts: dict[str, bytes] = field(default_factory=dict)
    text_users: dict[tuple[str, str], bool] = field(default_factory=dict)
    """(session id, text id)."""
    hidden: dict[str, MessageRow] = field(default_factory=dict)
    last_position: int = 0
    """Only grows, also over a rolled back group, as SQLite's does or may."""

    def copy(self) -> "Tables":
        """An independent copy; the values are shared, nobody changes them."""
        twin = copy.copy(self)
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if isinstance(value, dict):
                setattr(twin, name, dict(value))
        return twin


class Transaction:
    """Changes to `tables` that can be taken back."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._undo: list[Callable[[], None]] = []

    def next_position(self) -> int:
        """A number higher than any before."""
        self.tables.last_position += 1
        return self.tables.last_position

    def put(self, table: dict[K, V], key: K, value: V) -> None:
        """Insert or replace."""
        if key in table:
            old = table[key]
            self._undo.append(lambda: table.__setitem__(key, old))
        else:
            self._undo.append(lambda: table.__delitem__(key))
        table[key] = value

    def remove(self, table: dict[K, V], key: K) -> None:
        """Remove; nothing happens when it is not there."""
        if key in table:
            old = table.pop(key)
            self._undo.append(lambda: table.__setitem__(key, old))

    def roll_back(self) -> None:
        """As if nothing had been changed."""
        while self._undo:
            self._undo.pop()()

    def drop_session(self, session_id: str) -> None:
        """The session with everything that belongs to it, and its children."""
        tables = self.tables
        if session_id not in tables.sessions:
            return
        for child in [key for key, session in tables.sessions.items() if session.parent_session_id == session_id]:
            self.drop_session(child)
        for key in list(self.messages_of(session_id)):
            self.remove(tables.messages, key)
        for run_key in [key for key, row in tables.runs.items() if row.run.session_id == session_id]:
            run_id = tables.runs[run_key].run.run_id
            if run_id is not None:
                self.remove(tables.run_keys, run_id)
            self.remove(tables.runs, run_key)
        for event_key in [key for key in tables.events if key[0] == session_id]:
            self.remove(tables.events, event_key)
        for ended in [key for key, where in tables.terminals.items() if where[0] == session_id]:
            self.remove(tables.terminals, ended)
        for path in [key for key in tables.seen if key[0] == session_id]:
            self.remove(tables.seen, path)
        for path in [key for key in tables.files if key[0] == session_id]:
            self.remove(tables.files, path)
        for position in [key for key, grant in tables.grants.items() if grant.session_id == session_id]:
            self.remove(tables.grants, position)
        self._drop_changes(session_id)
        self.remove(tables.sessions, session_id)

    def _drop_changes(self, session_id: str) -> None:
        tables = self.tables
        for entry_id in [key for key, entry in tables.journal.items() if entry.session_id == session_id]:
            self.remove(tables.journal, entry_id)
        for message_id in [key for key, kept in tables.hidden.items() if kept.row[1] == session_id]:
            self.remove(tables.hidden, message_id)
        for user in [key for key in tables.text_users if key[0] == session_id]:
            self.remove(tables.text_users, user)
        used = {text_id for _, text_id in tables.text_users}
        for text_id in [key for key in tables.texts if key not in used]:
            self.remove(tables.texts, text_id)

    def messages_of(self, session_id: str) -> Iterator[str]:
        """Ids of a session's messages, in no order."""
        return (key for key, kept in self.tables.messages.items() if kept.row[1] == session_id)
