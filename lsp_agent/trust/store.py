"""Which folders the user trusts, and what they held when the user said so (RELIABILITY C-TRUST, CF-15).

A root is its real path and the device and inode of the folder: another folder at the same place is another root, and a
folder below or above a trusted one is not trusted. A record names every file the agent would obey with its hash; a file
that changed since, or is new, is not admitted until the user says so again. Everything that is in doubt, such as a
record somebody else could have written, means untrusted.
"""

import contextlib
import fcntl
import json
import logging
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lsp_agent.domain.errors import AgentError, WorkspaceError
from lsp_agent.trust.relevant import digest, look, read_regular
from lsp_agent.workspace.paths import real_path

_log = logging.getLogger(__name__)

FILE_NAME = "trust.json"
_LOCK_NAME = "trust.lock"
_LOCK_S = 5.0
_VERSION = 1
_MAX_BYTES = 16 * 1024 * 1024

Records = dict[str, dict[str, Any]]


class TrustRefused(AgentError):
    """The folder cannot be trusted; the text says why, without naming a path."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known of a root. Paths are real paths, sorted."""

    root: Path
    trusted: bool
    changed: tuple[Path, ...] = ()
    """In a trusted root: what is new or was changed since, and so is not obeyed."""
    files: tuple[Path, ...] = ()
    """Everything relevant that is there now: what trusting would admit."""
    hidden: tuple[Path, ...] = ()
    """Of `files`: those with characters that no reader sees; to be shown before anybody trusts them."""
    complete: bool = True
    """False when the folder is too large to be looked through; what was not reached is not admitted."""


