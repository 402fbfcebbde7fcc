"""A client of one language server: requests and answers, the documents it was told of, the diagnostics it published.

It tells the server the truth about the overlay's texts and nothing else: full-text changes, no dynamic registration,
no edit ever applied for it (LSP 3.17). Positions go in and out in code points. Knows nothing of which server to start.
"""

import asyncio
import itertools
import json
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from lsp_agent.language.columns import recode, recoded
from lsp_agent.language.introduction import introduction
from lsp_agent.shell.duplex import Duplex
from lsp_agent.shell.spawner import Ended
from lsp_agent.wire.framing import Frame, FrameParser
from lsp_agent.wire.json_decode import NotJson, decode
from lsp_agent.workspace.lines import LineIndex
from lsp_agent.workspace.pushed import PushedDiagnostics

_log = logging.getLogger(__name__)

INIT_S = 30.0
REQUEST_S = 10.0
MAX_OPEN = 100
MAX_ITEMS = 1_000
_EXIT_S = 1.0
_METHOD_NOT_FOUND = -32601


class ServerFailed(Exception):
    """The server answered with an error, not in time, or not at all."""


@dataclass(slots=True)
class _Told:
    """A document as the server knows it."""

    version: int
    text: str


class LanguageClient:
    """One initialized server for one root. Made by `connect`."""

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self.root = root
        self.capabilities: Mapping[str, Any] = {}
        self.encoding = "utf-16"
        self.published: dict[str, PushedDiagnostics] = {}
        """By URI; also those with no items."""
        self.publications: dict[str, int] = {}
        """How often something was published for a URI."""
        self._process: Duplex | None = None
        self._listening: asyncio.Task[None] | None = None
        self._parser = FrameParser()
        self._ids = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._open: OrderedDict[str, _Told] = OrderedDict()
        self._versions = itertools.count(1)
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def ended(self) -> "asyncio.Future[Ended]":
        """How its program ended. Raises: ServerFailed when none was started."""
        if self._process is None:
            raise ServerFailed(f"{self.name} is not running")
        return self._process.ended

    @property
    def alive(self) -> bool:
        """It can be asked."""
        return self._process is not None and self._process.alive

    def can(self, method: str) -> bool:
        """Whether the server said at its start that it answers this."""
        name = _PROVIDERS.get(method)
        return name is None or bool(self.capabilities.get(name))

    async def initialize(self, process: Duplex, options: Mapping[str, Any], *, timeout_s: float = INIT_S) -> None:
        """Introduce ourselves. Raises: ServerFailed."""
        self._process = process
        self._listening = asyncio.create_task(self._listen(process), name=f"{self.name} speaks")
        result = await self._request("initialize", introduction(self.root, options), timeout_s)
        if not isinstance(result, Mapping) or not isinstance(result.get("capabilities"), Mapping):
            raise ServerFailed(f"{self.name} did not say what it can do")
        self.capabilities = result["capabilities"]
        encoding = self.capabilities.get("positionEncoding")
        self.encoding = encoding if encoding in ("utf-8", "utf-16", "utf-32") else "utf-16"
        self.notify("initialized", {})

    # ------------------------------------------------------------------------------------------------------- asking

    async def request(self, method: str, params: Mapping[str, Any], *, timeout_s: float = REQUEST_S) -> Any:
        """Ask; positions in code points both ways. Raises: ServerFailed."""
        document = params.get("textDocument")
        uri = str(document.get("uri") or "") if isinstance(document, Mapping) else ""
        wire = await recode(params, "utf-32", self.encoding, uri, self._text)
        result = await self._request(method, wire, timeout_s)
        return await recode(result, self.encoding, "utf-32", uri, self._text)

    def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Tell it something; a server that is gone hears nothing."""
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    async def _request(self, method: str, params: Mapping[str, Any] | None, timeout_s: float) -> Any:
        number = next(self._ids)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            message: dict[str, Any] = {"jsonrpc": "2.0", "id": number, "method": method}
            if params is not None:
                message["params"] = params
            if not self._send(message):
                raise ServerFailed(f"{self.name} is not running")
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError as error:
            self.notify("$/cancelRequest", {"id": number})
            raise ServerFailed(f"{self.name} did not answer {method} within {timeout_s:g} s") from error
        except asyncio.CancelledError:
            self.notify("$/cancelRequest", {"id": number})
            raise
        finally:
            self._asked.pop(number, None)

    def _send(self, message: Mapping[str, Any]) -> bool:
        if self._process is None:
            return False
        try:
            body = orjson.dumps(message)
        except TypeError:  # a lone surrogate in a text: JSON can say it, orjson will not
            body = json.dumps(message).encode("ascii")
        try:
            self._process.send(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        except OSError:
            return False
        return True

    # ---------------------------------------------------------------------------------------------------- documents

    def open(self, uri: str, text: str, language: str) -> bool:
        """Let the server know this text of a document; True when it did not know it already."""
        told = self._open.get(uri)
        if told is not None:
            self._open.move_to_end(uri)
            if told.text == text:
                return False
            told.version, told.text = next(self._versions), text
            document: dict[str, Any] = {"uri": uri, "version": told.version}
            self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})
            return True
        told = self._open[uri] = _Told(next(self._versions), text)
        document = {"uri": uri, "languageId": language, "version": told.version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})
        while len(self._open) > MAX_OPEN:
            oldest, _ = self._open.popitem(last=False)
            self.notify("textDocument/didClose", {"textDocument": {"uri": oldest}})
        return True

    def version(self, uri: str) -> int | None:
        """The version the server was last told; None when it was told nothing."""
        told = self._open.get(uri)
        return told.version if told is not None else None

    def saved(self, uri: str, *, created: bool = False) -> None:
        """A file changed on the disk."""
        self.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": uri, "type": 1 if created else 2}]})

    async def published_since(self, uri: str, count: int, timeout_s: float) -> bool:
        """Wait until something was published for `uri` more than `count` times; False when it was not in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.publications.get(uri, 0) <= count:
                    if not self.alive:
                        return False
                    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._waiting.add(waiter)
                    try:
                        await waiter
                    finally:
                        self._waiting.discard(waiter)
        except TimeoutError:
            return False
        return True

    async def _text(self, uri: str) -> str | None:
        told = self._open.get(uri)
        return told.text if told is not None else await text_on_disk(uri)

    # ------------------------------------------------------------------------------------------------------ hearing

    async def _listen(self, process: Duplex) -> None:
        """Until its last word."""
        try:
            while data := await process.receive():
                self.feed(data)
        finally:
            self._gone()

    def feed(self, data: bytes) -> None:
        """Bytes from the server."""
        for frame in self._parser.feed(data):
            if not isinstance(frame, Frame):
                _log.warning("%s: %s", self.name, frame.reason)
                continue
            try:
                message, _ = decode(frame.body, max_depth=200)
            except NotJson:
                _log.warning("%s sent something that is not JSON", self.name)
                continue
            if isinstance(message, dict):
                self._hear(message)

    def _hear(self, message: dict[str, Any]) -> None:
        method, number = message.get("method"), message.get("id")
        if isinstance(method, str) and number is not None:
            self._answer(number, method, message.get("params"))
        elif method == "textDocument/publishDiagnostics":
            self._publish(message.get("params"))
        elif method is None and isinstance(number, int):
            answer = self._asked.get(number)
            if answer is None or answer.done():
                return
            error = message.get("error")
            if error is not None:
                text = error.get("message") if isinstance(error, Mapping) else None
                answer.set_exception(ServerFailed(f"{self.name}: {str(text or 'it refused')[:500]}"))
            else:
                answer.set_result(message.get("result"))

    def _answer(self, number: Any, method: str, params: Any) -> None:
        """Requests of the server. It gets no settings, changes nothing and shows nothing."""
        result: Any = None
        if method == "workspace/configuration":
            items = params.get("items") if isinstance(params, Mapping) else None
            result = [None] * (len(items) if isinstance(items, list) else 1)
        elif method == "workspace/applyEdit":
            result = {"applied": False, "failureReason": "edits are made by the user's agent, not by the server"}
        elif method == "workspace/workspaceFolders":
            result = [{"uri": self.root.as_uri(), "name": self.root.name}]
        elif method not in _ACKNOWLEDGED:
            error = {"code": _METHOD_NOT_FOUND, "message": "not supported"}
            self._send({"jsonrpc": "2.0", "id": number, "error": error})
            return
        self._send({"jsonrpc": "2.0", "id": number, "result": result})

    def _publish(self, params: Any) -> None:
        uri = params.get("uri") if isinstance(params, Mapping) else None
        items = params.get("diagnostics") if isinstance(params, Mapping) else None
        if not isinstance(uri, str) or not isinstance(items, list):
            return
        kept = tuple([item for item in items if isinstance(item, Mapping)][:MAX_ITEMS])
        version = params.get("version")
        told = self._open.get(uri)
        if isinstance(version, int) and told is not None and version < told.version:
            return  # of a text that is no more
        if told is not None and kept:
            kept = tuple(recoded(kept, self.encoding, "utf-32", uri, {uri: LineIndex(told.text)}))
        self.published[uri] = PushedDiagnostics(uri, self.name, version if isinstance(version, int) else None, kept)
        self.publications[uri] = self.publications.get(uri, 0) + 1
        self._wake()

    def _gone(self) -> None:
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(ServerFailed(f"{self.name} has ended"))
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    def ask_to_stop(self) -> None:
        """End it without a word. Returns at once."""
        if self._process is not None:
            self._process.ask_to_stop()

    async def close(self) -> None:
        """Ask it to leave, then end its tree. Bounded (about 4 s); may be called twice."""
        process = self._process
        if process is None:
            return
        patience_s = 0.0
        if process.alive:
            try:
                await self._request("shutdown", None, _EXIT_S)
                self._send({"jsonrpc": "2.0", "method": "exit"})
                patience_s = _EXIT_S
            except ServerFailed as error:
                _log.info("closing: %s", error)
        await process.close(patience_s)
        if self._listening is not None:
            await asyncio.wait([self._listening], timeout=_EXIT_S)


