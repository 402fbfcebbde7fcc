"""One server for the module, to which every test connects as an editor of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.harness.client import Client
from tests.tier0.plain import configure


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def home(tmp_path_factory) -> AsyncIterator[Path]:
    """The folder of a running server: `project`, `data`, and `server.sock` to connect to."""
    folder = tmp_path_factory.mktemp("tier0")
    (folder / "project").mkdir()
    env = configure(folder)
    client = await Client.start(folder, "--socket", str(folder / "s.sock"), env=env, cwd=folder / "project")
    try:
        await client.initialize(root=folder / "project")
        yield folder
        assert "Traceback" not in client.stderr, client.stderr
    finally:
        await client.aclose()
