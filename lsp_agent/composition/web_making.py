"""The tools of the web, made: imported with the first call of one."""

from dataclasses import dataclass
from pathlib import Path

from lsp_agent.ports.tools import Tool
from lsp_agent.shell.spawner import Spawner
from lsp_agent.web.asking import Web
from lsp_agent.web.guard import Guard
from lsp_agent.web.leaks import Secrets
from lsp_agent.web.offered import make_web, research_tools, web_tools
from lsp_agent.web.web_search import SEARCH_URL, Pace


@dataclass(frozen=True, slots=True)
class MadeWeb:
    """What the tools share, and where they search."""

    shared: Web
    search_url: str
    pace: Pace

    def tools(self) -> list[Tool]:
        """Those of the coding agent."""
        return web_tools(self.shared, search_url=self.search_url, pace=self.pace)

    def research(self, directory: Path) -> list[Tool]:
        """Those of a sub-agent that reads pages; `directory` takes the long ones."""
        return research_tools(self.shared, directory, search_url=self.search_url, pace=self.pace)


def make_web_tools(
    spawner: Spawner, directory: Path, secrets: Secrets, guard: Guard, search_url: str | None
) -> MadeWeb:
    """`search_url`: that of the configuration. Starts nothing."""
    shared = make_web(spawner=spawner, directory=directory, secrets=secrets, guard=guard)
    return MadeWeb(shared, search_url or SEARCH_URL, Pace())
