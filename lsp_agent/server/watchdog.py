"""Ends the server when the editor's process is gone (LSP 3.17, `InitializeParams.processId`).

On Linux a pidfd wakes the loop the moment the process ends; elsewhere it is looked at once in two seconds. A process
that cannot be seen at the start (another pid namespace) is not watched: end of input still ends the server.
"""

import asyncio
import os
from collections.abc import Callable

POLL_S = 2.0


def watch_process(loop: asyncio.AbstractEventLoop, pid: int, on_gone: Callable[[], None]) -> Callable[[], None]:
    """Call `on_gone` once, on the loop, when process `pid` ends. Returns a function that stops watching."""
    if pid <= 1 or not _alive(pid):
        return lambda: None
    pidfd_open = getattr(os, "pidfd_open", None)
    if pidfd_open is not None:
        try:
            descriptor = pidfd_open(pid)
        except OSError:
            return _poll(loop, pid, on_gone)
        return _watch_descriptor(loop, descriptor, on_gone)
    return _poll(loop, pid, on_gone)


def _watch_descriptor(
    loop: asyncio.AbstractEventLoop, descriptor: int, on_gone: Callable[[], None]
) -> Callable[[], None]:
    open_ = True

    def stop() -> None:
        nonlocal open_
        if open_:
            open_ = False
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def gone() -> None:
        stop()
        on_gone()

    loop.add_reader(descriptor, gone)
    return stop


def _poll(loop: asyncio.AbstractEventLoop, pid: int, on_gone: Callable[[], None]) -> Callable[[], None]:
    handle: asyncio.TimerHandle | None = None

    def look() -> None:
        nonlocal handle
        if _alive(pid):
            handle = loop.call_later(POLL_S, look)
        else:
            handle = None
            on_gone()

    handle = loop.call_later(POLL_S, look)

    def stop() -> None:
        if handle is not None:
            handle.cancel()

    return stop


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
