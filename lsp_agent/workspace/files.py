"""Reading and writing files on disk, never through a link, never half.

Everything here blocks and belongs on a worker thread. A reader opens without waiting and looks at what it has opened: a
pipe, a device or an endless file ends in an error and not in a hang. A writer makes a new file beside the old one,
brings it to the disk and renames: at every moment, also after `kill -9`, the name holds the old text or the new one.
"""

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from lsp_agent.domain.errors import DocumentChanged, FileUnreadable, WorkspaceError
from lsp_agent.workspace.paths import open_real

MISSING: Final = "missing"
DIRECTORY: Final = "a directory"
SPECIAL: Final = "not a regular file"
TOO_LARGE: Final = "too large"
DENIED: Final = "no permission to read it"
MOVED: Final = "replaced by a link meanwhile"

LARGEST: Final = 1 << 40
"""Bytes: no limit that a file could reach."""

_READ = os.O_RDONLY | os.O_NONBLOCK
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_KEPT_MODE = 0o777  # what a rewritten file keeps: set-user-id, set-group-id and sticky are dropped (FS-17)
_PREFIX, _SUFFIX = ".lsp-agent-", ".tmp"
_STALE_S = 3600.0
"""A temporary file this old belongs to nobody any more; the longest write is a matter of seconds."""
_SWEEP_ENTRIES = 5_000
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


@dataclass(frozen=True, slots=True)
class FileState:
    """Which file, in which state: equal states mean nobody wrote in between."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int


def state_of(status: os.stat_result) -> FileState:
    """The state out of a stat result."""
    return FileState(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def read(path: Path, max_bytes: int, shown: str) -> tuple[bytes, FileState]:
    """A regular file's bytes and its state. Raises: FileUnreadable."""
    with _readable(shown):
        fd = open_real(path, _READ)
        try:
            return _read_regular(fd, max_bytes, shown)
        finally:
            os.close(fd)


def _read_regular(fd: int, max_bytes: int, shown: str) -> tuple[bytes, FileState]:
    status = os.fstat(fd)
    _require_regular(status, max_bytes, shown)
    pieces, room = [], max_bytes + 1  # a file may grow while it is read, and /proc says size 0
    while room > 0 and (piece := os.read(fd, min(room, 1 << 20))):
        pieces.append(piece)
        room -= len(piece)
    if room <= 0:
        raise FileUnreadable(shown, TOO_LARGE)
    return b"".join(pieces), state_of(status)


def examine(path: Path, max_bytes: int, shown: str) -> None:
    """Whether reading would fail for a reason that can be seen without opening the file. Raises: FileUnreadable."""
    with _readable(shown):
        _require_regular(path.stat(follow_symlinks=False), max_bytes, shown)


