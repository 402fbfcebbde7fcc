"""The configuration in the terms of those who use it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lsp_agent.agent.services import TurnLimits
from lsp_agent.config.paths import config_file
from lsp_agent.config.sections import Config, ProviderSection
from lsp_agent.providers.settings import ProviderSettings, ProvidersSettings
from lsp_agent.server.negotiation import Negotiated

if TYPE_CHECKING:
    from lsp_agent.local.engine import EngineSettings


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
        fallback_model=config.fallback or "",
    )


def engine_settings(config: Config) -> "EngineSettings":
    """The configuration's embedded engine in the engine's own terms; imports the engine."""
    from lsp_agent.local.engine import EngineSettings

    return EngineSettings(config.local.model or "", config.local.threads, config.local.context_window)


def provider_settings(config: Config) -> ProvidersSettings:
    """The configuration's providers in the providers' own terms."""
    return ProvidersSettings(
        large=config.large or "",
        small=config.small or "",
        providers=tuple(_provider(section) for section in config.providers),
        refresh_prices=config.refresh_prices,
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


def editor_facts(agreed: Negotiated) -> tuple[str, ...]:
    """Sentences about the editor for the system prompt."""
    name = agreed.client_name or "an editor that speaks LSP"
    edits = "applied in the editor, undoable" if agreed.can("workspace", "applyEdit") else "written to disk"
    return (f"The user works in {name}.", f"Edits of open documents are {edits}.")
