"""Commands a user can call by name, `/name arguments`: our own, markdown files, skills, prompts of MCP servers.

A command is a text that becomes the user's prompt. It runs nothing and permits nothing: what the text asks for passes
the same gates as anything else (RELIABILITY CF-17). A project's commands count in a trusted folder only.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from lsp_agent.context import placeholders
from lsp_agent.context.discovery import files_below
from lsp_agent.context.frontmatter import FrontMatter, FrontMatterError, split
from lsp_agent.context.reading import cut, read_now, read_project, resolved
from lsp_agent.context.skills import Skill, Skills
from lsp_agent.domain.errors import AgentError, FileUnreadable, RequestRejected
from lsp_agent.ports.workspace import Workspace
from lsp_agent.untrusted import clean, hidden_characters
from lsp_agent.workspace.paths import path_to_uri

Admits = Callable[[Path], bool]
USER_DIRECTORY = ".claude/commands"
"""Below the home directory, after the configuration's own."""
PROJECT_DIRECTORIES = (".lsp-agent/commands", ".claude/commands")
PROMPT_S = 35.0
"""How long the text of a prompt is waited for; the client's own limit is 30 s."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `name` is without the slash."""

    name: str
    description: str
    source: str
    """`builtin`, `user`, `project`, `skill` or `mcp`."""
    hint: str = ""
    """Its arguments, for people: `<file> [how]`."""
    action: str = ""
    """The method a client calls instead of sending the command as a prompt: it is about the session, not the work."""
    path: Path | None = None
    problem: str = ""
    """Why it cannot be called; empty = it can."""
    template: str = ""
    parameters: tuple[str, ...] = ()

    def to_wire(self) -> dict[str, Any]:
        """A PROTOCOL 7 command entry, with `source` and, where they say something, `action`, `uri`, `problem`."""
        more = {
            "hint": self.hint,
            "action": self.action,
            "uri": path_to_uri(self.path) if self.path is not None else "",
            "problem": self.problem,
        }
        entry = {"name": self.name, "description": self.description, "source": self.source}
        return {**entry, **{key: value for key, value in more.items() if value}}


class Prompt(Protocol):
    """A prompt of an MCP server."""

    @property
    def name(self) -> str:
        """As a command: `mcp:server:prompt`."""
        ...

    @property
    def description(self) -> str: ...

    @property
    def arguments(self) -> Sequence[tuple[str, str, bool]]:
        """Its parameters in order: name, description, whether it is required."""
        ...


class Prompts(Protocol):
    """Where MCP prompts come from."""

    def prompts(self) -> Sequence[Prompt]:
        """Those of the servers that are connected now. Never waits."""
        ...

    async def get_prompt(self, name: str, arguments: Mapping[str, str] | None = None) -> str:
        """The text. Raises: AgentError, with a sentence for the user."""
        ...


BUILTINS = (
    Command("init", "Look at the repository and write AGENTS.md", "builtin", "[what matters]", template="init"),
    Command("review", "Review changes; changes nothing itself", "builtin", "[what]", template="review"),
    Command("compact", "Shorten the conversation to a summary", "builtin", action="agent/session/compact"),
    Command("new", "Begin a new conversation", "builtin", action="agent/session/new"),
    Command("sessions", "Choose another conversation", "builtin", action="agent/session/list"),
    Command("fork", "Copy the conversation and go on in the copy", "builtin", action="agent/session/fork"),
    Command("rename", "Name the conversation", "builtin", "<title>", action="agent/session/rename"),
    Command("export", "The conversation as a document", "builtin", action="agent/session/export"),
    Command("model", "Choose the model", "builtin", "[provider/model]", action="agent/session/configure"),
    Command("mode", "Choose what may happen unasked", "builtin", "[mode]", action="agent/session/configure"),
    Command("undo", "Take back what the last run changed", "builtin", action="agent/changes/resolve"),
    Command("mcp", "MCP servers and their state", "builtin", action="agent/mcp/list"),
    Command("rules", "Instructions in force", "builtin", action="agent/rules/list"),
    Command("stop", "Stop what runs", "builtin", action="agent/cancel"),
)
"""What is there everywhere. `template` names a file of `prompts/`; the others are done by the client."""


