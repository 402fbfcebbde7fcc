"""Asking the user whether something may be done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from lsp_agent.domain.run import Run


@dataclass(frozen=True, slots=True)
class PermissionAsk:
    """What a tool wants to do, in the terms the user is shown (PROTOCOL 5)."""

    tool: str
    """Tool name, for rules and grants."""
    action: str
    """read, write, list, execute, fetch, download."""
    title: str
    """One line: `Edit src/a.py (+3 −1)`."""
    subject: Mapping[str, Any]
    """A PROTOCOL 5 subject: `{"type": "edit", "changes": …}`, `{"type": "path", "path": …}`, …"""
    path: str | None = None
    """Real path concerned; None when there is none."""
    inside_workspace: bool = True
    description: str | None = None
    pattern: str | None = None
    """What a session or lasting grant would cover, made by the server and shown verbatim; None = no such option."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. `message` is what the user wrote with a rejection; it goes to the model and the turn goes on."""

    allowed: bool
    message: str | None = None
    asked: bool = False
    """True when a person was asked (not a rule, a grant or the mode)."""


class Approver(Protocol):
    """The one gate every effect of a tool passes."""

    async def ask(self, run: Run, tool_call_id: str, mode: str, ask: PermissionAsk) -> Decision:
        """Decide by policy, mode and grants, else ask the user and wait.

        Waits until answered; only this call waits. Cancellation withdraws the question (`permission_resolved
        {outcome: cancelled}`) and passes through. Fails closed: no way to ask means not allowed.
        """
        ...


class Verdict(Protocol):
    """What the policy says; `effect` is `allow`, `ask` or `deny`. `once_only`: no answer is remembered."""

    @property
    def effect(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def once_only(self) -> bool: ...


Decide = Callable[[PermissionAsk, str, str | None, bool | None], Verdict]
"""(ask, mode, path relative to its root, earlier grant) → verdict. The composition root binds `policy.rules` to it."""
