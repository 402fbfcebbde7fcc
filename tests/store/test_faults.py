import asyncio
import contextlib
import sqlite3
from collections.abc import Coroutine, Generator
from typing import Any

import pytest

from lsp_agent.domain.errors import StoreError
from lsp_agent.domain.message import Message, Role, TextPart
from lsp_agent.domain.run import Run
from lsp_agent.domain.session import Session
from lsp_agent.ports.store import AcceptRun, AppendEvent, DropMessage, PutMessage, PutSession
from lsp_agent.store import batch, opening
from lsp_agent.store.sqlite import SqliteStore


class CancelledAtStep:
    """Drives a coroutine and cancels it at its n-th suspension. `is_over` tells whether it ended before."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], step: int) -> None:
        self._coroutine = coroutine
        self._step = step
        self.is_over = False

    def __await__(self) -> Generator[Any, Any, None]:
        with contextlib.suppress(StopIteration, asyncio.CancelledError):
            waiting_for = self._coroutine.send(None)
            for _ in range(self._step):
                yield waiting_for
                waiting_for = self._coroutine.send(None)
            self._coroutine.throw(asyncio.CancelledError())
            self._coroutine.close()
            return
        self.is_over = True


def put(name: str, text: str) -> PutMessage:
    return PutMessage(Message(name, "s1", Role.USER, [TextPart(text)]))


async def in_transaction(store: SqliteStore) -> bool:
    return await opening.execute(store._writer, lambda connection: connection.in_transaction)


async def test_cancelling_anywhere_leaves_no_transaction_open(sqlite):
    await sqlite.write([PutSession(Session("s1"))])
    made = 0

    async def work() -> None:
        nonlocal made
        made += 1
        await sqlite.write([put(f"m{made}", "a"), AppendEvent("s1", made, b"{}")])
        await sqlite.messages("s1", limit=1)
        sqlite.write([put(f"m{made}", "b")])
        await sqlite.flush()
        await sqlite.copy_session("s1", Session(f"f{made}"))

    for step in range(30):
        await CancelledAtStep(work(), step)
        assert not await in_transaction(sqlite)
        (state,) = await sqlite.write([AcceptRun(Run(f"k{step}", "s1", None, "m", "p"))])
        assert state.session.seq == made
    assert len((await sqlite.messages("s1"))[0]) == made


async def test_cancelling_open_anywhere_frees_the_directory(tmp_path):
    async def open_and_close() -> None:
        store = await SqliteStore.open(tmp_path, clock_ms=lambda: 0)
        await store.close()

    for step in range(12):
        await CancelledAtStep(open_and_close(), step)
        store = await opened_once_free(tmp_path)
        await store.write([PutSession(Session(f"s{step}"))])
        assert store.notices == []
        await store.close()


async def opened_once_free(data_dir) -> SqliteStore:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(StoreError):
                return await SqliteStore.open(data_dir, clock_ms=lambda: 0)
            await asyncio.sleep(0)


async def test_cancelling_every_task_strands_no_waiter(sqlite):
    future = sqlite.write([PutSession(Session("s1"))])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in asyncio.all_tasks():
        if task.get_name() == "store-commit":
            task.cancel()
    with pytest.raises(StoreError):
        await future
    await sqlite.write([PutSession(Session("s2"))])
    assert await sqlite.session("s1") is not None
    assert not await in_transaction(sqlite)


async def test_F08_a_full_disk_fails_what_does_not_fit_and_recovers(sqlite, tmp_path):
    await sqlite.write([PutSession(Session("s1"))])
    pages = await opening.execute(sqlite._writer, lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await opening.execute(sqlite._writer, lambda c: c.execute(f"PRAGMA max_page_count = {pages + 3}").fetchone())
    assert (tmp_path / "data" / "lsp-agent.ballast").exists()
    big = sqlite.write([put("big", "x" * 100_000)])
    small = sqlite.write([AppendEvent("s1", 1, b"{}")])
    with pytest.raises(StoreError) as full:
        await big
    assert full.value.retryable
    await small
    assert not (tmp_path / "data" / "lsp-agent.ballast").exists()
    assert (await sqlite.messages("s1"))[0] == []
    assert not await in_transaction(sqlite)
    await opening.execute(sqlite._writer, lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchone())
    await sqlite.write([put("big", "x" * 100_000)])
    assert (await sqlite.session("s1")).message_count == 1


async def test_F11_a_database_held_by_another_program_is_waited_for_and_then_reported(sqlite, tmp_path):
    await opening.execute(sqlite._writer, lambda c: c.execute("PRAGMA busy_timeout = 60"))
    holder = sqlite3.connect(tmp_path / "data" / "lsp-agent.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    futures = [sqlite.write([PutSession(Session(f"s{number}"))]) for number in range(3)]
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert all(isinstance(one, StoreError) and one.retryable for one in outcomes)
    assert "another program" in str(outcomes[0])
    assert await sqlite.sessions(limit=1) == ([], None)
    holder.execute("ROLLBACK")
    holder.close()
    await sqlite.write([PutSession(Session("s1"))])


async def test_F10_after_a_disk_error_the_database_is_opened_again_and_checked(sqlite, monkeypatch):
    await sqlite.write([PutSession(Session("s1"))])
    old, real = sqlite._writer, batch.commit

    def broken(context, groups, make_room):
        monkeypatch.setattr(batch, "commit", real)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        return batch._given_up(context, [batch.store_error(error)] * len(groups), error)

    monkeypatch.setattr(batch, "commit", broken)
    with pytest.raises(StoreError, match="not safe"):
        await sqlite.write([PutSession(Session("lost"))])
    await sqlite.write([PutSession(Session("s2"))])
    assert sqlite._writer is not old
    assert await sqlite.session("s1") is not None
    assert await sqlite.session("lost") is None


async def test_damage_met_at_work_is_checked_at_the_next_start(tmp_path):
    store = await SqliteStore.open(tmp_path, clock_ms=lambda: 0)
    store._is_damaged = True
    await store.close()
    assert (tmp_path / "lsp-agent.db.open").exists()


def test_saves_of_one_message_are_merged_at_its_first_place():
    groups = [[put("a", "1"), put("b", "1")], [put("a", "2")], [AppendEvent("s1", 1, b"")], [put("a", "3")]]
    assert batch.merge_saves(groups) == [[put("a", "3"), put("b", "1")], [None], [AppendEvent("s1", 1, b"")], [None]]
    assert batch.merge_saves([[put("a", "1")], [DropMessage("a")], [put("a", "2")]]) is None


async def test_many_waiting_groups_leave_in_one_transaction(sqlite, monkeypatch):
    sizes, real = [], batch.commit

    def counting(context, groups, make_room):
        sizes.append(len(groups))
        return real(context, groups, make_room)

    monkeypatch.setattr(batch, "commit", counting)
    await asyncio.gather(*[sqlite.write([PutSession(Session(f"s{number}"))]) for number in range(50)])
    assert sizes == [50]


async def test_aiosqlite_still_runs_whole_functions_in_one_thread():
    """Canary: what we use of aiosqlite's inside (`_execute`, `_conn`, `_thread`) is there and behaves."""
    connection = await opening.start_thread(lambda: sqlite3.connect(":memory:", check_same_thread=True))
    assert connection._thread.daemon
    order: list[int] = []
    waiting = [asyncio.ensure_future(opening.execute(connection, lambda _, n=n: order.append(n))) for n in range(5)]
    await asyncio.sleep(0)
    waiting[2].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await opening.execute(connection, lambda one: one.execute("SELECT 1").fetchone()) == (1,)
    assert order == [0, 1, 2, 3, 4]
    await connection.close()
    with pytest.raises(ValueError):
        await opening.execute(connection, lambda _: None)
