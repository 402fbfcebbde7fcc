"""`web_search`: a search engine's results as titles, addresses and excerpts."""

import json
import random
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote_plus

from lsp_agent.domain.errors import ToolError
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.tools.arguments import number_argument, one_line, text_argument
from lsp_agent.web.asking import Refused, Web, ask, fenced
from lsp_agent.web.decoding import decode_text
from lsp_agent.web.faces import DEFAULT_RESULTS, MAX_RESULTS, WebSearchFace
from lsp_agent.web.fetching import Page
from lsp_agent.web.page_text import require_ok
from lsp_agent.web.urls import parse_url

SEARCH_URL = "https://lite.duckduckgo.com/lite/"
_MAX_QUERY_CHARS = 500
_BLOCKED = (
    "The search engine takes us for a robot and gives no results for now. This does not mean that there are none. "
    "Do not search again at once; fetch a page you know instead, or tell the user."
)


class Pace:
    """Keeps 0.5 to 2 seconds between two searches, so that the engine does not shut us out."""

    def __init__(self, between: Callable[[], float] = lambda: random.uniform(0.5, 2.0)) -> None:
        self._between = between
        self._free_at_s = 0.0

    async def wait(self, clock: Clock) -> None:
        """Until it is our turn; callers at the same time line up."""
        now = clock.monotonic_s()
        turn = max(now, self._free_at_s)
        self._free_at_s = turn + self._between()
        if turn > now:
            await clock.sleep(turn - now)


class WebSearch(WebSearchFace):
    """Asks the configured engine: a page like DuckDuckGo's plain one, or JSON as SearXNG writes it.

    `search_url`: the query is added as `q`, or put in place of `{query}`.
    """

    def __init__(self, web: Web, *, search_url: str = SEARCH_URL, pace: Pace | None = None) -> None:
        self._web = web
        self._search_url = search_url
        self._pace = pace or Pace()

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        query = one_line(text_argument(arguments, "query"), _MAX_QUERY_CHARS)
        if not query:
            raise ToolError("query is empty.")
        self._web.refuse_secrets("search query", text_argument(arguments, "query"))
        limit = min(max(number_argument(arguments, "max_results", DEFAULT_RESULTS), 1), MAX_RESULTS)
        target = parse_url(_address(self._search_url, query))
        self._web.fetcher.guard.check(target)
        try:
            await ask(context, self.spec.name, target, title=f"Search the web: {one_line(query, 200)}")
        except Refused as refused:
            return refused.result
        await self._pace.wait(context.clock)
        page = await self._web.fetcher.get(target)
        results = await self._results(page)
        if not results:
            return ToolResult(f"No results for {one_line(query, 200)!r}.")
        return fenced(
            _listing(results[:limit]), "a web search", metadata={"query": query, "results": len(results[:limit])}
        )

    async def _results(self, page: Page) -> list[dict[str, str]]:
        if page.status in (HTTPStatus.ACCEPTED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.FORBIDDEN):
            raise ToolError(_BLOCKED)
        require_ok(page)
        text = decode_text(page.body, page.charset, html=page.is_html)
        if page.is_json:
            return _from_json(text)
        found = await self._web.converter.search_results(text, page.target.url)
        if found["blocked"]:
            raise ToolError(_BLOCKED)
        return [dict(result) for result in found["results"]]


def _address(template: str, query: str) -> str:
    if "{query}" in template:
        return template.replace("{query}", quote_plus(query))
    return f"{template}{'&' if '?' in template else '?'}q={quote_plus(query)}"


def _from_json(text: str) -> list[dict[str, str]]:
    """SearXNG's answer. Raises: ToolError."""
    try:
        rows = json.loads(text)["results"]
        return [
            {"title": str(row.get("title", "")), "url": str(row.get("url", "")), "snippet": str(row.get("content", ""))}
            for row in rows
            if isinstance(row, dict)
        ]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ToolError("The search engine's answer could not be read.") from error


def _listing(results: list[dict[str, str]]) -> str:
    rows = []
    for number, result in enumerate(results, start=1):
        row = f"{number}. {one_line(result['title'], 200) or '(no title)'}\n   {one_line(result['url'], 2_000)}"
        snippet = one_line(result["snippet"], 500)
        rows.append(f"{row}\n   {snippet}" if snippet else row)
    return "\n\n".join(rows)
