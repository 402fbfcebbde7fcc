"""The text files below the roots as they are on disk, within bounds of number, size and time.

What git ignores, `.git` itself, binary files and files that hold secrets are left out. A file that did not change since
it was read last is not read again. Blocks: belongs on a worker thread.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lsp_agent.domain.errors import FileUnreadable
from lsp_agent.ports.changes import text_id
from lsp_agent.workspace.encoding import decode
from lsp_agent.workspace.files import FileState, read, state_of
from lsp_agent.workspace.walk import WalkOptions, walk


@dataclass(frozen=True, slots=True)
class SnapshotLimits:
    """Bounds of one snapshot: files, bytes of all, bytes of one, seconds."""

    files: int = 5_000
    bytes: int = 20 << 20
    file_bytes: int = 1 << 20
    seconds: float = 5.0


@dataclass(slots=True)
class Scan:
    """What was found: state and text id by path; the texts that were read; whether a bound was met."""

    files: dict[Path, tuple[FileState, str]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    partial: bool = False


def scan(
    roots: Sequence[Path],
    more: Iterable[Path],
    known: Mapping[Path, tuple[FileState, str]],
    is_secret: Callable[[str], bool],
    limits: SnapshotLimits,
) -> Scan:
    """Look at every file below `roots`, and at those in `more`. Never raises for a file; it is left out."""
    deadline_s = time.monotonic() + limits.seconds
    found = Scan()
    room = limits.bytes
    listed = _listed(roots, more, is_secret, limits, found)
    found.partial |= time.monotonic() > deadline_s  # the walk may have been cut short
    for path in listed:
        if time.monotonic() > deadline_s or len(found.files) >= limits.files:
            found.partial = True
            break
        size = _take(path, known, limits, found)
        if size is None:
            continue
        room -= size
        if room < 0:
            del found.files[path]
            found.partial = True
            break
    return found


def _listed(
    roots: Sequence[Path],
    more: Iterable[Path],
    is_secret: Callable[[str], bool],
    limits: SnapshotLimits,
    found: Scan,
) -> Iterable[Path]:
    seen: dict[Path, None] = dict.fromkeys(more)
    options = WalkOptions(hidden=True, limit=limits.files + 1, deadline_s=limits.seconds)
    for root in roots:
        try:
            listed = walk(root, root, (), options)
        except FileUnreadable:
            continue  # the folder is gone
        if len(listed) > limits.files:
            found.partial = True
        seen.update({path: None for path in listed if not is_secret(path.relative_to(root).as_posix())})
    return seen


def _take(path: Path, known: Mapping[Path, tuple[FileState, str]], limits: SnapshotLimits, found: Scan) -> int | None:
    """Note one file; its size, None when it is left out."""
    try:
        state = state_of(path.stat(follow_symlinks=False))
        if (before := known.get(path)) is not None and before[0] == state:
            found.files[path] = before
            return state.size_bytes
        if state.size_bytes > limits.file_bytes:
            return None
        data, state = read(path, limits.file_bytes, path.name)
        text, _ = decode(data, path.name)
    except (OSError, FileUnreadable):
        return None
    name = text_id(text)
    found.files[path] = (state, name)
    found.texts[name] = text
    return len(data)
