"""Opening the database file: its rights, its settings, its health, and what happens when it has none.

Everything here runs in the database thread, before the first request is served. A file that cannot be used is set
aside, never deleted, and the user is told.
"""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from lsp_agent.domain.errors import StoreError
from lsp_agent.store import batch, migrations

DATABASE_NAME = "lsp-agent.db"
APPLICATION_ID = 1280524615
BUSY_TIMEOUT_MS = 5000
BALLAST_BYTES = 1 << 20

_WRITER_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -8000",
    "PRAGMA mmap_size = 0",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA wal_autocheckpoint = 1000",
    "PRAGMA journal_size_limit = 67108864",
)
_READER_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA query_only = ON",
    "PRAGMA wal_autocheckpoint = 0",  # one connection checkpoints: the writer (WAL-reset race of SQLite before 3.51.3)
    "PRAGMA temp_store = MEMORY",
    "PRAGMA mmap_size = 0",
    "PRAGMA trusted_schema = OFF",
)


@dataclass(frozen=True, slots=True)
class Files:
    """The names in a data directory."""

    data_dir: Path

    @property
    def database(self) -> Path:
        return self.data_dir / DATABASE_NAME

    @property
    def journal(self) -> Path:
        """SQLite's write-ahead log; removed by a clean close."""
        return self.data_dir / f"{DATABASE_NAME}-wal"

    @property
    def marker(self) -> Path:
        """There while the database is open, so that a start after a crash knows it."""
        return self.data_dir / f"{DATABASE_NAME}.open"

    @property
    def ballast(self) -> Path:
        """Space in reserve: given back when the disk is full, so that runs can still be ended (RELIABILITY F08)."""
        return self.data_dir / "lsp-agent.ballast"


T = TypeVar("T")


class _DamagedError(Exception):
    """The file is not a database of ours that can be trusted."""


async def start_thread(connector: Callable[[], sqlite3.Connection]) -> aiosqlite.Connection:
    """An aiosqlite connection, opened by `connector` in its own thread, which never keeps a process from ending.

    Only `_execute` and `close` of it are used: it runs whole functions in the thread that owns the connection.
    Raises: what `connector` raises (StoreError), once the thread has ended.
    """
    failures: list[StoreError] = []

    def connect() -> sqlite3.Connection:
        try:
            return connector()
        except StoreError as error:
            # aiosqlite does not wait for its thread when connecting fails; closing something that is open does.
            failures.append(error)
            return sqlite3.connect(":memory:", check_same_thread=False)

    connection = aiosqlite.Connection(connect, iter_chunk_size=64)
    connection._thread.daemon = True
    connection = await connection
    if failures:
        await connection.close()
        raise failures[0]
    return connection


async def execute(connection: aiosqlite.Connection, function: Callable[[sqlite3.Connection], T]) -> T:
    """Run `function` whole in the thread of `connection`. Cancelling the wait does not stop it."""
    thread: Any = connection
    result: T = await thread._execute(lambda: function(thread._conn))
    return result


def open_writer(
    files: Files,
    *,
    now_ms: int,
    notices: list[str],
    is_reconnect: bool = False,
    scripts: Sequence[str] | None = None,
) -> sqlite3.Connection:
    """The one connection that writes: made, checked after an unclean end, migrated.

    What the user should know is appended to `notices`. A reconnect checks always and sets nothing aside: the agent has
    sessions in its memory that a fresh database would not know. Raises: StoreError.
    """
    try:
        is_unclean = is_reconnect or _ended_uncleanly(files, notices)
        try:
            connection = _open_checked(files, is_unclean, scripts)
        except _DamagedError as damage:
            if is_reconnect:
                raise StoreError("the session database is damaged; it is set aside at the next start") from damage
            notices.append(_set_aside(files, now_ms, str(damage)))
            connection = _open_checked(files, False, scripts)
        with contextlib.suppress(OSError):  # a full disk must not keep us from starting
            files.marker.touch(mode=0o600)
    except sqlite3.Error as error:
        raise batch.store_error(error) from error
    except OSError as error:
        raise StoreError(f"the data directory {files.data_dir} cannot be used: {error.strerror}") from error
    _reserve_space(files)
    return connection


