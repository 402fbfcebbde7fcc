"""The configuration as the product uses it: frozen values, nothing to validate any more."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsp_agent.domain.model import Model


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about a source of settings that its author should know. Never holds a value."""

    source: str
    """A path, `environment`, `flag` or `editor`."""
    key: str
    """Dotted; empty = the whole source."""
    message: str
    line: int | None = None

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


@dataclass(frozen=True, slots=True)
class ProviderSection:
    """One `[providers.<id>]` block. Templates in `api_key` and `headers` are not resolved here."""

    provider_id: str
    type: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    flat_rate: bool = False
    models: tuple[Model, ...] = ()
    script: str | None = None
    """Path of a script, relative to the directory of the user's file (`scripted`)."""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AgentSection:
    """`[agent]`. 0 = no limit; `update_interval_ms` 0 = every delta."""

    auto_summarize: bool = True
    update_interval_ms: int = 33
    max_steps: int = 0
    max_cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class LimitsSection:
    """`[limits]`."""

    stream_idle_s: float = 120.0
    stream_total_s: float = 900.0
    retries: int = 3
    retry_base_s: float = 5.0
    parallel_tools: int = 5


@dataclass(frozen=True, slots=True)
class PermissionsSection:
    """`[permissions]`."""

    mode: str = "ask"
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolsSection:
    """`[tools]`. `options`: the tables `[tools.<name>]` as they are."""

    disabled: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContextSection:
    """`[context]`. `paths` are as written; `max_tokens` bounds rules, skills and instructions together."""

    paths: tuple[str, ...] = ()
    max_tokens: int = 20_000


@dataclass(frozen=True, slots=True)
class DisabledSection:
    """`[skills]` and `[agents]`: names that are not offered."""

    disabled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckpointsSection:
    """`[checkpoints]`."""

    enabled: bool = True


@dataclass(frozen=True, slots=True)
class SandboxSection:
    """`[sandbox]`. `tier`: auto, bubblewrap, landlock or none."""

    tier: str = "auto"
    network_domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalSection:
    """`[local]`, the embedded engine. `model`: a name or a path; 0 = decided by the engine."""

    model: str | None = None
    threads: int = 0
    context_window: int = 0


@dataclass(frozen=True, slots=True)
class WebSection:
    """`[web]`. `search_url` None = the built-in one; denied wins over allowed."""

    search_url: str | None = None
    allow_domains: tuple[str, ...] = ()
    deny_domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was looked at. `content_hash` None = it was not there."""

    path: Path
    content_hash: str | None


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says, valid values only: settings by dotted key, and whole blocks."""

    values: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, int | None] = field(default_factory=dict)
    providers: tuple[ProviderSection, ...] = ()
    mcp: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    hooks: Mapping[str, Any] = field(default_factory=dict, repr=False)
    tool_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """All settings in force, with where each came from and what was wrong."""

    large: str | None = None
    """`provider/model`; None = to be found (CONFIGURATION, last section)."""
    small: str | None = None
    """None = `large`."""
    refresh_prices: bool = False
    fallback: str | None = None
    """What a run goes on with when `large` stays overloaded; None = it ends with the error."""
    providers: tuple[ProviderSection, ...] = ()
    agent: AgentSection = AgentSection()
    limits: LimitsSection = LimitsSection()
    permissions: PermissionsSection = PermissionsSection()
    mcp: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """`[mcp.<name>]` blocks; the keys of `keys.MCP_KEYS` are of the right type where present."""
    hooks: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """`[hooks]` as written: event → list of `{matcher?, name?, timeout?, command}` or of `{matcher?, hooks = [{type?,
    command, timeout?}]}`, checked; and `claude_settings`, true or a path, where it is set."""
    tools: ToolsSection = ToolsSection()
    context: ContextSection = ContextSection()
    skills: DisabledSection = DisabledSection()
    agents: DisabledSection = DisabledSection()
    checkpoints: CheckpointsSection = CheckpointsSection()
    sandbox: SandboxSection = SandboxSection()
    local: LocalSection = LocalSection()
    web: WebSection = WebSection()
    errors: tuple[Problem, ...] = ()
    """The user's file, environment or flags are wrong here; last good values or defaults are in force instead."""
    warnings: tuple[Problem, ...] = ()
    """Unknown keys, and what is wrong in a project file."""
    notices: tuple[Problem, ...] = ()
    """What a project file or an editor asked for and did not get: at most one a source."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Dotted key to where its value comes from; for lists that were extended, every origin."""
    sources: tuple[Source, ...] = ()
    user: Layer = field(default_factory=Layer, repr=False)
    """The user's file as it was last good."""
