"""What an edit makes an editor or a preview load from elsewhere, without anybody's click (RELIABILITY CF-14).

A `$schema` of a settings file, an image of a document, a style sheet of a page: the moment such a file is open its
address is fetched, and what the model wrote into the address leaves the machine. Pure. Written to work on the changed
lines alone, which is what a permission record holds; a line that is nothing but an address counts in a data file,
because the key may stand on a line that did not change. When in doubt it is a reference: the cost is one question.
"""

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from lsp_agent.ports.approver import PermissionAsk

MAX_LISTED = 20
_DATA = frozenset(
    {
        ".json",
        ".jsonc",
        ".json5",
        ".jsonl",
        ".yaml",
        ".yml",
        ".toml",
        ".code-workspace",
        ".code-snippets",
        ".webmanifest",
    }
    | {".sublime-settings", ".sublime-project", ".cfg", ".ini", ".conf", ".properties", ".lock", ".geojson", ".har"}
)
_MARKUP = frozenset(
    {".md", ".markdown", ".mdx", ".mdc", ".html", ".htm", ".xhtml", ".svg", ".xml", ".xsd", ".xsl", ".xslt", ".rst"}
    | {".adoc", ".asciidoc", ".ipynb", ".vue", ".plist", ".csproj", ".props", ".targets", ".config", ".tex", ".org"}
)
_REST = r"[^\s\"'<>)\]}]*+"
_ABSOLUTE = rf"(?:https?|ftp|wss?):[\\/]{{0,2}}[^\s\\/\"'<>)\]}}]{_REST}"
_URL = rf"(?:{_ABSOLUTE}|[\\/]{{2}}\w{_REST}|file:[\\/]{{2}}\w{_REST})"
_QUOTE = r"[\"']?"
_GAP = r"\s{0,99}+"
_DATA_PATTERNS = (
    rf"\$(?:schema|ref){_QUOTE}{_GAP}[:=]{_GAP}[>|]?-?{_GAP}{_QUOTE}{_GAP}({_URL})",
    rf"\bschemas?(?:url|uri|store|location)?{_QUOTE}{_GAP}[:=]{_GAP}[\[{{]?{_GAP}{_QUOTE}{_GAP}({_URL})",
    rf"#[ \t]*+:schema[ \t]++({_URL})",
    # a map or list of schemas: the address is a key, or alone on its line
    rf"[\"']({_ABSOLUTE})[\"']{_GAP}:",
    rf"(?m:^)[ \t]*+(?:-[ \t]++)?{_QUOTE}({_ABSOLUTE})",
)
_MARKUP_PATTERNS = (
    rf"(?m:^)[ ]{{0,3}}\[[^\]\n]++\]:[ \t]*+<?({_URL})",
    rf"\b(?:src|srcset|poster|background|data|xlink:href|formaction|icon|manifest){_GAP}={_GAP}{_QUOTE}{_GAP}({_URL})",
    rf"\burl\({_GAP}{_QUOTE}{_GAP}({_URL})",
    rf"\burl{_GAP}={_GAP}({_URL})",
    rf"@import{_GAP}{_QUOTE}{_GAP}({_URL})",
    rf"(?:image|figure|include|csv-table|raw)::?[ \t]*+({_URL})",
    rf":url:[ \t]*+({_URL})",
    rf"\{{({_URL})",
)
_CONTAINERS = (
    r"<(?:link|image|use|base|feimage|xi:include|xsl:\w+|xs:\w+|\?[\w-]++|!doctype|!entity)\b([^>]*+)",
    rf"\bsrcset{_GAP}={_GAP}[\"']([^\"'>]*+)",
    rf"schemalocation{_GAP}={_GAP}[\"']([^\"'>]*+)",
)
"""Whatever address stands inside one of these is loaded."""
_DATA_FORMS = tuple([re.compile(pattern, re.IGNORECASE) for pattern in _DATA_PATTERNS])
_MARKUP_FORMS = tuple([re.compile(pattern, re.IGNORECASE) for pattern in _MARKUP_PATTERNS])
_CONTAINER_FORMS = tuple([re.compile(pattern, re.IGNORECASE) for pattern in _CONTAINERS])
_ADDRESS = re.compile(_URL, re.IGNORECASE)
_TARGET = re.compile(rf"\]\({_GAP}<?({_URL})", re.IGNORECASE)
_MARK = re.compile(r"!\[|\n(?=\n)")
_IMAGE_REACH = 10_000
"""Characters before a markdown target in which a `![` makes it an image."""
_ESCAPE = re.compile(r"\\(?:u\{?([0-9a-fA-F]{4,6})\}?|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(/))")
_BREAKS = re.compile(r"[\t\r\n]")
_HARMLESS = re.compile(r"https?://json-schema\.org/(?:draft-\d\d|draft/\d{4}-\d\d)/(?:schema|hyper-schema)#?")
"""Names of the standard itself: every editor has them built in."""


