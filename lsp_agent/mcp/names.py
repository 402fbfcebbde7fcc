"""What a server's tools are called here: `mcp__<server>__<tool>`, ASCII, at most 64 characters (RELIABILITY MC-03).

Pure. A name that cannot be written that way, or that looks like another one of the same server, is refused: the tool
does not exist for the model. The prefix keeps every such name apart from the tools of the product.
"""

import hashlib
import re
from collections.abc import Iterable

PREFIX = "mcp"
MAX_CHARS = 64
_TOOL = re.compile(r"[A-Za-z0-9_./:-]{1,128}")
_OTHER = re.compile(r"[^A-Za-z0-9_-]")


def tool_name(server: str, tool: str) -> str | None:
    """The name for the model; None when `tool` is not plain ASCII. `server` is a name that `read_entry` accepts.

    A long name is cut and ends with eight digits of its hash.
    """
    if not _TOOL.fullmatch(tool):
        return None
    name = f"{PREFIX}__{server}__{_OTHER.sub('_', tool)}"
    if len(name) <= MAX_CHARS:
        return name
    return f"{name[: MAX_CHARS - 9]}_{hashlib.sha256(tool.encode('ascii')).hexdigest()[:8]}"


def tool_names(server: str, tools: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """(the server's own name → ours, refused name → why). Of names that look alike none is kept: none is the right one.

    A name that is listed twice is refused too.
    """
    ours: dict[str, str] = {}
    refused: dict[str, str] = {}
    alike: dict[str, list[str]] = {}
    for tool in tools:
        name = tool_name(server, tool)
        if name is None:
            refused[tool] = "its name is not plain ASCII"
            continue
        alike.setdefault(name.casefold(), []).append(tool)
        ours[tool] = name
    for group in alike.values():
        if len(group) > 1:
            for tool in group:
                ours.pop(tool, None)
                refused[tool] = "its name is the same as another one's, or looks like it"
    return ours, refused
