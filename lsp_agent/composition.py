"""Everything behind the ports, put together once the editor has introduced itself.

Imported after `initialize` is answered: this is where the weight is.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsp_agent import log
from lsp_agent.agent.agent import Agent
from lsp_agent.agent.approvals import Approvals
from lsp_agent.agent.compaction import CompactRunner
from lsp_agent.agent.hub import Hub
from lsp_agent.agent.services import TurnControl, TurnLimits, TurnServices
from lsp_agent.agent.sessions import Sessions, SessionWorld
from lsp_agent.agent.turn import TurnRunner
from lsp_agent.clock import SystemClock
from lsp_agent.config.live import LiveConfig
from lsp_agent.config.load import load_config
from lsp_agent.config.paths import DataDirRefused, config_file, data_dir, refuse_inside
from lsp_agent.config.sections import Config, ProviderSection
from lsp_agent.domain.errors import ProviderError, StoreError
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import Outcome, Run
from lsp_agent.policy.protected import is_protected, is_secret
from lsp_agent.policy.rules import Policy, Verdict, parse_rule
from lsp_agent.policy.shell import judge
from lsp_agent.ports.approver import PermissionAsk
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import Events
from lsp_agent.protocol import convert
from lsp_agent.providers.registry import ProviderRegistry
from lsp_agent.providers.settings import ProviderSettings, ProvidersSettings
from lsp_agent.server.core import Core
from lsp_agent.server.editor import ConnectedEditors
from lsp_agent.server.handlers import load_all
from lsp_agent.server.negotiation import Negotiated
from lsp_agent.shell.jobs import Jobs
from lsp_agent.shell.sandbox import Sandbox
from lsp_agent.shell.spawner import Spawner
from lsp_agent.store.sqlite import SqliteStore
from lsp_agent.tools.registry import BuiltinTools, shell_tools
from lsp_agent.workspace.overlay import OverlayWorkspace
from lsp_agent.workspace.roots import Roots

_log = logging.getLogger(__name__)

CLOSE_S = 3.0


async def build_core(
    agreed: Negotiated, editors: ConnectedEditors, *, clock: SystemClock, flags: Mapping[str, Any]
) -> Core:
    """The agent for this editor's workspace: configuration, database, recovery, models, tools.

    Raises: StoreError when the data directory is locked or unusable; its text is for the user.
    """
    roots = Roots([Path(path) for path in agreed.roots])
    rules = Rules()
    live = LiveConfig(
        lambda last_good: load_config(
            os.environ, flags, (agreed.options,), project_root=roots.paths[0], last_good=last_good
        ),
        rules.follow,
    )
    rules.follow(live.current)
    directory, notices = _data_dir(roots)
    redactor = log.Redactor()
    installed = log.install(directory, redactor)
    store = await SqliteStore.open(directory, clock_ms=clock.now_ms, workspace=str(roots.paths[0]))
    hub = Hub(store, clock)
    providers = ProviderRegistry(lambda: provider_settings(live.current), os.environ, on_secret=redactor.register)
    jobs = shell_jobs(lambda: roots.paths, events=hub, clock=clock, hide=(directory, config_file(os.environ).parent))
    services = TurnServices(
        store=store,
        events=hub,
        providers=providers,
        tools=BuiltinTools(
            withhold=lambda path: rules.withholds(path, roots),
            disabled=live.current.tools.disabled,
            more=shell_tools(jobs, judge),
        ),
        workspace=OverlayWorkspace(roots, editors),
        approver=Approvals(store=store, events=hub, clock=clock, decide=rules.decide, roots=lambda: roots.paths),
        clock=clock,
        limits=lambda: turn_limits(live.current),
        editor_facts=lambda: _editor_facts(agreed),
    )
    world = World(services, store, hub, providers, live, roots, jobs)
    core = replace(
        world.core(),
        log_path=str(installed.path),
        notices=(*notices, *store.notices, *live.news(), *rules.problems),
        default_mode=live.current.permissions.mode,
    )
    await asyncio.gather(core.approvals.load(), asyncio.to_thread(load_all))
    await core.agent.recover()
    return core


class Rules:
    """The permission rules in force. A rule that cannot be read is dropped with every allow rule beside it."""

    def __init__(self) -> None:
        self._policy = Policy()
        self.problems: list[str] = []

    def follow(self, config: Config) -> None:
        """Take the rules of a configuration that was just read."""
        allow, deny = config.permissions.allow, config.permissions.deny
        try:
            self._policy = Policy(allow=allow, deny=deny)
        except ValueError as error:
            self.problems.append(f"permissions: {error}; no allow rule is in force")
            self._policy = Policy(deny=[text for text in deny if _is_rule(text)])

    def decide(self, ask: PermissionAsk, mode: str, shown: str | None, granted: bool | None) -> Verdict:
        """See `Policy.decide_ask`."""
        return self._policy.decide_ask(ask, mode, shown, granted)

    def withholds(self, path: Path, roots: Roots) -> bool:
        """Whether a search must leave out this file's text."""
        root = roots.containing(path)
        return self._policy.withholds(path.as_posix(), path.relative_to(root).as_posix() if root is not None else None)


