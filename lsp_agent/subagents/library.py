"""The sub-agents that are defined: found in directories of the user and of workspaces that may be obeyed.

Looked at again when a turn begins; files that have not changed are not read twice. A name of the user's own wins over
the same name in a project. What cannot be used is listed with the reason and otherwise ignored.
"""

import asyncio
import logging
import stat
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lsp_agent.domain.errors import WorkspaceError
from lsp_agent.ports.threads import InThread
from lsp_agent.subagents.definitions import MAX_BYTES, Definition, parse
from lsp_agent.workspace.paths import real_path

_log = logging.getLogger(__name__)

PROJECT_DIRECTORIES = (".lsp-agent/agents", ".claude/agents")
MAX_FILES = 100
REFRESH_S = 2.0

_State = tuple[int, int, int]
"""What tells that a file has changed: inode, size, time of the last change in nanoseconds."""


def nowhere() -> Sequence[Path]:
    """No workspace: the default of `Library`."""
    return ()


def admits_nothing(_path: Path) -> bool:
    """No file of a workspace is obeyed: the default of `Library`."""
    return False


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that is not used, and why."""

    path: str
    reason: str


class Library:
    """`definitions` and `problems` are replaced whole by `refresh`, never changed.

    `disabled`: names of definitions that are left out.
    """

    def __init__(
        self,
        user_directories: Sequence[Path] = (),
        *,
        roots: Callable[[], Sequence[Path]] = nowhere,
        admits: Callable[[Path], bool] = admits_nothing,
        disabled: Callable[[], Collection[str]] = tuple,
        in_thread: InThread = asyncio.to_thread,
    ) -> None:
        self._in_thread = in_thread
        self._user_directories = tuple(user_directories)
        self._roots = roots
        self._admits = admits
        self._disabled = disabled
        self._read: dict[Path, tuple[_State, Definition | Problem]] = {}
        self._is_refreshing = asyncio.Lock()
        self.definitions: Mapping[str, Definition] = {}
        """By name, sorted."""
        self.problems: Sequence[Problem] = ()

    async def refresh(self) -> None:
        """Look at the files again. Bounded; on a dead disk what was known stays. Never raises."""
        async with self._is_refreshing:
            try:
                async with asyncio.timeout(REFRESH_S):
                    found = await self._in_thread(partial(self._look, list(self._roots()), dict(self._read)))
            except (TimeoutError, OSError) as error:
                _log.warning("sub-agents could not be looked for: %s", type(error).__name__)
                return
        self._read = found
        definitions: dict[str, Definition] = {}
        problems: list[Problem] = []
        for path, (_, one) in found.items():
            if isinstance(one, Problem):
                problems.append(one)
            elif one.name in definitions:
                problems.append(Problem(str(path), f"the name {one.name} is taken by {definitions[one.name].source}"))
            else:
                definitions[one.name] = one
        disabled = frozenset(self._disabled())
        self.definitions = {name: one for name, one in sorted(definitions.items()) if name not in disabled}
        self.problems = tuple(problems)

    def _look(
        self, roots: Sequence[Path], known: Mapping[Path, tuple[_State, Definition | Problem]]
    ) -> dict[Path, tuple[_State, Definition | Problem]]:
        """Every file with what it holds, the user's first. In a thread."""
        found: dict[Path, tuple[_State, Definition | Problem]] = {}
        for path, scope in self._files(roots):
            if len(found) == MAX_FILES or path in found:
                continue
            try:
                real = real_path(path)
                if scope == "project" and not self._admits(real):
                    continue
                status = real.stat()
                if not stat.S_ISREG(status.st_mode):
                    continue
                state = (status.st_ino, status.st_size, status.st_mtime_ns)
                before = known.get(path)
                found[path] = before if before and before[0] == state else (state, _load(path, real, scope))
            except WorkspaceError:
                continue  # its links keep changing
            except OSError as error:
                found[path] = ((0, 0, 0), Problem(str(path), error.strerror or "it cannot be read"))
        return found

    def _files(self, roots: Sequence[Path]) -> Iterator[tuple[Path, str]]:
        for directory in self._user_directories:
            yield from ((path, "user") for path in _markdown(directory))
        for root in roots:
            for name in PROJECT_DIRECTORIES:
                yield from ((path, "project") for path in _markdown(root / name))


def _markdown(directory: Path) -> list[Path]:
    try:
        return sorted([path for path in directory.iterdir() if path.suffix.lower() == ".md"])[: MAX_FILES + 1]
    except OSError:
        return []  # most of these directories do not exist


def _load(path: Path, real: Path, scope: str) -> Definition | Problem:
    with real.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        return Problem(str(path), f"it is larger than {MAX_BYTES} bytes")
    try:
        return parse(data.decode("utf-8"), path.stem, scope=scope, source=str(path))
    except ValueError as error:
        return Problem(str(path), "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error))
