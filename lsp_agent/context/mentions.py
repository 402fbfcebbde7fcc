"""`@` and `/` in a prompt: what can be mentioned while somebody types, and what a finished prompt mentions.

A mention is a word for people with an attachment for the model (PROTOCOL 13). Paths with white space are written
`@"a file.py"`; `@a.py:10-20` means those lines. Nothing here reads a file.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsp_agent.context.commands import Command, Commands
from lsp_agent.context.file_index import FileIndex
from lsp_agent.context.symbols import Symbols
from lsp_agent.domain.errors import WorkspaceError
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.workspace import Document, Workspace
from lsp_agent.untrusted import clean
from lsp_agent.workspace.paths import path_to_uri

MAX_ITEMS = 50
MAX_MENTIONS = 50
"""Of one finished prompt."""
_LOOK_BACK = 1_000
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
_AT = re.compile(r'(?:^|(?<=[\s(\[{<,;"\'`]))@(?:"([^"\n]*)|([^\s"@]*))$')
_SLASH = re.compile(r"(?:^|(?<=\n))[ \t]*(/[^\s/]*)$")
_MENTION = re.compile(r'(?:^|(?<=[\s(\[{<,;\'`]))@(?:"([^"\n]{1,1000})"|([^\s"@]{1,1000}))')
_LINES = re.compile(r":(\d{1,7})(?:-(\d{1,7}))?\Z")
_SURROUNDING = ".,;:!?)]}>'`"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the asking editor knows; everything has a harmless default."""

    recent: Sequence[str] = ()
    """URIs of its documents, the one used last first."""
    has_selection: bool = False
    problems: int = 0
    """How many diagnostics it has pushed."""
    session_id: str | None = None
    units: Callable[[str, int], int] = field(default=lambda line, column: column)
    """The column of a line (code points) in the editor's encoding."""


@dataclass(frozen=True, slots=True)
class Completion:
    """Items for the text from `start` to `end` (code points), which they replace."""

    start: int
    end: int
    items: Sequence[Mapping[str, Any]] = ()
    """PROTOCOL 7 mention items, best first."""


