"""A recording JSON-RPC client for process tests and benchmarks: it plays the editor.

Every frame is kept with the monotonic time it arrived; `until` looks at past frames too, so that no test can miss one.
Requests of the server are answered from a table. It can read slowly, stop reading, send raw bytes and die. Knows
nothing of the product's modules.

    async with await Client.start(tmp_path) as client:
        await client.initialize(root=project)
        run = await client.request("agent/run", {"prompt": "hello"})
        done = await client.until(lambda m: m.get("method") == "agent/runComplete")
"""

import asyncio
import inspect
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.harness.documents import Documents, OpenDocument
from tests.harness.frames import FrameReader, frame
from tests.harness.pipe_end import PipeEnd
from tests.harness.record import Gone, Record, Recorded

NEVER = object()
"""Returned by a handler of a server request: do not answer at all."""


class Failed(Exception):
    """The server answered a request with an error."""

    def __init__(self, method: str, error: dict[str, Any]) -> None:
        super().__init__(f"{method}: {error}")
        self.code: int = error.get("code", 0)
        self.message: str = error.get("message", "")
        self.data: dict[str, Any] = error.get("data") or {}

    @property
    def kind(self) -> str:
        """`data.kind`."""
        return str(self.data.get("kind", ""))


class Refuse(Exception):
    """Raised by a handler of a server request: answer with this error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


Handler = Callable[[Any], Any]
"""Params of a server request → its result, or an awaitable of it, or NEVER; may raise Refuse."""


class Client(Record):
    """One connection to a server, over a process's stdio or a unix socket."""

    def __init__(self, read_fd: int, write_fd: int, process: subprocess.Popen[bytes] | None, log: Path | None) -> None:
        super().__init__()
        self.process = process
        self.documents = Documents()
        self.handlers: dict[str, Handler] = dict(self._default_handlers())
        self.change_before_answer = True
        """Whether `didChange` goes out before the answer to `workspace/applyEdit`, as most editors do."""
        self.bytes_read = 0
        self.server: dict[str, Any] = {}
        """The result of `initialize`."""
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader()
        self._ids = 0
        self._pending: dict[int, tuple[str, asyncio.Future[Any]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self.pipe = PipeEnd(read_fd, write_fd, self._received, self._ended)
        """Raw bytes, pausing, throttling, closing one side."""

    # ----------------------------------------------------------------------------------------------- start

    @classmethod
    async def start(
        cls,
        home: Path,
        *arguments: str,
        command: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> "Client":
        """Start `python -m lsp_agent serve [arguments]` (or `command`) with everything it may touch below `home`.

        `env` is added to an environment that holds no key and no setting of the machine.
        """
        home.mkdir(parents=True, exist_ok=True)
        argv = list(command or [sys.executable, "-m", "lsp_agent", "serve"]) + list(arguments)
        log = home / f"stderr-{time.monotonic_ns()}.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(  # noqa: ASYNC220 - a few milliseconds, before anything is measured
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=isolated_environment(home, env or {}),
                cwd=cwd or home,
            )
        assert process.stdin is not None
        assert process.stdout is not None
        read_fd, write_fd = os.dup(process.stdout.fileno()), os.dup(process.stdin.fileno())
        process.stdin.close()
        process.stdout.close()
        return cls(read_fd, write_fd, process, log)

    @classmethod
    async def connect(cls, path: Path, timeout_s: float = 10.0) -> "Client":
        """Connect to a server's unix socket, waiting for it to appear."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(path))
            except OSError:
                connection.close()
                if time.monotonic() > deadline_s:
                    raise
                await asyncio.sleep(0.01)
                continue
            return cls.over(connection)

    @classmethod
    def over(cls, connection: socket.socket) -> "Client":
        """Speak over a connected socket; the client owns it from now on."""
        fd = connection.detach()
        return cls(fd, fd, None, None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close everything; a process that still runs is killed."""
        self.pipe.close_stdin()
        self.pipe.close_stdout()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self.process is not None:
            self.process.kill()
            await asyncio.to_thread(self.process.wait)

    # ------------------------------------------------------------------------------------------------ talk

    async def request(self, method: str, params: Any = None, timeout: float = 20.0) -> Any:
        """The result. Raises: Failed for an error answer, Gone, TimeoutError."""
        _, future = self.begin(method, params)
        async with asyncio.timeout(timeout):
            return await future

    def begin(self, method: str, params: Any = None) -> tuple[int, "asyncio.Future[Any]"]:
        """Send a request without waiting: its id, and the future of its result."""
        self._ids += 1
        future: asyncio.Future[Any] = self._loop.create_future()
        future.add_done_callback(lambda f: f.cancelled() or f.exception())  # nobody has to look at it
        if self.eof.is_set():
            future.set_exception(Gone(method))
            return self._ids, future
        self._pending[self._ids] = (method, future)
        self.send({"jsonrpc": "2.0", "id": self._ids, "method": method, "params": params or {}})
        return self._ids, future

    def notify(self, method: str, params: Any = None) -> None:
        """Send a notification."""
        self.send({"jsonrpc": "2.0", "method": method, "params": params or {}})

    def send(self, message: Any) -> None:
        """Send one message as it is."""
        self.pipe.raw(frame(message))

    def raw(self, data: bytes) -> None:
        """Send bytes as they are. Never waits."""
        self.pipe.raw(data)

    async def initialize(
        self,
        *,
        agent: Mapping[str, Any] | None = None,
        root: Path | None = None,
        capabilities: Mapping[str, Any] | None = None,
        encodings: Sequence[str] | None = None,
        options: Mapping[str, Any] | None = None,
        timeout: float = 20.0,
    ) -> dict[str, Any]:
        """`initialize` and `initialized`. `agent` None = the block of a plugin; `{}` = a plain editor (tier 0)."""
        block = {"protocolVersions": [1], "events": {"enabled": True}} if agent is None else dict(agent)
        general = {"positionEncodings": list(encodings)} if encodings else {}
        params = {
            "processId": os.getpid(),
            "rootUri": root.as_uri() if root else None,
            "workspaceFolders": [{"uri": root.as_uri(), "name": root.name}] if root else None,
            "capabilities": {
                "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}, "configuration": True},
                "window": {"workDoneProgress": True, "showDocument": {"support": True}},
                **({"general": general} if general else {}),
                **(capabilities or {}),
            },
            "initializationOptions": {**({"agent": block} if block else {}), **(options or {})},
        }
        self.server = await self.request("initialize", params, timeout)
        self.documents.encoding = self.server.get("capabilities", {}).get("positionEncoding", "utf-16")
        self.notify("initialized")
        return self.server

    async def shutdown(self, timeout: float = 20.0) -> int:
        """`shutdown`, `exit`; the exit status."""
        await self.request("shutdown", timeout=timeout)
        self.notify("exit")
        return await self.wait_exit(timeout)

    # -------------------------------------------------------------------------------------------- documents

    def open_document(self, uri: str, text: str, version: int = 1, language: str = "python") -> OpenDocument:
        """Open a document in the editor and tell the server."""
        document = self.documents.open[uri] = OpenDocument(uri, text, version, language)
        item = {"uri": uri, "languageId": language, "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})
        return document

    def change_document(self, uri: str, text: str) -> OpenDocument:
        """The user has changed the whole text."""
        document = self.documents.open[uri]
        document.text = text
        document.version += 1
        params = {"textDocument": {"uri": uri, "version": document.version}, "contentChanges": [{"text": text}]}
        self.notify("textDocument/didChange", params)
        return document

    def close_document(self, uri: str) -> None:
        """Close it."""
        del self.documents.open[uri]
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    # ------------------------------------------------------------------------------------------- the process

    def terminate(self) -> None:
        """SIGTERM."""
        self._signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """SIGINT."""
        self._signal(signal.SIGINT)

    def kill9(self) -> None:
        """SIGKILL."""
        self._signal(signal.SIGKILL)

    async def wait_exit(self, timeout: float = 20.0) -> int:
        """The exit status; minus the signal when one ended it. Raises: subprocess.TimeoutExpired."""
        assert self.process is not None
        return await asyncio.to_thread(self.process.wait, timeout)

    @property
    def stderr(self) -> str:
        """What the process has written to stderr so far."""
        return self._log.read_text("utf-8", "replace") if self._log else ""

    # ---------------------------------------------------------------------------------------------- inside

    def _signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def _received(self, data: bytes) -> None:
        self.bytes_read += len(data)
        now_s = time.monotonic()
        try:
            messages = self._reader.feed(data)
        except (AssertionError, ValueError) as error:
            self.framing_error = error
            self.pipe.close_stdout()
            return
        for message in messages:
            self.recorded.append(Recorded(now_s, message))
            self._dispatch(message)
        self._arrived.set()

    def _ended(self) -> None:
        self.eof.set()
        self._arrived.set()
        pending, self._pending = self._pending, {}
        for method, future in pending.values():
            if not future.done():
                future.set_exception(Gone(f"{method}: {self.framing_error or 'the connection ended'}"))

    def _dispatch(self, message: dict[str, Any]) -> None:
        if "method" in message and "id" in message:
            task = self._loop.create_task(self._answer(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif "id" in message and message["id"] in self._pending:
            method, future = self._pending.pop(message["id"])
            if future.done():
                return
            if "error" in message:
                future.set_exception(Failed(method, message["error"]))
            else:
                future.set_result(message.get("result"))

    async def _answer(self, message: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        handler = self.handlers.get(message["method"])
        try:
            if handler is None:
                raise Refuse(-32601, "Method not found")
            result = handler(message.get("params"))
            if inspect.isawaitable(result):
                result = await result
            if result is NEVER:
                return
            answer["result"] = result
        except Refuse as error:
            answer["error"] = {"code": error.code, "message": str(error)}
        if message["method"] == "workspace/applyEdit" and isinstance(answer.get("result"), dict):
            changes = answer["result"].pop("_changes", [])
            if not self.change_before_answer:
                self.send(answer)
            for change in changes:
                self.notify("textDocument/didChange", change)
            if not self.change_before_answer:
                return
        self.send(answer)

    def _default_handlers(self) -> dict[str, Handler]:
        return {
            "workspace/applyEdit": self.apply_edit,
            "workspace/configuration": lambda params: [None for _ in params.get("items", [])],
            "workspace/workspaceFolders": lambda _: None,
            "client/registerCapability": lambda _: None,
            "client/unregisterCapability": lambda _: None,
            "window/workDoneProgress/create": lambda _: None,
            "window/showMessageRequest": lambda _: None,
            "window/showDocument": lambda _: {"success": True},
        }

    def apply_edit(self, params: dict[str, Any]) -> dict[str, Any]:
        """The default handler of `workspace/applyEdit`: apply to the open documents (files on disk otherwise)."""
        reason, changes = self.documents.workspace_edit(params["edit"])
        if reason is not None:
            return {"applied": False, "failureReason": reason}
        return {"applied": True, "_changes": changes}


def isolated_environment(home: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """An environment in which nothing of the machine's user is visible."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT") if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "LSP_AGENT_DATA_DIR": str(home / "data"),
        "LSP_AGENT_CONFIG": str(home / "config.json"),
        "PYTHONUNBUFFERED": "1",
        **extra,
    }
