"""What came back as text for the model: its status, its type, its characters."""

import asyncio
import json
from http import HTTPStatus

from lsp_agent.domain.errors import ToolError
from lsp_agent.web.conversion import Converter
from lsp_agent.web.decoding import decode_text
from lsp_agent.web.fetching import Page
from lsp_agent.web.urls import parse_url


def require_ok(page: Page) -> None:
    """Raises: ToolError for any status but 200."""
    if page.status == HTTPStatus.OK:
        return
    try:
        phrase = HTTPStatus(page.status).phrase
    except ValueError:
        phrase = "an unknown status"
    raise ToolError(f"{page.target.url} answered with {page.status} ({phrase}).")


async def page_text(converter: Converter, page: Page, form: str) -> str:
    """The body: HTML converted to `markdown` or `text` unless `html` is wanted, JSON indented, all else as it is.

    Raises: ToolError for content that is no text, or cannot be converted in time.
    """
    try:
        text = decode_text(page.body, page.charset, html=page.is_html, strict=not (page.is_html or page.truncated))
    except UnicodeDecodeError as error:
        raise ToolError(f"{page.target.url} is not valid text.") from error
    if "\0" in text:
        raise ToolError(f"{page.target.url} is binary.")
    if (page.is_html or _looks_like_html(page, text)) and form != "html":
        return await converter.markdown(text, page.target.url, plain=form == "text")
    if page.is_json and form == "markdown" and not page.truncated:
        return await asyncio.to_thread(_indented, text)
    return text


def hop_note(page: Page) -> str:
    """Tells of redirects, by host: a path may say anything. Empty when there were none."""
    hosts = [parse_url(url).authority for url in page.hops]
    return f"(It redirected: {' → '.join([*hosts, page.target.authority])})" if hosts else ""


def _looks_like_html(page: Page, text: str) -> bool:
    """Some servers send pages without a type, or as plain text."""
    start = text[:200].lstrip().lower()
    return page.content_type in ("", "text/plain") and start.startswith(("<!doctype html", "<html"))


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