class Mentions:
    """Completion and reading of mentions for one workspace.

    `documents`: every open document. `last_run`, `terminals`: of a session; None and nothing where there is none.
    """

    def __init__(
        self,
        workspace: Workspace,
        commands: Commands,
        clock: Clock,
        *,
        documents: Callable[[], Sequence[Document]],
        last_run: Callable[[str], str | None] = lambda session_id: None,
        terminals: Callable[[str], Sequence[Mapping[str, Any]]] = lambda session_id: (),
    ) -> None:
        self._workspace = workspace
        self._commands = commands
        self._documents = documents
        self._last_run = last_run
        self._terminals = terminals
        self._index = FileIndex(workspace, clock)
        self._symbols = Symbols()

    async def aclose(self) -> None:
        """End what is under way. May be called twice."""
        await self._index.aclose()

    # -------------------------------------------------------------------------------------------------- completion

    async def complete(self, text: str, offset: int, around: Surroundings = Surroundings()) -> Completion:
        """What fits at `offset` (code points) of a prompt; at most `MAX_ITEMS`."""
        head = text[max(offset - _LOOK_BACK, 0) : offset]
        base = offset - len(head)
        slash = _SLASH.search(head) if "/" in head else None
        if slash is not None and (base == 0 or slash.start() > 0):
            return Completion(base + slash.start(1), offset, await self._called(slash[1][1:]))
        found = _AT.search(head)
        if found is None:
            return Completion(offset, offset)
        query = found[1] if found[1] is not None else found[2]
        start = base + found.start()
        if query.startswith("#"):
            return Completion(start, offset, self._defined(query[1:], around))
        special, opened = list(self._special(query, around)), self._opened(query, around)
        items = [*special, *opened] if query else [*opened, *special]
        items += await self._files(query, {str(item["attachment"].get("uri")) for item in items})
        return Completion(start, offset, items[:MAX_ITEMS])

    async def _called(self, query: str) -> list[Mapping[str, Any]]:
        wanted = query.casefold()
        usable = [command for command in await self._commands.find() if not command.problem]
        ranked = sorted(
            [(rank, command.name, command) for command in usable if (rank := _rank(command, wanted)) is not None],
            key=lambda each: each[:2],
        )
        return [
            {
                "label": f"/{command.name}",
                "insertText": f"/{command.name}{' ' if command.hint else ''}",
                "detail": " ".join([part for part in (command.hint, command.description) if part])[:200],
            }
            for _, _, command in ranked[:MAX_ITEMS]
        ]

    def _special(self, query: str, around: Surroundings) -> Iterator[Mapping[str, Any]]:
        """What is no file: only what there is something of."""
        offers: list[tuple[str, str, Mapping[str, Any]]] = []
        if around.has_selection:
            offers.append(("selection", "the selected text", {"type": "selection"}))
        if around.problems:
            offers.append(
                (
                    "diagnostics",
                    f"{around.problems} problem{'s' * (around.problems != 1)} in the editor",
                    {"type": "diagnostics"},
                )
            )
        if around.session_id is not None:
            run_id = self._last_run(around.session_id)
            if run_id is not None:
                offers.append(("changes", "what the last run changed", {"type": "changes", "runId": run_id}))
            for one in self._terminals(around.session_id)[:10]:
                name, shown = str(one["terminalId"]), clean(str(one.get("command", "")))
                terminal = {"type": "terminal", "terminalId": name}
                offers.append((f"terminal:{name}", " ".join(shown.split())[:100], terminal))
        for word, detail, attachment in offers:
            if word.startswith(query.casefold()):
                yield {"label": f"@{word}", "insertText": f"@{word}", "detail": detail, "attachment": attachment}

    def _opened(self, query: str, around: Surroundings) -> list[Mapping[str, Any]]:
        """Open documents, the one used last first; ours and others outside the roots are left out."""
        rank = {uri: at for at, uri in enumerate(around.recent)}
        wanted = query.casefold()
        found: list[tuple[int, str, Mapping[str, Any]]] = []
        for document in self._documents():
            name = self._name(document)
            if name is not None and _has_in_order(name.casefold(), wanted):
                attachment = {"type": "buffer", "uri": document.uri}
                found.append((rank.get(document.uri, len(rank)), name, _item(name, "open", attachment)))
        return [item for _, _, item in sorted(found, key=lambda each: each[:2])][:MAX_ITEMS]

    def _name(self, document: Document) -> str | None:
        if document.path is None:
            return clean(document.uri)[:200]
        place = self._workspace.place(str(document.path))
        return place.shown if place.inside else None

    async def _files(self, query: str, known: set[str]) -> list[Mapping[str, Any]]:
        names = await self._index.names()
        first = self._workspace.roots[0]
        items: list[Mapping[str, Any]] = []
        for at in names.search(query, MAX_ITEMS + len(known)):
            path, shown = names.paths[at], names.shown[at]
            uri = path_to_uri(path)
            if uri in known:
                continue
            inside_first = path.is_relative_to(first)
            items.append(
                _item(
                    shown, "" if inside_first else str(path), _file(uri), as_written=None if inside_first else str(path)
                )
            )
        return items

    def _defined(self, query: str, around: Surroundings) -> list[Mapping[str, Any]]:
        wanted = query.casefold()
        found: list[tuple[tuple[int, int, str], Mapping[str, Any]]] = []
        for document in self._documents():
            where = self._name(document)
            for symbol in self._symbols.of(document) if where is not None else ():
                name = symbol.name.casefold()
                if not _has_in_order(name, wanted):
                    continue
                position = {"line": symbol.line, "character": around.units(symbol.text, symbol.column)}
                item = {
                    "label": f"@#{symbol.name}",
                    "insertText": f"@#{symbol.name}",
                    "detail": f"{where}:{symbol.line + 1}",
                    "attachment": {"type": "symbol", "uri": document.uri, "position": position},
                }
                found.append(((0 if name.startswith(wanted) else 1, len(name), name), item))
        return [item for _, item in sorted(found, key=lambda each: each[0])[:MAX_ITEMS]]

    # ----------------------------------------------------------------------------------------------------- reading

    def mentioned(self, text: str, around: Surroundings = Surroundings()) -> list[dict[str, Any]]:
        """The attachments that a finished prompt mentions, in order, each once; words that mean nothing are skipped.

        Looks whether files are there, never into them; nothing outside the roots is attached.
        """
        found: list[dict[str, Any]] = []
        if "@" not in text:
            return found
        opened = {name: each.uri for each in self._documents() if (name := self._name(each)) is not None}
        for match in _MENTION.finditer(text):
            meant = self._meant if match[1] else self._loosely_meant
            attachment = meant(match[1] or match[2], around, opened)
            if attachment is not None and attachment not in found:
                found.append(attachment)
                if len(found) >= MAX_MENTIONS:
                    break
        return found

    def _loosely_meant(self, word: str, around: Surroundings, opened: Mapping[str, str]) -> dict[str, Any] | None:
        """A word may end with what belongs to the sentence."""
        while True:
            attachment = self._meant(word, around, opened)
            if attachment is not None or not word or word[-1] not in _SURROUNDING:
                return attachment
            word = word[:-1]

    def _meant(self, word: str, around: Surroundings, opened: Mapping[str, str]) -> dict[str, Any] | None:
        if word.startswith("#"):
            return next(
                (dict(i["attachment"]) for i in self._defined(word[1:], around) if i["label"] == f"@{word}"), None
            )
        special = next((dict(i["attachment"]) for i in self._special(word, around) if i["label"] == f"@{word}"), None)
        if special is not None:
            return special
        lines = _LINES.search(word)
        for name, span in ((word, None), *([(word[: lines.start()], lines)] if lines is not None else [])):
            uri = opened.get(name) or self._uri_of(name)
            if uri is not None:
                return _file(uri) if span is None else _part(uri, int(span[1]), int(span[2] or span[1]))
        return None

    def _uri_of(self, name: str) -> str | None:
        try:
            place = self._workspace.place(name)
        except WorkspaceError:
            return None
        return place.uri if place.inside and place.path.is_file() else None