def _require_regular(status: os.stat_result, max_bytes: int, shown: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise FileUnreadable(shown, DIRECTORY)
    if not stat.S_ISREG(status.st_mode):
        raise FileUnreadable(shown, SPECIAL)
    if status.st_size > max_bytes:
        raise FileUnreadable(shown, TOO_LARGE)


@contextmanager
def _readable(shown: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileUnreadable(shown, _reason(error)) from error


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR | errno.ESTALE:
            return MISSING
        case errno.ENXIO | errno.ENODEV:  # a socket, a device without a driver
            return SPECIAL
        case errno.EACCES | errno.EPERM:
            return DENIED
        case errno.ELOOP | errno.EXDEV:
            return MOVED
        case errno.ENAMETOOLONG:
            return MISSING
        case _:
            return (error.strerror or "unreadable").lower()


def replace(path: Path, data: bytes, expected: FileState, shown: str) -> FileState:
    """Put `data` in place of a file that is in the state `expected`; returns its new state.

    Promise: old content or new content, never a mixture, also when the process is killed or the disk is full. The mode
    is kept but for set-id bits; another hard link of the file keeps the old content.
    Raises: DocumentChanged when the file is in another state; WorkspaceError.
    """
    with _writable(shown):
        directory = open_real(path.parent, _DIRECTORY)
        try:
            old = _unchanged(directory, path.name, expected, shown)
            with _temporary(directory, 0o600) as (name, fd):
                _write_all(fd, data)
                _copy_attributes(directory, path.name, old, fd)
                os.fsync(fd)
                new = os.fstat(fd)
                _unchanged(directory, path.name, expected, shown)
                os.rename(name, path.name, src_dir_fd=directory, dst_dir_fd=directory)
            os.fsync(directory)
            return _state_in(directory, path.name) or state_of(new)
        finally:
            os.close(directory)


def _unchanged(directory: int, name: str, expected: FileState, shown: str) -> os.stat_result:
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError as error:
        raise DocumentChanged(f"{shown} was removed meanwhile") from error
    if not stat.S_ISREG(status.st_mode) or state_of(status) != expected:
        raise DocumentChanged(f"{shown} changed on disk meanwhile")
    return status


def _state_in(directory: int, name: str) -> FileState | None:
    with suppress(OSError):
        return state_of(os.stat(name, dir_fd=directory, follow_symlinks=False))
    return None


def create(path: Path, data: bytes, shown: str) -> FileState:
    """A new file with its parent directories, never over anything that exists. Raises: WorkspaceError."""
    with _writable(shown):
        directory = _directory_for(path.parent)
        try:
            with _temporary(directory, 0o666) as (name, fd):
                _write_all(fd, data)
                os.fsync(fd)
                try:
                    os.link(name, path.name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
                except OSError as error:
                    if error.errno not in _NO_LINKS:
                        raise
                    _create_plainly(directory, path.name, data)
            os.fsync(directory)
            return state_of(os.stat(path.name, dir_fd=directory, follow_symlinks=False))
        finally:
            os.close(directory)


def _directory_for(path: Path) -> int:
    """The open directory `path`, made with its parents where it is missing; no link is followed on the way."""
    try:
        return open_real(path, _DIRECTORY)
    except FileNotFoundError:
        if path == path.parent:
            raise
    above = _directory_for(path.parent)
    try:
        with suppress(FileExistsError):
            os.mkdir(path.name, 0o777, dir_fd=above)
            os.fsync(above)
        return os.open(path.name, _DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    finally:
        os.close(above)


def _create_plainly(directory: int, name: str, data: bytes) -> None:
    """Where the file system has no hard links: still never over an existing file, but not in one step."""
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=directory)
    try:
        _write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _temporary(directory: int, mode: int) -> Iterator[tuple[str, int]]:
    """A fresh file in `directory` under an unguessable name, removed at the end unless it was renamed away (FS-13)."""
    name = f"{_PREFIX}{os.urandom(8).hex()}{_SUFFIX}"
    _sweep(directory)
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=directory)
    try:
        yield name, fd
    finally:
        os.close(fd)
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)


def _sweep(directory: int) -> None:
    """Remove what a process that was killed in the middle of a write left in this directory."""
    oldest = time.time() - _STALE_S
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in islice(entries, _SWEEP_ENTRIES):
            if not (entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX)):
                continue
            with suppress(OSError):
                if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < oldest:
                    os.unlink(entry.name, dir_fd=directory)


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _copy_attributes(directory: int, name: str, old: os.stat_result, fd: int) -> None:
    """Owner and extended attributes as far as we may, then the mode, which a change of owner would have touched."""
    if (os.geteuid(), os.getegid()) != (old.st_uid, old.st_gid):
        with suppress(OSError):
            os.fchown(fd, old.st_uid, old.st_gid)
    os.fchmod(fd, stat.S_IMODE(old.st_mode) & _KEPT_MODE)
    if not hasattr(os, "listxattr"):
        return
    with suppress(OSError):
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
        try:
            for key in os.listxattr(source):
                if key.startswith("user.") or key == "system.posix_acl_access":
                    os.setxattr(fd, key, os.getxattr(source, key))
        finally:
            os.close(source)


@contextmanager
def _writable(shown: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise WorkspaceError(f"{shown} exists already") from error
    except OSError as error:
        raise WorkspaceError(f"{shown} could not be written: {_why(error)}") from error


def _why(error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "the disk is full; the old content is intact"
        case errno.EFBIG:
            return "the file would be larger than allowed; the old content is intact"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return "no permission to write there"
        case errno.ELOOP | errno.EXDEV:
            return MOVED
        case errno.ENOTDIR:
            return "a parent of it is a file"
        case errno.EISDIR:
            return "it is a directory"
        case _:
            return (error.strerror or "unknown reason").lower()
