import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from lsp_agent.domain.errors import ToolError
from lsp_agent.ports.approver import Decision
from lsp_agent.tools.glob import Glob
from lsp_agent.tools.globs import glob_matcher, literal_prefix
from lsp_agent.tools.grep import Grep
from lsp_agent.tools.ls import Ls
from lsp_agent.tools.ripgrep import find_ripgrep

RG = find_ripgrep()
ENGINES = pytest.mark.parametrize("rg", [RG, None], ids=["ripgrep", "builtin"])


def secret(path: Path) -> bool:
    return path.suffix == ".pem"


def grep(rg):
    return Grep(rg, secret)


def test_the_binary_is_absolute_and_never_looked_up_in_the_workspace(world, monkeypatch):
    fake = world.file("rg", "#!/bin/sh\n")
    fake.chmod(0o755)
    monkeypatch.chdir(world.root)
    monkeypatch.setenv("PATH", f".:{world.root}:{os.environ['PATH']}")
    found = find_ripgrep()
    assert found is not None
    assert found.is_absolute()
    assert not found.is_relative_to(world.root)
    assert found.parent == Path(sys.executable).parent


@ENGINES
async def test_grep_finds_lines_with_line_and_column(world, rg):
    world.file("src/a.py", "x = 1\n  é = find_me(2)\n")
    world.file("b.txt", "nothing\n")
    result = await world.call(grep(rg), pattern=r"find_\w+")
    assert result.content == "Found 1 match\nsrc/a.py:\n  Line 2, Char 7:   é = find_me(2)"
    assert result.metadata == {"number_of_matches": 1, "truncated": False}


@ENGINES
async def test_grep_searches_what_the_editor_shows_not_what_is_on_disk(world, rg):
    path = world.file("a.txt", "old needle on disk\n")
    world.workspace.open(path, "unsaved haystack\n")
    world.workspace.open(world.root / "new.txt", "a fresh needle\n")
    assert (
        await world.call(grep(rg), pattern="needle")
    ).content == "Found 1 match\nnew.txt:\n  Line 1, Char 9: a fresh needle"
    assert "a.txt:\n  Line 1, Char 1" in (await world.call(grep(rg), pattern="unsaved")).content


@ENGINES
async def test_grep_takes_literal_text_and_includes(world, rg):
    world.file("a.py", "f(x)+\n")
    world.file("b.js", "f(x)+\n")
    world.file("sub/c.py", "f(x)+\n")
    result = await world.call(grep(rg), pattern="f(x)+", literal_text=True, include="*.py")
    assert [line for line in result.content.split("\n") if line.endswith(":")] in (
        ["a.py:", "sub/c.py:"],
        ["sub/c.py:", "a.py:"],
    )
    result = await world.call(grep(rg), pattern="f(x)+", literal_text=True, include="sub/*.{py,js}")
    assert result.content.startswith("Found 1 match\nsub/c.py:")


@ENGINES
async def test_grep_lists_the_newest_file_first_and_stops_at_100(world, rg):
    for number, name in enumerate(["old.txt", "new.txt"]):
        os.utime(world.file(name, "hit\n" * 80), (1000 + number, 1000 + number))
    result = await world.call(grep(rg), pattern="hit")
    assert result.content.index("new.txt") < result.content.index("old.txt")
    assert result.metadata == {"number_of_matches": 100, "truncated": True}
    assert "truncated" in result.content


@ENGINES
@pytest.mark.parametrize("pattern", ["(unclosed", "a{2,1}", "[z-a]"])
async def test_an_invalid_pattern_is_reported_as_such(world, rg, pattern):
    world.file("a.txt", "x")
    with pytest.raises(ToolError, match="Invalid search pattern"):
        await world.call(grep(rg), pattern=pattern)


@ENGINES
async def test_FS_11_files_that_may_hold_secrets_are_named_but_not_shown(world, rg):
    world.file("key.pem", "canary-4711\n")
    world.workspace.open(world.root / "open.pem", "canary-4711\n")
    result = await world.call(grep(rg), pattern="canary-\\d+")
    assert "4711" not in result.content
    assert "key.pem" in result.content
    assert "open.pem" in result.content


