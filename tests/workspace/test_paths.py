import errno
import os
import threading
from pathlib import Path

import pytest

from lsp_agent.domain.errors import FileUnreadable, WorkspaceError
from lsp_agent.workspace import files, paths
from lsp_agent.workspace.roots import Roots

CANARY = b"canary outside"


@pytest.fixture
def outside(root):
    folder = root.parent / "app-secret"
    folder.mkdir()
    (folder / "canary").write_bytes(CANARY)
    return folder


@pytest.fixture(params=["openat2", "walk"])
def both_ways(request, monkeypatch):
    if request.param == "walk":
        monkeypatch.setattr(paths, "_libc", lambda: None)


def spellings(target: Path, root: Path):
    up = "../" * (len(root.parts) - 1)
    plain = str(target)
    return [
        plain,
        "/" + plain,
        f"{up}{plain[1:]}",
        f"a/../{up}{plain[1:]}",
        f"./{up}./{plain[1:]}",
        f"{root}/../{target.relative_to(root.parent)}",
        f"{root}/x/../../{target.relative_to(root.parent)}",
        f"file://{plain}",
        f"file://localhost{plain}",
        f"FILE://{plain}",
        f"file:{plain}",
        f"file://{root}/..%2f{target.relative_to(root.parent)}",
        f"file://{root}/%2e%2e/{target.relative_to(root.parent)}",
        f"file://{root}/%2E%2e/{target.relative_to(root.parent)}",
        f"file://{root}/.%2E%2F{target.relative_to(root.parent)}",
        "file://" + "".join(f"%{ord(c):02x}" if c != "/" else c for c in plain),
    ]


def test_FS_01_no_spelling_of_an_outside_path_is_inside(root, outside):
    roots = Roots([root])
    for text in spellings(outside / "canary", root):
        place = roots.place(text)
        assert place.path == outside / "canary", text
        assert not place.inside
        assert place.shown == str(outside / "canary")
    assert not roots.place("~").inside
    assert not roots.place("/etc/passwd").inside


def test_FS_01_every_spelling_of_an_inside_path_is_the_same_place(root):
    roots = Roots([root])
    for text in [*spellings(root / "a" / "b.py", root), "a/b.py", "a//b.py", "./a/./b.py", "x/../a/b.py"]:
        place = roots.place(text)
        assert (place.path, place.shown, place.inside, place.root) == (root / "a" / "b.py", "a/b.py", True, root), text


@pytest.mark.parametrize("text", ["", "  ", "a\0b", "file:///a%00b", "file://elsewhere/a", "file://"])
def test_what_is_no_path_of_this_machine_is_refused(root, text):
    with pytest.raises(WorkspaceError):
        Roots([root]).place(text)


def test_uris_make_a_round_trip(root):
    for name in ["a b.py", "ä?#%41.py", "x\udcff", "[1](2)", "a:b"]:
        path = root / name
        assert paths.uri_to_path(paths.path_to_uri(path)) == path
    assert paths.uri_to_path("untitled:one") is None
    assert paths.uri_to_path("file:///w/a.py?not=query#hash") == Path("/w/a.py?not=query#hash")


def test_FS_02_a_link_leads_where_it_leads(root, outside):
    (root / "link").symlink_to(outside / "canary")
    (root / "dir").symlink_to(outside)
    (root / "loop").symlink_to("loop")
    (root / "within").symlink_to("target.py")
    roots = Roots([root])
    assert not roots.place("link").inside
    assert not roots.place("dir/canary").inside
    assert not roots.place("dir/new/file").inside
    assert roots.place("within").path == root / "target.py"
    with pytest.raises(FileUnreadable):
        files.read(roots.place("loop").path, 100, "loop")


def test_FS_05_a_sibling_with_the_same_prefix_is_outside(root, outside):
    assert not Roots([root]).place(str(outside / "canary")).inside
    assert not Roots([root]).place("../app-secret/canary").inside
    assert not Roots([root]).place(f"{root}-secret").inside


@pytest.mark.usefixtures("both_ways")
def test_FS_04_a_path_that_has_become_a_link_is_not_opened(root, outside):
    (root / "dir").mkdir()
    (root / "dir" / "canary").write_text("inside")
    checked = Roots([root]).place("dir/canary").path
    assert files.read(checked, 100, "x")[0] == b"inside"
    (root / "dir").rename(root / "old")
    (root / "dir").symlink_to(outside)
    with pytest.raises(FileUnreadable):
        files.read(checked, 100, "x")
    (root / "dir").unlink()
    (root / "dir").mkdir()
    (root / "dir" / "canary").symlink_to(outside / "canary")
    with pytest.raises(FileUnreadable):
        files.read(checked, 100, "x")
    with pytest.raises(WorkspaceError):
        files.create(root / "dir" / "canary" / "new", b"", "x")


@pytest.mark.usefixtures("both_ways")
def test_FS_04_no_swap_between_check_and_opening_reaches_the_outside(root, outside):
    inner, other = root / "dir", root / "old"
    inner.mkdir()
    (inner / "canary").write_bytes(b"inside")
    stop = threading.Event()

    def flip():
        while not stop.is_set():
            inner.rename(other)
            inner.symlink_to(outside)
            inner.unlink()
            other.rename(inner)

    thread = threading.Thread(target=flip)
    thread.start()
    seen = set()
    try:
        for _ in range(3_000):
            try:
                place = Roots([root]).place("dir/canary")
                if place.inside:
                    seen.add(files.read(place.path, 100, "x")[0])
            except FileUnreadable:
                seen.add(b"refused")
    finally:
        stop.set()
        thread.join()
    assert seen <= {b"inside", b"refused"}
    assert b"inside" in seen


@pytest.mark.usefixtures("both_ways")
def test_a_path_below_a_directory_cannot_leave_it(root, outside):
    top = os.open(root, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="leaves") as caught:
            paths.open_below(top, Path("../app-secret/canary"), os.O_RDONLY)
        assert caught.value.errno == errno.EXDEV
    finally:
        os.close(top)


def test_roots_follow_the_client_and_are_never_empty(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("a")
    roots = Roots.from_uris([f"file://{tmp_path}/link", "untitled:x", f"file://{tmp_path}/a"], fallback=tmp_path)
    assert roots.paths == ((tmp_path / "a").resolve(),)
    roots.change([f"file://{tmp_path}/b"], [f"file://{tmp_path}/a"])
    assert roots.paths == ((tmp_path / "b").resolve(),)
    roots.change([], [f"file://{tmp_path}/b"])
    assert roots.paths == (tmp_path.resolve(),)


def test_the_innermost_root_holds_a_file(root):
    (root / "inner").mkdir()
    roots = Roots([root, root / "inner"])
    assert roots.place("inner/a.py").root == root / "inner"
    assert roots.place("inner/a.py").shown == "a.py"


def test_FS_06_on_a_case_sensitive_disk_another_case_is_another_file(root):
    (root / "Secret").write_text("one")
    with pytest.raises(FileUnreadable, match="missing"):
        files.read(Roots([root]).place("sEcReT").path, 100, "x")
    assert not Roots([root]).place(str(root).upper()).inside
