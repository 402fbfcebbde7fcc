"""The MCP servers of one workspace, following the settings. While these name none, nothing of `mcp` is imported."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lsp_agent.agent.hub import Hub
from lsp_agent.clock import SystemClock
from lsp_agent.composition.settled import Settled
from lsp_agent.domain.late import Late
from lsp_agent.ports.tools import Tool
from lsp_agent.server.editor import ConnectedEditors
from lsp_agent.shell.jobs import Jobs

if TYPE_CHECKING:  # what is made late
    from lsp_agent.composition.mcp_making import MadeServers
    from lsp_agent.mcp.servers import McpPrompt

_log = logging.getLogger(__name__)


class FollowingServers:
    """The servers are what the settings say, a moment after they say so.

    Implements `server.mcp_handlers.McpCatalogue` and `context.commands.Prompts`.
    """

    def __init__(self, settled: Settled, make: "Callable[[], MadeServers]") -> None:
        self._settled = settled
        self._late = Late(make)
        self._asked: Mapping[str, Any] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, *, again: bool = False) -> None:
        """Bring the servers in line with the settings in the background; `again`: also when those did not change."""
        wanted = self._settled.config.mcp
        if self._asked == wanted and not again:
            return
        self._asked = wanted
        if not wanted and self._late.made is None:
            return
        task = asyncio.create_task(self._reconcile(wanted), name="MCP servers")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ------------------------------------------------------------------------------------------------ what there is

    def tools(self) -> Sequence[Tool]:
        """`McpServers.tools`."""
        return made.servers.tools() if (made := self._late.made) is not None else ()

    def instructions(self) -> Sequence[tuple[str, str]]:
        """`McpServers.instructions`."""
        return made.servers.instructions() if (made := self._late.made) is not None else ()

    def prompts(self) -> "Sequence[McpPrompt]":
        """`McpServers.prompts`."""
        return made.servers.prompts() if (made := self._late.made) is not None else ()

    async def get_prompt(self, name: str, arguments: Mapping[str, str] | None = None) -> str:
        """`McpServers.get_prompt`. Raises: ToolError."""
        return await self._late().servers.get_prompt(name, arguments)

    def entries(self) -> list[dict[str, Any]]:
        """`McpServers.entries`, with those that the settings name and that are about to be begun."""
        known = made.servers.entries() if (made := self._late.made) is not None else []
        begun = {entry["name"] for entry in known}
        coming = [
            {"name": name, "type": str(raw.get("type", "stdio"))[:16], "state": "starting", "error": None, "tools": 0}
            for name, raw in (self._asked or {}).items()
            if name not in begun
        ]
        return sorted([*known, *coming], key=lambda entry: str(entry["name"]))

    # ------------------------------------------------------------------------------------------------ what is asked

    async def restart(self, name: str) -> dict[str, Any]:
        """`McpServers.restart`. Raises: RequestRejected, WorkspaceUntrusted for a server that waits for trust."""
        made = self._late()
        await made.require_trust(name, (self._asked or {}).get(name, {}))
        return await made.servers.restart(name)

    async def login(self, name: str) -> dict[str, Any]:
        """`McpServers.login`. Raises: RequestRejected."""
        return await self._late().servers.login(name)

    async def leave_untrusted(self) -> None:
        """`McpServers.leave_untrusted`."""
        if (made := self._late.made) is not None:
            await made.servers.leave_untrusted()

    async def _reconcile(self, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        try:
            await self._late().servers.reconcile(wanted)
        except Exception:  # noqa: BLE001 - a task of nobody's: what went wrong belongs in the log
            _log.exception("the MCP servers could not be brought in line with the settings")

    async def close(self) -> None:
        """End every server. Bounded, may be called twice."""
        for task in self._tasks:
            task.cancel()
        if (made := self._late.made) is not None:
            await made.servers.close()


def mcp_servers(
    settled: Settled,
    *,
    jobs: Jobs,
    hub: Hub,
    editors: ConnectedEditors,
    clock: SystemClock,
    keep_secret: Callable[[str], None],
) -> FollowingServers:
    """Not started: see `FollowingServers.follow`. `keep_secret` is told every value that was looked up."""

    def make() -> "MadeServers":
        from lsp_agent.composition.mcp_making import make_servers

        return make_servers(settled, jobs=jobs, hub=hub, editors=editors, clock=clock, keep_secret=keep_secret)

    return FollowingServers(settled, make)
