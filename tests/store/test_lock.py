import json
import os

import pytest

from lsp_agent.domain.errors import StoreError
from lsp_agent.store.lock import LOCK_NAME, DataLock


def test_F33_a_second_owner_is_refused_with_pid_and_start_time(tmp_path):
    lock = DataLock.acquire(tmp_path / "a" / "b", now_ms=1_800_000_000_123, workspace="/w")
    with pytest.raises(StoreError) as refused:
        DataLock.acquire(tmp_path / "a" / "b", now_ms=0)
    assert f"pid {os.getpid()}, started 2027-01-15T08:00:00.123Z" in str(refused.value)
    assert refused.value.retryable
    text = json.loads((tmp_path / "a" / "b" / LOCK_NAME).read_text())
    assert text["workspace"] == "/w"
    assert set(text) == {"pid", "version", "started_at", "workspace"}
    lock.release()
    lock.release()


def test_F35_the_kernels_lock_decides_and_not_the_text(tmp_path):
    for forged in ("", "not json", '{"pid": 1, "started_at": "now"}', "[]"):
        (tmp_path / LOCK_NAME).write_text(forged)
        lock = DataLock.acquire(tmp_path, now_ms=0)
        (tmp_path / LOCK_NAME).write_text(forged)
        with pytest.raises(StoreError, match="in use by another lsp-agent"):
            DataLock.acquire(tmp_path, now_ms=0)
        lock.release()


def test_the_lock_file_is_ours_alone_and_never_removed(tmp_path):
    inode = None
    for _ in range(3):
        lock = DataLock.acquire(tmp_path / "d", now_ms=0)
        status = (tmp_path / "d" / LOCK_NAME).stat()
        assert status.st_mode & 0o777 == 0o600
        assert inode in (None, status.st_ino)
        inode = status.st_ino
        lock.release()
    assert (tmp_path / "d" / LOCK_NAME).exists()
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o700


def test_F15_a_directory_that_cannot_be_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        DataLock.acquire(tmp_path / "file" / "data", now_ms=0)
