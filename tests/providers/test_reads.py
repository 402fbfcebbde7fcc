"""What lies ready is one read; errors come after the data before them; closing is bounded."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from lsp_agent.providers.streaming import Reads


class Broken(Exception):
    pass


async def chunks_of(*items: bytes | Exception | asyncio.Event) -> AsyncIterator[bytes]:
    for item in items:
        if isinstance(item, asyncio.Event):
            await item.wait()
        elif isinstance(item, Exception):
            raise item
        else:
            yield item


async def test_chunks_that_lie_ready_are_one_read():
    later = asyncio.Event()
    reads = Reads(chunks_of(b"a", b"b", b"c", later, b"d", b"e"))
    assert await anext(reads) == b"abc"
    later.set()
    assert [data async for data in reads] == [b"de"]


async def test_an_error_comes_after_what_was_read_before_it():
    reads = Reads(chunks_of(b"a", b"b", Broken()))
    assert await anext(reads) == b"ab"
    with pytest.raises(Broken):
        await anext(reads)


async def test_an_empty_stream_ends():
    assert [data async for data in Reads(chunks_of())] == []


async def test_closing_stops_a_read_that_waits():
    reads = Reads(chunks_of(b"a", asyncio.Event(), b"never"))
    assert await anext(reads) == b"a"
    waiting = asyncio.ensure_future(anext(reads))
    await asyncio.sleep(0)
    waiting.cancel()
    await reads.close(0)
    await reads.close(0)
    assert asyncio.all_tasks() <= {asyncio.current_task(), waiting}


async def test_closing_before_the_first_read_reads_nothing():
    reads = Reads(chunks_of(Broken()))
    await reads.close(0.1)


async def test_closing_with_time_reads_the_end_and_swallows_its_error():
    ended: list[str] = []

    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(0)
        ended.append("end")
        raise Broken

    reads = Reads(chunks())
    assert await anext(reads) == b"a"
    await reads.close(1)
    assert ended == ["end"]


async def test_a_reader_that_is_slow_is_not_overtaken_for_ever():
    taken = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield b"x" * 65_536

    reads = Reads(chunks())
    first = await anext(reads)
    assert len(first) < 8 * 65_536
    assert taken < 8
    assert sum([len(data) async for data in reads]) + len(first) == 100 * 65_536
