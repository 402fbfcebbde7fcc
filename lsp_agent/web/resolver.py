"""Names to addresses by the system's resolver, without taking a thread from the pool that everything else needs.

`getaddrinfo` cannot be interrupted: a silent name server would keep a pool's threads for half a minute each, and the
end of the process waiting for them. Every look-up has a daemon thread of its own; no more than a handful at a time.
"""

import asyncio
import socket
import threading
from collections.abc import Sequence

MAX_LOOKUPS = 16


class SystemResolver:
    """Looks names up. Call it: (host, port) → every address, IPv6 and IPv4, in the system's order. Cancellable.

    Raises: OSError when the name is unknown, or too many look-ups hang.
    """

    def __init__(self, max_lookups: int = MAX_LOOKUPS) -> None:
        self._slots = threading.BoundedSemaphore(max_lookups)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        if not self._slots.acquire(blocking=False):
            raise OSError("too many names are being looked up")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[str]] = loop.create_future()

        def settle(found: Sequence[str] | OSError) -> None:
            if answer.done():
                return
            if isinstance(found, OSError):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def look() -> None:
            try:
                found = _look_up(host, port)
            finally:
                self._slots.release()
            try:
                loop.call_soon_threadsafe(settle, found)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more

        threading.Thread(target=look, name=f"resolve {host}", daemon=True).start()
        return await answer


def _look_up(host: str, port: int) -> Sequence[str] | OSError:
    try:
        return [str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except OSError as error:
        return error
    except UnicodeError as error:
        return OSError(str(error))
