from collections.abc import AsyncIterator

import pytest

from lsp_agent.ports.provider import Provider
from tests.harness.fake_provider import FakeProvider
from tests.providers.doubles import DIALECTS, make_provider


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as server:
        yield server


@pytest.fixture
async def provider(dialect: str, fake: FakeProvider) -> AsyncIterator[Provider]:
    made = make_provider(dialect, fake.url)
    yield made
    await made.close()
