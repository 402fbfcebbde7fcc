import asyncio
from collections.abc import Callable

import pytest

from lsp_agent.domain.errors import StoreError
from lsp_agent.domain.session import Session
from lsp_agent.ports.store import PutSession
from lsp_agent.store.memory import MemoryStore


async def test_a_crash_keeps_what_was_committed_and_nothing_else():
    turns: list[Callable[[], None]] = []
    store = MemoryStore(schedule=turns.append)
    first = store.write([PutSession(Session("a"))])
    turns.pop(0)()
    store.write([PutSession(Session("b"))])
    snapshot = store.snapshot()
    assert not first.done()
    turns.pop(0)()
    assert first.done()
    restored = MemoryStore.restore(snapshot)
    assert await restored.session("a") is not None
    assert await restored.session("b") is None
    await restored.write([PutSession(Session("c"))])
    assert "c" not in snapshot.sessions


async def test_nothing_is_committed_in_the_turn_it_was_submitted():
    store = MemoryStore()
    future = store.write([PutSession(Session("a"))])
    assert store.snapshot().sessions == {}
    await future
    assert "a" in store.snapshot().sessions


async def test_failures_and_slowness_can_be_ordered():
    store = MemoryStore()
    store.fail_next(2, StoreError("ordered"))
    store.slow_s = 0.001
    outcomes = await asyncio.gather(
        *[store.write([PutSession(Session(name))]) for name in "abc"], return_exceptions=True
    )
    assert [isinstance(one, StoreError) for one in outcomes] == [True, True, False]
    store.fail_next()
    with pytest.raises(StoreError):
        await store.write([PutSession(Session("d"))])
    assert [one.session_id for one in (await store.sessions(limit=9))[0]] == ["c"]