def open_reader(files: Files) -> sqlite3.Connection:
    """The connection that reads. Raises: StoreError."""
    try:
        connection = _connect(files.database, _READER_PRAGMAS)
    except sqlite3.Error as error:
        raise batch.store_error(error) from error
    connection.create_function("folded", 1, str.casefold, deterministic=True)
    return connection


def close_writer(files: Files, connection: sqlite3.Connection) -> None:
    """Close for good: the journal is merged, and the next start knows that all is well.

    The marker goes first: a crash in between leaves a journal, which tells the next start as much.
    """
    files.marker.unlink(missing_ok=True)
    connection.close()


def make_room(files: Files) -> bool:
    """Give the reserve back. True when there was one."""
    try:
        files.ballast.unlink()
    except OSError:
        return False
    return True


def _ended_uncleanly(files: Files, notices: list[str]) -> bool:
    has_journal = files.journal.exists() and files.journal.stat().st_size > 0
    if not files.marker.exists():
        return has_journal
    if files.database.exists() and not files.journal.exists():
        notices.append(
            f"The journal {files.journal.name} of the session database is gone since the last run:"
            " the most recent work may be missing."
        )
    return True


def _open_checked(files: Files, must_check: bool, scripts: Sequence[str] | None) -> sqlite3.Connection:
    _create(files.database)
    connection: sqlite3.Connection | None = None
    try:
        connection = _connect(files.database, ())
        _check(connection, must_check)
        for pragma in _WRITER_PRAGMAS:
            connection.execute(pragma)
        known = migrations.scripts() if scripts is None else scripts
        migrations.migrate(connection, known, partial(_back_up, connection, files))
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error) and batch.primary_code(error) in (
            sqlite3.SQLITE_CORRUPT,
            sqlite3.SQLITE_NOTADB,
        ):
            raise _DamagedError(str(error)) from error
        raise
    return connection


def _create(database: Path) -> None:
    """The file must be ours alone before SQLite writes to it; its journal inherits the rights."""
    if database.exists():
        return
    os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    directory = os.open(database.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _connect(database: Path, pragmas: Sequence[str]) -> sqlite3.Connection:
    connection = sqlite3.connect(
        database, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        for pragma in pragmas:
            connection.execute(pragma)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, must_check: bool) -> None:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and application_id != APPLICATION_ID:
        raise _DamagedError("it belongs to another program")
    if must_check and tables:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise _DamagedError(str(verdict))


def _set_aside(files: Files, now_ms: int, reason: str) -> str:
    name, number = f"lsp-agent.damaged-{now_ms}.db", 0
    while (files.data_dir / name).exists():
        number += 1
        name = f"lsp-agent.damaged-{now_ms}-{number}.db"
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            (files.data_dir / f"{DATABASE_NAME}{suffix}").rename(files.data_dir / f"{name}{suffix}")
    return f"The session database was damaged ({reason}). It was kept as {name}, and a new one was started."


def _back_up(connection: sqlite3.Connection, files: Files, version: int) -> None:
    target = files.data_dir / f"lsp-agent.schema-{version}.db"
    partial_copy = target.with_suffix(".part")
    partial_copy.unlink(missing_ok=True)
    os.close(os.open(partial_copy, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    copy = sqlite3.connect(partial_copy)
    try:
        connection.backup(copy)
    finally:
        copy.close()
    partial_copy.replace(target)


def _reserve_space(files: Files) -> None:
    if files.ballast.exists() or shutil.disk_usage(files.data_dir).free < 16 * BALLAST_BYTES:
        return
    try:
        descriptor = os.open(files.ballast, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, BALLAST_BYTES)
        finally:
            os.close(descriptor)
    except OSError:
        pass  # a file system without room or without the call: there is just no reserve
