"""Which files of a workspace the agent would obey once it is trusted, and what they hold now.

Settings, rules files, skills, custom commands and sub-agents (CORE 28 to 30). Found by a walk of the whole folder that
follows no link to a directory, leaves out where other people's code lies, and stops at a bound: what lies beyond it is
not admitted.
"""

import hashlib
import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lsp_agent.config.paths import PROJECT_FILE
from lsp_agent.untrusted import hidden_characters
from lsp_agent.workspace.paths import open_real, real_path

MAX_BYTES = 1024 * 1024
"""Of one file; a larger one is never admitted."""
MAX_FILES = 2_000
MAX_ENTRIES = 200_000
"""Directory entries looked at in one walk, the shallow ones first."""
_SKIPPED = frozenset(
    {".git", ".hg", ".svn", "node_modules", ".venv", "venv", "__pycache__", ".tox", ".nox", ".cache"}
    | {".mypy_cache", ".ruff_cache", ".pytest_cache", "site-packages"}
)
_RELEVANT = re.compile(
    "|".join(
        (
            re.escape(PROJECT_FILE),
            r"(?:.*/)?(?:agents|claude|claude\.local|gemini|crush|crush\.local)\.md",
            r"(?:.*/)?\.(?:cursorrules|windsurfrules)",
            r"(?:.*/)?\.cursor/rules/.*\.mdc?",
            r"(?:.*/)?\.github/copilot-instructions\.md",
            r"(?:.*/)?\.(?:lsp-agent|claude|crush)/(?:rules|agents|commands)/.*\.md",
            r"(?:.*/)?\.(?:agents|lsp-agent|crush|claude|cursor)/skills/.*\.md",
        )
    ),
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a walk found. `complete` False: a bound was reached, and there may be more."""

    files: Mapping[str, str]
    """Path relative to the root, with `/` and links resolved, to SHA-256; empty for what cannot be admitted."""
    complete: bool = True
    hidden: frozenset[str] = frozenset()
    """Of `files`: those with characters that no reader sees (RELIABILITY CF-11)."""


def is_relevant(relative: str) -> bool:
    """Whether a path relative to its root, with `/`, names something the agent would obey. Case does not count."""
    return _RELEVANT.fullmatch(relative.casefold()) is not None


def look(root: Path) -> Found:
    """Find and hash everything relevant below `root`, a real path.

    Waits for the disk: call it in a thread. Promise: raises nothing, leaves the root by no link, opens no device.
    """
    files: dict[str, str] = {}
    hidden: set[str] = set()
    walk = _Walk(root)
    for path in walk.entries():
        real = real_path(path)
        if len(files) >= MAX_FILES:
            return Found(files, complete=False, hidden=frozenset(hidden))
        if not real.is_relative_to(root) or not real.is_file():
            continue
        content = read_regular(real)
        name = real.relative_to(root).as_posix()
        files[name] = "" if content is None else digest(content)
        if content is not None and hidden_characters(content.decode("utf-8", "replace")):
            hidden.add(name)
    return Found(files, walk.complete, frozenset(hidden))


def read_regular(real: Path) -> bytes | None:
    """The bytes of a regular file of at most `MAX_BYTES`; None for anything else. `real` must be free of links."""
    try:
        descriptor = open_real(real, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            content = file.read(MAX_BYTES + 1)
        except OSError:
            return None
    return content if len(content) <= MAX_BYTES else None


def digest(content: bytes) -> str:
    """What stands for a content in the record of trust."""
    return hashlib.sha256(content).hexdigest()


class _Walk:
    """Breadth first and by name, so that a bound cuts the same and the deepest."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._left = MAX_ENTRIES
        self.complete = True

    def entries(self) -> Iterator[Path]:
        """Relevant files, links to files among them."""
        waiting = deque([(self._root, "")])
        while waiting:
            directory, prefix = waiting.popleft()
            for entry in self._listed(directory):
                name = f"{prefix}{entry.name}"
                if _holds(entry, "is_dir"):
                    if entry.name.casefold() not in _SKIPPED:
                        waiting.append((directory / entry.name, f"{name}/"))
                elif is_relevant(name):
                    yield directory / entry.name

    def _listed(self, directory: Path) -> Iterable["os.DirEntry[str]"]:
        if self._left <= 0:
            self.complete = False
            return ()
        found: list[os.DirEntry[str]] = []
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    self._left -= 1
                    if self._left < 0:
                        self.complete = False
                        break
                    found.append(entry)
        except OSError:
            self.complete = False
        return sorted(found, key=lambda entry: entry.name)


def _holds(entry: "os.DirEntry[str]", question: str) -> bool:
    ask: Callable[..., bool] = getattr(entry, question)
    try:
        return ask(follow_symlinks=False)
    except OSError:
        return False