class Commands:
    """Finds the commands of a workspace and turns a call into a prompt. Keeps nothing: every call looks again."""

    def __init__(
        self,
        workspace: Workspace,
        admits: Admits,
        skills: Skills,
        *,
        directories: Sequence[Path],
        prompts: Prompts | None = None,
    ) -> None:
        self._workspace = workspace
        self._admits = admits
        self._skills = skills
        self._directories = tuple(directories)
        self._prompts = prompts

    async def find(self) -> list[Command]:
        """All of them, sorted by name, each name once: built-in before file before skill before MCP prompt."""
        own = await asyncio.to_thread(self._own)
        found = [*BUILTINS, *own, *await self._projects(), *[_of_skill(each) for each in await self._called_skills()]]
        unique: dict[str, Command] = {}
        for command in [*found, *self._of_servers()]:
            held = unique.get(command.name)
            if held is None or (held.problem and not command.problem):
                unique[command.name] = command
        return sorted(unique.values(), key=lambda command: command.name)

    async def expand(self, text: str) -> str:
        """The prompt that `text` stands for: that of the command it calls, or `text` itself when it calls none.

        Raises: RequestRejected: InvalidParams when the command is there and cannot be used, with the reason;
        WorkspaceUntrusted when it is that of a folder the user does not trust, or not as it is now.
        """
        name, arguments = called(text)
        if not name:
            return text
        command = _chosen(name, await self.find())
        if command is None:
            await asyncio.to_thread(self._refuse_untrusted, name)
        if command is None or command.action:
            return text
        if command.problem:
            raise RequestRejected("InvalidParams", f"the command /{name}: {command.problem}", path="prompt")
        if command.source == "mcp":
            return await self._ask_server(command, arguments)
        template = _builtin_text(command.template) if command.source == "builtin" else command.template
        return placeholders.fill(template, arguments).strip() or text

    # -------------------------------------------------------------------------------------------------- where from

    def _own(self) -> list[Command]:
        found: list[Command] = []
        for directory in self._directories:
            for path in files_below(directory, (".md",), follow=True):
                name = _name("user", directory, path)
                try:
                    found.append(read_command(name, path, read_now(path), "user"))
                except FileUnreadable as error:
                    found.append(_broken(name, path, "user", f"cannot be read: {error.reason}"))
        return found

    async def _projects(self) -> list[Command]:
        roots = list(self._workspace.roots)

        def look() -> list[tuple[Path, Path]]:
            found = [each for root in roots for each in _files_of(root)]
            return [(place, path) for place, path in found if self._admits(resolved(path))]

        return list(await asyncio.gather(*[self._project(*each) for each in await asyncio.to_thread(look)]))

    def _refuse_untrusted(self, name: str) -> None:
        """Say why a command that is there by its name means nothing. Its file is not opened."""
        for root in list(self._workspace.roots):
            for place, path in _files_of(root):
                whole = _name("project", place, path)
                if name in (whole, whole.partition(":")[2]) and not self._admits(resolved(path)):
                    why = "its folder is not trusted, or the file was changed since"
                    raise RequestRejected(
                        "WorkspaceUntrusted", f"the command /{whole} is not run: {why}", root=path_to_uri(root)
                    )

    async def _project(self, directory: Path, path: Path) -> Command:
        name = _name("project", directory, path)
        try:
            return read_command(name, path, await read_project(self._workspace, path), "project")
        except FileUnreadable as error:
            return _broken(name, path, "project", f"cannot be read: {error.reason}")

    async def _called_skills(self) -> list[Skill]:
        return [skill for skill in await self._skills.find() if skill.active and skill.is_users_to_call]

    def _of_servers(self) -> list[Command]:
        found = self._prompts.prompts() if self._prompts is not None else ()
        return [
            Command(
                name=each.name,
                description=clean(each.description)[:500],
                source="mcp",
                hint=" ".join([_parameter(name, needed=needed) for name, _, needed in each.arguments]),
                parameters=tuple([name for name, _, _ in each.arguments]),
            )
            for each in found
        ]

    async def _ask_server(self, command: Command, arguments: str) -> str:
        assert self._prompts is not None
        values = placeholders.named(arguments, command.parameters)
        try:
            async with asyncio.timeout(PROMPT_S):
                text = await self._prompts.get_prompt(command.name, values)
        except (AgentError, TimeoutError) as error:
            why = str(error) or "its server did not answer in time"
            raise RequestRejected("InvalidParams", f"the command /{command.name}: {why}", path="prompt") from error
        return (
            f"(The user chose the prompt {command.name} of an MCP server. Its text:)\n\n{cut(clean(text))[0].strip()}"
        )