@ENGINES
async def test_long_lines_are_cut_and_binary_files_left_out(world, rg):
    world.file("a.txt", "needle" + "x" * 1000)
    world.file("b.bin", b"\0\0needle\0")
    result = await world.call(grep(rg), pattern="needle")
    assert result.content == "Found 1 match\na.txt:\n  Line 1, Char 1: needle" + "x" * 494 + "…"


@ENGINES
async def test_grep_of_one_file_and_of_nothing(world, rg):
    world.file("a.txt", "needle\n")
    world.file("b.txt", "needle\n")
    assert (await world.call(grep(rg), pattern="needle", path="b.txt")).content.startswith("Found 1 match\nb.txt:")
    assert (await world.call(grep(rg), pattern="absent")).content == "No matches found"
    with pytest.raises(ToolError, match="does not exist"):
        await world.call(grep(rg), pattern="x", path="nowhere")


async def test_grep_honours_gitignore_and_skips_hidden_files_and_links(world, tmp_path):
    (tmp_path / "outside.txt").write_text("needle\n")
    (world.root / "link.txt").symlink_to(tmp_path / "outside.txt")
    world.file(".gitignore", "out/\n*.log\n")
    world.file("out/a.txt", "needle\n")
    world.file("a.log", "needle\n")
    world.file(".hidden", "needle\n")
    world.file("b.txt", "needle\n")
    assert (await world.call(grep(RG), pattern="needle")).content.startswith("Found 1 match\nb.txt:")
    assert (await world.call(grep(RG), pattern="needle", include="*.log")).content == "No matches found"


async def test_FS_14_a_hostile_pattern_ends_in_time(world):
    world.workspace.open(world.root / "a.txt", "a" * 100_000 + "!")
    with pytest.raises(ToolError, match="takes too long"):
        await world.call(grep(RG), pattern="(a+)+$")


@pytest.mark.parametrize("tool", [grep(RG), Glob(RG), Ls(RG)], ids=["grep", "glob", "ls"])
async def test_every_search_outside_the_roots_asks_first(world, tmp_path, tool):
    (tmp_path / "outside.txt").write_text("needle\n")
    world.approver.decide = lambda ask: Decision(ask.inside_workspace, asked=True)
    result = await world.call(tool, pattern="needle", path=str(tmp_path))
    assert (result.content, result.stop_turn) == ("User denied permission", True)
    assert world.approver.asks[0].inside_workspace is False


async def test_a_glob_that_climbs_out_asks_too(world):
    world.approver.decide = lambda ask: Decision(ask.inside_workspace, asked=True)
    assert (await world.call(Glob(RG), pattern="../**/*.txt")).is_error
    assert (await world.call(Glob(RG), pattern="/etc/*.conf")).is_error


async def test_very_many_hits_end_the_search_and_the_process(world):
    for number in range(70):
        world.file(f"f{number}.txt", ("needle" + "x" * 500 + "\n") * 100)
    result = await world.call(grep(RG), pattern="needle")
    assert "there are very many hits" in result.content
    assert psutil.Process().children() == []


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8, 20, 60])
async def test_a_cancelled_search_leaves_no_process_behind(world, steps):
    for number in range(30):
        world.file(f"f{number}.txt", "needle\n" * 100)
    task = asyncio.create_task(world.call(grep(RG), pattern="needle"))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    async with asyncio.timeout(5):
        while psutil.Process().children():  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0)


@ENGINES
async def test_glob_shows_the_shortest_paths_first_and_unsaved_files_too(world, rg):
    for name in ["a.py", "src/b.py", "src/deep/c.py", "src/d.txt", ".hidden.py"]:
        world.file(name)
    world.workspace.open(world.root / "n.py", "")
    assert (await world.call(Glob(rg), pattern="**/*.py")).content == "a.py\nn.py\nsrc/b.py\nsrc/deep/c.py"
    assert (await world.call(Glob(rg), pattern="*.py")).content == "a.py\nn.py\nsrc/b.py\nsrc/deep/c.py"
    assert (await world.call(Glob(rg), pattern="src/*.{py,txt}")).content == "src/b.py\nsrc/d.txt"
    assert (await world.call(Glob(rg), pattern="src/*", path=".")).content == "src/b.py\nsrc/d.txt"
    assert (await world.call(Glob(rg), pattern="nowhere/*")).content == "No files found."


