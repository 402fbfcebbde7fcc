import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from lsp_agent.domain.errors import DocumentChanged, FileUnreadable, WorkspaceError
from lsp_agent.workspace import files


def written(path, data, expected=None):
    return files.replace(path, data, expected or files.read(path, 1 << 30, path.name)[1], path.name)


def left_over(folder):
    return [entry.name for entry in folder.iterdir() if entry.name.startswith(".lsp-agent")]


def test_FS_09_what_is_not_a_regular_file_is_refused_without_waiting(root):
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket"))
        for path in (root / "pipe", root / "socket"):
            with pytest.raises(FileUnreadable, match="not a regular file"):
                files.read(path, 100, path.name)
    with pytest.raises(FileUnreadable, match="not a regular file"):
        files.read((root / "/dev/zero"), 100, "zero")
    with pytest.raises(FileUnreadable, match="a directory"):
        files.read(root, 100, "app")


def test_FS_09_a_sparse_terabyte_and_an_endless_file_are_too_large(root):
    with (root / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(FileUnreadable, match="too large"):
        files.read(root / "sparse", 1 << 20, "sparse")
    with pytest.raises(FileUnreadable, match="too large"):
        files.read(root / "/proc/cpuinfo", 10, "cpuinfo")


def test_a_file_of_exactly_the_limit_is_read(root):
    (root / "a").write_bytes(b"12345")
    assert files.read(root / "a", 5, "a")[0] == b"12345"
    with pytest.raises(FileUnreadable):
        files.read(root / "a", 4, "a")


def test_FS_17_the_mode_stays_but_for_set_id_bits(root):
    path = root / "tool.sh"
    path.write_bytes(b"old")
    path.chmod(0o6755)
    written(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_FS_17_extended_attributes_stay(root):
    path = root / "a"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "user.note", b"kept")
    except OSError:
        pytest.skip("no extended attributes here")
    written(path, b"new")
    assert os.getxattr(path, "user.note") == b"kept"


def test_FS_08_another_hard_link_keeps_the_old_content(root):
    (root / "config").write_bytes(b"protected")
    os.link(root / "config", root / "x")
    written(root / "x", b"new")
    assert (root / "config").read_bytes() == b"protected"
    assert (root / "x").read_bytes() == b"new"


def test_FS_03_a_link_that_took_the_place_of_the_file_is_not_written_through(root):
    target = root.parent / "target"
    target.write_bytes(b"outside")
    path = root / "a"
    path.write_bytes(b"inside")
    _, state = files.read(path, 100, "a")
    path.unlink()
    path.symlink_to(target)
    with pytest.raises(DocumentChanged):
        files.replace(path, b"new", state, "a")
    with pytest.raises(WorkspaceError, match="exists"):
        files.create(path, b"new", "a")
    (root / "dir").symlink_to(root.parent)
    with pytest.raises(WorkspaceError):
        files.create(root / "dir" / "made", b"new", "a")
    assert target.read_bytes() == b"outside"
    assert not (root.parent / "made").exists()


def test_FS_15_a_file_that_changed_since_it_was_read_is_not_overwritten(root):
    path = root / "a"
    path.write_bytes(b"one")
    _, state = files.read(path, 100, "a")
    path.write_bytes(b"two")
    with pytest.raises(DocumentChanged):
        files.replace(path, b"mine", state, "a")
    path.unlink()
    with pytest.raises(DocumentChanged):
        files.replace(path, b"mine", state, "a")
    assert left_over(root) == []


def test_a_new_file_gets_its_folders_and_the_usual_mode_and_never_replaces_one(root):
    umask = os.umask(0o027)
    try:
        files.create(root / "a" / "b" / "c.py", b"text", "c.py")
    finally:
        os.umask(umask)
    assert (root / "a" / "b" / "c.py").read_bytes() == b"text"
    assert stat.S_IMODE((root / "a" / "b" / "c.py").stat().st_mode) == 0o640
    with pytest.raises(WorkspaceError, match="exists already"):
        files.create(root / "a" / "b" / "c.py", b"other", "c.py")
    with pytest.raises(WorkspaceError, match="a parent of it is a file"):
        files.create(root / "a" / "b" / "c.py" / "d", b"other", "d")
    assert (root / "a" / "b" / "c.py").read_bytes() == b"text"
    assert left_over(root / "a" / "b") == []


def test_where_there_are_no_hard_links_a_new_file_is_still_never_written_over_another(root, monkeypatch):
    def no_link(*_args, **_keywords):
        raise PermissionError(1, "no hard links")

    monkeypatch.setattr(os, "link", no_link)
    files.create(root / "a", b"text", "a")
    with pytest.raises(WorkspaceError, match="exists already"):
        files.create(root / "a", b"other", "a")
    assert (root / "a").read_bytes() == b"text"


def test_FS_13_a_planted_link_cannot_take_the_temporary_files_place(root, monkeypatch):
    monkeypatch.setattr(os, "urandom", lambda count: b"\0" * count)
    target = root.parent / "target"
    target.write_bytes(b"outside")
    (root / f".lsp-agent-{'00' * 8}.tmp").symlink_to(target)
    (root / "a").write_bytes(b"old")
    with pytest.raises(WorkspaceError):
        written(root / "a", b"new")
    assert target.read_bytes() == b"outside"


def test_F09_when_there_is_no_room_the_old_content_is_intact(root):
    path = root / "a"
    path.write_bytes(b"old")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, old[1]))
    try:
        with pytest.raises(WorkspaceError, match="the old content is intact"):
            written(path, b"x" * (1 << 17))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert path.read_bytes() == b"old"
    assert left_over(root) == []


def test_F47_a_workspace_that_is_gone_is_an_error_and_no_more(root):
    root.rmdir()
    with pytest.raises(FileUnreadable, match="missing"):
        files.read(root / "a", 100, "a")


WRITER = """
import sys
from pathlib import Path
from lsp_agent.workspace import files
path = Path(sys.argv[1])
print("ready", flush=True)
while True:
    for letter in b"abcdefgh":
        state = files.read(path, 1 << 30, "a")[1]
        files.replace(path, bytes([letter]) * 300_000, state, "a")
        print(".", end="", flush=True)
"""


@pytest.mark.slow
def test_F04_a_kill_in_the_middle_of_writing_never_leaves_a_torn_file(root):
    path = root / "a"
    path.write_bytes(b"z" * 300_000)
    torn = 0
    seen = set()
    for cycle in range(36):
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), str(path)], stdout=subprocess.PIPE, cwd=Path.cwd()
        )
        try:
            child.stdout.read(7 + cycle % 6)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdout.close()
        data = path.read_bytes()
        torn += len(data) != 300_000 or len(set(data)) != 1
        seen.add(data[:1])
    assert torn == 0
    assert len(seen) > 1


def test_what_a_killed_write_left_behind_is_swept_by_a_later_write(tmp_path):
    old, young, other = (tmp_path / f".lsp-agent-{name}.tmp" for name in ("old", "young", "other"))
    for path in (old, young):
        path.write_text("half")
    other.mkdir()
    long_ago = time.time() - 2 * 3600
    os.utime(old, (long_ago, long_ago))
    os.utime(other, (long_ago, long_ago))
    files.create(tmp_path / "new.txt", b"text", "new.txt")
    assert not old.exists()
    assert young.exists()
    assert other.is_dir()
