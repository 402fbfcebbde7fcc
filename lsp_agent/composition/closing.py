"""Ending the rooms: all at once, each within its time, and none at the cost of another."""

import asyncio
import logging
from collections.abc import Awaitable, Mapping

_log = logging.getLogger(__name__)


async def end_all(limit_s: float, works: Mapping[str, Awaitable[object]]) -> None:
    """Wait for `works` (by name), at most `limit_s` seconds; what fails or is late is logged and left behind.

    Promise: raises nothing but a cancellation.
    """
    tasks = {asyncio.ensure_future(work): name for name, work in works.items()}
    done, late = await asyncio.wait(tasks, timeout=limit_s)
    for task in late:
        task.cancel()
        _log.error("closing: %s did not end within %g s", tasks[task], limit_s)
    for task in done:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("closing: %s failed: %s", tasks[task], type(error).__name__, exc_info=error)
