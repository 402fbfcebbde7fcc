import asyncio

import pytest

from tests.simulation.loop import SimLoop, Stuck


def orders(seed):
    loop = SimLoop(seed)
    seen = []

    async def note(name):
        await asyncio.sleep(0)
        seen.append(name)

    async def main():
        await asyncio.gather(*(note(name) for name in "abcdefgh"))

    loop.run_until_complete(main())
    loop.close()
    return "".join(seen)


def test_one_seed_is_one_order_and_seeds_differ():
    assert orders(1) == orders(1)
    assert len({orders(seed) for seed in range(20)}) > 10


def test_the_clock_jumps_to_the_next_timer():
    loop = SimLoop(0)

    async def main():
        started = loop.time()
        await asyncio.sleep(3000)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(50)
        return loop.time() - started

    assert loop.run_until_complete(main()) == pytest.approx(3005)
    loop.close()


def test_waiting_for_what_never_comes_is_noticed():
    loop = SimLoop(0)
    task = loop.create_task(asyncio.sleep(0))
    loop.run_until_complete(task)

    async def wait():
        await loop.create_future()

    with pytest.raises(Stuck):
        loop.run_until_complete(wait())
    loop.abandon()


def test_the_private_names_it_stands_on_exist():
    loop = SimLoop(0)
    loop.call_soon(int)
    loop.call_later(1, int)
    assert len(loop._ready) == 1
    assert loop._scheduled[0]._when == pytest.approx(1)
    loop.close()