class TrustStore:
    """`trust.json` in the data directory. Every call looks at it again: a change by another process counts at once.

    `roots`: the workspace's folders as real paths. `home`: of the user. Waits for the disk: `state` and `set` belong in
    a thread, the others read one small file or two.
    """

    def __init__(
        self,
        directory: Path,
        *,
        roots: Callable[[], Sequence[Path]] = lambda: (),
        now_ms: Callable[[], int],
        home: Path | None = None,
    ) -> None:
        self._directory = directory
        self._roots = roots
        self._now_ms = now_ms
        self._home = real_path(home or Path.home())
        self._parsed: tuple[tuple[int, ...], Records] = ((), {})

    @property
    def path(self) -> Path:
        """The file; it may not exist."""
        return self._directory / FILE_NAME

    # ------------------------------------------------------------------------------------------------- asking

    def state(self, root: Path) -> Trust:
        """What is known of `root`, and what it holds now. Walks the whole folder. Raises: WorkspaceError."""
        real = real_path(root)
        record = self._record(real)
        found = look(real)
        admitted = record["files"] if record is not None else {}
        changed = [name for name, value in found.files.items() if record is not None and admitted.get(name) != value]
        return Trust(
            root=real,
            trusted=record is not None,
            changed=tuple([real / name for name in sorted(changed)]),
            files=tuple([real / name for name in sorted(found.files)]),
            hidden=tuple([real / name for name in sorted(found.hidden)]),
            complete=found.complete,
        )

    def trusts(self, path: Path) -> bool:
        """Whether the innermost root that holds `path` is trusted: may something of ours be started or read there?"""
        real = _real(path)
        root = self._root_of(real)
        return root is not None and self._record(root) is not None

    def admits(self, path: Path) -> bool:
        """Whether this file may be obeyed as it is now: its root is trusted and it holds what was admitted."""
        return self.read(path) is not None

    def read(self, path: Path) -> bytes | None:
        """The content that `admits` speaks of, read once so that nobody can swap it in between; None = not admitted."""
        real = _real(path)
        root = self._root_of(real)
        record = self._record(root) if root is not None else None
        if real is None or root is None or record is None:
            return None
        wanted = record["files"].get(real.relative_to(root).as_posix())
        content = read_regular(real) if wanted else None
        return content if content is not None and digest(content) == wanted else None

    # ------------------------------------------------------------------------------------------------ deciding

    def set(self, root: Path, trusted: bool) -> Trust:
        """Trust `root` as it is now, or no longer. Only ever called for a person who said so.

        Raises: TrustRefused for a folder that is too wide, WorkspaceError, OSError when the record cannot be written.
        """
        real = real_path(root)
        if trusted:
            problem = self._refusal(real)
            if problem:
                raise TrustRefused(problem)
        record = self._recorded(real) if trusted else None
        with self._locked():
            records = self._records()
            records.pop(str(real), None)
            if record is not None:
                records[str(real)] = record
            self._write(records)
        return self.state(real)

    def _recorded(self, real: Path) -> dict[str, Any]:
        """`real` as it is now. Its identity is taken first: a folder that replaces it meanwhile is not trusted."""
        device, inode = _identity(real) or (-1, -1)
        files = {name: value for name, value in look(real).files.items() if value}
        return {"device": device, "inode": inode, "trustedAtMs": self._now_ms(), "files": files}

    def _refusal(self, real: Path) -> str:
        """Why a folder cannot be trusted; empty when it can be."""
        if _identity(real) is None:
            return "it is not a folder"
        if real == Path(real.anchor):
            return "it holds the whole file system; open a folder of it"
        if real != self._home and self._home.is_relative_to(real):
            return "it holds home directories; open a folder of yours"
        if real != self._home and real_path(self._directory).is_relative_to(real):
            return "it holds the agent's own state"
        return ""

    # ------------------------------------------------------------------------------------------------ the record

    def _root_of(self, real: Path | None) -> Path | None:
        if real is None:
            return None
        holders = [root for root in self._roots() if real.is_relative_to(root)]
        return max(holders, key=lambda root: len(root.parts), default=None)

    def _record(self, real: Path) -> Mapping[str, Any] | None:
        """The record of exactly this folder; None = untrusted."""
        record = self._records().get(str(real))
        if record is None or self._refusal(real) or _identity(real) != (record["device"], record["inode"]):
            return None
        return record

    def _records(self) -> Records:
        """By path; a copy. Parsed again when the file is another one, which every change makes it."""
        try:
            with _private(self.path) as file:
                found = os.fstat(file.fileno())
                key = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
                known, records = self._parsed
                if key != known:
                    records = _parse(file.read(_MAX_BYTES + 1))
                    self._parsed = (key, records)
                return dict(records)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            _log.error("%s is not used: %s", FILE_NAME, type(error).__name__)
            return {}

    def _write(self, records: Records) -> None:
        text = json.dumps({"version": _VERSION, "roots": records}, indent=1, sort_keys=True)
        descriptor, name = tempfile.mkstemp(prefix=".trust-", dir=self._directory)  # mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer over all processes (the server, `lsp-agent trust`). Raises: OSError when it is not to be had."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._directory / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor)
            yield
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Held for one small write each, so a lock that is not to be had in time is an error."""
    deadline_s = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.01)
        else:
            return


def _identity(real: Path) -> tuple[int, int] | None:
    """Device and inode of a folder."""
    try:
        found = real.lstat()
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None


def _real(path: Path) -> Path | None:
    try:
        return real_path(path)
    except (WorkspaceError, ValueError):
        return None


def _private(path: Path) -> BinaryIO:
    """A file that only its user could have written, opened. Raises: OSError, ValueError."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        file.close()
        raise ValueError("others could have written it")
    return file


def _parse(content: bytes) -> Records:
    if len(content) > _MAX_BYTES:
        raise ValueError("it is too large")
    found = json.loads(content)
    roots = found.get("roots") if isinstance(found, dict) and found.get("version") == _VERSION else None
    if not isinstance(roots, dict):
        return {}
    return {path: record for path, record in roots.items() if _is_record(record)}


def _is_record(record: Any) -> bool:
    if not isinstance(record, dict) or not isinstance(record.get("files"), dict):
        return False
    numbers = (record.get("device"), record.get("inode"))
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
        return False
    return all(isinstance(value, str) and value for value in record["files"].values())
