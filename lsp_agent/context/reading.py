"""Reading files that instruct: small, regular, text. Those below a root through the workspace, so that an open
document wins; the user's own straight from the disk."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from lsp_agent.domain.errors import FileUnreadable, WorkspaceError
from lsp_agent.ports.workspace import Workspace
from lsp_agent.workspace import files
from lsp_agent.workspace.encoding import decode
from lsp_agent.workspace.paths import real_path

T = TypeVar("T")
MAX_FILE_BYTES = 64 * 1024
"""Of one file, what is used."""
_MAX_OPENED_BYTES = 1024 * 1024
IO_S = 2.0


async def read_project(workspace: Workspace, path: Path) -> str:
    """The text of a file below a root as the editor has it. Raises: FileUnreadable, also when it leads outside."""
    try:
        place = workspace.place(str(path))
    except WorkspaceError as error:
        raise FileUnreadable(path.name, "not a path") from error
    if not place.inside:
        raise FileUnreadable(path.name, "a link that leads outside the workspace")
    return (await _in_time(path, workspace.read_text(place, max_bytes=_MAX_OPENED_BYTES))).text


async def read_own(path: Path) -> str:
    """The text of a file of the user's, links followed. Raises: FileUnreadable."""
    return await _in_time(path, asyncio.to_thread(read_now, path))


def read_now(path: Path) -> str:
    """The same, waiting for the disk. Raises: FileUnreadable."""
    try:
        real = real_path(path)
    except WorkspaceError as error:
        raise FileUnreadable(path.name, "not a path") from error
    data, _ = files.read(real, _MAX_OPENED_BYTES, path.name)
    return decode(data, path.name)[0]


def cut(text: str, max_bytes: int = MAX_FILE_BYTES) -> tuple[str, bool]:
    """`text` up to `max_bytes` of UTF-8, ending with a whole line where there is one; and whether that is less."""
    if len(text) * 4 <= max_bytes:
        return text, False
    data = text.encode("utf-8", "replace")
    if len(data) <= max_bytes:
        return text, False
    head = data[:max_bytes].decode("utf-8", "ignore")
    return head[: head.rfind("\n") + 1] or head, True


def resolved(path: Path) -> Path:
    """The real path; the path itself while its links keep changing."""
    try:
        return real_path(path)
    except WorkspaceError:
        return path


async def _in_time(path: Path, work: Awaitable[T]) -> T:
    """A dead network mount ends in an error; its thread is left behind."""
    try:
        async with asyncio.timeout(IO_S):
            return await work
    except TimeoutError as error:
        raise FileUnreadable(path.name, "the disk did not answer in time") from error


def is_there(path: Path, *, directory: bool = False) -> bool:
    """Whether something, or a directory, is at `path`; what cannot be looked at (a name too long) is not there."""
    try:
        return path.is_dir() if directory else path.exists()
    except (OSError, ValueError):
        return False
