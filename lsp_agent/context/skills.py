"""Skills: folders with a SKILL.md that tells the model how to do one kind of work (CORE 30).

The model is told name, description and place of each, and reads one with `view` when it fits. The user's own win over a
project's of the same name; a project's count in a trusted folder only. One that is not well-formed is kept with the
reason, for the list.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lsp_agent.context.discovery import files_below
from lsp_agent.context.escaping import attribute
from lsp_agent.context.frontmatter import FrontMatter, FrontMatterError, split
from lsp_agent.context.reading import MAX_FILE_BYTES, cut, read_now, read_project, resolved
from lsp_agent.domain.errors import FileUnreadable
from lsp_agent.policy.protected import is_secret
from lsp_agent.ports.threads import InThread
from lsp_agent.ports.workspace import Workspace
from lsp_agent.untrusted import clean, hidden_characters
from lsp_agent.workspace.paths import path_to_uri

Admits = Callable[[Path], bool]
FILE = "SKILL.md"
USER_DIRECTORIES = (".config/agents/skills", ".agents/skills", ".claude/skills")
"""Below the home directory, after the configuration's own."""
PROJECT_DIRECTORIES = (
    ".lsp-agent/skills",
    ".agents/skills",
    ".crush/skills",
    ".claude/skills",
    ".cursor/skills",
)
"""Below each root."""
MAX_SKILLS = 200
_DEPTH = 3
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LIMITS = (("description", 1024), ("compatibility", 500))
_NAME_CHARS = 64
_INTRODUCTION = (
    "Ways of working that were written down. When a task fits one of the descriptions, view the file at its location "
    "first and follow it; paths in it are relative to its folder."
)


@dataclass(frozen=True, slots=True)
class Skill:
    """One SKILL.md."""

    path: Path
    name: str
    description: str
    scope: str
    """`user` or `project`."""
    problem: str = ""
    """Why it is not used; empty = it is. Of the user's own it may be a mere warning, see `active`."""
    active: bool = True
    body: str = ""
    hint: str = ""
    """What its arguments are, for people."""
    is_users_to_call: bool = True
    """`user-invocable`: offered as a command."""
    is_models_to_call: bool = True
    """Not `disable-model-invocation`: told to the model."""

    @property
    def directory(self) -> Path:
        """Its folder, the files it speaks of included."""
        return self.path.parent

    def to_wire(self) -> dict[str, Any]:
        """For `agent/rules/list`, field `skills`."""
        entry: dict[str, Any] = {
            "uri": path_to_uri(self.path),
            "name": self.name,
            "description": self.description,
            "scope": self.scope,
            "active": self.active,
        }
        return {**entry, "problem": self.problem} if self.problem else entry


class Skills:
    """Finds the skills of a workspace; remembers the last finding for `is_skill_path`."""

    def __init__(
        self,
        workspace: Workspace,
        admits: Admits,
        *,
        directories: Sequence[Path],
        disabled: Callable[[], Sequence[str]] = lambda: (),
        in_thread: InThread = asyncio.to_thread,
    ) -> None:
        self._in_thread = in_thread
        self._workspace = workspace
        self._admits = admits
        self._directories = tuple(directories)
        self._disabled = disabled
        self._own_places: frozenset[Path] = frozenset()

    async def find(self) -> list[Skill]:
        """All of them, sorted by name, the ones in force before those they hide."""
        roots = list(self._workspace.roots)
        own, paths = await self._in_thread(lambda: (self._own(), self._project_files(roots)))
        found = [*own, *await asyncio.gather(*[self._project(path) for path in dict.fromkeys(paths)])]
        disabled = frozenset(self._disabled())
        skills = _without_repeats([_disabled(skill) if skill.name in disabled else skill for skill in found])
        places = {skill.directory for skill in skills if skill.active and skill.scope == "user"}
        self._own_places = frozenset([resolved(place) for place in places])
        return sorted(skills, key=lambda skill: (skill.name, not skill.active, str(skill.path)))

    def is_skill_path(self, path: Path) -> bool:
        """Whether a real path lies in the folder of a skill of the user's that is in force: it may be viewed unasked,
        though it is outside the roots. Nothing before the first `find`."""
        return any(path.is_relative_to(place) for place in self._own_places) and not is_secret(path.as_posix())

    def _own(self) -> list[Skill]:
        found: list[Skill] = []
        for directory in self._directories:
            for path in _files(directory, follow=True):
                try:
                    found.append(read_skill(path, read_now(path), "user"))
                except FileUnreadable as error:
                    found.append(_broken(path, "user", f"cannot be read: {error.reason}"))
        return found

    def _project_files(self, roots: Sequence[Path]) -> list[Path]:
        return [
            path
            for root in roots
            for name in PROJECT_DIRECTORIES
            for path in _files(root / name)
            if self._admits(resolved(path))
        ]

    async def _project(self, path: Path) -> Skill:
        try:
            return read_skill(path, await read_project(self._workspace, path), "project")
        except FileUnreadable as error:
            return _broken(path, "project", f"cannot be read: {error.reason}")