def _is_rule(text: str) -> bool:
    try:
        parse_rule(text)
    except ValueError:
        return False
    return True


class World:
    """Ties the agent, its sessions and its turns together; each needs the others."""

    def __init__(
        self,
        services: TurnServices,
        store: SqliteStore,
        hub: Hub,
        providers: ProviderRegistry,
        live: LiveConfig,
        roots: Roots,
        jobs: Jobs,
    ) -> None:
        self._services = services
        self._jobs = jobs
        self._store = store
        self._providers = providers
        self._roots = roots
        self._turns = TurnRunner(services)
        self._sessions = Sessions(
            SessionWorld(
                store=store,
                events=hub,
                clock=services.clock,
                providers=providers,
                wire=convert,
                open_session=hub.load,
                flush=self._turns.flush,
                activity=lambda session_id: (self._agent.is_busy(session_id), self._agent.queued(session_id)),
                default_mode=lambda: live.current.permissions.mode,
                default_root=lambda: roots.paths[0].as_uri(),
            )
        )
        self._turns.options_of = self._sessions.options_of
        self._agent = Agent(
            store,
            hub,
            services.clock,
            FirstTurns(self._turns, providers, hub, live),
            CompactRunner(services),
            pending=self._pending,
            snapshot=self._snapshot,
            model_of=self._model_of,
        )

    def core(self) -> Core:
        """What the handlers work with."""
        services = self._services
        assert isinstance(services.approver, Approvals)
        return Core(
            agent=self._agent,
            sessions=self._sessions,
            approvals=services.approver,
            workspace=services.workspace,
            providers=self._providers,
            tools=services.tools,
            close=self._close,
            preload=self._providers.preload,
            change_folders=self._roots.change,
            jobs=self._jobs,
        )

    def _pending(self, session_id: str) -> dict[str, list[Any]]:
        assert isinstance(self._services.approver, Approvals)
        return {"permissions": self._services.approver.pending(session_id), "questions": []}

    async def _snapshot(self, session_id: str) -> dict[str, Any]:
        return {"session": await self._sessions.get(session_id), **await self._sessions.read(session_id)}

    def _model_of(self, run: Run) -> Model | None:
        try:
            return self._providers.resolve(run.options.model)
        except ProviderError:
            return None

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._jobs.close()
                await self._turns.aclose(1.0)
                await self._providers.close()
                await self._store.close()
        except (TimeoutError, StoreError) as error:
            _log.error("closing: %s", type(error).__name__)


def shell_jobs(roots: Callable[[], Sequence[Path]], *, events: Events, clock: Clock, hide: tuple[Path, ...]) -> Jobs:
    """What runs commands, confined to the roots; `hide` are our own directories, which no command may see."""
    spawner = Spawner()
    sandbox = Sandbox(
        spawner, roots=roots, is_protected=is_protected, is_secret=is_secret, environ=os.environ, hide=hide
    )
    return Jobs(spawner=spawner, sandbox=sandbox, events=events, clock=clock)


