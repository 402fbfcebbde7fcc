"""The other language servers of the connected editors, asked through `agent/editor/lsp` (PROTOCOL 14).

An editor is asked only for methods it advertised. It answers in the encoding agreed with it; in and out of here
positions are code points. One that is slow, gone or wrong counts as having nothing to say.
"""

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from lsp_agent.language.client import text_on_disk
from lsp_agent.language.columns import POINTS, recode, recoded
from lsp_agent.language.port import Answer
from lsp_agent.server.documents import OpenDocuments
from lsp_agent.server.editorstate import CONTEXT
from lsp_agent.server.negotiation import Negotiated
from lsp_agent.wire.outgoing import ConnectionClosed, RemoteError
from lsp_agent.workspace.lines import LineIndex
from lsp_agent.workspace.paths import path_to_uri
from lsp_agent.workspace.pushed import PushedDiagnostics

_LOG = logging.getLogger(__name__)

METHOD = "agent/editor/lsp"
GRACE_S = 1.0
"""How much longer than its own limit an editor may take to say that nobody answered."""
MAX_ANSWERS = 20


class LanguageConnection(Protocol):
    """One connection, as far as its servers are concerned; `server.connection.Connection` is one."""

    @property
    def documents(self) -> OpenDocuments: ...

    @property
    def position_encoding(self) -> str: ...

    @property
    def roots(self) -> tuple[str, ...]: ...

    @property
    def agreed(self) -> Negotiated: ...

    async def request(self, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        """Raises: RemoteError, TimeoutError, ConnectionClosed."""
        ...


class ConnectedLanguage:
    """Implements `language.port.EditorLanguage` over all connections.

    `connections`: `LanguageConnection`s, whatever else they are. `reports`: how often something was reported about a
    file to these documents, also when it was nothing.
    """

    def __init__(
        self,
        connections: Callable[[], Sequence[Any]],
        *,
        reports: Callable[[OpenDocuments, str], int] = lambda documents, uri: 0,
    ) -> None:
        self._all: Callable[[], Sequence[LanguageConnection]] = connections
        self._reports = reports

    def offers(self, method: str, path: Path) -> bool:
        return bool(self._asked(method, path))

    async def query(self, method: str, params: Mapping[str, Any], path: Path, timeout_s: float) -> Sequence[Answer]:
        empty: list[Answer] = []
        for connection in self._asked(method, path):
            answers = await self._ask(connection, method, params, path, timeout_s)
            if any(answer.result for answer in answers):
                return answers
            empty += answers
        return empty

    def diagnostics(self, path: Path | None) -> Sequence[PushedDiagnostics]:
        found: dict[tuple[str, str], PushedDiagnostics] = {}
        for connection in self._all():
            documents = connection.documents
            for pushed in documents.diagnostics(None if path is None else path_to_uri(path)):
                items = recoded(
                    list(pushed.items),
                    connection.position_encoding,
                    POINTS,
                    pushed.uri,
                    _open_text(documents, pushed.uri),
                )
                found.setdefault(
                    (documents.key_of(pushed.uri), pushed.server),
                    PushedDiagnostics(pushed.uri, pushed.server, pushed.version, tuple(items)),
                )
        return list(found.values())

    def reported(self, path: Path) -> Hashable:
        uri = path_to_uri(path)
        state: list[Hashable] = []
        for connection in self._all():
            documents = connection.documents
            pushed = documents.diagnostics(uri)
            state.append(self._reports(documents, uri))
            state.append(
                tuple([(one.server, one.version, _Pushed(one.items)) for one in pushed if one.server != CONTEXT])
            )
        return tuple(state)

    # ------------------------------------------------------------------------------------------------------ inside

    def _asked(self, method: str, path: Path) -> list[LanguageConnection]:
        """Connections that answer `method`: those that have the file open first, the one last used before all."""
        uri = path_to_uri(path)
        ranked: list[tuple[float, LanguageConnection]] = []
        for connection in self._all():
            if method not in connection.agreed.editor_lsp:
                continue
            documents = connection.documents
            if documents.get(uri) is not None:
                ranked.append((documents.last_used_s(uri), connection))
            elif any(path.is_relative_to(Path(root)) for root in connection.roots):
                ranked.append((-1.0, connection))
        ranked.sort(key=lambda one: -one[0])
        return [connection for _, connection in ranked]

    async def _ask(
        self, connection: LanguageConnection, method: str, params: Mapping[str, Any], path: Path, timeout_s: float
    ) -> list[Answer]:
        documents = connection.documents
        uri, encoding = path_to_uri(path), connection.position_encoding

        async def texts(name: str) -> str | None:
            document = documents.get(name)
            return document.text if document is not None else await text_on_disk(name)

        opened = documents.get(uri)
        named = _renamed(params, uri, opened.uri) if opened is not None and opened.uri != uri else params
        asked = {
            "method": method,
            "params": await recode(named, POINTS, encoding, uri, texts),
            "timeoutMs": int(timeout_s * 1000),
        }
        try:
            result = await connection.request(METHOD, asked, timeout_s + GRACE_S)
        except (RemoteError, TimeoutError, ConnectionClosed) as error:
            _LOG.info("%s was not answered by the editor: %s", method, type(error).__name__)
            return []
        listed = result.get("results") if isinstance(result, Mapping) else None
        answers: list[Answer] = []
        for one in listed[:MAX_ANSWERS] if isinstance(listed, list) else ():
            if isinstance(one, Mapping):
                value = await recode(one.get("result"), encoding, POINTS, uri, texts)
                answers.append(Answer(str(one.get("server") or "a server")[:100], value))
        return answers


class _Pushed:
    """One push: equal to itself only, and kept alive so that no later one takes its place in memory."""

    __slots__ = ("_items",)

    def __init__(self, items: tuple[Any, ...]) -> None:
        self._items = items

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Pushed) and other._items is self._items

    def __hash__(self) -> int:
        return id(self._items)


def _open_text(documents: OpenDocuments, uri: str) -> Mapping[str, LineIndex]:
    document = documents.get(uri)
    return {uri: LineIndex(document.text)} if document is not None else {}


def _renamed(params: Mapping[str, Any], ours: str, theirs: str) -> Mapping[str, Any]:
    """The file by the name the editor opened it under."""
    document = params.get("textDocument")
    if isinstance(document, Mapping) and document.get("uri") == ours:
        return {**params, "textDocument": {**document, "uri": theirs}}
    return params
