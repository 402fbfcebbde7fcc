"""`sourcegraph`: search public code, by the GraphQL interface of sourcegraph.com."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lsp_agent.domain.errors import ToolError
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.tools.arguments import number_argument, one_line, text_argument
from lsp_agent.web.asking import Refused, Web, ask, fenced
from lsp_agent.web.decoding import decode_text
from lsp_agent.web.faces import (
    DEFAULT_FILES,
    DEFAULT_LINES_AROUND,
    MAX_FILES,
    MAX_LINES_AROUND,
    SOURCEGRAPH_DEFAULT_S,
    SOURCEGRAPH_MAX_S,
    SourcegraphFace,
)
from lsp_agent.web.fetching import Limits
from lsp_agent.web.page_text import require_ok
from lsp_agent.web.urls import parse_url

SOURCEGRAPH_URL = "https://sourcegraph.com/.api/graphql"
_MAX_QUERY_CHARS = 1_000
_MATCHES_A_FILE = 3
_MAX_TEXT_CHARS = 60_000
_GRAPHQL = """
query Search($query: String!) {
  search(query: $query, version: V3, patternType: keyword) {
    results {
      matchCount
      limitHit
      cloning { name }
      missing { name }
      timedout { name }
      alert { title description }
      results {
        __typename
        ... on FileMatch {
          repository { name }
          file { path url content }
          lineMatches { preview lineNumber }
        }
      }
    }
  }
}
"""


class Sourcegraph(SourcegraphFace):
    """Finds code in public repositories, with the lines around each hit."""

    def __init__(self, web: Web, *, url: str = SOURCEGRAPH_URL) -> None:
        self._web = web
        self._url = url

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        query = one_line(text_argument(arguments, "query"), _MAX_QUERY_CHARS)
        if not query:
            raise ToolError("query is empty.")
        self._web.refuse_secrets("search query", text_argument(arguments, "query"))
        count = min(max(number_argument(arguments, "count", DEFAULT_FILES), 1), MAX_FILES)
        around = min(max(number_argument(arguments, "context_window", DEFAULT_LINES_AROUND), 0), MAX_LINES_AROUND)
        seconds = min(max(number_argument(arguments, "timeout", SOURCEGRAPH_DEFAULT_S), 1), SOURCEGRAPH_MAX_S)
        target = parse_url(self._url)
        self._web.fetcher.guard.check(target)
        try:
            title = f"Search public code at {target.host}: {one_line(query, 200)}"
            await ask(context, self.spec.name, target, title=title)
        except Refused as refused:
            return refused.result
        wanted = query if "count:" in query else f"{query} count:{count}"
        body = json.dumps({"query": _GRAPHQL, "variables": {"query": wanted}}).encode("utf-8")
        page = await self._web.fetcher.post(
            target, body, limits=Limits(total_s=float(seconds)), headers={"Content-Type": "application/json"}
        )
        require_ok(page)
        found = _search_results(decode_text(page.body, page.charset))
        files = [row for row in _rows(found, "results") if row.get("__typename") == "FileMatch"][:count]
        text = "\n".join(_report(found, files, around))[:_MAX_TEXT_CHARS]
        return fenced(text, f"a code search at {target.host}", metadata={"query": query, "files": len(files)})


def _search_results(text: str) -> dict[str, Any]:
    """The inner `results` object. Raises: ToolError, with what the service says is wrong."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ToolError("Sourcegraph's answer could not be read.") from error
    if not isinstance(answer, dict):
        raise ToolError("Sourcegraph's answer could not be read.")
    if answer.get("errors"):
        said = [one_line(str(row.get("message", "")), 200) for row in _rows(answer, "errors")[:5]]
        raise ToolError(f"Sourcegraph refused the query: {'; '.join(said) or 'no reason given'}")
    found: Any = answer
    for name in ("data", "search", "results"):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise ToolError("Sourcegraph's answer could not be read.")
    return found


def _report(found: Mapping[str, Any], files: list[dict[str, Any]], around: int) -> Iterator[str]:
    more = " (there are more)" if found.get("limitHit") else ""
    if not files:
        yield "No results."
    else:
        yield f"{found.get('matchCount', '?')} matches{more}; {len(files)} files shown."
    alert = found.get("alert")
    if isinstance(alert, dict):
        yield f"Note: {one_line(str(alert.get('title', '')), 200)} {one_line(str(alert.get('description', '')), 400)}"
    for name, said in (("cloning", "still being copied"), ("missing", "missing"), ("timedout", "timed out")):
        if rows := _rows(found, name):
            yield f"Note: {len(rows)} repositories {said}."
    for number, row in enumerate(files, start=1):
        yield from _file(number, row, around)


def _file(number: int, row: Mapping[str, Any], around: int) -> Iterator[str]:
    repository, file = _object(row, "repository"), _object(row, "file")
    yield f"\n{number}. {one_line(str(repository.get('name', '?')), 200)}: {one_line(str(file.get('path', '?')), 300)}"
    lines = str(file.get("content") or "").splitlines()
    for match in _rows(row, "lineMatches")[:_MATCHES_A_FILE]:
        at = match.get("lineNumber")
        if not isinstance(at, int) or at < 0:
            continue
        if lines and at < len(lines):
            start, end = max(at - around, 0), min(at + around + 1, len(lines))
            yield from (f"{line + 1:>6}| {lines[line][:300]}" for line in range(start, end))
            yield "      …"
        else:
            yield f"{at + 1:>6}| {str(match.get('preview', ''))[:300]}"


def _rows(value: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = value.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _object(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}
