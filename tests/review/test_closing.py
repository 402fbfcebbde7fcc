"""One room that fails or hangs while the server ends takes nothing else with it."""

import asyncio
import logging
import time

from lsp_agent.composition.closing import end_all


async def test_a_room_that_fails_or_hangs_does_not_keep_the_others_from_ending(caplog):
    ended: list[str] = []

    async def good() -> None:
        await asyncio.sleep(0)
        ended.append("good")

    async def bad() -> None:
        raise OSError("no")

    async def stuck() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("stuck")

    began_s = time.monotonic()
    with caplog.at_level(logging.ERROR):
        await end_all(0.1, {"bad": bad(), "stuck": stuck(), "good": good()})
    assert time.monotonic() - began_s < 2
    await asyncio.sleep(0)
    assert ended == ["good", "stuck"]
    assert "bad failed: OSError" in caplog.text
    assert "stuck did not end" in caplog.text