Start = Callable[[], Awaitable[Duplex]]


async def connect(name: str, root: Path, start: Start, options: Mapping[str, Any]) -> LanguageClient:
    """Start a server and introduce ourselves. Raises: ServerFailed, OSError."""
    client = LanguageClient(name, root)
    process = await start()
    try:
        await client.initialize(process, options)
    except BaseException:
        await asyncio.shield(process.close(0.0))
        raise
    return client


MAX_TEXT_BYTES = 8 << 20


async def text_on_disk(uri: str) -> str | None:
    """The text of a `file:` URI, for counting columns; None when it cannot be read or is large."""
    from lsp_agent.domain.errors import WorkspaceError
    from lsp_agent.workspace.paths import uri_to_path

    def read() -> str | None:
        try:
            path = uri_to_path(uri)
            if path is None or not path.is_file() or path.stat().st_size > MAX_TEXT_BYTES:
                return None
            return path.read_bytes().decode("utf-8-sig", "replace")
        except (OSError, WorkspaceError):
            return None

    return await asyncio.to_thread(read)


_ACKNOWLEDGED = frozenset(
    {
        "client/registerCapability",
        "client/unregisterCapability",
        "window/workDoneProgress/create",
        "window/showMessageRequest",
        "workspace/diagnostic/refresh",
        "workspace/semanticTokens/refresh",
        "workspace/inlayHint/refresh",
        "workspace/codeLens/refresh",
    }
)
_PROVIDERS = {
    "textDocument/definition": "definitionProvider",
    "textDocument/references": "referencesProvider",
    "textDocument/hover": "hoverProvider",
    "textDocument/documentSymbol": "documentSymbolProvider",
    "textDocument/rename": "renameProvider",
    "textDocument/codeAction": "codeActionProvider",
    "textDocument/prepareCallHierarchy": "callHierarchyProvider",
    "callHierarchy/incomingCalls": "callHierarchyProvider",
    "callHierarchy/outgoingCalls": "callHierarchyProvider",
    "workspace/symbol": "workspaceSymbolProvider",
}
