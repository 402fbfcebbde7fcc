import os

import pytest

from lsp_agent.domain.errors import FileUnreadable, WorkspaceError
from lsp_agent.workspace.walk import WalkOptions, expand_braces, walk


@pytest.fixture
def tree(root):
    def make(*names, **contents):
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(contents.get(name, ""))
        return root

    return make


def listed(top, root=None, unsaved=(), **options):
    found = walk(top, root or top, [top / name for name in unsaved], WalkOptions(**options))
    return [path.relative_to(top).as_posix() for path in found]


def test_hidden_files_are_listed_only_on_demand_and_git_never(tree):
    top = tree("a.py", ".env", ".git/config", "d/b.py", ".github/x.yml")
    assert listed(top) == ["a.py", "d/b.py"]
    assert listed(top, hidden=True) == [".env", "a.py", ".github/x.yml", "d/b.py"]


def test_ignore_files_count_from_the_root_down_and_the_inner_one_wins(tree):
    top = tree("a.log", "keep.log", "d/b.log", "d/e/c.log", "build/x", "d/build/y", "z.tmp", "o.bak")
    (top / ".gitignore").write_text("*.log\n!keep.log\n/build/\n")
    (top / "d" / ".gitignore").write_text("!b.log\n")
    (top / ".ignore").write_text("*.tmp\n")
    (top / ".git" / "info").mkdir(parents=True)
    (top / ".git" / "info" / "exclude").write_text("*.bak\r\n\\\n")
    assert listed(top) == ["keep.log", "d/b.log", "d/build/y"]
    assert listed(top / "d", root=top) == ["b.log", "build/y"]


def test_FS_14_links_are_not_followed_and_a_loop_does_not_hang(tree):
    top = tree("d/a.py")
    (top / "d" / "loop").symlink_to("..")
    (top / "out").symlink_to("/etc")
    (top / "file").symlink_to("d/a.py")
    os.mkfifo(top / "pipe")
    assert listed(top) == ["d/a.py"]


def test_an_ignore_file_that_is_a_pipe_or_a_folder_says_nothing(tree):
    top = tree("a.py", ".gitignore/x", "d/b.py")
    os.mkfifo(top / "d" / ".gitignore")
    assert listed(top) == ["a.py", "d/b.py"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.py", ["a.py", "src/b.py", "src/deep/c.py"]),
        ("/*.py", ["a.py"]),
        ("src/**/*.py", ["src/b.py", "src/deep/c.py"]),
        ("src/*.py", ["src/b.py"]),
        ("**/*.{md,py}", ["a.py", "x.md", "src/b.py", "src/deep/c.py"]),
        ("[!a].md", ["x.md"]),
        ("!odd", ["!odd"]),
        ("none", []),
        ("**/*", ["!odd", "a.py", "x.md", "src/b.py", "src/deep/c.py"]),
    ],
)
def test_a_pattern_selects(tree, pattern, expected):
    top = tree("a.py", "x.md", "!odd", "src/b.py", "src/deep/c.py")
    assert listed(top, pattern=pattern) == expected


def test_what_is_no_pattern_is_refused(tree):
    with pytest.raises(WorkspaceError):
        listed(tree("a"), pattern="\\")


def test_unsaved_documents_are_listed_unless_they_would_be_hidden_ignored_or_do_not_fit(tree):
    top = tree("a.py", "d/.gitignore")
    (top / "d" / ".gitignore").write_text("*.log")
    unsaved = ["a.py", "new.py", "n/ew.py", ".hidden/x.py", "d/x.log", "x.md"]
    assert listed(top, unsaved=unsaved, pattern="*.[pl]*") == ["a.py", "new.py", "n/ew.py"]


def test_the_limit_and_the_deadline_stop_the_walk(tree):
    top = tree(*(f"f{n}" for n in range(30)))
    assert len(listed(top, limit=7)) == 7
    assert listed(top, deadline_s=-1.0) == []


def test_what_is_no_directory_cannot_be_walked(tree):
    top = tree("a.py")
    with pytest.raises(FileUnreadable, match="missing"):
        listed(top / "none")
    with pytest.raises(FileUnreadable):
        listed(top / "a.py", root=top)


def test_braces_expand_also_nested_and_not_without_end():
    assert sorted(expand_braces("a.{b,{c,d}}")) == ["a.b", "a.c", "a.d"]
    assert expand_braces("{x}") == ["{x}"]
    assert len(expand_braces("{a,b}" * 30)) <= 200
