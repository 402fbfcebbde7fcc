"""The command line as a client of the server: the same wire protocol as an editor, over a child process or a socket.

A run that was started is never polled for: everything is heard through events, and a run ends with its
`agent/runComplete` and nothing else (CORE 33).
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from lsp_agent.wire.framing import Frame, FrameParser

Listener = Callable[[str, Mapping[str, Any]], None]


class RequestFailed(Exception):
    """The server answered with an error. The text is its message; `data` its machine-readable part."""

    def __init__(self, message: str, data: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.data = data


class ServerGone(Exception):
    """The connection ended while somebody was waiting on it."""


class Client:
    """One connection to a server. Use as an async context manager."""

    def __init__(self, listener: Listener, *, options: Mapping[str, str], socket: Path | None = None) -> None:
        self._listener = listener
        self._options = dict(options)
        self._socket = socket
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._next_id = 0
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._reading: asyncio.Task[None]
        self._gone = False
        self._on_gone: Callable[[], None] = lambda: None

    async def __aenter__(self) -> Self:
        if self._socket is not None:
            self._reader, self._writer = await asyncio.open_unix_connection(str(self._socket))
        else:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "lsp_agent",
                "serve",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, **self._options},
                start_new_session=True,  # Ctrl-C is ours to translate into a cancel
            )
            assert self._process.stdout is not None
            assert self._process.stdin is not None
            self._reader, self._writer = self._process.stdout, self._process.stdin
        self._reading = asyncio.create_task(self._read(), name="read server")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            async with asyncio.timeout(5):
                if self._process is not None and not self._gone:
                    await self.request("shutdown", {})
                    self.notify("exit", {})
                    await self._process.wait()
        except (TimeoutError, RequestFailed, ServerGone, ConnectionError):
            pass  # it is killed below if it still lives
        finally:
            if self._process is not None and self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
            self._reading.cancel()
            self._writer.close()

    def on_gone(self, call: Callable[[], None]) -> None:
        """Call this once when the server closes the connection (at once if it has)."""
        self._on_gone = call
        if self._gone:
            call()

    def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification."""
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    async def request(self, method: str, params: Mapping[str, Any]) -> Any:
        """Send a request and wait for its result. Raises: RequestFailed, ServerGone."""
        self._next_id += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[self._next_id] = answer
        self._send({"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params})
        return await answer

    def _send(self, message: Mapping[str, Any]) -> None:
        if self._gone:
            raise ServerGone("the server has closed the connection")
        body = orjson.dumps(message)
        self._writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    async def _read(self) -> None:
        parser = FrameParser()
        try:
            while data := await self._reader.read(65536):
                for frame in parser.feed(data):
                    if isinstance(frame, Frame):
                        self._take(orjson.loads(frame.body))
        except ConnectionError:
            pass  # the same as end of input: whoever waits is told below
        finally:
            self._gone = True
            self._on_gone()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(ServerGone("the server has closed the connection"))

    def _take(self, message: Mapping[str, Any]) -> None:
        if "method" not in message:
            answer = self._waiting.pop(message.get("id", 0), None)
            if answer is None or answer.done():
                return
            error = message.get("error")
            if error is None:
                answer.set_result(message.get("result"))
            else:
                answer.set_exception(RequestFailed(error["message"], error.get("data") or {}))
        elif "id" in message:
            unsupported = {"code": -32601, "message": "not supported by this client"}
            self._send({"jsonrpc": "2.0", "id": message["id"], "error": unsupported})
        else:
            self._listener(message["method"], message.get("params") or {})
