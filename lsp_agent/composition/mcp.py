"""The MCP servers of one workspace: made from the settings, and following them."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lsp_agent.agent.hub import Hub
from lsp_agent.clock import SystemClock
from lsp_agent.composition.settled import Settled
from lsp_agent.config.paths import state_home
from lsp_agent.mcp.confine import Confinement
from lsp_agent.mcp.connect import Connector
from lsp_agent.mcp.pins import Pins
from lsp_agent.mcp.servers import McpServers
from lsp_agent.policy.protected import is_protected, is_secret
from lsp_agent.providers import keys
from lsp_agent.server.editor import ConnectedEditors
from lsp_agent.server.mcp_handlers import approve_in_editor
from lsp_agent.shell.jobs import Jobs
from lsp_agent.shell.spawner import Spawner

_log = logging.getLogger(__name__)


class FollowingServers:
    """`servers` are what the settings say, a moment after they say so. Nothing here waits but `close`."""

    def __init__(self, servers: McpServers, settled: Settled) -> None:
        self.servers = servers
        self._settled = settled
        self._asked: Mapping[str, Any] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, *, again: bool = False) -> None:
        """Bring the servers in line with the settings in the background; `again`: also when those did not change."""
        wanted = self._settled.config.mcp
        if self._asked == wanted and not again:
            return
        self._asked = wanted
        task = asyncio.create_task(self._reconcile(wanted), name="MCP servers")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reconcile(self, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        try:
            await self.servers.reconcile(wanted)
        except Exception:  # noqa: BLE001 - a task of nobody's: what went wrong belongs in the log
            _log.exception("the MCP servers could not be brought in line with the settings")

    async def close(self) -> None:
        """End every server. Bounded, may be called twice."""
        for task in self._tasks:
            task.cancel()
        await self.servers.close()


def mcp_servers(
    settled: Settled,
    *,
    jobs: Jobs,
    hub: Hub,
    editors: ConnectedEditors,
    clock: SystemClock,
    keep_secret: Callable[[str], None],
) -> FollowingServers:
    """Made, not started: see `FollowingServers.follow`. `keep_secret` is told every value that was looked up."""

    async def resolve(template: str, owner: str) -> str:
        value = await keys.resolve(template, os.environ, owner=owner)
        if value != template:
            keep_secret(value)
        return value

    confinement = Confinement(
        jobs.sandbox,
        lambda: settled.roots.paths,
        os.environ,
        home=_cache_home() / "lsp-agent" / "mcp",  # a box does not see our data directory
        is_protected=is_protected,
        is_secret=is_secret,
        hide=(settled.directory, state_home(os.environ), settled.config_dir),
        trusted=settled.trust.trusts,
    )
    connector = Connector(Spawner(), confinement, resolve, settled.directory / "mcp-logins", clock.monotonic_s)
    servers = McpServers(
        connector=connector,
        pins=Pins(settled.directory),
        approve=approve_in_editor(lambda: editors.connections),
        announce=hub.everyone,
    )
    return FollowingServers(servers, settled)


def _cache_home() -> Path:
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return named if named.is_absolute() else Path.home() / ".cache"
