"""Asking whether a command may reach a host: for the tool call that started it, in the terms of any other fetch."""

from collections.abc import Callable

from lsp_agent.domain.run import Run
from lsp_agent.ports.approver import PermissionAsk
from lsp_agent.ports.tools import ToolContext
from lsp_agent.shell import display

Allows = Callable[[Run, str, PermissionAsk], bool]
"""(run, mode, ask) → whether it is allowed without a question, by a rule or an earlier grant. Never waits."""


class CommandHosts:
    """Implements `shell.outlet.HostAsker` for one call of bash.

    A grant is for the domain, over http and https. The mode full-auto trusts the walls of the sandbox, so it does not
    open them: there a domain is asked for as in the mode `ask`.
    """

    def __init__(self, tool: str, command: str, context: ToolContext, allows: Allows) -> None:
        self._tool = tool
        self._command = command
        self._context = context
        self._allows = allows
        self._mode = "ask" if context.mode == "full-auto" else context.mode

    def granted(self, host: str) -> bool:
        return self._allows(self._context.run, self._mode, self._wish(host))

    async def ask(self, host: str) -> bool:
        context = self._context
        decision = await context.approver.ask(context.run, context.call.tool_call_id, self._mode, self._wish(host))
        return decision.allowed

    def _wish(self, host: str) -> PermissionAsk:
        url = f"https://{host}/"
        return PermissionAsk(
            tool=self._tool,
            action="fetch",
            title=f"Let a command reach {display.one_line(host)}",
            subject={"type": "url", "url": url},
            description=f"The command that waits: {display.one_line(self._command)}",
            pattern=url,
        )
