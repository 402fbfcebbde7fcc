"""The user's files as the agent sees them: an open document wins over the disk.

Decisions (where a path leads, whether a document is open) are quick and made on the event loop; reading, writing and
walking happen on worker threads with a deadline. Knows editors only through `ports.workspace.Editor`.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

import xxhash

from lsp_agent.domain.errors import DocumentChanged, EditRefused, FileUnreadable, WorkspaceError
from lsp_agent.ports.workspace import Document, Editor, Place, TextFile
from lsp_agent.workspace import files
from lsp_agent.workspace.edits import text_edits
from lsp_agent.workspace.encoding import TextFormat, decode, encode
from lsp_agent.workspace.paths import path_to_uri
from lsp_agent.workspace.roots import Roots
from lsp_agent.workspace.walk import WalkOptions, walk

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FileLimits:
    """Bounds on files, in bytes and seconds."""

    read_bytes: int = 32 << 20
    """Largest text read when the caller names no limit."""
    write_bytes: int = 64 << 20
    io_s: float = 30.0
    """Time for one reading or writing; a dead network mount ends in an error."""
    walk_s: float = 30.0


@dataclass(frozen=True, slots=True)
class _OnDisk:
    """A closed file as read, with what is needed to write it back."""

    file: TextFile
    form: TextFormat
    state: files.FileState


def content_hash(text: str) -> str:
    """Hex XXH3-128 of a text as UTF-8."""
    return xxhash.xxh3_128_hexdigest(text.encode("utf-8", "surrogatepass"))


class OverlayWorkspace:
    """Implements `ports.workspace.Workspace` over the roots, the disk and the connected editors."""

    def __init__(self, roots: Roots, editor: Editor, limits: FileLimits | None = None) -> None:
        self._roots = roots
        self._editor = editor
        self._limits = limits or FileLimits()
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="workspace")
        # One change of a file at a time: of two that read, transform and write a file, one would lose its change.
        self._changing: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    @property
    def roots(self) -> Sequence[Path]:
        return self._roots.paths

    def place(self, path: str) -> Place:
        return self._roots.place(path)

    def close(self) -> None:
        """Take no more work. Does not wait for a thread that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    # ------------------------------------------------------------------------------------------------------ reading

    async def read_text(self, place: Place, *, max_bytes: int | None = None) -> TextFile:
        limit = self._limits.read_bytes if max_bytes is None else max_bytes
        document = self._editor.document(place.path)
        if document is None:
            return (await self._read(place, limit)).file
        if len(document.text) > limit or len(document.text.encode("utf-8", "surrogatepass")) > limit:
            raise FileUnreadable(place.shown, files.TOO_LARGE)
        return _open_file(place, document)

    async def read_bytes(self, place: Place, *, max_bytes: int) -> bytes:
        data, _ = await self._in_thread(place.shown, partial(files.read, place.path, max_bytes, place.shown))
        return data

    async def _read(self, place: Place, limit: int) -> _OnDisk:
        return await self._in_thread(place.shown, partial(_read_text, place, limit))

    # ----------------------------------------------------------------------------------------------------- changing

    async def change(self, place: Place, transform: Callable[[TextFile], str], label: str) -> tuple[TextFile, TextFile]:
        async with self._changing.setdefault(place.path, asyncio.Lock()):
            try:
                return await self._change_once(place, transform, label)
            except DocumentChanged:
                return await self._change_once(place, transform, label)

    async def _change_once(
        self, place: Place, transform: Callable[[TextFile], str], label: str
    ) -> tuple[TextFile, TextFile]:
        document = self._editor.document(place.path)
        if document is not None:
            before = _open_file(place, document)
            return before, await self._change_document(place, document, transform(before), label)
        disk = await self._read(place, self._limits.read_bytes)
        text = transform(disk.file)
        if text == disk.file.text:
            return disk.file, disk.file
        data = self._encoded(text, disk.form, place)
        if self._editor.document(place.path) is not None:
            raise DocumentChanged(f"{place.shown} was opened in the editor meanwhile")
        await self._writing(place, partial(files.replace, place.path, data, disk.state, place.shown))
        return disk.file, _closed_file(place, text)

    async def _change_document(self, place: Place, document: Document, text: str, label: str) -> TextFile:
        if text != document.text:
            await self._editor.apply_edit(document, text_edits(document.text, text), label)
        after = self._editor.document(place.path)
        if after is None:
            raise EditRefused(f"{place.shown} was closed in the editor while it was edited")
        return _open_file(place, after)

    async def create(self, place: Place, text: str, label: str) -> TextFile:
        async with self._changing.setdefault(place.path, asyncio.Lock()):
            document = self._editor.document(place.path)
            if document is not None and (document.text or place.path.exists()):
                raise WorkspaceError(f"{place.shown} exists already, open in the editor")
            if document is not None:
                return await self._change_document(place, document, text, label)
            data = self._encoded(text, TextFormat(), place)
            await self._writing(place, partial(files.create, place.path, data, place.shown))
            return _closed_file(place, text)

    def _encoded(self, text: str, form: TextFormat, place: Place) -> bytes:
        if len(text) > self._limits.write_bytes:
            raise WorkspaceError(f"the new text of {place.shown} is larger than {self._limits.write_bytes} bytes")
        data = encode(text, form, place.shown)
        if len(data) > self._limits.write_bytes:
            raise WorkspaceError(f"the new text of {place.shown} is larger than {self._limits.write_bytes} bytes")
        return data

    # ------------------------------------------------------------------------------------------------------ listing

    async def walk(
        self, place: Place, *, pattern: str | None = None, hidden: bool = False, limit: int = 100_000
    ) -> list[Path]:
        options = WalkOptions(pattern=pattern, hidden=hidden, limit=limit, deadline_s=self._limits.walk_s)
        unsaved = [document.path for document in self.open_documents_below(place.path) if document.path is not None]
        job = partial(walk, place.path, place.root, unsaved, options)
        return await self._in_thread(place.shown, job, within_s=self._limits.walk_s + 5)

    def open_documents_below(self, path: Path) -> Iterable[Document]:
        return [
            document
            for document in self._editor.documents()
            if document.path is not None and document.path.is_relative_to(path)
        ]

    # ------------------------------------------------------------------------------------------------------ threads

    async def _in_thread(self, shown: str, job: Callable[[], T], *, within_s: float | None = None) -> T:
        """Run a blocking job that only reads; after the deadline its thread is left behind. Raises: FileUnreadable."""
        try:
            async with asyncio.timeout(within_s or self._limits.io_s):
                return await asyncio.get_running_loop().run_in_executor(self._threads, job)
        except TimeoutError as error:
            raise FileUnreadable(shown, "the disk did not answer in time") from error

    async def _writing(self, place: Place, job: Callable[[], T]) -> T:
        """Run a blocking job that writes; cancelled, it still waits for it: nobody may believe it never happened."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, job)
        try:
            async with asyncio.timeout(self._limits.io_s):
                return await asyncio.shield(future)
        except TimeoutError as error:
            raise WorkspaceError(f"{place.shown} could not be written: the disk did not answer in time") from error
        except asyncio.CancelledError:
            await asyncio.wait([future], timeout=self._limits.io_s)
            if future.done() and not future.cancelled():
                future.exception()  # seen: the cancellation says more
            raise


def _read_text(place: Place, limit: int) -> _OnDisk:
    data, state = files.read(place.path, limit, place.shown)
    text, form = decode(data, place.shown)
    return _OnDisk(_closed_file(place, text), form, state)


def _closed_file(place: Place, text: str) -> TextFile:
    return TextFile(
        path=place.path, uri=path_to_uri(place.path), text=text, content_hash=content_hash(text), version=None
    )


def _open_file(place: Place, document: Document) -> TextFile:
    return TextFile(
        path=place.path,
        uri=document.uri,
        text=document.text,
        content_hash=content_hash(document.text),
        version=document.version,
    )
