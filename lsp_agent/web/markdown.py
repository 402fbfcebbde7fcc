"""A page of HTML as markdown or plain text, in one pass and in a bounded stack.

Events of libxml2's parser are written out as they come: no tree, no recursion, so nesting costs nothing but time. What
no reader sees, scripts, page furniture and `javascript:` links are left out; images become their text (RELIABILITY
PI-02, EX-17; CORE 26). Runs in a process of its own, see `conversion`: a page can still make the parser slow.
"""

import re
from collections.abc import Mapping
from urllib.parse import urljoin

from lsp_agent.web.hidden import HiddenRules, is_hidden

MAX_CHARS = 4_000_000
_DROPPED = frozenset((
    "script", "style", "nav", "header", "footer", "aside", "noscript", "iframe", "svg", "template", "frame", "frameset",
    "noframes", "object", "embed", "applet", "canvas", "audio", "video", "map", "select", "textarea", "datalist",
))  # fmt: skip
_BLOCKS = frozenset((
    "address", "article", "blockquote", "body", "center", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption",
    "figure", "form", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "legend", "main", "ol", "p", "pre", "section",
    "summary", "table", "ul",
))  # fmt: skip
_LINES = frozenset(("li", "tr", "br", "caption", "thead", "tbody", "tfoot", "option"))
_MARKS = {"strong": "**", "b": "**", "em": "*", "i": "*", "code": "`", "kbd": "`", "samp": "`", "del": "~~", "s": "~~"}
_SPACES = re.compile(r"[ \t\n\r\f\v\u00a0]+")
_TICKS = re.compile(r"`+")
_MAX_PREFIX_CHARS = 24
_MAX_LINK_CHARS = 2_000


