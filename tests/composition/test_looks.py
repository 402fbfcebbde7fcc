"""Short looks at the disk share a thread, and none waits for another that hangs."""

import asyncio
import threading

import pytest

from lsp_agent.composition.looks import Looks


def failing() -> None:
    raise OSError("gone")


async def test_looks_asked_for_at_the_same_moment_share_one_thread():
    looks = Looks(grace_s=30)
    threads = await asyncio.gather(*[looks(threading.get_ident) for _ in range(4)])
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


async def test_each_gets_its_own_answer_and_a_failure_is_only_its_own():
    looks = Looks()
    one, two, three = await asyncio.gather(looks(lambda: 1), looks(failing), looks(lambda: 3), return_exceptions=True)
    assert (one, three) == (1, 3)
    assert isinstance(two, OSError)


async def test_a_look_that_hangs_does_not_take_the_others_along():
    looks, free = Looks(grace_s=0.01), threading.Event()
    before, hanging, *after = [
        asyncio.ensure_future(looks(work)) for work in (lambda: 1, lambda: free.wait(20), lambda: 3, lambda: 4)
    ]
    try:
        async with asyncio.timeout(10):
            assert await asyncio.gather(before, *after) == [1, 3, 4]
        assert not hanging.done()
    finally:
        free.set()
    assert await hanging is True


async def test_two_that_hang_have_a_thread_each():
    looks, free = Looks(grace_s=0.01), threading.Event()
    hanging = [asyncio.ensure_future(looks(lambda: free.wait(20))) for _ in range(2)]
    last = looks(lambda: 3)
    try:
        async with asyncio.timeout(10):
            assert await last == 3
    finally:
        free.set()
    assert await asyncio.gather(*hanging) == [True, True]


async def test_whoever_gives_up_waits_no_longer_and_the_others_are_answered():
    looks, free = Looks(grace_s=30), threading.Event()
    impatient = asyncio.ensure_future(looks(lambda: free.wait(20)))
    patient = asyncio.ensure_future(looks(lambda: 2))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await impatient
    free.set()
    async with asyncio.timeout(10):
        assert await patient == 2
