import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from lsp_agent.store.memory import MemoryStore
from lsp_agent.store.sqlite import SqliteStore

Opener = Callable[[], "asyncio.Future[SqliteStore]"]


def clock_ms() -> int:
    return 1_800_000_000_000


@pytest.fixture(params=["sqlite", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteStore | MemoryStore]:
    if request.param == "memory":
        made: SqliteStore | MemoryStore = MemoryStore(clock_ms=clock_ms)
    else:
        made = await SqliteStore.open(tmp_path / "data", clock_ms=clock_ms)
    yield made
    await made.close()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = await SqliteStore.open(tmp_path / "data", clock_ms=clock_ms)
    yield made
    await made.close()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    def wait(is_so: Callable[[], bool], seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        for _ in itertools.count():
            if is_so():
                return
            assert time.monotonic() < deadline, "it never became so"
            time.sleep(0.002)

    return wait
