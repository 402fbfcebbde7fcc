"""The context of one workspace, put together from what the composition root has."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsp_agent.context import skills as skills_module
from lsp_agent.context.context import Instructions, TurnContext, no_instructions
from lsp_agent.context.entering import with_entering
from lsp_agent.context.git import Git
from lsp_agent.context.rules import MAX_TOKENS, Rules
from lsp_agent.context.skills import Skills
from lsp_agent.domain.late import Late
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import Events
from lsp_agent.ports.threads import InThread
from lsp_agent.ports.tools import Tool
from lsp_agent.ports.workspace import Document, Workspace
from lsp_agent.shell.sandbox import Sandbox
from lsp_agent.shell.spawner import Spawner

if TYPE_CHECKING:  # what is made late
    from lsp_agent.context.commands import Commands, Prompts
    from lsp_agent.context.mentions import Mentions


@dataclass(frozen=True, slots=True)
class ContextSettings:
    """What the configuration says about context; read anew every time."""

    paths: Sequence[str] = ()
    """`[context] paths`."""
    max_tokens: int = MAX_TOKENS
    """`[context] max_tokens`: room for rules."""
    disabled_skills: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ContextWorld:
    """What the context is made of."""

    workspace: Workspace
    documents: Callable[[], Sequence[Document]]
    """Every open document."""
    focus: Callable[[], Sequence[Path]]
    """Real paths of the files users look at now."""
    admits: Callable[[Path], bool]
    """Whether the user trusts this file of a project as it is now. Called on a thread."""
    trusted: Callable[[Path], bool]
    """Whether a root is trusted."""
    spawner: Spawner
    sandbox: Sandbox
    events: Events
    clock: Clock
    environ: Mapping[str, str]
    config_dir: Path
    settings: Callable[[], ContextSettings] = ContextSettings
    instructions: Instructions = no_instructions
    prompts: "Prompts | None" = None
    last_run: Callable[[str], str | None] = lambda session_id: None
    terminals: Callable[[str], Sequence[Mapping[str, Any]]] = lambda session_id: ()
    in_thread: InThread = asyncio.to_thread
    """For short looks at the disk."""


class WorkspaceContext:
    """Rules, skills, commands, mentions, and the blocks of a turn. `aclose` ends what is under way."""

    def __init__(self, world: ContextWorld) -> None:
        home = Path(world.environ.get("HOME") or Path.home())
        config_home = Path(world.environ.get("XDG_CONFIG_HOME") or home / ".config")
        settings = world.settings
        self.rules = Rules(
            world.workspace,
            world.admits,
            own=[world.config_dir / "AGENTS.md", world.config_dir / "CRUSH.md", config_home / "AGENTS.md"],
            environ=world.environ,
            configured=lambda: settings().paths,
            max_tokens=lambda: settings().max_tokens,
            in_thread=world.in_thread,
        )
        self.skills = Skills(
            world.workspace,
            world.admits,
            directories=[
                world.config_dir / "skills",
                *[home / name for name in skills_module.USER_DIRECTORIES],
            ],
            disabled=lambda: settings().disabled_skills,
            in_thread=world.in_thread,
        )
        self._commands = Late(lambda: self._make_commands(world, home))
        self._mentions = Late(lambda: self._make_mentions(world))
        self.git = Git(world.spawner, world.sandbox, roots=lambda: world.workspace.roots, trusted=world.trusted)
        self.turn = TurnContext(
            workspace=world.workspace,
            rules=self.rules,
            skills=self.skills,
            git=self.git,
            events=world.events,
            clock=world.clock,
            focus=world.focus,
            instructions=world.instructions,
            in_thread=world.in_thread,
        )
        self._focus = world.focus

    @property
    def commands(self) -> "Commands":
        """What a user can call by name."""
        return self._commands()

    @property
    def mentions(self) -> "Mentions":
        """What a prompt can mention."""
        return self._mentions()

    def wrap(self, tool: Tool) -> Tool:
        """A tool that views or changes files brings the rules of their folders into force."""
        return with_entering(tool, self.turn)

    def focus(self) -> Sequence[Path]:
        """Real paths of the files users look at now."""
        return self._focus()

    async def aclose(self) -> None:
        """Bounded; may be called twice."""
        if (mentions := self._mentions.made) is not None:
            await mentions.aclose()
        await self.git.aclose()

    def _make_commands(self, world: ContextWorld, home: Path) -> "Commands":
        from lsp_agent.context.commands import USER_DIRECTORY, Commands

        return Commands(
            world.workspace,
            world.admits,
            self.skills,
            directories=[world.config_dir / "commands", home / USER_DIRECTORY],
            prompts=world.prompts,
        )

    def _make_mentions(self, world: ContextWorld) -> "Mentions":
        from lsp_agent.context.mentions import Mentions

        return Mentions(
            world.workspace,
            self.commands,
            world.clock,
            documents=world.documents,
            last_run=world.last_run,
            terminals=world.terminals,
        )
