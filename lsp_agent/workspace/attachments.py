"""What a user attaches to a prompt, resolved when the run is accepted (PROTOCOL 13).

A reference becomes the text it means at this moment, with its path, its lines and its version; a version that is named
is honoured or refused, never approximated. What lies outside the roots waits for the user's permission, which the turn
asks for (see `outside`): of a closed file only what can be seen without opening it is checked here, and told to nobody
but the user, who may know that a file is missing; the text of an open document is held in memory.
"""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import FileUnreadable, RequestRejected, WorkspaceError
from lsp_agent.domain.message import AttachmentPart
from lsp_agent.domain.text import Position, Range
from lsp_agent.ports.workspace import Place, Workspace
from lsp_agent.workspace import files
from lsp_agent.workspace.asking import AttachmentSource
from lsp_agent.workspace.blocks import enclosing_block
from lsp_agent.workspace.diagnostics import render_diagnostics, severity_limit
from lsp_agent.workspace.images import image_type
from lsp_agent.workspace.lines import LineIndex, split_lines

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AttachmentLimits:
    """Bounds, in bytes of UTF-8 or of the image file."""

    text_bytes: int = 1 << 20
    image_bytes: int = 5 << 20
    count: int = 100


@dataclass(frozen=True, slots=True)
class _Text:
    """A text with the place it came from."""

    uri: str
    path: str | None
    text: str
    version: int | None


@dataclass(frozen=True, slots=True)
class AttachmentContext:
    """Where attachments are looked up."""

    source: AttachmentSource
    workspace: Workspace
    limits: AttachmentLimits = AttachmentLimits()
    allowed: Path | None = None
    """A real path outside the roots that the user has allowed; everything else out there waits to be asked about."""
    providers: Mapping[str, Callable[[Item], Awaitable[str]]] = field(default_factory=dict)
    """Text for the types `changes` and `terminal`, from their item; may raise ValueError with a sentence."""


async def resolve_attachments(items: Sequence[Any], context: AttachmentContext) -> tuple[AttachmentPart, ...]:
    """The parts that `items` (PROTOCOL 13 objects) mean, in order; several selections make several parts.

    Raises: RequestRejected: StaleDocument, or InvalidParams with `path` naming the attachment (`attachments[1].uri`).
    """
    if len(items) > context.limits.count:
        raise RequestRejected("InvalidParams", f"more than {context.limits.count} attachments", path="attachments")
    parts: list[AttachmentPart] = []
    for number, item in enumerate(items):
        parts += await _Resolver(context, f"attachments[{number}]").resolve(item)
    return tuple(parts)


class _Resolver:
    """Resolves one item; knows where it stands in the request, for the errors."""

    def __init__(self, context: AttachmentContext, where: str) -> None:
        self._context = context
        self._source = context.source
        self._where = where

    async def resolve(self, item: Any) -> list[AttachmentPart]:
        if not isinstance(item, Mapping):
            raise self._invalid("an attachment is an object", "")
        match item.get("type"):
            case "buffer":
                return [await self._buffer(item)]
            case "selection":
                return await self._selection(item)
            case "file":
                return [await self._file(item)]
            case "text":
                return [self._plain(item)]
            case "image":
                return [await self._image(item)]
            case "diagnostics":
                return [self._diagnostics(item)]
            case "symbol":
                return [await self._symbol(item)]
            case "changes" | "terminal" as kind:
                return [await self._provided(item, kind)]
            case other:
                raise self._invalid(f"there is no attachment type {other!r}", "type")

    # -------------------------------------------------------------------------------------------------------- texts

    async def _buffer(self, item: Item) -> AttachmentPart:
        if item.get("range") is None:
            return await self._text(item, lambda text: self._whole(text, "buffer"), whole=True)
        return await self._piece(item, "buffer")

    async def _piece(self, item: Item, kind: str) -> AttachmentPart:
        """The item's range."""
        return await self._text(item, lambda text: self._cut(text, self._range(text, item["range"], "range"), kind))

    async def _file(self, item: Item) -> AttachmentPart:
        named = {"type": "file", "uri": self._string(item, "uri")}
        return await self._text(named, lambda text: self._whole(text, "file"), whole=True)

    async def _selection(self, item: Item) -> list[AttachmentPart]:
        uri = self._string(item, "uri") if item.get("uri") is not None else None
        version = self._version(item)
        if item.get("range") is not None:
            pushed = self._source.selection(uri)
            uri = uri if uri is not None else (pushed.uri if pushed is not None else None)
            if uri is None:
                raise self._invalid("a selection with a range needs a uri", "uri")
            return [await self._piece({**item, "uri": uri}, "selection")]
        pushed = self._source.selection(uri)
        if pushed is None or not pushed.ranges:
            raise self._invalid("no selection is known: the editor has pushed none", "")
        # The ranges mean the text they were pushed for: after more typing they would mean something else.
        version = version if version is not None else pushed.version
        document = await self._source.document_at(pushed.uri, version)
        if document is not None and pushed.version not in (None, document.version):
            raise self._stale(pushed.uri, int(pushed.version or 0), document.version)
        named = {"type": "selection", "uri": pushed.uri, "version": version}
        return [await self._piece({**named, "range": span}, "selection") for span in pushed.ranges]

    async def _symbol(self, item: Item) -> AttachmentPart:
        def make(text: _Text) -> AttachmentPart:
            try:
                position = self._source.position_in(text.text, item.get("position"))
            except ValueError as error:
                raise self._invalid(str(error), "position") from error
            lines = split_lines(text.text)
            if not lines:
                return self._whole(text, "symbol")
            first, last = enclosing_block(lines, position.line)
            return self._cut(text, Range(Position(first, 0), Position(last + 1, 0)), "symbol")

        return await self._text(item, make)

    async def _text(
        self, item: Item, make: Callable[[_Text], AttachmentPart], *, whole: bool = False
    ) -> AttachmentPart:
        """What `make` makes of the live text: of this editor's document, of another editor's, or of the closed file.

        Outside the roots: what stands for it until the user has been asked.
        """
        uri, version = self._string(item, "uri"), self._version(item)
        document = await self._source.document_at(uri, version)
        if document is not None:
            made = make(_Text(document.uri, self._shown(document.uri), document.text, document.version))
            place = self._place(document.uri)
            return made if place is None or self._may_read(place) else self._put_off(item, place, made)
        place = self._file_place(uri)
        # UTF-16 needs two bytes where UTF-8 needs one; the limit proper is checked on the text. A part of a large
        # file may be attached, so then only the workspace's own limit counts.
        most = 2 * self._context.limits.text_bytes + 4 if whole else None
        try:
            if not self._may_read(place):
                await asyncio.to_thread(files.examine, place.path, most or files.LARGEST, place.shown)
                return self._put_off(item, place)
            file = await self._context.workspace.read_text(place, max_bytes=most)
        except FileUnreadable as error:
            raise self._invalid(str(error), "uri") from error
        return make(_Text(file.uri, place.shown, file.text, file.version))

    # ----------------------------------------------------------------------------------------------------- places

    def _file_place(self, uri: str) -> Place:
        if ":" not in uri:
            raise self._invalid("uri is not a URI", "uri")
        try:
            place = self._context.workspace.place(uri) if uri[:5].lower() == "file:" else None
        except WorkspaceError as error:
            raise self._invalid(str(error), "uri") from error
        if place is None:
            raise self._invalid(f"{uri} is not open and not a file", "uri")
        return place

    def _place(self, uri: str) -> Place | None:
        """Where a document lies; None for one that is no file."""
        if uri[:5].lower() != "file:":
            return None
        try:
            return self._context.workspace.place(uri)
        except WorkspaceError:
            return None

    def _may_read(self, place: Place) -> bool:
        return place.inside or place.path == self._context.allowed

    def _put_off(self, item: Item, place: Place, made: AttachmentPart | None = None) -> AttachmentPart:
        """The part that waits for its permission. `made`: of an open document, what it will be."""
        span = item["range"] if isinstance(item.get("range"), Mapping) else {}
        part = made or AttachmentPart(
            mime_type="text/plain",
            uri=place.uri,
            path=place.shown,
            name=place.path.name,
            start_line=_line(span, "start"),
            end_line=_line(span, "end"),
            kind=str(item["type"]),
        )
        wanted = {key: value for key, value in item.items() if value is not None}
        waits = {"item": wanted, "encoding": self._source.encoding}
        return replace(part, text=not_read(place.shown), deferred=waits, held=made.text if made is not None else None)

    def _shown(self, uri: str) -> str | None:
        place = self._place(uri)
        return place.shown if place is not None else None

    def _whole(self, text: _Text, kind: str) -> AttachmentPart:
        self._check_size(text.text)
        return AttachmentPart(
            mime_type="text/plain",
            text=text.text,
            uri=text.uri,
            path=text.path,
            name=_name(text),
            version=text.version,
            kind=kind,
        )

    def _cut(self, text: _Text, span: Range, kind: str) -> AttachmentPart:
        piece = LineIndex(text.text).slice(span)
        self._check_size(piece)
        end_line = span.end.line
        if span.end.column == 0 and end_line > span.start.line:
            end_line -= 1  # whole lines were selected: the line after them is not part of it
        return AttachmentPart(
            mime_type="text/plain",
            text=piece,
            uri=text.uri,
            path=text.path,
            name=_name(text),
            start_line=span.start.line,
            end_line=end_line,
            version=text.version,
            kind=kind,
        )

    def _range(self, text: _Text, value: object, key: str) -> Range:
        try:
            return self._source.range_in(text.text, value)
        except ValueError as error:
            raise self._invalid(str(error), key) from error

    # ------------------------------------------------------------------------------------------------------- others

    def _plain(self, item: Item) -> AttachmentPart:
        text = self._string(item, "text")
        name = self._string(item, "name") if item.get("name") is not None else None
        self._check_size(text)
        return AttachmentPart(mime_type="text/plain", text=text, name=name, kind="text")

    async def _image(self, item: Item) -> AttachmentPart:
        limit = self._context.limits.image_bytes
        if item.get("uri") is not None:
            place = self._file_place(self._string(item, "uri"))
            try:
                if not self._may_read(place):
                    await asyncio.to_thread(files.examine, place.path, limit, place.shown)
                    return self._put_off({"type": "image", "uri": item["uri"]}, place)
                data = await self._context.workspace.read_bytes(place, max_bytes=limit)
            except FileUnreadable as error:
                raise self._invalid(str(error), "uri") from error
            return self._image_part(data, "uri", uri=place.uri, path=place.shown, name=place.path.name)
        encoded = self._string(item, "data")
        self._string(item, "mimeType")
        if len(encoded) > (limit + 2) // 3 * 4 + 4:
            raise self._invalid(f"the image is larger than {limit} bytes", "data")
        try:
            data = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise self._invalid("data is not base64", "data") from error
        if len(data) > limit:
            raise self._invalid(f"the image is larger than {limit} bytes", "data")
        return self._image_part(data, "data")

    def _image_part(
        self, data: bytes, key: str, *, uri: str | None = None, path: str | None = None, name: str | None = None
    ) -> AttachmentPart:
        mime_type = image_type(data)  # what it is counts, not what it is called
        if mime_type is None:
            raise self._invalid("the image is not PNG, JPEG, GIF or WebP", key)
        return AttachmentPart(mime_type=mime_type, data=data, uri=uri, path=path, name=name, kind="image")

    def _diagnostics(self, item: Item) -> AttachmentPart:
        uri = self._string(item, "uri") if item.get("uri") is not None else None
        try:
            limit = severity_limit(item.get("severity"))
        except ValueError as error:
            raise self._invalid(str(error), "severity") from error
        pushed = self._source.diagnostics(uri)
        text = render_diagnostics(pushed, limit, lambda one: self._shown(one) or one)
        self._check_size(text)
        versions = {one.version for one in pushed} if uri is not None else set()
        return AttachmentPart(
            mime_type="text/plain",
            text=text,
            uri=uri,
            path=self._shown(uri) if uri is not None else None,
            name="diagnostics",
            version=versions.pop() if len(versions) == 1 else None,
            kind="diagnostics",
        )

    async def _provided(self, item: Item, kind: str) -> AttachmentPart:
        key = {"changes": "runId", "terminal": "terminalId"}[kind]
        name = self._string(item, key)
        provider = self._context.providers.get(kind)
        if provider is None:
            raise self._invalid(f"attachments of type {kind!r} are not available here", "type")
        try:
            text = await provider(item)
        except ValueError as error:
            raise self._invalid(str(error), key) from error
        self._check_size(text)
        return AttachmentPart(mime_type="text/plain", text=text, name=f"{kind} {name}", kind=kind)

    # ------------------------------------------------------------------------------------------------------- checks

    def _string(self, item: Item, key: str) -> str:
        value = item.get(key)
        if not isinstance(value, str):
            raise self._invalid(f"{key} is a string", key)
        return value

    def _version(self, item: Item) -> int | None:
        value = item.get("version")
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise self._invalid("version is an integer", "version")

    def _check_size(self, text: str) -> None:
        limit = self._context.limits.text_bytes
        if len(text) > limit or len(text.encode("utf-8", "surrogatepass")) > limit:
            raise self._invalid(f"the text is larger than {limit} bytes; attach a part of it", "")

    def _invalid(self, message: str, key: str) -> RequestRejected:
        path = f"{self._where}.{key}" if key else self._where
        return RequestRejected("InvalidParams", message, path=path)

    @staticmethod
    def _stale(uri: str, wanted: int, have: int | None) -> RequestRejected:
        return RequestRejected(
            "StaleDocument",
            f"the selection was made in version {wanted} of {uri}, which is at {have}",
            retryable=True,
            uri=uri,
            wanted=wanted,
            have=have,
        )


def _name(text: _Text) -> str:
    return (text.path or text.uri).rsplit("/", 1)[-1]


def _line(span: Mapping[str, Any], end: str) -> int | None:
    """A line of a range as the client wrote it: lines are the same in every encoding."""
    position = span.get(end)
    line = position.get("line") if isinstance(position, Mapping) else None
    return line if isinstance(line, int) else None


def not_read(shown: str) -> str:
    """What a part says before the user has been asked, and for ever when they never are."""
    return f"[Not attached: {shown} lies outside the workspace and was not read.]"
