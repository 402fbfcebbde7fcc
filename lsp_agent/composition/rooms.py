"""What the agent works with, made once the settings are there: decisions, hands, web, sub-agents, context, hooks."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lsp_agent import log
from lsp_agent.agent.approvals import Approvals
from lsp_agent.agent.attention import Attention
from lsp_agent.agent.hub import Hub
from lsp_agent.agent.questions import Questions
from lsp_agent.agent.services import TurnServices
from lsp_agent.agent.sessions import Sessions
from lsp_agent.changes.service import Changes
from lsp_agent.clock import SystemClock
from lsp_agent.composition.discretion import DiscreetEvents, Secrets
from lsp_agent.composition.hooks import user_hooks
from lsp_agent.composition.language import language
from lsp_agent.composition.late_tools import LateTool
from lsp_agent.composition.local import local_engines
from lsp_agent.composition.mcp import mcp_servers
from lsp_agent.composition.settings import editor_facts, provider_settings, turn_limits
from lsp_agent.composition.settled import Settled
from lsp_agent.composition.shell import shell_jobs
from lsp_agent.composition.web import command_outlets, web
from lsp_agent.config.paths import common_state, state_home
from lsp_agent.context.assembly import ContextSettings, ContextWorld, WorkspaceContext
from lsp_agent.domain.run import Run
from lsp_agent.domain.session import Session
from lsp_agent.policy.protected import is_secret
from lsp_agent.policy.shell import judge
from lsp_agent.ports.approver import PermissionAsk
from lsp_agent.ports.tools import Tool
from lsp_agent.providers.oauth import LoginDue
from lsp_agent.providers.oauth_services import login_services
from lsp_agent.providers.oauth_tokens import Logins
from lsp_agent.providers.prices_file import Prices
from lsp_agent.providers.registry import ProviderRegistry
from lsp_agent.server.editor import ConnectedEditors
from lsp_agent.server.negotiation import Negotiated
from lsp_agent.server.positions import from_wire_position, from_wire_range
from lsp_agent.server.provided import LastChanges
from lsp_agent.shell.jobs import Jobs
from lsp_agent.shell.spawner import Spawner
from lsp_agent.store.sqlite import SqliteStore
from lsp_agent.subagents.desk import Subagents
from lsp_agent.subagents.fetch_tool import AgenticFetch
from lsp_agent.subagents.library import Library
from lsp_agent.subagents.running import Runner
from lsp_agent.tools.question import AskUser
from lsp_agent.tools.registry import BuiltinTools, shell_tools
from lsp_agent.workspace.lines import LineIndex
from lsp_agent.workspace.outside import OutsideFiles
from lsp_agent.workspace.overlay import OverlayWorkspace
from lsp_agent.workspace.roots import Roots


def _warning(ask: PermissionAsk) -> str | None:
    """`trust.delayed.warning`, imported when something is asked."""
    from lsp_agent.trust.delayed import warning

    return warning(ask)


class LiveModes:
    """The mode a session is set to by now, for its sub-agents."""

    def __init__(self) -> None:
        self.sessions: Sessions | None = None

    def of(self, session_id: str) -> str | None:
        """None = the session has none of its own."""
        mode = self.sessions.options_of(Session(session_id)).get("mode") if self.sessions is not None else None
        return str(mode) if mode else None


@dataclass(frozen=True, slots=True)
class Ground:
    """What the rooms are built on."""

    settled: Settled
    agreed: Negotiated
    editors: ConnectedEditors
    clock: SystemClock
    redactor: log.Redactor
    store: SqliteStore
    hub: Hub


class Rooms:
    """Everything behind the ports but the agent itself. Starts nothing."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        settled, hub, clock = ground.settled, ground.hub, ground.clock
        self._secrets = Secrets(ground.redactor)
        self.providers = self._make_providers()
        self.workspace = OverlayWorkspace(settled.roots, ground.editors)
        attention = Attention(hub)
        self.approvals = Approvals(
            store=ground.store,
            events=hub,
            clock=clock,
            decide=settled.rules.decide,
            warn=_warning,
            roots=lambda: settled.roots.paths,
            attention=attention,
        )
        self.questions = Questions(events=hub, clock=clock, attention=attention)
        self.jobs = self._make_jobs()
        self.hooks = user_hooks(settled, clock)
        self.mcp = mcp_servers(
            settled, jobs=self.jobs, hub=hub, editors=ground.editors, clock=clock, keep_secret=self._secrets.keep
        )
        self._last_changes = LastChanges()
        hub.listen(self._last_changes.note)
        self.context = self._make_context()
        hub.listen(self.context.turn.heard)
        self.language = language(settled, ground.editors, self.workspace, self.jobs.sandbox, clock)
        self.modes = LiveModes()
        self.changes = Changes(
            store=ground.store, events=hub, clock=clock, workspace=self.workspace, is_secret=is_secret
        )
        self._web = web(settled, self._secrets.values)
        self.research_directory = settled.directory / "research"
        self.subagents = self._make_subagents()
        self.services = self._make_services()

    async def refresh(self) -> bool:
        """Read the settings again if they changed, and say whether they did. What runs for a folder that is trusted no
        longer ends then."""
        live = self.ground.settled.live
        before = live.current
        await live.refresh()
        if live.current is not before:
            await asyncio.gather(self.mcp.leave_untrusted(), self.language.leave_untrusted())
        return live.current is not before

    def _make_providers(self) -> ProviderRegistry:
        settled, home = self.ground.settled, common_state(os.environ)
        logins = Logins(
            home / "logins",
            lambda: login_services(provider_settings(settled.config)),
            on_secret=self._secrets.keep,
            on_login_due=self._say_login_due,
        )
        return ProviderRegistry(
            lambda: provider_settings(settled.config),
            os.environ,
            on_secret=self._secrets.keep,
            prices=Prices(home / "prices.json"),
            logins=logins,
            on_login_due=self._say_login_due,
            engines=local_engines(settled),
        )

    def _say_login_due(self, error: LoginDue) -> None:
        auth = {"sessionUpdate": "auth_update", "providerId": error.provider_id, "status": "login_required"}
        self.ground.hub.everyone({**auth, "command": error.command})
        self.ground.hub.everyone(
            {"sessionUpdate": "notice", "level": "warning", "code": "auth", "message": error.message}
        )

    def _make_jobs(self) -> Jobs:
        settled = self.ground.settled
        return shell_jobs(
            lambda: settled.roots.paths,
            events=DiscreetEvents(self.ground.hub, self._secrets),
            clock=self.ground.clock,
            hide=(settled.directory, state_home(os.environ), settled.config_dir),
            tier=settled.config.sandbox.tier,
            outlets=command_outlets(settled),
        )

    def _make_context(self) -> WorkspaceContext:
        settled = self.ground.settled
        return WorkspaceContext(
            ContextWorld(
                workspace=self.workspace,
                documents=self.ground.editors.documents,
                focus=self.ground.editors.focused,
                admits=settled.trust.admits,
                trusted=settled.trust.trusts,
                spawner=Spawner(),
                sandbox=self.jobs.sandbox,
                events=self.ground.hub,
                clock=self.ground.clock,
                environ=os.environ,
                config_dir=settled.config_dir,
                settings=lambda: ContextSettings(
                    settled.config.context.paths, settled.config.context.max_tokens, settled.config.skills.disabled
                ),
                instructions=self.mcp.instructions,
                prompts=self.mcp,
                last_run=self._last_changes.of,
                terminals=lambda session_id: self.jobs.terminals(session_id)["terminals"],
                in_thread=settled.looks,
            )
        )

    def _make_subagents(self) -> Subagents:
        settled = self.ground.settled
        runner = Runner(live_mode=self.modes.of, end_session=self.jobs.end_session, context=self.context.turn.for_child)
        library = Library(
            (settled.config_dir / "agents", Path.home() / ".claude" / "agents"),
            roots=lambda: settled.roots.paths,
            admits=settled.trust.admits,
            disabled=lambda: settled.config.agents.disabled,
            in_thread=settled.looks,
        )
        subagents = Subagents(runner, library)
        subagents.offer_research(
            AgenticFetch(
                runner,
                research_tools=self._web.research,
                workspace_at=lambda private: OverlayWorkspace(Roots([private]), self.ground.editors),
                directory=self.research_directory,
                forbids=self.approvals.forbids,
            )
        )
        return subagents

    def _shell_tools(self) -> list[Tool]:
        """With a checkpoint before each command that may change files (RELIABILITY SH-22)."""

        def may_change(arguments: Mapping[str, Any]) -> bool:
            return keeps() and judge(str(arguments.get("command", ""))).effect != "allow"

        def keeps() -> bool:
            return self.ground.settled.config.checkpoints.enabled

        tools = shell_tools(self.jobs, judge, allows=self.approvals.allows)
        return [
            LateTool(tool, partial(self.changes.guard, tool, may_change)) if tool.spec.name == "bash" else tool
            for tool in tools
        ]

    async def _context_of(self, run: Run) -> Sequence[str]:
        """More blocks of the system prompt: rules, skills, MCP, git, and what the user said of changes."""
        return [*await self.context.turn.blocks(run), *await self.changes.context(run)]

    def _notes_of(self, session_id: str) -> str:
        """What became known since the model was last told: rules of folders it entered, diagnostics that came late."""
        notes = (self.context.turn.notes(session_id), self.language.pending_notes(session_id))
        return "\n\n".join([note for note in notes if note])

    def _make_services(self) -> TurnServices:
        settled = self.ground.settled
        tools = BuiltinTools(
            withhold=lambda path: settled.rules.withholds(path, settled.roots),
            disabled=lambda: settled.config.tools.disabled,
            more=[
                *self._shell_tools(),
                AskUser(self.questions),
                *self._web.tools,
                *map(self.context.wrap, self.language.tools),
            ],
            wrap=lambda tool: self.context.wrap(self.language.wrap(tool)),
            changing=lambda: [*self.mcp.tools(), *self.subagents.tools()],
            is_open=self.context.skills.is_skill_path,
        )
        return TurnServices(
            store=self.ground.store,
            events=self.ground.hub,
            providers=self.providers,
            tools=tools,
            workspace=self.workspace,
            approver=self.approvals,
            clock=self.ground.clock,
            limits=lambda: turn_limits(settled.config),
            editor_facts=lambda: editor_facts(self.ground.agreed),
            context=self._context_of,
            hooks=self.hooks,
            notes=self._notes_of,
            discreet=self._secrets.hide,
            outside=OutsideFiles(
                self.workspace,
                range_in=lambda text, value, encoding: from_wire_range(LineIndex(text), value, encoding),
                position_in=lambda text, value, encoding: from_wire_position(LineIndex(text), value, encoding),
            ),
        )
