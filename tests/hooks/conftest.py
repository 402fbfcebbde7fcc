from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.hooks.bench import Bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    root, scripts = tmp_path / "project", tmp_path / "scripts"
    root.mkdir()
    scripts.mkdir()
    made = Bench(root, scripts)
    yield made
    await made.hooks.close()
