"""`sourcegraph`: search public code, by the GraphQL interface of sourcegraph.com."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lsp_agent.domain.errors import ToolError
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.tools.arguments import number_argument, object_schema, one_line, text_argument
from lsp_agent.web.asking import Refused, Web, ask, fenced
from lsp_agent.web.decoding import decode_text
from lsp_agent.web.fetching import Limits
from lsp_agent.web.page_text import require_ok
from lsp_agent.web.urls import parse_url

SOURCEGRAPH_URL = "https://sourcegraph.com/.api/graphql"
_DEFAULT_COUNT, _MAX_COUNT = 10, 20
_DEFAULT_CONTEXT, _MAX_CONTEXT = 10, 50
_DEFAULT_S, _MAX_S = 30, 120
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


class Sourcegraph:
    """Finds code in public repositories, with the lines around each hit."""

    kind = "search"
    parallel = True
    read_only = True
    spec = ToolSpec(
        name="sourcegraph",
        description=(
            "Search the code of public repositories with Sourcegraph's query language: words, `repo:`, `file:`, "
            '`lang:`, `type:symbol`, `"exact text"`, `AND`, `OR`, `NOT`. Returns files with the matching lines and '
            "the lines around them. Only public code is found; for this workspace use grep. The query leaves this "
            "machine: no secrets, no private code."
        ),
        input_schema=object_schema(
            {
                "query": {"type": "string", "description": "A Sourcegraph query."},
                "count": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": _MAX_COUNT,
                    "description": "Files, 10 if absent.",
                },
                "context_window": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": _MAX_CONTEXT,
                    "description": "Lines around each hit, 10 if absent.",
                },
                "timeout": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": _MAX_S,
                    "description": "Seconds, 30 if absent.",
                },
            },
            ["query"],
        ),
    )

    def __init__(self, web: Web, *, url: str = SOURCEGRAPH_URL) -> None:
        self._web = web
        self._url = url

    def title(self, arguments: Mapping[str, Any]) -> str:
        return f"Search public code: {one_line(text_argument(arguments, 'query', '…'))}"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        query = one_line(text_argument(arguments, "query"), _MAX_QUERY_CHARS)
        if not query:
            raise ToolError("query is empty.")
        self._web.refuse_secrets("search query", text_argument(arguments, "query"))
        count = min(max(number_argument(arguments, "count", _DEFAULT_COUNT), 1), _MAX_COUNT)
        around = min(max(number_argument(arguments, "context_window", _DEFAULT_CONTEXT), 0), _MAX_CONTEXT)
        seconds = min(max(number_argument(arguments, "timeout", _DEFAULT_S), 1), _MAX_S)
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
