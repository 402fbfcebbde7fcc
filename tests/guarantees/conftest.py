"""A workspace, a fake model service, a written configuration and real servers, for tests that know only PROTOCOL.md.

`world` is one test's own; `shared` is one server for a module whose tests use sessions of their own (such a module has
`pytestmark = pytest.mark.asyncio(loop_scope="module")`).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.guarantees.checks import check
from tests.guarantees.contract import check_contract
from tests.guarantees.world import Shared, World
from tests.harness.fake_provider import FakeProvider, text, usage


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.process)


@asynccontextmanager
async def new_world(home: Path) -> AsyncIterator[World]:
    """What every client was sent is checked against PROTOCOL 10 when it is over."""
    project = home / "project"
    project.mkdir()
    async with FakeProvider(aside=[text("A short title")], fallback=[text("ok"), usage(1, 1)]) as fake:
        made = World(home, project, fake)
        try:
            yield made
            for client in made.clients:
                check(client)
                check_contract(client)
            made.no_secret_anywhere()
        finally:
            await made.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> AsyncIterator[Shared]:
    """One server for the module; the module may define `configure(world)`."""
    async with new_world(tmp_path_factory.mktemp("shared")) as made:
        configure = getattr(request.module, "configure", None)
        if configure is not None:
            configure(made)
        client = await made.start()
        yield Shared(made, client, made.fake)


@pytest_asyncio.fixture(loop_scope="module")
async def shared(served: Shared) -> AsyncIterator[Shared]:
    """The module's server, with no turns left of the test before."""
    served.fake.turns.clear()
    served.fake.requests.clear()
    served.client.recorded.clear()
    yield served
    check(served.client)
    check_contract(served.client)
