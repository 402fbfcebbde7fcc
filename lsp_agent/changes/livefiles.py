"""A file of today as a text or as nothing, and the one way in which a decision of the user changes it.

An open document is changed in the editor, undoable there; a closed file atomically on disk. A file is deleted only when
disk and editor agree on what it holds. What is no text appears as a line that names it (`workspace.kept`): such a file
can be taken away and not be brought back. Knows nothing of hunks.
"""

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lsp_agent.domain.errors import DocumentChanged, FileUnreadable, WorkspaceError
from lsp_agent.ports.workspace import Place, TextFile, Workspace
from lsp_agent.workspace import files
from lsp_agent.workspace.encoding import TextFormat, encode
from lsp_agent.workspace.kept import holds, is_line, line
from lsp_agent.workspace.overlay import content_hash
from lsp_agent.workspace.paths import open_real

WRITE_S = 10.0
MAX_BYTES = 128 << 20
_NO_TEXT = frozenset({"binary", "not decodable", files.TOO_LARGE})

Plan = Callable[[str | None], str | None]
"""From what the file holds (None = no file) to what it shall hold.

Called in a thread first, and on the loop with the text that is changed then: the same call again must be quick.
"""


class LiveFiles:
    """The workspace's files by real path."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def path_of(self, uri: str) -> str:
        """The real path of a file's URI; the URI itself when it leads nowhere."""
        try:
            return str(self._workspace.place(uri).path)
        except WorkspaceError:
            return uri

    async def read(self, path: str) -> str | None:
        """Today's text; None when there is no file. Raises: WorkspaceError."""
        file = await self._read(self._place(path))
        return None if file is None else file.text

    async def version(self, path: str) -> int | None:
        """Version of the open document; None when it is closed or gone."""
        try:
            file = await self._read(self._place(path))
        except WorkspaceError:
            return None
        return None if file is None else file.version

    async def put(self, path: str, plan: Plan, label: str, *, on_disk: bool = False) -> tuple[str | None, str | None]:
        """Make the file what `plan` says; what it held and what it holds now, as it really happened.

        `on_disk`: a file that is to be there is on the disk afterwards, also when it is open in an editor. Raises: what
        `plan` raises, WorkspaceError (DocumentChanged, EditRefused, …); then nothing was changed.
        """
        place = self._place(path)
        before, after = await self._put(place, plan, label)
        if on_disk and after is not None and not place.path.exists():
            await _in_thread(partial(_make, place.path, after, place.shown), place)
            return None, after
        return before, after

    async def _put(self, place: Place, plan: Plan, label: str) -> tuple[str | None, str | None]:
        file = await self._read(place)
        wanted = await asyncio.to_thread(plan, None if file is None else file.text)
        if wanted is not None and is_line(wanted):
            if file is not None and file.text == wanted:
                return wanted, wanted
            raise WorkspaceError(f"{place.shown} cannot be brought back: its content was not kept")
        if file is None:
            if wanted is None:
                return None, None
            return None, (await self._workspace.create(place, wanted, label)).text
        if wanted is None:
            return file.text, await self._delete(place, file)
        before, after = await self._workspace.change(place, lambda now: _text(plan(now.text)), label)
        return before.text, after.text

    def _place(self, path: str) -> Place:
        place = self._workspace.place(path)
        if str(place.path) != path:
            raise WorkspaceError(f"{place.shown} leads elsewhere now")
        return place

    async def _read(self, place: Place) -> TextFile | None:
        try:
            file = await self._workspace.read_text(place)
        except FileUnreadable as error:
            if error.reason == files.MISSING:
                return None
            if error.reason not in _NO_TEXT or list(self._workspace.open_documents_below(place.path)):
                raise
            return await self._named(place)
        if file.version is not None and not file.text and not place.path.exists():
            return None  # a buffer for a file that is not there
        return file

    async def _named(self, place: Place) -> TextFile:
        data = await self._workspace.read_bytes(place, max_bytes=MAX_BYTES)
        text = await asyncio.to_thread(line, data)
        return TextFile(place.path, place.uri, text, content_hash(text), None)

    async def _delete(self, place: Place, file: TextFile) -> str | None:
        """Remove the file. One that only the editor has is emptied there; unsaved work in it is never dropped."""
        if file.version is not None and not place.path.exists():
            _, after = await self._workspace.change(place, lambda now: _same(now, file), "Agent: take back")
            return after.text or None
        await _in_thread(partial(_remove, place.path, file.text, place.shown), place)
        return None


async def _in_thread(job: Callable[[], None], place: Place) -> None:
    """Run a blocking job that writes. Raises: what it raises, WorkspaceError after its deadline."""
    try:
        async with asyncio.timeout(WRITE_S):
            await asyncio.shield(asyncio.to_thread(job))
    except TimeoutError as error:
        raise WorkspaceError(f"{place.shown} could not be changed: the disk did not answer in time") from error


def _make(path: Path, text: str, shown: str) -> None:
    """A new file for a document that is open already. Blocks. Raises: WorkspaceError."""
    files.create(path, encode(text, TextFormat(), shown), shown)


def _text(wanted: str | None) -> str:
    if wanted is None:
        raise DocumentChanged("the file was changed meanwhile")
    return wanted


def _same(now: TextFile, file: TextFile) -> str:
    if now.text != file.text:
        raise DocumentChanged("the file was changed meanwhile")
    return ""


def _remove(path: Path, text: str, shown: str) -> None:
    """Unlink a file that holds exactly `text`, or what it names. Blocks. Raises: WorkspaceError, DocumentChanged."""
    data, state = files.read(path, MAX_BYTES, shown)
    if not holds(data, text, shown):
        raise DocumentChanged(f"{shown} is open with changes that are not saved")
    try:
        directory = open_real(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            status = os.stat(path.name, dir_fd=directory, follow_symlinks=False)
            if files.state_of(status) != state:
                raise DocumentChanged(f"{shown} changed on disk meanwhile")
            os.unlink(path.name, dir_fd=directory)
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        why = (error.strerror or "unknown reason").lower()
        raise WorkspaceError(f"{shown} could not be removed: {why}") from error
