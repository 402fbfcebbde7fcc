"""`fetch`: a page or an API's answer, as text, markdown or HTML, up to 100 KB."""

from collections.abc import Mapping
from typing import Any

from lsp_agent.domain.errors import ToolError
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.tools.arguments import number_argument, text_argument
from lsp_agent.web.asking import Refused, Web, ask, asking_again, fenced
from lsp_agent.web.faces import FETCH_DEFAULT_S, FETCH_MAX_BYTES, FETCH_MAX_S, FORMATS, FetchFace
from lsp_agent.web.fetching import Limits
from lsp_agent.web.page_text import hop_note, page_text, require_ok

_PAGE_BYTES = 2 << 20
"""Read of an HTML page: markup is most of it, and what is cut is its text."""


class Fetch(FetchFace):
    """Reads one address, with permission for its host and for every host it redirects to."""

    def __init__(self, web: Web) -> None:
        self._web = web

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        web = self._web
        target = web.read_url(text_argument(arguments, "url"))
        form = text_argument(arguments, "format", "markdown")
        if form not in FORMATS:
            raise ToolError(f"format is one of {', '.join(FORMATS)}.")
        seconds = min(max(number_argument(arguments, "timeout", FETCH_DEFAULT_S), 1), FETCH_MAX_S)
        limits = Limits(max_bytes=FETCH_MAX_BYTES if form == "html" else _PAGE_BYTES, total_s=float(seconds))
        try:
            await ask(context, self.spec.name, target)
            again = asking_again(context, self.spec.name, web)
            page = await web.fetcher.get(target, limits=limits, new_host=again)
        except Refused as refused:
            return refused.result
        require_ok(page)
        text = await page_text(web.converter, page, form)
        raw = text.encode("utf-8", "replace")
        cut = page.truncated or len(raw) > FETCH_MAX_BYTES
        text = raw[:FETCH_MAX_BYTES].decode("utf-8", "ignore")
        note = f"(Cut after {len(text)} characters; the page is longer.)" if cut else ""
        return fenced(
            text,
            f"a web page: {page.target.url}",
            note="\n".join(filter(None, (hop_note(page), note))),
            metadata={"url": page.target.url, "content_type": page.content_type, "truncated": cut},
        )
