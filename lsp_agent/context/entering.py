"""Rules of folders that the model enters while it works: in force from its next step on.

They are told in a message of the conversation, not in the system prompt: that stays the same to the letter, so that the
provider's cache of it keeps hitting. A conversation that was shortened has lost them; then the next prompt holds them.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lsp_agent.context.escaping import attribute
from lsp_agent.context.rules import UNTRUSTED, RuleFile, rules_block
from lsp_agent.domain.errors import WorkspaceError
from lsp_agent.domain.run import Run
from lsp_agent.ports.tools import Tool, ToolContext, ToolResult
from lsp_agent.workspace.paths import uri_to_path

_log = logging.getLogger(__name__)

MAX_PATHS = 64
"""Files of one session that brought rules."""
_MAX_LOOKED = 4_000
_MAX_FILES_A_CALL = 16
_INTRODUCTION = (
    "The work has reached folders with standing instructions of their own. They count from now on like those at the "
    "start; for what lies below such a folder they come before those."
)


@dataclass(slots=True)
class Entered:
    """What came into force in one session while its conversation went on. Not stored: told again after a restart."""

    paths: dict[Path, None] = field(default_factory=dict)
    """Files that brought rules, or rules that wait for trust, in the order they came."""
    told: dict[Path, RuleFile] = field(default_factory=dict)
    """In the conversation, by the path of the file of rules."""
    waiting: dict[Path, RuleFile] = field(default_factory=dict)
    """To be told before the next step."""
    _looked: set[Path] = field(default_factory=set)
    _gone: list[str] = field(default_factory=list)

    @property
    def in_force(self) -> list[RuleFile]:
        """Told or about to be."""
        return [*self.told.values(), *self.waiting.values()]

    def is_new(self, path: Path) -> bool:
        """Whether nobody has looked for the rules of this file; from now on somebody has."""
        if path in self._looked:
            return False
        if len(self._looked) >= _MAX_LOOKED:
            self._looked.clear()
        self._looked.add(path)
        return True

    def look_again(self, path: Path) -> None:
        """The look at this file came to nothing."""
        self._looked.discard(path)

    def take(self, path: Path, files: Sequence[RuleFile]) -> bool:
        """`path` brought these; whether that is news for the user."""
        fresh = [file for file in files if file.active and file.path not in self.told and file.path not in self.waiting]
        is_news = bool(fresh) or any(not file.active and file.problem.startswith(UNTRUSTED) for file in files)
        if not is_news or (len(self.paths) >= MAX_PATHS and path not in self.paths):
            return False
        self.waiting |= {file.path: file for file in fresh}
        self.paths[path] = None
        return True

    def for_prompt(self, files: Iterable[RuleFile]) -> list[RuleFile]:
        """Of what was found when a turn begins: all that the conversation does not hold already as it is now.

        What it holds and is not so any more, changed or trusted no longer, is taken back before the next step.
        """
        found = {file.path: file for file in files}
        self.waiting.clear()
        for path, told in list(self.told.items()):
            now = found.get(path)
            if now is None or not now.active or not _is_same(told, now):
                del self.told[path]
                self._gone.append(told.name)
        return [file for file in found.values() if file.path not in self.told]

    def forget(self) -> None:
        """The conversation does not hold what was told any more."""
        self.told.clear()
        self._looked.clear()

    def note(self) -> str:
        """The message for the model; empty when there is nothing to tell. Given once."""
        parts: list[str] = []
        if self._gone:
            names = ", ".join([f"`{attribute(name)}`" for name in self._gone])
            parts.append(f"What an earlier reminder gave of {names} does not count any more.")
        if self.waiting:
            parts += [_INTRODUCTION, rules_block(list(self.waiting.values()))]
        self.told |= self.waiting
        self.waiting.clear()
        self._gone.clear()
        return "\n".join(["<system_reminder>", *parts, "</system_reminder>"]) if parts else ""


def _is_same(told: RuleFile, now: RuleFile) -> bool:
    """Of a file for which there was no room, the beginning was told."""
    return now.text == told.text or (bool(told.problem) and now.text.startswith(told.text))


class Enters(Protocol):
    """Who is told of files that the model has seen or changed (`TurnContext`)."""

    async def touched(self, run: Run, paths: Sequence[Path], called_by: Run | None = None) -> None:
        """Bounded; raises nothing."""
        ...


def with_entering(tool: Tool, enters: Enters) -> Tool:
    """`tool`, if it views or changes files; each file is the reason to look for the rules of its folder."""
    return Entering(tool, enters) if tool.kind == "edit" or tool.spec.name == "view" else tool


class Entering:
    """See `with_entering`."""

    def __init__(self, tool: Tool, enters: Enters) -> None:
        self.spec, self.kind, self.parallel, self.read_only = tool.spec, tool.kind, tool.parallel, tool.read_only
        self._tool = tool
        self._enters = enters

    def title(self, arguments: Mapping[str, Any]) -> str:
        return self._tool.title(arguments)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        result = await self._tool.run(arguments, context)
        if not result.is_error:
            named = [each.get("uri") for each in (*result.locations, *result.changes)]
            try:
                await self._enters.touched(context.run, _files(named, context), context.called_by)
            except asyncio.CancelledError:
                return result  # what the tool did is done, and its result must not be lost
        return result


def _files(uris: Collection[Any], context: ToolContext) -> list[Path]:
    """Real paths below a root."""
    found: dict[Path, None] = {}
    for uri in list(uris)[:_MAX_FILES_A_CALL]:
        try:
            path = uri_to_path(uri) if isinstance(uri, str) else None
            place = context.workspace.place(str(path)) if path is not None else None
        except WorkspaceError:
            continue
        if place is not None and place.inside:
            found[place.path] = None
    return list(found)