def new_remote_references(old: str, new: str, path: str) -> list[str]:
    """Addresses that `new` makes an editor or a preview load and `old` does not; sorted, at most 20, empty mostly.

    `path` decides by its suffix what kind of file it is; a file of no such kind has none. Also right for pieces of
    files that consist of whole lines.
    """
    forms = _forms(path)
    if not forms or (":" not in new and "//" not in new and "\\" not in new):
        return []
    found = _references(new, forms) - _references(old, forms)
    return sorted(found)[:MAX_LISTED]


def remote_references_of(ask: PermissionAsk) -> list[str]:
    """The same for what a tool asks permission for (`subject.type` `edit`), from the hunks that the user is shown."""
    found: list[str] = []
    changes = ask.subject.get("changes")
    if ask.subject.get("type") != "edit" or not isinstance(changes, list | tuple):
        return found
    for change in changes:
        hunks = _hunks(change)
        old = "\n".join([str(hunk.get("oldText") or "") for hunk in hunks])
        new = "\n".join([str(hunk.get("newText") or "") for hunk in hunks])
        found += new_remote_references(old, new, str(change.get("uri") or ask.path or ""))
    return found[:MAX_LISTED]


def _hunks(change: Any) -> list[Mapping[str, Any]]:
    hunks = change.get("hunks") if isinstance(change, Mapping) else None
    return [hunk for hunk in hunks if isinstance(hunk, Mapping)] if isinstance(hunks, list | tuple) else []


def _forms(path: str) -> tuple[re.Pattern[str], ...]:
    name = PurePosixPath(path.replace("\\", "/")).name.casefold().rstrip(". ")
    suffix = PurePosixPath(name).suffix
    markup = (*_MARKUP_FORMS, *_CONTAINER_FORMS, _TARGET)
    if suffix == ".ipynb":
        return (*_DATA_FORMS, *markup)
    if suffix in _DATA or (name.startswith(".") and name.endswith("rc")) or name in {".babelrc", ".prettierrc"}:
        return _DATA_FORMS
    return markup if suffix in _MARKUP else ()


def _references(text: str, forms: Iterable[re.Pattern[str]]) -> set[str]:
    """Every address, in the text as it stands, as its escapes are meant, and as a browser joins broken lines."""
    plain = html.unescape(text)
    found: set[str] = set()
    joined = _BREAKS.sub("", plain)
    for reading in dict.fromkeys((text, _ESCAPE.sub(_unescaped, text), plain, joined)):
        for form in forms:
            if form is _TARGET and reading is joined and joined != text:
                continue  # its paragraphs are gone
            if form in _CONTAINER_FORMS:
                found.update([address for match in form.finditer(reading) for address in _ADDRESS.findall(match[1])])
            elif form is _TARGET:
                found.update(_images(reading))
            else:
                found.update([match[1] for match in form.finditer(reading)])
    addresses = {address.rstrip(",;") for address in found}
    return {address for address in addresses if not _HARMLESS.fullmatch(address)}


def _images(text: str) -> Iterator[str]:
    """Targets with a `![` before them in the same paragraph, within reach. One pass: a long file has many targets."""
    marks = _MARK.finditer(text)
    mark = next(marks, None)
    image = -1
    for match in _TARGET.finditer(text) if mark is not None else ():
        while mark is not None and mark.start() < match.start():
            image = mark.start() if mark[0] == "![" else -1
            mark = next(marks, None)
        if image >= max(match.start() - _IMAGE_REACH, 0):
            yield match[1]


def _unescaped(found: re.Match[str]) -> str:
    if found[4]:
        return "/"
    number = int(found[1] or found[2] or found[3], 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "?"
