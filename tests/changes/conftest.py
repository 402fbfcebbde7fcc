"""A world over the real database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lsp_agent.store.sqlite import SqliteStore
from tests.changes.world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = await SqliteStore.open(tmp_path / "data", clock_ms=lambda: 1_800_000_000_000)
    made = await World(tmp_path / "project", store).begin()
    yield made
    made.close()
    await store.close()
