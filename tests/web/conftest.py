from collections.abc import AsyncIterator

import pytest

from tests.tools.doubles import World, make_world
from tests.web.site import Site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = await Site().start()
    yield made
    await made.stop()


@pytest.fixture
async def other() -> AsyncIterator[Site]:
    made = await Site().start()
    yield made
    await made.stop()


@pytest.fixture
def world(tmp_path) -> World:
    root = tmp_path / "w"
    root.mkdir()
    return make_world(root)
