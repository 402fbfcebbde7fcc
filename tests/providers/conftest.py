from collections.abc import AsyncIterator

import pytest

from lsp_agent.ports.provider import Provider
from tests.harness.fake_provider import FakeProvider
from tests.providers.doubles import WAYS, Way, make_provider


@pytest.fixture(params=WAYS, ids=[way.label for way in WAYS])
def dialect(request: pytest.FixtureRequest) -> str:
    """A dialect, over each transport that it has."""
    way: Way = request.param
    return way


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as server:
        yield server


@pytest.fixture
async def provider(dialect: str, fake: FakeProvider) -> AsyncIterator[Provider]:
    made = make_provider(dialect, fake.url)
    yield made
    await made.close()
