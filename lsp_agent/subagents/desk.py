"""Sub-agents as the composition root sees them: one object that offers the tools and keeps what they share."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from lsp_agent.agent.children import Children
from lsp_agent.agent.services import TurnServices
from lsp_agent.ports.tools import Tool
from lsp_agent.subagents.agent_tool import AgentTool
from lsp_agent.subagents.definitions import Definition
from lsp_agent.subagents.fetch_tool import AgenticFetch, sweep
from lsp_agent.subagents.library import Library
from lsp_agent.subagents.running import Runner


class Subagents:
    """Make it before the tools, `bind` it after the agent, `refresh` it before a run."""

    def __init__(self, runner: Runner, library: Library) -> None:
        self._runner = runner
        self._library = library
        self._agent: tuple[Mapping[str, Definition], AgentTool] | None = None
        self._fetch: AgenticFetch | None = None

    def offer_research(self, tool: AgenticFetch) -> None:
        """`agentic_fetch` is among the tools from now on."""
        self._fetch = tool

    def bind(self, services: TurnServices, children: Children) -> None:
        """See `Runner.bind`."""
        self._runner.bind(services, children)

    def flush(self, session_id: str) -> None:
        """See `Runner.flush`."""
        self._runner.flush(session_id)

    async def refresh(self) -> None:
        """Look for definitions again. Bounded, never raises."""
        await self._library.refresh()

    def tools(self) -> Sequence[Tool]:
        """What the model is offered now."""
        definitions = self._library.definitions
        if self._agent is None or self._agent[0] is not definitions:
            self._agent = definitions, AgentTool(self._runner, definitions)
        return [self._agent[1], self._fetch] if self._fetch is not None else [self._agent[1]]


async def sweep_left_overs(directory: Path) -> None:
    """Delete directories of research that a crash left behind."""
    await asyncio.to_thread(sweep, directory)
