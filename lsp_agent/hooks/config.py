"""Hooks as the user wrote them: the `[hooks]` table of their own file, and Claude Code's settings where they say so.

Two shapes are read, also mixed in one list: ours, `{matcher?, command, timeout?, name?}`, and Claude Code's,
`{matcher?, hooks = [{type = "command", command, timeout?}]}`. A hook that cannot be understood is dropped and spoken
of; it never matches more than its author meant. No file of a workspace is ever read here (RELIABILITY CF-01).
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsp_agent.hooks.matching import Matcher, make_matcher

EVENTS = ("PreToolUse", "PostToolUse", "SessionStart", "UserPromptSubmit", "Stop", "PreCompact")
DEFAULT_TIMEOUT_S = 30.0
MAX_TIMEOUT_S = 600.0
CLAUDE_SETTINGS = ".claude/settings.json"
_MAX_SETTINGS_BYTES = 1 << 20
_CLAUDE_KEY = "claude_settings"
_FOLDED = {name.casefold(): name for name in EVENTS}


@dataclass(frozen=True, slots=True)
class Hook:
    """One command for one event."""

    event: str
    command: str
    """For bash, as the user wrote it."""
    matches: Matcher
    matcher: str = ""
    """What `matches` was made of; empty = everything."""
    timeout_s: float = DEFAULT_TIMEOUT_S
    name: str = ""
    claude: bool = False
    """Written in Claude Code's shape: it is told Claude's names of tools."""

    @property
    def label(self) -> str:
        """What people know it by."""
        return self.name or (self.command if len(self.command) <= 60 else self.command[:59] + "…")


@dataclass(frozen=True, slots=True)
class HookSet:
    """What was read, in the order it stood there, and what was wrong with the rest."""

    hooks: tuple[Hook, ...] = ()
    problems: tuple[str, ...] = ()

    def __add__(self, other: "HookSet") -> "HookSet":
        return HookSet(self.hooks + other.hooks, self.problems + other.problems)


def event_name(text: str) -> str | None:
    """The event somebody means, case and underscores ignored; None for one that never happens here."""
    return _FOLDED.get(text.replace("_", "").replace("-", "").casefold())


def read_hooks(table: Mapping[str, Any], source: str = "hooks", *, claude: bool = False) -> HookSet:
    """The hooks of a table event → list. `claude`: it is Claude Code's own file, whose other events are not ours."""
    found: list[Hook] = []
    problems: list[str] = []
    for key, entries in table.items():
        if key == _CLAUDE_KEY and not claude:
            continue
        event = event_name(key)
        if event is None:
            if not claude:
                problems.append(f"{source}.{key}: there is no such event; it never fires. Known: {', '.join(EVENTS)}")
            continue
        if not isinstance(entries, list | tuple):
            problems.append(f"{source}.{key}: must be a list")
            continue
        for number, entry in enumerate(entries):
            where = f"{source}.{key}[{number}]"
            try:
                found.extend(_hooks_of(event, entry, where, problems))
            except ValueError as error:
                problems.append(f"{where}: {error}; this hook is not in force")
    return HookSet(tuple(found), tuple(problems))


def load_claude(path: Path) -> HookSet:
    """The hooks of a settings file of Claude Code. Reads one small file; never raises."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SETTINGS_BYTES + 1)
        if len(data) > _MAX_SETTINGS_BYTES:
            raise ValueError("the file is too large")
        settings = json.loads(data)
    except FileNotFoundError:
        return HookSet(problems=(f"{path}: there is no such file",))
    except (OSError, ValueError, RecursionError) as error:
        return HookSet(problems=(f"{path}: no hooks could be read ({type(error).__name__})",))
    if not isinstance(settings, dict) or settings.get("disableAllHooks") is True:
        return HookSet()
    hooks = settings.get("hooks", {})
    return read_hooks(hooks, f"{path}: hooks", claude=True) if isinstance(hooks, dict) else HookSet()


class HookBook:
    """The hooks in force: replaced whole when the user's configuration was read again."""

    def __init__(self, home: Path, roots: Callable[[], Sequence[Path]]) -> None:
        self._home = home
        self._roots = roots
        self.current = HookSet()

    def follow(self, table: Mapping[str, Any]) -> None:
        """Take the `[hooks]` table that was just read, and the settings of Claude Code when it says so."""
        made = read_hooks(table)
        wanted = table.get(_CLAUDE_KEY, False)
        if wanted is True:
            made += load_claude(self._home / CLAUDE_SETTINGS)
        elif isinstance(wanted, str) and wanted:
            made += self._load(wanted)
        elif wanted is not False:
            made += HookSet(problems=(f"hooks.{_CLAUDE_KEY}: must be true, false or a path",))
        self.current = made

    def _load(self, text: str) -> HookSet:
        path = self._home / text[2:] if text.startswith("~/") else Path(text)
        if not path.is_absolute():
            return HookSet(problems=(f"hooks.{_CLAUDE_KEY}: must be an absolute path",))
        real = path.resolve()
        if real != (self._home / CLAUDE_SETTINGS).resolve() and any(
            real.is_relative_to(root) for root in self._roots()
        ):
            return HookSet(problems=(f"hooks.{_CLAUDE_KEY}: a file of the workspace is not read",))
        return load_claude(path)


def _hooks_of(event: str, entry: Any, where: str, problems: list[str]) -> Iterator[Hook]:
    """The hooks of one entry. Raises: ValueError when the entry says nothing that can be meant."""
    if not isinstance(entry, Mapping):
        raise ValueError("must be a table")
    text = entry.get("matcher", "")
    if not isinstance(text, str):
        raise ValueError("`matcher` must be text")
    claude = "hooks" in entry
    matches = make_matcher(text, claude=claude)
    if not claude:
        yield _hook(event, entry, text, matches, claude=False)
        return
    if not isinstance(entry["hooks"], list | tuple):
        raise ValueError("`hooks` must be a list")
    for number, one in enumerate(entry["hooks"]):
        try:
            yield _hook(event, one, text, matches, claude=True)
        except ValueError as error:
            problems.append(f"{where}.hooks[{number}]: {error}; this hook is not in force")


def _hook(event: str, entry: Any, text: str, matches: Matcher, *, claude: bool) -> Hook:
    if not isinstance(entry, Mapping):
        raise ValueError("must be a table")
    if entry.get("type", "command") != "command":
        raise ValueError(f"hooks of type {entry['type']!r} are not supported, only commands")
    command, name = entry.get("command"), entry.get("name", "")
    if not isinstance(command, str) or not command.strip() or "\0" in command:
        raise ValueError("`command` is missing")
    timeout = entry.get("timeout", DEFAULT_TIMEOUT_S)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= MAX_TIMEOUT_S:
        raise ValueError(f"`timeout` must be seconds, more than 0 and at most {MAX_TIMEOUT_S:g}")
    return Hook(event, command, matches, text, float(timeout), name if isinstance(name, str) else "", claude)
