"""The regular files below a directory, as a programmer would list them.

`.gitignore` and `.ignore` files count, from the root down to each directory, as does `.git/info/exclude`; `.git` itself
is never listed. No symbolic link is followed, so there are no loops. Blocks: belongs on a worker thread.
"""

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_agent.domain.errors import FileUnreadable, WorkspaceError
from lsp_agent.workspace.files import DIRECTORY, MISSING, read
from lsp_agent.workspace.paths import open_real

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_IGNORE_FILES = (".gitignore", ".ignore")
_MAX_IGNORE_BYTES = 1 << 20
_MAX_BRACES = 64
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")


@dataclass(frozen=True, slots=True)
class _Rules:
    """The ignore rules of one directory, and those above it."""

    base: Path
    spec: "GitIgnoreSpec"
    above: "_Rules | None"

    def ignore(self, path: Path, *, is_directory: bool) -> bool:
        """Whether `path` is ignored: the innermost file that says anything decides (gitignore(5))."""
        rules: _Rules | None = self
        while rules is not None:
            name = path.relative_to(rules.base).as_posix() + ("/" if is_directory else "")
            verdict = rules.spec.check_file(name).include
            if verdict is not None:
                return bool(verdict)
            rules = rules.above
        return False


@dataclass(frozen=True, slots=True)
class WalkOptions:
    """What to list."""

    pattern: str | None = None
    """Glob relative to the directory: without `/` it fits at any depth; `**`, `{a,b}` and `[…]` as in ripgrep."""
    hidden: bool = False
    limit: int = 100_000
    deadline_s: float = 30.0
    """Seconds after which what was found so far is returned."""


def walk(top: Path, root: Path | None, unsaved: Sequence[Path], options: WalkOptions) -> list[Path]:
    """Regular files below `top` (a real directory), parents before children, names sorted; `unsaved` ones included.

    `root`: where ignore files begin to count; None = at `top`. Raises: FileUnreadable when `top` is no directory.
    """
    fits = _matcher(options.pattern)
    walker = _Walker(top, options, fits, time.monotonic() + options.deadline_s)
    rules = _rules_down_to(top, root if root is not None else top)
    walker.run(rules)
    found = walker.found
    known = set(found)
    for path in unsaved:
        if len(found) < options.limit and path not in known and walker.wants(path, rules):
            found.append(path)
    return found


class _Walker:
    def __init__(self, top: Path, options: WalkOptions, fits: Callable[[str], bool], deadline_s: float) -> None:
        self.found: list[Path] = []
        self._top = top
        self._options = options
        self._fits = fits
        self._deadline_s = deadline_s

    def run(self, rules: _Rules | None) -> None:
        waiting = [(self._top, rules)]
        while waiting and len(self.found) < self._options.limit and time.monotonic() < self._deadline_s:
            directory, rules = waiting.pop()
            try:
                fd = open_real(directory, os.O_RDONLY | os.O_DIRECTORY)
            except OSError as error:
                if directory == self._top:
                    reason = MISSING if isinstance(error, FileNotFoundError) else f"not {DIRECTORY} to list"
                    raise FileUnreadable(str(directory), reason) from error
                continue  # removed, swapped for a link or closed to us since its parent was read
            try:
                waiting += reversed(self._directory(fd, directory, rules))
            finally:
                os.close(fd)

    def _directory(self, fd: int, directory: Path, rules: _Rules | None) -> list[tuple[Path, _Rules | None]]:
        """Take one directory's files; returns the directories in it that are to be walked."""
        with os.scandir(fd) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        if directory != self._top:
            rules = _with_rules_of(directory, {entry.name for entry in listed}, rules)
        inner: list[tuple[Path, _Rules | None]] = []
        for entry in listed:
            is_directory = entry.is_dir(follow_symlinks=False)
            if not is_directory and not entry.is_file(follow_symlinks=False):
                continue
            path = directory / entry.name
            if self._skipped(entry.name) or (rules is not None and rules.ignore(path, is_directory=is_directory)):
                continue
            if is_directory:
                inner.append((path, rules))
            elif self._fits(path.relative_to(self._top).as_posix()):
                self.found.append(path)
                if len(self.found) >= self._options.limit:
                    break
        return inner

    def _skipped(self, name: str) -> bool:
        return name == ".git" or (name.startswith(".") and not self._options.hidden)

    def wants(self, path: Path, rules: _Rules | None) -> bool:
        """Whether an unsaved document below the top would be listed if it were saved."""
        if not path.is_relative_to(self._top) or path == self._top:
            return False
        relative = path.relative_to(self._top)
        if any(self._skipped(part) for part in relative.parts) or not self._fits(relative.as_posix()):
            return False
        directory = self._top
        for part in relative.parts[:-1]:
            directory = directory / part
            if rules is not None and rules.ignore(directory, is_directory=True):
                return False
            rules = _with_rules_of(directory, set(_IGNORE_FILES), rules)
        return rules is None or not rules.ignore(path, is_directory=False)


def _rules_down_to(top: Path, root: Path) -> _Rules | None:
    """The rules in force in `top`: those of `root`, of what lies between, and its own."""
    rules = _with_rules_of(root, {*_IGNORE_FILES, ".git"}, None)
    directory = root
    for part in top.relative_to(root).parts:
        directory = directory / part
        rules = _with_rules_of(directory, set(_IGNORE_FILES), rules)
    return rules


def _with_rules_of(directory: Path, names: set[str], above: _Rules | None) -> _Rules | None:
    sources = [directory / name for name in _IGNORE_FILES if name in names]
    if ".git" in names:
        sources.insert(0, directory / ".git" / "info" / "exclude")
    lines = [line for source in sources for line in _lines_of(source)]
    if not lines:
        return above
    from pathspec import GitIgnoreSpec

    try:
        spec = GitIgnoreSpec.from_lines(lines)
    except ValueError:  # one line is no pattern: git skips it, and so do we
        spec = GitIgnoreSpec.from_lines([line for line in lines if _is_pattern(line)])
    return _Rules(directory, spec, above)


def _is_pattern(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


def _lines_of(path: Path) -> list[str]:
    try:
        data, _ = read(path, _MAX_IGNORE_BYTES, path.name)
    except FileUnreadable:
        return []  # none there, or not ours to read: then it says nothing
    lines = data.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _matcher(pattern: str | None) -> Callable[[str], bool]:
    """A test of paths relative to the top. Raises: WorkspaceError for a pattern that is no glob."""
    if pattern is None or pattern in ("**", "**/*", "*"):
        return lambda _: True
    from pathspec import GitIgnoreSpec

    try:
        # A leading ! or # means something in an ignore file, but not in a glob.
        spec = GitIgnoreSpec.from_lines(["\\" + one if one[:1] in "!#" else one for one in expand_braces(pattern)])
    except ValueError as error:
        raise WorkspaceError(f"{pattern!r} is not a glob pattern") from error
    return lambda path: spec.match_file(path)


def expand_braces(pattern: str) -> list[str]:
    """`a.{py,md}` as `["a.py", "a.md"]`, nested ones too; at most 64 alternatives."""
    done: list[str] = []
    waiting = [pattern]
    while waiting and len(done) + len(waiting) <= _MAX_BRACES:
        text = waiting.pop(0)
        found = _BRACES.search(text)
        if found is None:
            done.append(text)
            continue
        waiting += [text[: found.start()] + option + text[found.end() :] for option in found[1].split(",")]
    return list(dict.fromkeys(done + waiting))
