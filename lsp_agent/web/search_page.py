"""The results on a page of a search engine: DuckDuckGo's plain page, as parser events. Runs where `markdown` runs."""

from collections.abc import Mapping
from urllib.parse import parse_qs, urljoin, urlsplit

_BOT_MARKS = ("anomaly-modal", "challenge-form", "captcha", "g-recaptcha", "cf-challenge")
MAX_RESULTS = 50


class SearchReader:
    """A parser target. `close` returns `{"results": [{title, url, snippet}], "blocked": bool}`."""

    def __init__(self, base_url: str) -> None:
        self._base = base_url
        self._results: list[dict[str, str]] = []
        self._into: list[str] | None = None
        self._field = ""
        self._tag = ""
        self._depth = 0
        self._blocked = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        names = f"{attributes.get('class', '')} {attributes.get('id', '')} {attributes.get('action', '')}".lower()
        self._blocked = self._blocked or any(mark in names for mark in _BOT_MARKS)
        if self._into is not None:
            self._depth += tag == self._tag
            return
        classes = attributes.get("class", "").split()
        if tag == "a" and ("result-link" in classes or "result__a" in classes) and len(self._results) < MAX_RESULTS:
            address = _real_address(self._base, attributes.get("href", ""))
            if address:
                self._results.append({"title": "", "url": address, "snippet": ""})
                self._collect("title", tag)
        elif self._results and ("result-snippet" in classes or "result__snippet" in classes):
            self._collect("snippet", tag)

    def data(self, text: str) -> None:
        """Text of the element that is open."""
        if self._into is not None:
            self._into.append(text)

    def end(self, tag: str) -> None:
        """An element ends."""
        if self._into is None or tag != self._tag:
            return
        self._depth -= 1
        if self._depth == 0:
            self._results[-1][self._field] = " ".join("".join(self._into).split())[:1_000]
            self._into = None

    def comment(self, text: str) -> None:
        """Not looked at."""

    def close(self) -> dict[str, object]:
        """What was found."""
        return {"results": self._results, "blocked": self._blocked and not self._results}

    def _collect(self, field: str, tag: str) -> None:
        self._into, self._field, self._tag, self._depth = [], field, tag, 1


def _real_address(base: str, reference: str) -> str:
    """Where a result leads: the engine's own redirect is taken off. Empty for advertisements and other schemes."""
    try:
        address = urljoin(base, reference.strip())
        parts = urlsplit(address)
        if parts.path == "/l/" and (inner := parse_qs(parts.query).get("uddg")):
            address = inner[0]
        parts = urlsplit(address)
    except ValueError:
        return ""
    advertisement = (parts.hostname or "").endswith("duckduckgo.com") and parts.path == "/y.js"
    return address[:2_000] if parts.scheme in ("http", "https") and not advertisement else ""
