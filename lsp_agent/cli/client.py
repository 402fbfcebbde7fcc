"""The command line as a client of the server: the same wire protocol as an editor, over a child process or a socket.

A run that was started is never polled for: everything is heard through events, and a run ends with its
`agent/runComplete` and nothing else (CORE 33).
"""

import asyncio
import re
import socket as socket_module
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from lsp_agent.config.paths import SOCKET_NAME, data_dir
from lsp_agent.wire.framing import Frame, FrameParser

Listener = Callable[[str, Mapping[str, Any]], None]


class RequestFailed(Exception):
    """The server answered with an error. The text is its message; `data` its machine-readable part."""

    def __init__(self, message: str, data: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.data = data


class ServerGone(Exception):
    """The connection ended while somebody was waiting on it."""


class Voice:
    """Speaks to the person at the terminal, on stderr. Says the same thing once: a server both shows and answers it."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def say(self, thing: object) -> None:
        """Print `thing` behind our name."""
        text = str(thing).removeprefix("lsp-agent: ") or "the server does not answer"
        # shown with the name of a directory and answered without it
        gist = re.sub(r"/\S+|…", "", text)
        if gist not in self._said:
            self._said.add(gist)
            print(f"lsp-agent: {text}", file=sys.stderr)


def running_server(env: Mapping[str, str], root: Path) -> Path | None:
    """The socket of the server that holds the workspace's data directory; None when nobody listens there.

    Raises: DataDirRefused.
    """
    path = data_dir(env, root) / SOCKET_NAME
    with socket_module.socket(socket_module.AF_UNIX, socket_module.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return None  # no such file, nobody behind it any more, or a name too long for a socket
    return path


async def find_session(client: "Client", wanted: str | None) -> str:
    """The session that has `wanted` as its id or as the only start or end of one; None = the newest.

    Raises: RequestFailed.
    """
    if wanted is None:
        newest = (await client.request("agent/session/list", {"limit": 1}))["sessions"]
        if not newest:
            raise RequestFailed("there is no session yet", {})
        return str(newest[0]["sessionId"])
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await client.request("agent/session/list", {"limit": 200, **cursor})
        ids = [str(entry["sessionId"]) for entry in page["sessions"]]
        if wanted in ids:
            return wanted
        found += [name for name in ids if wanted and (name.startswith(wanted) or name.endswith(wanted))]
        if not page.get("nextCursor"):
            break
        cursor = {"cursor": page["nextCursor"]}
    if len(found) != 1:
        raise RequestFailed(f"session {wanted!r} {'not found' if not found else 'is not unique'}", {})
    return found[0]


class Client:
    """One connection to a server: over `socket`, else a server of its own. Use as an async context manager."""

    def __init__(self, listener: Listener, *, socket: Path | None = None) -> None:
        self._listener = listener
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
