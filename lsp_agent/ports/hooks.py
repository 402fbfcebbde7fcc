"""Commands of the user that are told what the agent is about to do, and may forbid, change or add to it (CORE 25)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lsp_agent.domain.run import Run


@dataclass(frozen=True, slots=True)
class HookResult:
    """What all hooks of one event said together."""

    decision: str = ""
    """`allow`, `deny`, or empty for no opinion. deny > allow."""
    halt: bool = False
    """The turn ends after this."""
    reason: str = ""
    context: str = ""
    """Text for the model, in the order of the configuration."""
    input: Mapping[str, Any] | None = None
    """The tool's arguments with every patch merged in; None = unchanged."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """For clients, under the result's metadata key `hook`; empty when no hook ran."""


class Hooks(Protocol):
    """The hooks in force. Every call is bounded by the hooks' own time-outs and may be cancelled; none raises."""

    def wants(self, event: str, tool: str = "") -> bool:
        """Whether any hook would run, so that nobody waits for nothing."""
        ...

    async def run(
        self, event: str, run: Run, *, tool: str = "", tool_call_id: str = "", payload: Mapping[str, Any]
    ) -> HookResult:
        """Run the hooks of `event`: PreToolUse, PostToolUse, SessionStart, UserPromptSubmit, Stop, PreCompact.

        `payload` is merged into the JSON the command reads: `tool_name`, `tool_input`, `tool_response`, `prompt`,
        `source`, `trigger`, …
        """
        ...


class NoHooks:
    """Implements `Hooks`: none are configured."""

    def wants(self, event: str, tool: str = "") -> bool:
        return False

    async def run(
        self, event: str, run: Run, *, tool: str = "", tool_call_id: str = "", payload: Mapping[str, Any]
    ) -> HookResult:
        return HookResult()
