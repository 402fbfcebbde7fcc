from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.guarantees.conftest import new_world
from tests.guarantees.world import World


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[World]:
    """A real server beside a model service that says what the test wants."""
    async with new_world(tmp_path) as made:
        yield made