class FirstTurns:
    """A turn runner that reads a changed configuration, finds a model, and says once which when nobody chose it.

    The notice goes out before any text of a buffer leaves the machine (CONFIGURATION, last section).
    """

    def __init__(self, turns: TurnRunner, providers: ProviderRegistry, events: Events, live: LiveConfig) -> None:
        self._turns = turns
        self._providers = providers
        self._events = events
        self._live = live
        self._announced = False

    async def __call__(self, run: Run, control: TurnControl) -> Outcome:
        """Run one turn. A cancellation while it is prepared ends it like one in the turn: with its prompt stored."""
        task = asyncio.current_task()
        try:
            await self._prepare(run)
        except asyncio.CancelledError:
            if task is not None:
                task.uncancel()
                task.cancel()  # arrives at the turn's first await, which closes what it has begun
        return await self._turns(run, control)

    async def _prepare(self, run: Run) -> None:
        await self._live.refresh()
        for text in self._live.news():
            self._notice(run, "warning", "configuration", text)
        await self._providers.prepare()
        if not self._announced:
            self._announced = True
            self._announce(run)

    def _announce(self, run: Run) -> None:
        try:
            choice = self._providers.explain()
        except ProviderError:
            return  # the turn fails with the same error, in its own words
        if not choice.is_configured:
            self._notice(run, "info", "model", f"Using {choice.large.ref}: {choice.reason}.")

    def _notice(self, run: Run, level: str, code: str, message: str) -> None:
        update = {"sessionUpdate": "notice", "level": level, "code": code, "message": message}
        self._events.durable(run.session_id, run, update)


def turn_limits(config: Config) -> TurnLimits:
    """The configuration's numbers in the turn's terms."""
    agent, limits = config.agent, config.limits
    return TurnLimits(
        stream_idle_s=limits.stream_idle_s,
        stream_total_s=limits.stream_total_s,
        retries=limits.retries,
        retry_base_s=limits.retry_base_s,
        update_interval_ms=agent.update_interval_ms,
        auto_summarize=agent.auto_summarize,
        max_steps=agent.max_steps,
        max_cost_usd=agent.max_cost_usd,
        parallel_tools=limits.parallel_tools,
        mode=config.permissions.mode,
    )


def provider_settings(config: Config) -> ProvidersSettings:
    """The configuration's providers in the providers' own terms."""
    return ProvidersSettings(
        large=config.large or "",
        small=config.small or "",
        providers=tuple(_provider(section) for section in config.providers),
    )


def _provider(section: ProviderSection) -> ProviderSettings:
    options = dict(section.options)
    if section.script is not None:
        options["script"] = str(config_file(os.environ).parent / Path(section.script).expanduser())
    return ProviderSettings(
        provider_id=section.provider_id,
        type=section.type,
        base_url=section.base_url or "",
        api_key=section.api_key or "",
        headers=section.headers,
        extra_body=section.extra_body,
        flat_rate=section.flat_rate,
        models=section.models,
        options=options,
    )


def _data_dir(roots: Roots) -> tuple[Path, list[str]]:
    """Where state lives. One that lies inside the workspace is used when the user named it, and spoken of."""
    try:
        directory = data_dir(os.environ)
    except DataDirRefused as error:
        raise StoreError(str(error)) from error
    try:
        refuse_inside(directory, roots.paths, home=Path.home())
    except DataDirRefused as error:
        return directory, [str(error)]
    return directory, []


def _editor_facts(agreed: Negotiated) -> tuple[str, ...]:
    name = agreed.client_name or "an editor that speaks LSP"
    edits = "applied in the editor, undoable" if agreed.can("workspace", "applyEdit") else "written to disk"
    return (f"The user works in {name}.", f"Edits of open documents are {edits}.")
