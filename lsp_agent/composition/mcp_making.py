"""The MCP servers of one workspace, made: imported when the settings name one (`composition.mcp`)."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class MadeServers:
    """The servers, and what decides where their programs may lie."""

    servers: McpServers
    confinement: Confinement

    async def require_trust(self, name: str, raw: Mapping[str, Any]) -> None:
        """Raises: RequestRejected, WorkspaceUntrusted for a server (its block: `raw`) that waits for trust."""
        try:
            entry = read_entry(name, raw)
            if entry.type == "stdio" and not entry.disabled:
                await asyncio.to_thread(self.confinement.find, entry)
        except FolderUntrusted as error:
            text = "the server's program or directory lies in a folder that is not trusted"
            raise RequestRejected("WorkspaceUntrusted", text, root=path_to_uri(error.root)) from error
        except EntryProblem:
            return  # told as the server's own state


def make_servers(
    settled: Settled,
    *,
    jobs: Jobs,
    hub: Hub,
    editors: ConnectedEditors,
    clock: SystemClock,
    keep_secret: Callable[[str], None],
) -> MadeServers:
    """Starts nothing. `keep_secret` is told every value that was looked up."""

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
    return MadeServers(servers, confinement)


def _cache_home() -> Path:
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return named if named.is_absolute() else Path.home() / ".cache"
