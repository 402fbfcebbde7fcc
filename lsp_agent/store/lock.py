"""One server a data directory: an advisory lock that the kernel releases when its owner dies.

`flock` alone decides; the text in the file only tells people who holds it (RELIABILITY F33, F35). The file is never
removed, since a lock on a removed file excludes nobody.
"""

import errno
import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from lsp_agent import __version__
from lsp_agent.domain.errors import StoreError

LOCK_NAME = "lsp-agent.lock"


class DataLock:
    """A held lock. Make one with `acquire`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, data_dir: Path, *, now_ms: int, workspace: str | None = None) -> "DataLock":
        """Take the lock of `data_dir`, which is made (0700) when missing.

        Promise: never waits for another owner.
        Raises: StoreError, which names the owner's pid and start time when the lock is taken.
        """
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"the data directory {data_dir} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = _owner(descriptor)
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise StoreError(f"the data directory {data_dir} is in use by {owner}", retryable=True) from error
            raise StoreError(f"the data directory {data_dir} cannot be locked: {error.strerror}") from error
        _describe(descriptor, now_ms, workspace)
        return cls(descriptor)

    @staticmethod
    def workspace_of_owner(data_dir: Path) -> str | None:
        """The folder that the server serves which wrote the lock last; None when it does not say. Never waits."""
        try:
            owner = json.loads((data_dir / LOCK_NAME).read_bytes()[:4096])
            return str(owner["workspace"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def release(self) -> None:
        """Give it back. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _describe(descriptor: int, now_ms: int, workspace: str | None) -> None:
    started_at = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    owner = {"pid": os.getpid(), "version": __version__, "started_at": started_at}
    if workspace is not None:
        owner["workspace"] = workspace
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(owner).encode("ascii"), 0)
    except OSError:
        pass  # a full disk: the lock holds all the same, only its text is missing


def _owner(descriptor: int) -> str:
    try:
        owner = json.loads(os.pread(descriptor, 4096, 0))
        return f"another lsp-agent (pid {int(owner['pid'])}, started {str(owner['started_at'])[:40]})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another lsp-agent"  # its text is not there yet, or not ours
