"""Everything behind the ports, put together once the editor has introduced itself.

Imported after `initialize` is answered: this is where the weight is.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lsp_agent import log
from lsp_agent.agent.hub import Hub
from lsp_agent.clock import SystemClock
from lsp_agent.composition.rooms import Ground, Rooms
from lsp_agent.composition.settled import Settled
from lsp_agent.composition.world import World
from lsp_agent.server.core import Core
from lsp_agent.server.editor import ConnectedEditors
from lsp_agent.server.negotiation import Negotiated
from lsp_agent.store.sqlite import SqliteStore
from lsp_agent.subagents.desk import sweep_left_overs


async def build_core(
    agreed: Negotiated, editors: ConnectedEditors, *, clock: SystemClock, flags: Mapping[str, Any]
) -> Core:
    """The agent for this editor's workspace: settings, database, recovery, models, tools.

    Raises: StoreError when the data directory is locked or unusable; its text is for the user.
    """
    settled = Settled(agreed, clock, flags)
    redactor = log.Redactor()
    installed = log.install(settled.directory, redactor)
    workspace = str(settled.roots.paths[0])
    store = await SqliteStore.open(settled.directory, clock_ms=clock.now_ms, workspace=workspace)
    rooms = Rooms(Ground(settled, agreed, editors, clock, redactor, store, Hub(store, clock)))
    core = replace(
        World(rooms).core(),
        log_path=str(installed.path),
        notices=(*store.notices, *settled.news()),
    )
    await asyncio.gather(core.approvals.load(), sweep_left_overs(rooms.research_directory))
    await core.agent.recover()
    rooms.mcp.follow()
    return core