def _files_of(root: Path) -> list[tuple[Path, Path]]:
    """(directory of commands, file) for each file of a project that may be one."""
    places = [root / name for name in PROJECT_DIRECTORIES]
    return [(place, path) for place in places for path in files_below(place, (".md",))]


def called(text: str) -> tuple[str, str]:
    """Name and arguments when `text` has the form of a call, `/name …`; else two empty strings."""
    line = text.lstrip()
    if not line.startswith("/"):
        return "", ""
    parts = line[1:].split(maxsplit=1)
    # a path is no call: names have no slash
    if not parts or line[1:2].isspace() or "/" in parts[0]:
        return "", ""
    return parts[0], parts[1] if len(parts) > 1 else ""


def read_command(name: str, path: Path, raw: str, source: str) -> Command:
    """The command of a markdown file; one that cannot be used has a `problem`."""
    try:
        head = split(raw)
    except FrontMatterError as error:
        return _broken(name, path, source, str(error))
    hidden = hidden_characters(raw)
    if hidden and source == "project":
        why = f"holds characters that cannot be seen ({', '.join(hidden[:8])})"
        return _broken(name, path, source, why)
    template = cut(clean(head.body).strip())[0]
    if not template:
        return _broken(name, path, source, "is empty")
    wanted = placeholders.names(template)
    return Command(
        name=name,
        description=_description(head, template),
        source=source,
        hint=clean(head.text("argument-hint"))[:100] or " ".join([f"<{each}>" for each in wanted[:5]]),
        path=path,
        template=template,
        parameters=wanted,
    )


def _description(head: FrontMatter, template: str) -> str:
    text = head.text("description") or next(
        (line.strip("# \t") for line in template.splitlines() if line.strip("# \t")), ""
    )
    return " ".join(clean(text).split())[:500]


def _of_skill(skill: Skill) -> Command:
    place = f"(This is the skill {skill.name}; its files are in {skill.directory}.)"
    return Command(
        name=skill.name,
        description=skill.description,
        source="skill",
        hint=skill.hint,
        path=skill.path,
        template=f"{place}\n\n{skill.body}" if skill.body else f"{place}\n\nFollow it.",
    )


def _broken(name: str, path: Path, source: str, problem: str) -> Command:
    return Command(name, "", source, path=path, problem=problem)


def _parameter(name: str, *, needed: bool) -> str:
    shown = clean(name)[:40]
    return f"<{shown}>" if needed else f"[{shown}]"


def _name(prefix: str, directory: Path, path: Path) -> str:
    parts = path.relative_to(directory).with_suffix("").parts
    return ":".join([prefix, *["-".join(clean(part).split()) for part in parts]])


def _chosen(name: str, commands: Sequence[Command]) -> Command | None:
    """By its whole name, or by what follows `user:` or `project:` when that means one command only."""
    for command in commands:
        if command.name == name:
            return command
    short = [each for each in commands if each.source in ("user", "project") and each.name.partition(":")[2] == name]
    return short[0] if len(short) == 1 else None


@cache
def _builtin_text(name: str) -> str:
    return Path(__file__).with_name("prompts").joinpath(f"{name}.md").read_text(encoding="utf-8")
