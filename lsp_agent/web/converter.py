"""The process that takes pages apart: reads one file, writes text to standard output, and ends.

The file's first line is JSON `{"mode": "markdown" | "text" | "search", "base": URL}`, the rest is HTML in UTF-8.
Started by `conversion` only.
"""

import json
import sys
from pathlib import Path
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from lsp_agent.web.markdown import Writer
from lsp_agent.web.search_page import SearchReader

_PIECE_BYTES = 65_536


def convert(mode: str, base_url: str, html: bytes) -> str:
    """The text, or for `search` the JSON, of a page. What cannot be parsed is left out."""
    target: Any = SearchReader(base_url) if mode == "search" else Writer(base_url, plain=mode == "text")
    parser = etree.HTMLParser(target=target, encoding="utf-8", recover=True, huge_tree=True, no_network=True)
    try:
        for at in range(0, len(html), _PIECE_BYTES):
            parser.feed(html[at : at + _PIECE_BYTES])
        result = parser.close()
    except etree.LxmlError:
        result = target.close()
    return json.dumps(result) if mode == "search" else str(result)


def main() -> None:
    """Convert the file named by the last argument."""
    with Path(sys.argv[-1]).open("rb") as file:
        header = json.loads(file.readline())
        html = file.read()
    text = convert(str(header["mode"]), str(header["base"]), html)
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()