@ENGINES
async def test_glob_stops_at_100_and_says_so(world, rg):
    for number in range(101):
        world.file(f"f{number:03}.txt")
    result = await world.call(Glob(rg), pattern="*.txt")
    assert len(result.content.split("\n\n")[0].split("\n")) == 100
    assert "truncated" in result.content
    assert result.metadata == {"number_of_files": 100, "truncated": True}


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("**/*.py", "a.py", True),
        ("**/foo/*.py", "a/foo/foo/x.py", True),
        ("*.py", "a/b.py", False),
        ("src/**", "src/a/b", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[!a]b", "cb", True),
        ("[!a]b", "ab", False),
        ("[a-c]x", "bx", True),
        ("{a,b{c,d}}.t", "bd.t", True),
        ("a.b", "axb", False),
        ("[", "[", True),
        ("a\\*", "a*", True),
        ("a\\*", "ab", False),
        ("(a|b)+", "(a|b)+", True),
    ],
)
def test_glob_patterns(pattern, path, fits):
    assert glob_matcher(pattern)(path) is fits


def test_the_literal_prefix_is_where_walking_begins():
    assert literal_prefix("src/lib/**/*.py") == ("src/lib", "**/*.py")
    assert literal_prefix("*.py") == ("", "*.py")
    assert literal_prefix("/etc/*.conf") == ("/etc", "*.conf")
    assert literal_prefix("/*.conf") == ("/", "*.conf")


async def test_a_broken_or_hostile_glob_is_an_error(world):
    world.file("a" * 200)
    with pytest.raises(ToolError, match="Invalid glob"):
        await world.call(Glob(RG), pattern="{{a}")
    assert (await world.call(Glob(RG), pattern="*a" * 12 + "*[!a]")).content == "No files found."
    with pytest.raises(ToolError, match="longer than"):
        await world.call(Glob(RG), pattern="a" * 1001)


@ENGINES
async def test_ls_draws_a_tree(world, rg):
    for name in ["b.txt", "src/a.py", "src/deep/er/c.py", "node/x.js", ".git/HEAD"]:
        world.file(name)
    result = await world.call(Ls(rg), ignore=["node"])
    assert result.content == f"{world.root}/\n  - b.txt\n  - src/\n    - a.py\n    - deep/\n      - er/\n        - c.py"
    assert (await world.call(Ls(rg), path="src", depth=1)).content == f"{world.root}/src/\n  - a.py\n  - deep/"


async def test_ls_outside_git_shows_two_levels_and_100_entries_and_1000_in_git(world):
    world.file("a/b/c/d.txt")
    assert (await world.call(Ls(RG))).content == f"{world.root}/\n  - a/\n    - b/"
    for number in range(1100):
        world.file(f"f{number:04}")
    result = await world.call(Ls(RG))
    assert (result.metadata["number_of_files"], result.metadata["truncated"]) == (100, True)
    world.file(".git/HEAD")
    assert (await world.call(Ls(RG))).metadata["number_of_files"] == 1000


@ENGINES
async def test_file_names_that_are_not_utf_8_become_valid_text(world, rg):
    os.close(os.open(os.fsencode(world.root) + b"/caf\xe9.txt", os.O_CREAT))
    for result in [await world.call(Ls(rg)), await world.call(Glob(rg), pattern="*.txt")]:
        assert "caf\ufffd.txt" in result.content
        result.content.encode("utf-8")


async def test_ls_of_a_missing_path_or_a_file_is_an_error(world):
    world.file("a.txt")
    for path, word in [("nowhere", "does not exist"), ("a.txt", "is a file")]:
        with pytest.raises(ToolError, match=word):
            await world.call(Ls(RG), path=path)
