"""What a turn is given: the ports it works on, the limits it keeps to, and the lane's hold on it.

Knows no concrete class; the composition root fills it in.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lsp_agent.agent.spending import Spending
from lsp_agent.domain.run import Run, StopReason
from lsp_agent.ports.approver import Approver
from lsp_agent.ports.attachments import NothingOutside, Outside
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import Events
from lsp_agent.ports.hooks import Hooks, NoHooks
from lsp_agent.ports.provider import Providers
from lsp_agent.ports.store import Store
from lsp_agent.ports.tools import Tools
from lsp_agent.ports.workspace import Workspace


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """What the configuration says about turns; read anew when a turn begins. 0 = no limit, where not said otherwise."""

    stream_idle_s: float = 120.0
    """Longest silence of the model's stream; any batch counts as life, pings too."""
    stream_total_s: float = 900.0
    """Longest one attempt at a step may take."""
    retries: int = 3
    """Attempts after the first one."""
    retry_base_s: float = 5.0
    """First delay; doubles with each retry."""
    update_interval_ms: int = 33
    """Debounce of the stored message; 0 = every batch is stored."""
    auto_summarize: bool = True
    max_steps: int = 0
    max_cost_usd: float = 0.0
    parallel_tools: int = 5
    tool_cleanup_s: float = 2.0
    """How long a cancelled tool may take to clean up."""
    cleanup_s: float = 5.0
    """How long everything may take that a cancelled turn still has to do."""
    mode: str = "ask"
    """Permission mode where neither run nor session names one."""
    system_prefix: str = ""
    """Configured text sent as a system message of its own, before the prompt."""
    cache_last_messages: int = 2
    fallback_model: str = ""
    """`provider/model` a run goes on with when its own stays overloaded; empty = none."""


def no_facts() -> Sequence[str]:
    """No editor facts: the default of `TurnServices.editor_facts`."""
    return ()


def no_notes(_session_id: str) -> str:
    """Nothing became known: the default of `TurnServices.notes`."""
    return ""


async def no_context(_run: Run) -> Sequence[str]:
    """Nothing more: the default of `TurnServices.context`."""
    return ()


@dataclass(frozen=True, slots=True)
class TurnServices:
    """The world of a turn."""

    store: Store
    events: Events
    providers: Providers
    tools: Tools
    workspace: Workspace
    approver: Approver
    clock: Clock
    limits: Callable[[], TurnLimits]
    editor_facts: Callable[[], Sequence[str]] = no_facts
    """Sentences about the editor for the system prompt, in a fixed order: its name, what it can do."""
    context: Callable[[Run], Awaitable[Sequence[str]]] = no_context
    """More blocks of the system prompt, read once when a turn begins: git, rules, skills, MCP instructions.

    Bounded in time, never raises.
    """
    hooks: Hooks = NoHooks()
    discreet: Callable[[str], str] = str
    """A tool's result without the user's own keys, which no model and no client needs to see."""
    notes: Callable[[str], str] = no_notes
    """What became known of a session's files after the model was told of its edits; given once. By session id."""
    outside: Outside = NothingOutside()
    """Reads what the user attached from outside the roots, once they have allowed it."""
    called_by: Run | None = None
    """In a sub-agent's turn: the run of the user's that it works for, whose changes its own are."""
    instructions: str = ""
    """What stands first in the system prompt; empty = the coding agent's own. Sub-agents bring theirs."""
    spending: Spending = field(default_factory=Spending)
    """Carries what sub-agents spend to the turns that called them; theirs is the same object."""


class TurnControl(Protocol):
    """The lane's side of a running turn. Neither method waits."""

    def take_folds(self) -> Sequence[Run]:
        """Prompts that join now, in order of acceptance. What is taken must enter the conversation."""
        ...

    def stop_reason_on_cancel(self) -> StopReason:
        """`CANCELLED`, or `INTERRUPTED` when the server stops."""
        ...
