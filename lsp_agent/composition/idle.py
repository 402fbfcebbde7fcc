"""What no first prompt needs and most sessions do, imported while nothing else is to be done.

What most sessions never need is not here: MCP servers, the tools of the web, the embedded engine, hooks.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from importlib import import_module

from lsp_agent.server.handlers import LATE_MODULES

PAUSE_S = 0.002
"""Between two steps, for what has arrived meanwhile."""
BUSY_S = 0.25
"""How soon it is looked again whether all runs are over."""
MODULES = (
    "lsp_agent.changes.ledger",
    "lsp_agent.changes.livefiles",
    "lsp_agent.changes.steps",
    "lsp_agent.changes.review",
    "lsp_agent.trust.delayed",
    "typing_extensions",
    "annotated_types",
    "pydantic_core.core_schema",
    "pydantic.warnings",
    "pydantic.json_schema",
    "pydantic.types",
    "lsp_agent.protocol.base",
    "lsp_agent.protocol.content",
    "lsp_agent.protocol.accept",
    "lsp_agent.protocol.sessions",
    "lsp_agent.protocol.catalogs",
    *LATE_MODULES,
    "lsp_agent.changes.guarded",
    "lsp_agent.changes.checkpoints",
    "lsp_agent.language.shapes",
    "lsp_agent.language.client",
    "lsp_agent.language.own",
    "lsp_agent.language.service",
    "lsp_agent.language.watch",
    "lsp_agent.language.looking",
    "lsp_agent.language.changing",
    "lsp_agent.composition.language_making",
)
"""Each a step of some milliseconds: what a module needs comes before it."""


async def import_when_idle(is_busy: Callable[[], bool], modules: Sequence[str] = MODULES) -> None:
    """Import `modules`, one at a time, whenever `is_busy` says no. Made to be cancelled at any pause."""
    left = deque(modules)
    while left:
        if is_busy():
            await asyncio.sleep(BUSY_S)
        else:
            import_module(left.popleft())
            await asyncio.sleep(PAUSE_S)
