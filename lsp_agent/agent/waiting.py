"""Waiting for tasks in a way that a cancellation cannot leave half done."""

import asyncio
from collections.abc import Collection
from typing import Any


async def ended(tasks: Collection["asyncio.Future[Any]"], timeout_s: float) -> bool:
    """Wait until all `tasks` are done or the time is up; True when they are. A cancellation does not shorten it.

    What a straggler raises later is taken note of, so that it is not reported as unobserved.
    """
    loop = asyncio.get_running_loop()
    end_s = loop.time() + timeout_s
    while pending := {task for task in tasks if not task.done()}:
        left_s = end_s - loop.time()
        if left_s <= 0:
            for task in pending:
                task.add_done_callback(_observe)
            return False
        try:
            await asyncio.wait(pending, timeout=left_s)
        except asyncio.CancelledError:
            _forgive()
    return True


async def bounded(work: "asyncio.Task[Any]", cleanup_s: float) -> bool:
    """Wait for `work`. When this is cancelled, cancel `work` and give it `cleanup_s`.

    Returns: True when it was cancelled; the cancellation ends here. Afterwards `work` is done, or is a straggler.
    """
    try:
        await asyncio.wait({work})
    except asyncio.CancelledError:
        _forgive()
        work.cancel()
        await ended({work}, cleanup_s)
        return True
    return False


async def end_tasks(tasks: Collection["asyncio.Task[Any]"], timeout_s: float) -> bool:
    """Cancel `tasks` and wait for them, bounded; True when all are done."""
    for task in tasks:
        task.cancel()
    return await ended(list(tasks), timeout_s)


def _forgive() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


def _observe(task: "asyncio.Future[Any]") -> None:
    if not task.cancelled():
        task.exception()
