"""Requests of the server to the client, and their answers. The ids have a space of their own: `s1`, `s2`, …"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any


class RemoteError(Exception):
    """The client answered with an error. `code` 0 and an empty message when it was not a proper one."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(f"the client answered with error {code}")
        self.code = code
        self.message = message
        self.data = data


class ConnectionClosed(Exception):
    """The client is gone, there is no answer to wait for."""


class Outgoing:
    """Asks the client. `send` enqueues one message and says whether that was possible."""

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Callable[[Mapping[str, Any]], bool]) -> None:
        self._loop = loop
        self._send = send
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._count = 0
        self._closed = False

    async def request(self, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        """The client's result. Raises: RemoteError, TimeoutError, ConnectionClosed."""
        if self._closed:
            raise ConnectionClosed
        self._count += 1
        request_id = f"s{self._count}"
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting[request_id] = future
        try:
            if not self._send({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}):
                raise ConnectionClosed
            async with asyncio.timeout(timeout_s):
                return await future
        finally:
            # Still unanswered: timed out or cancelled. A late answer finds nobody and is ignored.
            if self._waiting.pop(request_id, None) is not None and not self._closed:
                self._send({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": request_id}})

    def take(self, message: Mapping[str, Any]) -> bool:
        """One response of the client. False when nobody waits for it."""
        request_id = message.get("id")
        future = self._waiting.pop(request_id, None) if isinstance(request_id, str) else None
        if future is None or future.done():
            return False
        error = message.get("error")
        if error is None:
            future.set_result(message.get("result"))
        elif isinstance(error, dict):
            code, text = error.get("code"), error.get("message")
            future.set_exception(
                RemoteError(
                    code if isinstance(code, int) else 0, text if isinstance(text, str) else "", error.get("data")
                )
            )
        else:
            future.set_exception(RemoteError(0, ""))
        return True

    def close(self) -> None:
        """Fail every request that waits, and every later one. May be called twice."""
        self._closed = True
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(ConnectionClosed())
