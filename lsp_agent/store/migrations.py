"""The numbered schema changes, and how a database is brought up to the newest.

Script N turns schema N−1 into schema N in one transaction that also sets `user_version`, so a crash in the middle
leaves the schema that was.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from importlib import resources

from lsp_agent.domain.errors import StoreError


def scripts() -> tuple[str, ...]:
    """Every migration, first to last, as SQL."""
    folder = resources.files("lsp_agent.store")
    return tuple([folder.joinpath(name).read_text(encoding="utf-8") for name in ("schema.sql", "schema-2.sql")])


def version_of(connection: sqlite3.Connection) -> int:
    """The schema a database has; 0 = none yet."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def migrate(connection: sqlite3.Connection, migrations: Sequence[str], backup: Callable[[int], None]) -> None:
    """Bring the database to schema `len(migrations)`.

    `backup(version)` is called once, before the first change to a database that has a schema.
    Raises: StoreError for a schema newer than ours, sqlite3.Error when a script fails (nothing of it stays).
    """
    have = version_of(connection)
    if have > len(migrations):
        raise StoreError(
            f"the session database was written by a newer lsp-agent (schema {have}, this one knows {len(migrations)});"
            " update lsp-agent or use another data directory"
        )
    if 0 < have < len(migrations):
        backup(have)
    for number in range(have + 1, len(migrations) + 1):
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{migrations[number - 1]}\n;PRAGMA user_version = {number};\nCOMMIT;"
            )
        except sqlite3.Error:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise
