"""`download`: save what an address returns as a new file of the workspace, byte for byte."""

import asyncio
import mmap
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

from lsp_agent.domain.errors import ToolError
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.ports.workspace import Place
from lsp_agent.tools.arguments import number_argument, one_line, text_argument
from lsp_agent.tools.changing import journaled_creation
from lsp_agent.tools.reading import exists
from lsp_agent.web.asking import Refused, Web, ask, asking_again
from lsp_agent.web.faces import DOWNLOAD_DEFAULT_S, DOWNLOAD_MAX_BYTES, DOWNLOAD_MAX_S, DownloadFace
from lsp_agent.web.fetching import Limits, Page
from lsp_agent.web.page_text import hop_note, require_ok
from lsp_agent.workspace import files
from lsp_agent.workspace.kept import kept

_PIECE_BYTES = 1 << 20


class Download(DownloadFace):
    """Streams into a file nobody else can see, and makes the wanted one of it when it is whole.

    The file is in the journal like one that was written: it is shown and can be taken back.
    """

    def __init__(self, web: Web, *, max_bytes: int = DOWNLOAD_MAX_BYTES) -> None:
        self._web = web
        self._max_bytes = max_bytes

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        target = self._web.read_url(text_argument(arguments, "url"))
        place = context.workspace.place(text_argument(arguments, "file_path"))
        if exists(context, place) or place.path.is_dir():
            raise ToolError(f"{place.shown} exists already, and a download never overwrites. Choose another name.")
        seconds = min(max(number_argument(arguments, "timeout", DOWNLOAD_DEFAULT_S), 1), DOWNLOAD_MAX_S)
        limits = Limits(max_bytes=self._max_bytes, total_s=float(seconds), whole=True, any_type=True)
        try:
            await ask(context, self.spec.name, target, place=place)
            again = asking_again(context, self.spec.name, self._web, place=place)
            spool = await asyncio.to_thread(_spool, self._web.directory)
            try:
                page = await self._web.fetcher.get(target, limits=limits, new_host=again, sink=spool.write)
                require_ok(page)
                text = await spool.kept(place)
                change, counts = await journaled_creation(context, place, text, lambda: spool.save(place))
            finally:
                spool.close()
        except Refused as refused:
            return refused.result
        return _saved(page, place, spool.size, change, counts)


class _Spool:
    """Collects pieces in memory and writes them to a nameless file, a megabyte at a time, off the loop."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._piece = bytearray()
        self.size = 0
        """Bytes that have arrived and were written; all of them after `kept`."""

    async def write(self, data: bytes) -> None:
        self._piece += data
        if len(self._piece) >= _PIECE_BYTES:
            await self._flush()

    async def kept(self, place: Place) -> str:
        """What the journal keeps of it, now that it is whole."""
        await self._flush()
        return await asyncio.to_thread(_kept, self._file, self.size, place)

    async def save(self, place: Place) -> None:
        """Make the file, after `kept`. Raises: WorkspaceError."""
        await asyncio.to_thread(_create, self._file, self.size, place)

    def close(self) -> None:
        """The nameless file is gone with this."""
        self._file.close()

    async def _flush(self) -> None:
        piece, self._piece = bytes(self._piece), bytearray()
        self.size += len(piece)
        if piece:
            await asyncio.to_thread(self._file.write, piece)


def _spool(directory: Path) -> _Spool:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _Spool(tempfile.TemporaryFile(dir=directory, buffering=0))  # closed by the tool


def _kept(file: IO[bytes], size: int, place: Place) -> str:
    if not size:
        return ""
    with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as mapped:
        return kept(mapped, place.shown)


def _create(file: IO[bytes], size: int, place: Place) -> None:
    if not size:
        files.create(place.path, b"", place.shown)
        return
    with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as mapped:
        # a mapping is read like bytes, and 100 MB need not be in memory
        files.create(place.path, cast("bytes", mapped), place.shown)


def _saved(page: Page, place: Place, size: int, change: Mapping[str, Any], counts: Mapping[str, Any]) -> ToolResult:
    kind = f" ({page.content_type})" if page.content_type else ""
    note = hop_note(page)
    return ToolResult(
        f"Saved {size} bytes{one_line(kind, 80)} as {place.shown}.{' ' + note if note else ''}",
        metadata={
            "url": page.target.url,
            "file_path": place.shown,
            "bytes": size,
            "content_type": page.content_type,
            **counts,
        },
        locations=({"uri": place.uri},),
        changes=(change,),
    )
