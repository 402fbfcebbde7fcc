"""What the handlers work with once the server has started: the agent and what stands around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the handlers' types; their modules are imported after `initialize` is answered
    from lsp_agent.agent.agent import Agent
    from lsp_agent.agent.approvals import Approvals
    from lsp_agent.agent.questions import Questions
    from lsp_agent.agent.sessions import Sessions
    from lsp_agent.changes.service import Changes
    from lsp_agent.context.assembly import WorkspaceContext
    from lsp_agent.ports.provider import Providers
    from lsp_agent.ports.tools import Tools
    from lsp_agent.ports.workspace import Workspace
    from lsp_agent.server.mcp_handlers import McpCatalogue
    from lsp_agent.shell.jobs import Jobs
    from lsp_agent.trust.service import TrustService


@dataclass(frozen=True, slots=True)
class Core:
    """Made by `app`, which alone knows the concrete classes behind the ports."""

    agent: Agent
    sessions: Sessions
    changes: Changes
    """The journal of what the agent changed."""
    approvals: Approvals
    questions: Questions
    workspace: Workspace
    providers: Providers
    tools: Tools
    close: Callable[[], Awaitable[None]]
    """Flush and close the store, the providers and the log. Bounded, may be called twice."""
    preload: Callable[[], Awaitable[None]]
    """Import what the first prompt would otherwise wait for; yields to the loop."""
    load_rest: Callable[[], Awaitable[None]]
    """Import, whenever no run is active, what a later request or tool would otherwise wait for."""
    mcp: McpCatalogue
    context: WorkspaceContext
    """Rules, skills, commands, mentions."""
    trust: TrustService
    """Which roots may be obeyed."""
    jobs: Jobs
    """Commands that run or ran for a session."""
    change_folders: Callable[[Sequence[str], Sequence[str]], None]
    """Workspace folders came and went: URIs added, URIs removed."""
    log_path: str | None = None
    notices: Sequence[str] = ()
    """Sentences the user should see once: an invalid configuration file, a quarantined database."""


@dataclass(slots=True)
class Boot:
    """How far the server has come: not yet, ready, or failed for a reason that every agent request is told."""

    core: Core | None = None
    failure: str = ""
    starting: bool = False
    waiting: list[Callable[[], None]] = field(default_factory=list)
    """What arrived before the core was there, in wire order."""
