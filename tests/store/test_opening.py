import os
import sqlite3

import pytest

from lsp_agent.domain.errors import StoreError
from lsp_agent.domain.session import Session
from lsp_agent.ports.store import PutSession
from lsp_agent.store import migrations, opening
from lsp_agent.store.opening import Files
from lsp_agent.store.sqlite import SqliteStore


async def opened(data_dir) -> SqliteStore:
    return await SqliteStore.open(data_dir, clock_ms=lambda: 1234)


async def filled(data_dir) -> Files:
    store = await opened(data_dir)
    await store.write([PutSession(Session(f"s{number}", title="t" * 500)) for number in range(200)])
    await store.close()
    return Files(data_dir)


async def test_files_are_ours_alone_and_a_clean_close_leaves_no_journal(tmp_path):
    store = await opened(tmp_path / "data")
    await store.write([PutSession(Session("s1"))])
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"lsp-agent.db", "lsp-agent.db-wal", "lsp-agent.db.open"} <= set(modes)
    await store.close()
    left = {path.name for path in (tmp_path / "data").iterdir()}
    assert left == {"lsp-agent.db", "lsp-agent.lock", "lsp-agent.ballast"}


async def test_the_connections_are_set_as_the_design_says(sqlite):
    def ask(connection, *names):
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "secure_delete", "temp_store", "mmap_size")
    settings = await opening.execute(sqlite._writer, lambda connection: ask(connection, *names))
    assert settings == ["wal", 2, 1, 5000, 1, 2, 0]
    settings = await opening.execute(
        sqlite._reader, lambda connection: ask(connection, "query_only", "wal_autocheckpoint")
    )
    assert settings == [1, 0]


async def test_F13_a_garbage_file_is_set_aside_and_the_user_told(tmp_path):
    (tmp_path / "lsp-agent.db").write_bytes(b"this is no database " * 500)
    store = await opened(tmp_path)
    (notice,) = store.notices
    assert "lsp-agent.damaged-1234.db" in notice
    assert (tmp_path / "lsp-agent.damaged-1234.db").read_bytes().startswith(b"this is no database")
    assert await store.unfinished_runs() == []
    await store.close()


async def test_F13_another_programs_database_is_set_aside(tmp_path):
    other = sqlite3.connect(tmp_path / "lsp-agent.db")
    other.execute("CREATE TABLE sessions (x)")
    other.close()
    store = await opened(tmp_path)
    assert "belongs to another program" in store.notices[0]
    await store.close()


async def test_F13_an_empty_file_is_a_new_database(tmp_path):
    (tmp_path / "lsp-agent.db").touch(0o600)
    store = await opened(tmp_path)
    assert store.notices == []
    await store.close()


async def test_F12_a_damaged_page_is_found_after_an_unclean_end(tmp_path):
    files = await filled(tmp_path)
    with files.database.open("r+b") as database:
        database.seek(4096 * 8)
        database.write(os.urandom(4096 * 12))
    files.marker.touch()
    files.journal.touch()
    store = await opened(tmp_path)
    assert "damaged" in store.notices[0]
    assert await store.sessions(limit=1) == ([], None)
    await store.close()
    again = await opened(tmp_path)
    assert again.notices == []
    await again.close()


async def test_F14_a_journal_that_is_gone_is_reported(tmp_path):
    files = await filled(tmp_path)
    files.marker.touch()
    store = await opened(tmp_path)
    assert "journal" in store.notices[0]
    assert len((await store.sessions(limit=500))[0]) == 200
    await store.close()


async def test_F13_a_newer_schema_is_refused_and_left_alone(tmp_path):
    files = await filled(tmp_path)
    database = sqlite3.connect(files.database)
    database.execute("PRAGMA user_version = 99")
    database.close()
    before = files.database.read_bytes()
    for _ in range(2):  # the lock is free again after the refusal
        with pytest.raises(StoreError, match="newer lsp-agent"):
            await opened(tmp_path)
    assert files.database.read_bytes()[100:] == before[100:]


async def test_F15_a_database_that_cannot_be_opened_is_a_clear_error(tmp_path):
    (tmp_path / "lsp-agent.db").mkdir()
    with pytest.raises(StoreError, match="data directory"):
        await opened(tmp_path)


def test_a_migration_keeps_the_data_and_a_copy_of_the_old_file(tmp_path):
    files, first = Files(tmp_path), migrations.scripts()
    connection = opening.open_writer(files, now_ms=0, notices=[], scripts=first)
    connection.execute("INSERT INTO meta VALUES ('k', 'v')")
    connection.close()
    newer = (*first, "ALTER TABLE meta ADD COLUMN note TEXT; UPDATE meta SET note = value || '!';")
    connection = opening.open_writer(files, now_ms=0, notices=[], scripts=newer)
    assert connection.execute("SELECT * FROM meta").fetchall() == [("k", "v", "v!")]
    assert migrations.version_of(connection) == len(newer)
    opening.close_writer(files, connection)
    copy = sqlite3.connect(tmp_path / f"lsp-agent.schema-{len(first)}.db")
    assert copy.execute("SELECT * FROM meta").fetchall() == [("k", "v")]
    copy.close()
    assert (tmp_path / f"lsp-agent.schema-{len(first)}.db").stat().st_mode & 0o777 == 0o600


def test_F03_a_migration_that_fails_half_way_leaves_the_old_schema(tmp_path):
    files, first = Files(tmp_path), migrations.scripts()
    opening.open_writer(files, now_ms=0, notices=[], scripts=first).close()
    broken = (*first, "CREATE TABLE half (x); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(StoreError):
        opening.open_writer(files, now_ms=0, notices=[], scripts=broken)
    connection = opening.open_writer(files, now_ms=0, notices=[], scripts=first)
    assert migrations.version_of(connection) == len(first)
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone() == (0,)
    connection.close()


def test_the_schema_itself_refuses_a_second_terminal_event(tmp_path):
    connection = opening.open_writer(Files(tmp_path), now_ms=0, notices=[])
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("INSERT INTO events VALUES ('s', 1, x'', 'k')")
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO events VALUES ('s', 2, x'', 'k')")
    connection.close()
