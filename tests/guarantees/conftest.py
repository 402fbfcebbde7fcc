"""A workspace, a fake model service, a written configuration and real servers, for tests that know only PROTOCOL.md."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.guarantees.checks import check
from tests.guarantees.world import World
from tests.harness.fake_provider import FakeProvider, text


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.process)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Everything one test needs. What every client was sent is checked against PROTOCOL 10 when the test is over."""
    project = tmp_path / "project"
    project.mkdir()
    async with FakeProvider(aside=[text("A short title")]) as fake:
        made = World(tmp_path, project, fake)
        try:
            yield made
            for client in made.clients:
                check(client)
            made.no_secret_anywhere()
        finally:
            await made.close()
