"""Everything behind the ports, put together once the editor has introduced itself.

Imported after `initialize` is answered: this is where the weight is.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lsp_agent import log
from lsp_agent.agent.agent import Agent
from lsp_agent.agent.approvals import Approvals
from lsp_agent.agent.compaction import CompactRunner
from lsp_agent.agent.hub import Hub
from lsp_agent.agent.services import TurnLimits, TurnServices
from lsp_agent.agent.sessions import Sessions, SessionWorld
from lsp_agent.agent.turn import TurnRunner
from lsp_agent.clock import SystemClock
from lsp_agent.config.load import load_config
from lsp_agent.config.paths import DataDirRefused, config_file, data_dir, refuse_inside
from lsp_agent.config.sections import Config, ProviderSection
from lsp_agent.domain.errors import ProviderError, StoreError
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import Run
from lsp_agent.policy.rules import Policy
from lsp_agent.protocol import convert
from lsp_agent.providers.registry import ProviderRegistry
from lsp_agent.providers.settings import ProviderSettings, ProvidersSettings
from lsp_agent.server.core import Core
from lsp_agent.server.editor import ConnectedEditors
from lsp_agent.server.handlers import load_all
from lsp_agent.server.negotiation import Negotiated
from lsp_agent.store.sqlite import SqliteStore
from lsp_agent.tools.registry import BuiltinTools
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
    config = load_config(os.environ, flags, (agreed.options,), project_root=roots.paths[0])
    directory, notices = _data_dir(roots)
    redactor = log.Redactor()
    installed = log.install(directory, redactor)
    store = await SqliteStore.open(directory, clock_ms=clock.now_ms, workspace=str(roots.paths[0]))
    workspace = OverlayWorkspace(roots, editors)
    hub = Hub(store, clock)
    policy = Policy(allow=config.permissions.allow, deny=config.permissions.deny)
    approvals = Approvals(store=store, events=hub, clock=clock, decide=policy.decide_ask, roots=lambda: roots.paths)
    providers = ProviderRegistry(lambda: provider_settings(config), os.environ, on_secret=redactor.register)

    def withhold(path: Path) -> bool:
        root = roots.containing(path)
        return policy.withholds(path.as_posix(), path.relative_to(root).as_posix() if root is not None else None)

    tools = BuiltinTools(withhold=withhold, disabled=config.tools.disabled)
    services = TurnServices(
        store=store,
        events=hub,
        providers=providers,
        tools=tools,
        workspace=workspace,
        approver=approvals,
        clock=clock,
        limits=lambda: turn_limits(config),
        editor_facts=lambda: _editor_facts(agreed),
    )
    turns = TurnRunner(services)
    agent: Agent
    sessions = Sessions(
        SessionWorld(
            store=store,
            events=hub,
            clock=clock,
            providers=providers,
            wire=convert,
            open_session=hub.load,
            flush=lambda _session_id: None,
            activity=lambda session_id: (agent.is_busy(session_id), agent.queued(session_id)),
            default_mode=lambda: config.permissions.mode,
            default_root=lambda: roots.paths[0].as_uri(),
        )
    )

    async def snapshot(session_id: str) -> dict[str, Any]:
        return {"session": await sessions.get(session_id), **await sessions.read(session_id)}

    agent = Agent(
        store,
        hub,
        clock,
        turns,
        CompactRunner(services),
        pending=lambda session_id: {"permissions": approvals.pending(session_id), "questions": []},
        snapshot=snapshot,
        model_of=_model_of(providers),
    )
    await asyncio.gather(approvals.load(), asyncio.to_thread(load_all))
    await agent.recover()

    async def close() -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await turns.aclose(1.0)
                await providers.close()
                await store.close()
                workspace.close()
        except (TimeoutError, StoreError) as error:
            _log.error("closing: %s", type(error).__name__)

    return Core(
        agent=agent,
        sessions=sessions,
        approvals=approvals,
        workspace=workspace,
        providers=providers,
        tools=tools,
        close=close,
        preload=providers.preload,
        log_path=str(installed.path),
        notices=(*notices, *store.notices, *(str(problem) for problem in (*config.errors, *config.notices))),
        default_mode=config.permissions.mode,
    )


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


def _model_of(providers: ProviderRegistry) -> Callable[[Run], Model | None]:
    def model_of(run: Run) -> Model | None:
        try:
            return providers.resolve(run.options.model)
        except ProviderError:
            return None

    return model_of


def _editor_facts(agreed: Negotiated) -> tuple[str, ...]:
    name = agreed.client_name or "an editor that speaks LSP"
    edits = "applied in the editor, undoable" if agreed.can("workspace", "applyEdit") else "written to disk"
    return (f"The user works in {name}.", f"Edits of open documents are {edits}.")
