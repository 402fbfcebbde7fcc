"""The tools of the web, put together: those of the coding agent, and those of the sub-agent that reads pages."""

import ssl
from collections.abc import Callable
from pathlib import Path

from lsp_agent.ports.tools import Tool
from lsp_agent.shell.spawner import Spawner
from lsp_agent.web.asking import Web
from lsp_agent.web.conversion import Converter
from lsp_agent.web.download import Download
from lsp_agent.web.fetch import Fetch
from lsp_agent.web.fetching import Fetcher, system_certificates
from lsp_agent.web.guard import Guard
from lsp_agent.web.leaks import Secrets
from lsp_agent.web.sourcegraph import SOURCEGRAPH_URL, Sourcegraph
from lsp_agent.web.web_fetch import WebFetch
from lsp_agent.web.web_search import SEARCH_URL, Pace, WebSearch


def make_web(
    *,
    spawner: Spawner,
    directory: Path,
    secrets: Secrets,
    guard: Guard | None = None,
    certificates: Callable[[], ssl.SSLContext] = system_certificates,
) -> Web:
    """What the tools share. `directory`: ours alone, made with mode 0700 when first needed, for pages on their way.

    `secrets` returns the values that must never leave. Starts nothing and imports nothing heavy.
    """
    fetcher = Fetcher(guard or Guard(), certificates=certificates)
    return Web(fetcher, Converter(spawner, directory), secrets, directory)


def web_tools(
    web: Web, *, search_url: str = SEARCH_URL, sourcegraph_url: str = SOURCEGRAPH_URL, pace: Pace | None = None
) -> list[Tool]:
    """`download`, `fetch`, `sourcegraph`, `web_search`, for the coding agent. Share one `pace` between searchers."""
    return [
        Download(web),
        Fetch(web),
        Sourcegraph(web, url=sourcegraph_url),
        WebSearch(web, search_url=search_url, pace=pace),
    ]


def research_tools(web: Web, directory: Path, *, search_url: str = SEARCH_URL, pace: Pace | None = None) -> list[Tool]:
    """`web_fetch` and `web_search`, for a sub-agent whose private directory takes the long pages."""
    return [WebFetch(web, directory), WebSearch(web, search_url=search_url, pace=pace)]
