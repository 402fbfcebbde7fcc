"""A tool the model can call, and what it is given to work with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lsp_agent.domain.message import ToolCallPart
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import Run
from lsp_agent.domain.session import Todo
from lsp_agent.ports.approver import Approver
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import Events
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.store import Store
from lsp_agent.ports.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the model gets to read, and what an editor gets to draw."""

    content: str
    is_error: bool = False
    data: bytes | None = None
    """Raw bytes of an image; `mime_type` says which."""
    mime_type: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready, for user interfaces: additions, removals, old_content, new_content, …"""
    stop_turn: bool = False
    """The turn ends after this step with `end_turn` (a rejection without a message)."""
    status: str = ""
    """Final `tool_call_update` status when it is not completed/failed: `rejected`."""
    locations: Sequence[Mapping[str, Any]] = ()
    """`{uri, line?}` that the call touched."""
    changes: Sequence[Mapping[str, Any]] = ()
    """Files as in PROTOCOL 6 (`{uri, kind, baseVersion?, hunks}`) this call changed."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Everything a tool may touch during one call."""

    run: Run
    call: ToolCallPart
    message_id: str
    model: Model
    mode: str
    """Permission mode in force: ask, plan, accept-edits, full-auto."""
    workspace: Workspace
    approver: Approver
    store: Store
    events: Events
    clock: Clock
    progress: Callable[[str], None]
    """Live output of this call (`tool_call_content_chunk`)."""
    todos: Callable[[], Sequence[Todo]]
    """The session's current list."""
    called_by: Run | None = None
    """In a sub-agent: the run of the user's that it works for."""

    @property
    def session_id(self) -> str:
        """The session the call belongs to."""
        return self.run.session_id

    @property
    def author(self) -> Run:
        """The run whose journal changes to files are written to: the user reviews and undoes what they asked for."""
        return self.called_by or self.run

    @property
    def made_in(self) -> str | None:
        """The sub-agent's session, for the journal of its author; None outside of sub-agents."""
        return self.session_id if self.called_by is not None else None


class Tool(Protocol):
    """One tool. Stateless but for what its constructor was given."""

    spec: ToolSpec
    kind: str
    """ACP tool kind for editors: read, edit, delete, move, search, execute, think, fetch, other."""
    parallel: bool
    """May run beside other parallel calls of the same step (CORE 4)."""
    read_only: bool
    """Changes nothing: available in plan mode."""

    def title(self, arguments: Mapping[str, Any]) -> str:
        """One line for people, from arguments that may be incomplete or of the wrong type. Never raises."""
        ...

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Do it. `arguments` already fit `spec.input_schema`.

        Raises: ToolError or WorkspaceError, which become an error result; anything else is a bug of ours and becomes
        one too, logged (CORE 0.8). Cancellation passes through after clean-up.
        """
        ...


class Tools(Protocol):
    """The tools of a turn."""

    def for_turn(self, *, mode: str, interactive: bool) -> Sequence[Tool]:
        """Sorted by name. Read again before every step."""
        ...
