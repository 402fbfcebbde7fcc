"""One surface over everything that can answer a question about code: the editor's servers, our own, the syntax, text.

Whoever is first with an answer that is not empty has answered, and the answer says who (`via`). Positions are code
points. Knows nothing of tools, permissions or sessions.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import FileUnreadable, WorkspaceError
from lsp_agent.domain.text import Position, Range
from lsp_agent.language.client import MAX_OPEN, LanguageClient, ServerFailed
from lsp_agent.language.own import OwnServers
from lsp_agent.language.port import Answer, EditorLanguage
from lsp_agent.language.shapes import Location, Symbol, locations, symbols, wire_position
from lsp_agent.language.syntax import Grammars, text_symbols
from lsp_agent.language.words import named, spots
from lsp_agent.ports.workspace import Workspace
from lsp_agent.workspace.lines import LineIndex
from lsp_agent.workspace.paths import path_to_uri
from lsp_agent.workspace.pushed import PushedDiagnostics

_log = logging.getLogger(__name__)

EDITOR_S = 5.0
START_S = 30.0
REQUEST_S = 10.0
MAX_SEARCHED = 5_000
MAX_FILE_BYTES = 1 << 20
SEARCH_S = 8.0
SYNTAX, TEXT = "syntax", "text search"


@dataclass(frozen=True, slots=True)
class Found:
    """Places and who knew them. `via` empty = nobody."""

    via: str
    places: Sequence[Location]


class LanguageService:
    """The language servers of one workspace and what stands in for them.

    `withhold`: files whose text a search must leave out, because reading them needs permission.
    """

    def __init__(
        self,
        editor: EditorLanguage,
        own: OwnServers,
        workspace: Workspace,
        *,
        withhold: Callable[[Path], bool] = lambda path: False,
        start_s: float = START_S,
    ) -> None:
        self.start_s = start_s
        self.editor = editor
        self.own = own
        self._workspace = workspace
        self._withhold = withhold
        self._grammars = Grammars()

    # ---------------------------------------------------------------------------------------------- language servers

    async def ask(
        self, method: str, path: Path, params: Mapping[str, Any], *, is_empty: Callable[[Any], bool] = lambda r: not r
    ) -> Answer | None:
        """The first answer that is not empty: of the editor's servers, else of ours. None when there is none.

        `params` in code points, with `textDocument` or an `item` naming `path`. Never raises for a server that fails.
        """
        return next(iter(await self.ask_all(method, path, params, is_empty=is_empty, first=True)), None)

    async def ask_all(
        self,
        method: str,
        path: Path,
        params: Mapping[str, Any],
        *,
        is_empty: Callable[[Any], bool] = lambda r: not r,
        first: bool = False,
    ) -> list[Answer]:
        """As `ask`, with what every server of the editor, or else every one of ours, has to say."""
        if self.editor.offers(method, path):
            answers = await self.editor.query(method, params, path, EDITOR_S)
            if found := [one for one in answers if not is_empty(one.result)]:
                return [Answer(f"{one.via} (editor)", one.result) for one in found]
        found = []
        for client in await self.fed(path):
            if first and found:
                break
            if client.can(method):
                try:
                    result = await client.request(method, params, timeout_s=REQUEST_S)
                except ServerFailed as error:
                    _log.info("%s", error)
                    continue
                if not is_empty(result):
                    found.append(Answer(client.name, result))
        return found

    async def resolve(self, via: str, path: Path, action: Mapping[str, Any]) -> Any:
        """`codeAction/resolve` with the server that offered it; None when it cannot."""
        client = next((one for one in self.own.running(path) if one.name == via), None)
        try:
            if client is not None:
                return await client.request("codeAction/resolve", action, timeout_s=REQUEST_S)
        except ServerFailed as error:
            _log.info("%s", error)
        return None

    async def fed(self, path: Path, *, start_s: float | None = None) -> list[LanguageClient]:
        """Our servers for a file, started, and told the present text of it and of what is open and unsaved."""
        clients = await self.own.clients(path, self.start_s if start_s is None else start_s)
        if clients:
            await self.feed(clients, path)
        return clients

    async def feed(self, clients: Sequence[LanguageClient], path: Path) -> None:
        """Tell these servers the overlay's text of a file and of every open document they know the language of."""
        try:
            text = (
                await self._workspace.read_text(self._workspace.place(str(path)), max_bytes=MAX_FILE_BYTES * 8)
            ).text
        except WorkspaceError:
            return
        for client in clients:
            for document in self._workspace.open_documents_below(client.root):
                if document.path is not None and document.path != path:
                    language = self.own.language_of(client, document.path)
                    if language != "plaintext":
                        client.open(path_to_uri(document.path), document.text, language)
            client.open(path_to_uri(path), text, self.own.language_of(client, path))

    async def feed_mentions(self, path: Path, word: str) -> list[Path]:
        """Tell our servers of every file that holds a word; the files, whoever answers.

        A server that has just started has not read the workspace yet, and would leave out uses without saying so.
        """
        found = await self.files_like(path, word)
        for client in [] if self.editor.offers("textDocument/references", path) else await self.fed(path):
            for one, text in found[: MAX_OPEN // 2]:
                if one != path:
                    client.open(path_to_uri(one), text, self.own.language_of(client, one))
        return [one for one, text in found if spots(text, word, 1)]

    def published(self, path: Path) -> list[PushedDiagnostics]:
        """What our servers last said of a file."""
        uri = path_to_uri(path)
        return [one for client in self.own.running(path) if (one := client.published.get(uri)) is not None]

    def open_paths(self) -> list[Path]:
        """Files below the roots that are open in an editor."""
        found = [one.path for root in self._workspace.roots for one in self._workspace.open_documents_below(root)]
        return list(dict.fromkeys([path for path in found if path is not None]))

    def where(self, path: Path, at: Position) -> dict[str, Any]:
        """`TextDocumentPositionParams`."""
        return {"textDocument": {"uri": path_to_uri(path)}, "position": wire_position(at)}

    # ------------------------------------------------------------------------------------------------------ questions

    async def definition(self, path: Path, at: Position, name: str) -> Found:
        """Where what stands at a place is defined."""
        answer = await self.ask("textDocument/definition", path, self.where(path, at))
        if answer is not None and (places := locations(answer.result)):
            return Found(answer.via, places)
        defined = await self._defined(path, name)
        return Found(SYNTAX if defined else "", defined)

    async def references(self, path: Path, at: Position, name: str) -> Found:
        """Where what stands at a place is used, its definition included."""
        await self.feed_mentions(path, name.rsplit(".", 1)[-1])
        params = {**self.where(path, at), "context": {"includeDeclaration": True}}
        answer = await self.ask("textDocument/references", path, params)
        if answer is not None and (places := locations(answer.result)):
            return Found(answer.via, places)
        return Found(TEXT, await self._word_places(path, name))

    async def symbols(self, path: Path) -> tuple[str, list[Symbol]]:
        """Who answered, and what is defined in a file."""
        uri = path_to_uri(path)
        answer = await self.ask("textDocument/documentSymbol", path, {"textDocument": {"uri": uri}})
        if answer is not None and (found := symbols(answer.result, uri)):
            return answer.via, found
        parsed = await self.parsed(path)
        return (SYNTAX, parsed) if parsed else ("", [])

    async def workspace_symbols(self, query: str) -> tuple[str, list[Symbol]]:
        """Who answered, and what has a name like `query` anywhere in the workspace."""
        params = {"query": query}
        root = self._workspace.roots[0]
        if self.editor.offers("workspace/symbol", root):
            for answer in await self.editor.query("workspace/symbol", params, root, EDITOR_S):
                if found := symbols(answer.result, ""):
                    return f"{answer.via} (editor)", found
        for client in self.own.all_running():
            if client.can("workspace/symbol"):
                try:
                    found = symbols(await client.request("workspace/symbol", params, timeout_s=REQUEST_S), "")
                except ServerFailed as error:
                    _log.info("%s", error)
                    continue
                if found:
                    return client.name, found
        wanted = query.casefold()
        parsed = [one for one in await self._all_parsed(None, query) if wanted in one.name.casefold()]
        return (SYNTAX, parsed) if parsed else ("", [])

    # -------------------------------------------------------------------------------------------- syntax and plain text

    async def text(self, path: Path) -> str | None:
        """The overlay's text of a file below a root that may be read; None otherwise."""
        try:
            place = self._workspace.place(str(path))
            if not place.inside or self._withhold(place.path):
                return None
            return (await self._workspace.read_text(place, max_bytes=MAX_FILE_BYTES)).text
        except (FileUnreadable, WorkspaceError):
            return None

    async def parsed(self, path: Path) -> list[Symbol] | None:
        """What is defined in a file by its syntax; None when nothing here can parse it."""
        text = await self.text(path)
        return None if text is None else await asyncio.to_thread(text_symbols, path, text, self._grammars)

    async def files_like(self, path: Path | None, containing: str) -> list[tuple[Path, str]]:
        """Files of the same language (of any when `path` is None) whose text holds a word, with their texts.

        Bounded in number and time.
        """
        found: list[tuple[Path, str]] = []
        try:
            async with asyncio.timeout(SEARCH_S):
                for root in self._workspace.roots:
                    for one in await self._workspace.walk(self._workspace.place(str(root)), limit=MAX_SEARCHED):
                        if path is not None and one.suffix != path.suffix:
                            continue
                        text = await self.text(one)
                        if text is not None and containing in text:
                            found.append((one, text))
        except (TimeoutError, WorkspaceError):
            _log.info("a search for %d characters ended early", len(containing))
        return found

    async def _all_parsed(self, path: Path | None, containing: str) -> list[Symbol]:
        found: list[Symbol] = []
        for one, text in await self.files_like(path, containing):
            parsed = await asyncio.to_thread(text_symbols, one, text, self._grammars)
            found += parsed if parsed is not None else []
        return found

    async def _defined(self, path: Path, name: str) -> list[Location]:
        last = name.rsplit(".", 1)[-1]
        found = named(await self._all_parsed(path, last), name) or named(await self._all_parsed(path, last), last)
        return [Location(one.uri, one.name_range) for one in found]

    async def _word_places(self, path: Path, name: str) -> list[Location]:
        last = name.rsplit(".", 1)[-1]
        found: list[Location] = []
        for one, text in await self.files_like(path, last):
            index = LineIndex(text)
            for spot in sorted(spots(text, last), key=lambda spot: spot.at):
                end = index.position(index.offset(spot.at) + len(last))
                found.append(Location(path_to_uri(one), Range(spot.at, end)))
        return found

    async def close(self) -> None:
        """End our servers. Bounded."""
        await self.own.close()