def read_skill(path: Path, raw: str, scope: str) -> Skill:
    """The skill of a file's text; one that breaks a rule has a `problem` and is not active."""
    try:
        head = split(raw)
    except FrontMatterError as error:
        return _broken(path, scope, str(error))
    problem = _problem(head, path.parent.name)
    hidden = hidden_characters(raw)
    warning = f"holds characters that cannot be seen ({', '.join(hidden[:8])})" if hidden else ""
    body, was_cut = cut(clean(head.body).strip())
    if was_cut:
        warning = "; ".join([part for part in (warning, f"is longer than {MAX_FILE_BYTES // 1024} KiB") if part])
    return Skill(
        path=path,
        name=clean(head.text("name") or path.parent.name)[:_NAME_CHARS],
        description=clean(head.text("description"))[: _LIMITS[0][1]],
        scope=scope,
        problem=problem or warning,
        active=not problem and not (hidden and scope == "project"),
        body=body,
        hint=clean(head.text("argument-hint"))[:100],
        is_users_to_call=head.flag("user-invocable", default=True),
        is_models_to_call=not head.flag("disable-model-invocation", default=False),
    )


def _problem(head: FrontMatter, directory: str) -> str:
    """Which rule of the format the head breaks; empty when none."""
    if not head.present:
        return "has no front matter"
    name = head.text("name")
    if not name:
        return "has no name"
    if len(name) > _NAME_CHARS:
        return f"its name is longer than {_NAME_CHARS} characters"
    if not _NAME.fullmatch(name):
        return "its name may hold lower-case letters, digits and single hyphens between them only"
    if name != directory:
        return f"its name is not that of its folder, {clean(directory)[:_NAME_CHARS]}"
    if not head.text("description"):
        return "has no description"
    for key, limit in _LIMITS:
        if len(head.text(key)) > limit:
            return f"its {key} is longer than {limit} characters"
    if not isinstance(head.get("metadata") or {}, Mapping):
        return "its metadata are not a table"
    for key in ("user-invocable", "disable-model-invocation"):
        if not head.is_flag(key):
            return f"its {key} is neither true nor false"
    return ""


def skills_block(skills: Sequence[Skill], room_chars: int = 1_000_000) -> str:
    """The block of the system prompt; empty when there is nothing to tell. What has no room is counted."""
    told = [skill for skill in skills if skill.active and skill.is_models_to_call]
    if not told:
        return ""
    lines = [_INTRODUCTION]
    for number, skill in enumerate(told):
        entry = (
            f"<skill>\n<name>{attribute(skill.name)}</name>\n"
            f"<description>{attribute(skill.description, _LIMITS[0][1])}</description>\n"
            f"<location>{attribute(str(skill.path), 4096)}</location>\n</skill>"
        )
        room_chars -= len(entry)
        if room_chars < 0:
            lines.append(f"(There are {len(told) - number} more, for which there is no room.)")
            break
        lines.append(entry)
    return "<skills>\n" + "\n".join(lines) + "\n</skills>"


def _files(directory: Path, *, follow: bool = False) -> list[Path]:
    wanted = FILE.casefold()
    found = files_below(directory, (wanted,), depth=_DEPTH, follow=follow)
    return [path for path in found if path.name.casefold() == wanted][:MAX_SKILLS]


def _broken(path: Path, scope: str, problem: str) -> Skill:
    return Skill(path, clean(path.parent.name)[:_NAME_CHARS], "", scope, problem=problem, active=False)


def _disabled(skill: Skill) -> Skill:
    return replace(skill, active=False, problem="is switched off in the configuration")


def _without_repeats(skills: Iterable[Skill]) -> list[Skill]:
    """The first of each name counts; a file that is found twice is one."""
    files: dict[Path, Skill] = {}
    for skill in skills:
        files.setdefault(resolved(skill.path), skill)
    seen: dict[str, Path] = {}
    result: list[Skill] = []
    for skill in files.values():
        if skill.active and skill.name in seen:
            skill = replace(skill, active=False, problem=f"is hidden by {seen[skill.name]}")
        elif skill.active:
            seen[skill.name] = skill.path
        result.append(skill)
    return result