class Writer:
    """A parser target: `start`, `data`, `end`, `close`. `close` returns the text."""

    def __init__(self, base_url: str, *, plain: bool = False) -> None:
        self._base = base_url
        self._plain = plain
        self._rules = HiddenRules()
        self._parts: list[str] = []
        self._chars = 0
        self._newlines = 2
        """How many line ends the text ends with; two at the start."""
        self._wanted = 0
        """Line ends to write before the next text."""
        self._space = False
        self._skipping = 0
        self._open: list[str] = []
        self._marks: list[tuple[str, str, int]] = []
        """Open inline marks: (tag, what closes it, how much text there was before)."""
        self._waiting: list[str] = []
        """Opening marks that no text has followed yet."""
        self._lists: list[int] = []
        self._prefix: list[str] = []
        self._pre: list[str] | None = None
        self._pre_depth = 0
        self._title: list[str] | None = None
        self._titles: list[str] = []
        self._sheet: list[str] | None = None
        self._cells = 0
        self._heads = False

    # ------------------------------------------------------------------------------------------------ parser target

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        if self._skipping:
            self._skipping += 1
            return
        if tag == "style":
            self._sheet = []
        elif tag == "title" and not self._titles:
            self._title = []
        if tag in _DROPPED or tag == "title" or is_hidden(tag, attributes) or self._rules.hide(tag, attributes):
            self._skipping = 1
            return
        if self._pre is None:
            self._begin(tag, attributes)
        else:
            self._pre_depth += 1
            if tag == "br":
                self._pre.append("\n")

    def data(self, text: str) -> None:
        """Text of the element that is open."""
        if self._skipping:
            if self._sheet is not None:
                self._sheet.append(text)
            elif self._title is not None:
                self._title.append(text)
        elif self._pre is not None:
            self._pre.append(text)
        else:
            self._text(text)

    def end(self, tag: str) -> None:
        """An element ends."""
        if self._skipping:
            self._skipping -= 1
            if not self._skipping:
                self._end_skipped()
        elif self._pre is not None and self._pre_depth:
            self._pre_depth -= 1
        elif self._pre is not None:
            self._end_pre()
        else:
            self._finish(tag)

    def comment(self, text: str) -> None:
        """Nobody sees comments."""

    def close(self) -> str:
        """The whole text."""
        if self._pre is not None:
            self._end_pre()
        body = "".join(self._parts).strip("\n")
        title = _SPACES.sub(" ", "".join(self._titles)).strip()[:300]
        return f"Title: {title}\n\n{body}\n" if title else f"{body}\n"

    # ------------------------------------------------------------------------------------------------------- elements

    def _begin(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._break_at(tag)
        if tag == "a":
            self._begin_link(attributes)
        elif tag in _MARKS:
            self._mark(tag, _MARKS[tag], _MARKS[tag])
        elif tag == "pre":
            self._pre, self._pre_depth = [], 0
        elif tag in ("ul", "ol"):
            self._lists.append(0 if tag == "ul" else 1)
            self._prefix.append("  " if len(self._lists) > 1 else "")
        elif tag == "li":
            self._begin_item()
        elif tag == "blockquote":
            self._prefix.append("> ")
        elif tag in ("td", "th"):
            self._cells += 1
            self._heads = self._heads or tag == "th"
            self._raw("" if self._plain else "| ")
        elif tag == "img":
            self._image(attributes)
        elif tag == "base":
            self._base = _web_address(self._base, attributes.get("href", "")) or self._base
        else:
            self._heading_or_rule(tag)

    def _finish(self, tag: str) -> None:
        if tag == "a" or tag in _MARKS:
            self._unmark(tag)
        elif tag in ("ul", "ol", "blockquote"):
            if self._prefix:
                self._prefix.pop()
            if tag != "blockquote" and self._lists:
                self._lists.pop()
        elif tag in ("td", "th"):
            self._space = True
        elif tag == "tr":
            self._end_row()
        if tag != "br":
            self._break_at(tag)

    def _heading_or_rule(self, tag: str) -> None:
        if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            if not self._plain:
                self._raw("#" * int(tag[1]) + " ")
        elif tag == "hr" and not self._plain:
            self._raw("---")

    def _begin_link(self, attributes: Mapping[str, str]) -> None:
        address = "" if self._plain else _web_address(self._base, attributes.get("href", ""))
        self._mark("a", "[" if address else "", f"]({address})" if address else "")

    def _begin_item(self) -> None:
        if self._lists and self._lists[-1]:
            self._raw(f"{self._lists[-1]}. ")
            self._lists[-1] += 1
        else:
            self._raw("- ")

    def _image(self, attributes: Mapping[str, str]) -> None:
        said = _SPACES.sub(" ", attributes.get("alt", "")).strip()[:300]
        if said:
            self._text(f" [image: {said}] ")

    def _end_row(self) -> None:
        if self._cells and not self._plain:
            self._raw("|")
            if self._heads:
                self._break(1)
                self._raw("| --- " * min(self._cells, 100) + "|")
        self._cells, self._heads = 0, False

    def _end_skipped(self) -> None:
        if self._sheet is not None:
            self._rules.read("".join(self._sheet))
            self._sheet = None
        if self._title is not None:
            self._titles, self._title = self._title, None

    def _end_pre(self) -> None:
        text = "".join(self._pre or ()).strip("\n")
        self._pre = None
        if text.strip():
            longest = max((len(run) for run in _TICKS.findall(text)), default=0)
            fence = "" if self._plain else "`" * max(3, longest + 1)
            for line in filter(None, (fence, text, fence)):
                self._break(1)
                self._raw(line)
        self._break(2)

    # ----------------------------------------------------------------------------------------------------------- text

    def _mark(self, tag: str, opening: str, closing: str) -> None:
        if self._plain:
            opening = closing = ""
        self._marks.append((tag, closing, len(self._waiting)))
        self._waiting.append(opening)

    def _unmark(self, tag: str) -> None:
        if not self._marks or self._marks[-1][0] != tag:
            return
        _, closing, before = self._marks.pop()
        if len(self._waiting) > before:
            del self._waiting[before:]  # nothing came in between: no mark at all
        else:
            self._write(closing)

    def _break_at(self, tag: str) -> None:
        if tag in _LINES or (tag in ("ul", "ol") and self._lists):
            self._break(1)
        elif tag in _BLOCKS:
            self._break(2)

    def _break(self, lines: int) -> None:
        self._wanted = max(self._wanted, lines)
        self._space = False

    def _text(self, text: str) -> None:
        flat = _SPACES.sub(" ", text)
        if flat.startswith(" "):
            self._space, flat = True, flat[1:]
        if not flat:
            return
        trailing = flat.endswith(" ")
        self._raw(flat[:-1] if trailing else flat)
        self._space = trailing

    def _raw(self, text: str) -> None:
        """Text after the line ends, the space and the marks that are due."""
        if not text:
            return
        missing = self._wanted - self._newlines
        if missing > 0:
            self._write("\n" * missing)
        elif self._space and not self._newlines:
            self._write(" ")
        self._wanted, self._space = 0, False
        prefix = "".join(self._prefix[:16])[:_MAX_PREFIX_CHARS]
        if self._newlines and prefix:
            self._write(prefix)
        if self._waiting:
            for opening in self._waiting:
                self._write(opening)
            self._waiting.clear()
            self._marks = [(tag, closing, 0) for tag, closing, _ in self._marks]
        self._write(text.replace("\n", f"\n{prefix}") if "\n" in text and prefix else text)

    def _write(self, text: str) -> None:
        if not text or self._chars > MAX_CHARS:
            return
        self._parts.append(text)
        self._chars += len(text)
        self._newlines = 0 if text[-1] != "\n" else self._newlines + len(text)


def _web_address(base: str, reference: str) -> str:
    """The absolute http, https or mailto address a link leads to; empty for other kinds and places in the page."""
    reference = "".join([character for character in reference if character.isprintable()]).strip()
    if not reference or reference.startswith("#") or len(reference) > _MAX_LINK_CHARS:
        return ""
    try:
        address = urljoin(base, reference)
    except ValueError:
        return ""
    if not address.lower().startswith(("http://", "https://", "mailto:")):
        return ""
    return address.replace(" ", "%20").replace("(", "%28").replace(")", "%29").replace("<", "%3C").replace(">", "%3E")
