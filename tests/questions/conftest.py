from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.subagents.bench import Bench, open_bench


@pytest.fixture
async def bench(tmp_path) -> AsyncIterator[Any]:
    opened: list[Bench] = []

    async def make(*script: dict[str, Any], **options: Any) -> Bench:
        made = await open_bench(tmp_path, *script, **options)
        opened.append(made)
        return made

    yield make
    for made in opened:
        await made.close()
