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
from lsp_agent.domain.errors import RequestRejected
from lsp_agent.mcp.confine import Confinement, FolderUntrusted
from lsp_agent.mcp.connect import Connector
from lsp_agent.mcp.entry import EntryProblem, read_entry
from lsp_agent.mcp.pins import Pins
from lsp_agent.mcp.servers import McpServers
from lsp_agent.policy.protected import is_protected, is_secret
from lsp_agent.providers import keys
from lsp_agent.server.editor import ConnectedEditors
from lsp_agent.server.mcp_handlers import approve_in_editor
from lsp_agent.shell.jobs import Jobs
from lsp_agent.shell.spawner import Spawner
from lsp_agent.workspace.paths import path_to_uri

_log = logging.getLogger(__name__)


class FollowingServers:
    """`servers` are what the settings say, a moment after they say so.

    Implements `server.mcp_handlers.McpCatalogue`.
    """

    def __init__(self, servers: McpServers, settled: Settled, confinement: Confinement) -> None:
        self.servers = servers
        self._settled = settled
        self._confinement = confinement
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

    def entries(self) -> list[dict[str, Any]]:
        """`McpServers.entries`, with those that the settings name and that are about to be begun."""
        known = self.servers.entries()
        begun = {entry["name"] for entry in known}
        coming = [
            {"name": name, "type": str(raw.get("type", "stdio"))[:16], "state": "starting", "error": None, "tools": 0}
            for name, raw in (self._asked or {}).items()
            if name not in begun
        ]
        return sorted([*known, *coming], key=lambda entry: str(entry["name"]))

    async def restart(self, name: str) -> dict[str, Any]:
        """`McpServers.restart`. Raises: RequestRejected, WorkspaceUntrusted for a server that waits for trust."""
        await self._require_trust(name)
        return await self.servers.restart(name)

    async def login(self, name: str) -> dict[str, Any]:
        """`McpServers.login`. Raises: RequestRejected."""
        return await self.servers.login(name)

    async def _require_trust(self, name: str) -> None:
        try:
            entry = read_entry(name, (self._asked or {}).get(name, {}))
            if entry.type == "stdio" and not entry.disabled:
                await asyncio.to_thread(self._confinement.find, entry)
        except FolderUntrusted as error:
            text = "the server's program or directory lies in a folder that is not trusted"
            raise RequestRejected("WorkspaceUntrusted", text, root=path_to_uri(error.root)) from error
        except EntryProblem:
            return  # told as the server's own state

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
    return FollowingServers(servers, settled, confinement)


def _cache_home() -> Path:
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return named if named.is_absolute() else Path.home() / ".cache"