def _item(name: str, detail: str, attachment: Mapping[str, Any], *, as_written: str | None = None) -> dict[str, Any]:
    written = as_written or name
    text = f'@"{written}"' if any(character.isspace() for character in written) else f"@{written}"
    item: dict[str, Any] = {"label": name, "insertText": text, "attachment": attachment}
    return {**item, "detail": detail} if detail else item


def _file(uri: str) -> dict[str, Any]:
    kind = "image" if Path(uri).suffix.casefold() in _IMAGES else "buffer"
    return {"type": kind, "uri": uri}


def _part(uri: str, first: int, last: int) -> dict[str, Any]:
    """Lines counted from 1, the last one included."""
    start, end = max(min(first, last) - 1, 0), max(first, last)
    return {
        "type": "buffer",
        "uri": uri,
        "range": {"start": {"line": start, "character": 0}, "end": {"line": end, "character": 0}},
    }


def _rank(command: Command, wanted: str) -> int | None:
    name = command.name.casefold()
    if name.startswith(wanted):
        return 0
    if any(part.startswith(wanted) for part in name.split(":")):
        return 1
    return 2 if _has_in_order(name, wanted) else None


def _has_in_order(text: str, letters: str) -> bool:
    """Whether the letters occur in the text in this order."""
    rest = iter(text)
    return all(letter in rest for letter in letters)
