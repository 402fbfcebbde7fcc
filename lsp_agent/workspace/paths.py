"""From what somebody wrote to a real path, and from a real path to an open file that nobody could swap meanwhile.

A check by string is never enough: `Roots.place` decides on the *real* path, and `open_real` then opens exactly that
path and fails when any part of it has become a symbolic link since (RELIABILITY FS-01 to FS-05). Linux does it in one
`openat2`; elsewhere a walk with `O_NOFOLLOW` does the same step by step.
"""

import errno
import functools
import os
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes, urlsplit

from lsp_agent.domain.errors import WorkspaceError

if TYPE_CHECKING:
    import ctypes

_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_SYS_OPENAT2 = 437  # the same number on every Linux architecture (numbers were unified from 424 on)
_TRIES = 64
_O_PATH = getattr(os, "O_PATH", 0)
_NOT_THERE = frozenset({errno.ENOSYS, errno.EPERM, errno.E2BIG, errno.EOPNOTSUPP})


def path_to_uri(path: Path) -> str:
    """The `file:` URI of an absolute path; bytes that are no UTF-8 survive."""
    return "file://" + quote(os.fsencode(path), safe="/-._~!$&'()*+,;=:@")


def uri_to_path(uri: str) -> Path | None:
    """The path a `file:` URI names, not resolved; None for another scheme or another machine.

    Percent-escapes are decoded once, before any check looks at the path. Raises: WorkspaceError for NUL or no path.
    """
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise WorkspaceError(f"{uri!r} is not a URI") from error
    if parts.scheme.lower() != "file" or parts.netloc.lower() not in ("", "localhost"):
        return None
    rest = uri.partition(":")[2]
    if rest.startswith("//"):
        rest = rest[2 + len(parts.netloc) :]
    # A `?` or `#` that an editor forgot to escape is part of the name: file URIs have neither query nor fragment.
    text = os.fsdecode(unquote_to_bytes(rest))
    _check(text, uri)
    return Path(text)


def written_path(text: str, base: Path) -> Path:
    """The absolute path, not resolved, that `text` means: absolute, relative to `base`, `~/…` or a `file:` URI.

    Raises: WorkspaceError for text that is not a path (empty, NUL, a URI of another scheme or machine).
    """
    _check(text, text)
    if text[:5].lower() == "file:":
        path = uri_to_path(text)
        if path is None:
            raise WorkspaceError(f"{text!r} is not a file of this machine")
    elif text == "~" or text.startswith("~/"):
        path = Path.home() / text[2:]
    else:
        path = Path(text)
    return base / path


def _check(text: str, shown: str) -> None:
    if not text.strip():
        raise WorkspaceError("the path is empty")
    if "\0" in text:
        raise WorkspaceError(f"{shown!r} is not a path")


def real_path(path: Path) -> Path:
    """`path` with every symbolic link resolved, also those of the parents of a path that does not exist.

    A loop of links stays as it is written; opening it then fails. Raises: WorkspaceError when the links keep changing.
    """
    for _ in range(_TRIES):
        try:
            return Path(os.path.realpath(path))
        except OSError:  # a link that was there a moment ago is gone: Python 3.11 lets that through
            continue
    raise WorkspaceError(f"{path} changes while it is looked at")


def open_real(path: Path, flags: int, mode: int = 0) -> int:
    """A file descriptor for a real path (absolute, without links, see `real_path`), close-on-exec.

    Promise: no symbolic link is followed in any part of the path, so what was checked is what is opened; no magic link
    of /proc either. Raises: OSError; `ELOOP` when a link has taken the place of a part.
    """
    top = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | _O_PATH)
    try:
        return open_below(top, path.relative_to("/"), flags, mode)
    finally:
        os.close(top)


def open_below(top: int, relative: Path, flags: int, mode: int = 0) -> int:
    """Like `open_real` for a path below the open directory `top`, which it cannot leave."""
    flags |= os.O_CLOEXEC | os.O_NOCTTY
    if ".." in relative.parts:
        raise OSError(errno.EXDEV, "the path leaves its directory", str(relative))
    try:
        return _openat2(top, relative, flags, mode)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
    return walk_open(top, relative, flags, mode)


def _openat2(top: int, relative: Path, flags: int, mode: int) -> int:
    libc = _libc()
    if libc is None:
        raise OSError(errno.ENOSYS, "no openat2")
    import ctypes

    # struct open_how {u64 flags, mode, resolve}
    how = struct.pack("=QQQ", flags, mode, _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS)
    name = os.fsencode(relative)
    number = 0
    for _ in range(_TRIES):
        fd = int(libc.syscall(_SYS_OPENAT2, top, name, how, ctypes.c_size_t(len(how))))
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):  # EAGAIN: a rename went on meanwhile and the kernel is not sure
            break
    raise OSError(number, os.strerror(number), str(relative))


@functools.cache
def _libc() -> "ctypes.CDLL | None":
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def walk_open(top: int, relative: Path, flags: int, mode: int = 0) -> int:
    """`open_below` without `openat2`: one directory after the other, none of them a link."""
    parts = relative.parts
    if not parts:
        return os.open(".", flags, mode, dir_fd=top)
    directory = os.dup(top)
    try:
        for part in parts[:-1]:
            inner = os.open(
                part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | _O_PATH, dir_fd=directory
            )
            os.close(directory)
            directory = inner
        return os.open(parts[-1], flags | os.O_NOFOLLOW, mode, dir_fd=directory)
    finally:
        os.close(directory)
