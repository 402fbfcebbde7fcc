"""Where files of instructions are, by name. Looks at directories only; decides nothing. Blocks: belongs on a thread.

Names are compared without regard to case; of two that differ only in case the customary spelling counts (CORE 29).
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lsp_agent.context.reading import is_there

NAMES = (
    "AGENTS.md", "CLAUDE.md", "CLAUDE.local.md", "GEMINI.md", "CRUSH.md", "CRUSH.local.md", ".cursorrules",
)  # fmt: skip
"""In any directory, in this order."""
FOLDERS = ((".cursor/rules", (".md", ".mdc")), (".lsp-agent/rules", (".md",)))
"""Directories full of rules, in any directory; the first with everything below it."""
ROOT_NAMES = (".github/copilot-instructions.md",)
"""In a root only."""
MAX_FILES = 200
MAX_DEPTH = 6
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True, slots=True)
class Found:
    """A file that instructs. `path` is as found, not resolved."""

    path: Path
    scope: str
    """`project` (below a root), `user` (the user's own directories) or `configured` (named in the user's settings)."""
    directory: Path | None = None
    """Of a project file: where what it says applies."""


def in_directory(directory: Path, *, is_root: bool) -> list[Found]:
    """The files of instructions of one directory of a project, in their order."""
    names = _names(directory)
    found = [directory / names[name.casefold()] for name in NAMES if name.casefold() in names]
    for folder, suffixes in FOLDERS:
        inner = _walk_names(directory, folder.split("/"))
        if inner is not None:
            found += files_below(inner, suffixes)
    for name in ROOT_NAMES if is_root else ():
        *parents, last = name.split("/")
        above = _walk_names(directory, parents)
        if above is not None and last.casefold() in (inside := _names(above)):
            found.append(above / inside[last.casefold()])
    return [Found(path, "project", directory) for path in found[:MAX_FILES]]


def files_below(
    directory: Path, suffixes: Sequence[str], *, depth: int = MAX_DEPTH, follow: bool = False
) -> list[Path]:
    """Files with one of these endings below a directory, sorted by their path.

    `follow`: links to directories count, as people have them in their own; `depth` ends a loop of them.
    """
    found: list[Path] = []
    waiting = [(directory, 0)]
    while waiting and len(found) < MAX_FILES:
        where, level = waiting.pop(0)
        for entry in _entries(where):
            if entry.name.casefold().endswith(tuple(suffixes)) and _is(entry.is_file):
                found.append(Path(entry.path))
            elif level < depth and _is(partial(entry.is_dir, follow_symlinks=follow)):
                waiting.append((Path(entry.path), level + 1))
    return sorted(found)[:MAX_FILES]


def above(path: Path, root: Path) -> list[Path]:
    """The directories from the one `path` is in up to `root`, nearest first; none when it lies elsewhere."""
    directory = path.parent
    if not directory.is_relative_to(root):
        return []
    return [directory, *[each for each in directory.parents if each.is_relative_to(root)]]


def configured(paths: Iterable[str], base: Path, environ: Mapping[str, str]) -> list[Path]:
    """What the user's settings name: files, and the markdown files of directories. `~` and `$NAME` are filled in."""
    found: list[Path] = []
    for text in paths:
        path = base / expand_path(text, environ)
        found += (
            files_below(path, (".md", ".mdc")) if is_there(path, directory=True) else [path] if is_there(path) else []
        )
    return found


def expand_path(text: str, environ: Mapping[str, str]) -> str:
    """`~` and `$NAME` or `${NAME}` filled in from `environ`; an unknown name stays as written."""
    filled = _VARIABLE.sub(lambda match: environ.get(match[1] or match[2], match[0]), text.strip())
    home = environ.get("HOME", "~")
    return home + filled[1:] if filled == "~" or filled.startswith("~/") else filled


def _is(look: Callable[[], bool]) -> bool:
    """What cannot be looked at, such as a link to itself, is nothing; the others must not suffer from it."""
    try:
        return look()
    except OSError:
        return False


def _walk_names(directory: Path, parts: Sequence[str]) -> Path | None:
    for part in parts:
        name = _names(directory).get(part.casefold())
        if name is None or not is_there(directory := directory / name, directory=True):
            return None
    return directory


def _names(directory: Path) -> dict[str, str]:
    """Case-folded name to the name there is; the customary spelling wins, else the first in order."""
    customary = {
        *NAMES,
        *[part for name in (*ROOT_NAMES, *[folder for folder, _ in FOLDERS]) for part in name.split("/")],
    }
    found: dict[str, str] = {}
    for entry in _entries(directory):
        key = entry.name.casefold()
        if key not in found or entry.name in customary:
            found[key] = entry.name
    return found


def _entries(directory: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []  # not there, or not ours to read: then it instructs nobody
