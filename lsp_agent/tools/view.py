"""`view`: a part of a file with line numbers, or an image."""

import itertools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import FileUnreadable, ToolError
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.ports.workspace import Place
from lsp_agent.tools.arguments import number_argument, object_schema, one_line, text_argument
from lsp_agent.tools.gate import may_look
from lsp_agent.tools.reading import exists, missing_file_text, read_file, record_read

DEFAULT_LINES = 200
MAX_LINE_BYTES = 2_000
MAX_SECTION_BYTES = 204_800
_LINE = re.compile(r"([^\r\n]*)(?:\r\n|\n|\r)|([^\r\n]+)")
_IMAGES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
}


class View:
    """Shows text as the editor has it, saved or not, and records that the session has seen the file."""

    kind = "read"
    parallel = False
    read_only = True
    spec = ToolSpec(
        name="view",
        description=(
            "Show a text file with line numbers, or an image (jpg, png, gif, webp). A file open in the editor is shown "
            f"as it is there, unsaved changes included. Shows {DEFAULT_LINES} lines unless `limit` says otherwise, "
            f"beginning at `offset` (0 = first line). Lines over {MAX_LINE_BYTES} bytes are cut; a section over "
            f"{MAX_SECTION_BYTES} bytes and larger images are refused: ask for fewer lines. The numbers and the bar "
            "are not part of the file. A file must be viewed before it can be changed. Use ls for directories."
        ),
        input_schema=object_schema(
            {
                "file_path": {"type": "string", "description": "Absolute, or relative to the first workspace root."},
                "offset": {"type": "integer", "minimum": 0, "description": "First line to show, counted from 0."},
                "limit": {
                    "type": "integer",
                    "minimum": 1,
                    "description": f"Number of lines, {DEFAULT_LINES} if absent.",
                },
            },
            ["file_path"],
        ),
    )

    def __init__(self, is_open: Callable[[Path], bool] = lambda _path: False) -> None:
        """`is_open`: files outside the roots that need no permission, such as those of the user's skills."""
        self._is_open = is_open

    def title(self, arguments: Mapping[str, Any]) -> str:
        return f"View {one_line(text_argument(arguments, 'file_path', '…'))}"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        place = context.workspace.place(text_argument(arguments, "file_path"))
        denied = None if self._is_open(place.path) else await may_look(context, self.spec.name, "read", place)
        if denied is not None:
            return denied
        if not exists(context, place):
            raise ToolError(missing_file_text(context, place))
        if place.path.suffix.casefold() in _IMAGES:
            return await _image(context, place)
        offset = max(0, number_argument(arguments, "offset", 0))
        limit = number_argument(arguments, "limit", DEFAULT_LINES)
        file = await read_file(context, place)
        content = numbered_section(file.text, offset, limit if limit > 0 else DEFAULT_LINES, place.shown)
        record_read(context, file)
        return ToolResult(content=content, locations=({"uri": place.uri, "line": offset},))


def numbered_section(text: str, offset: int, limit: int, shown: str) -> str:
    """Lines `offset` (from 0) to `offset + limit` in a `<file>` block, numbered from 1; empty beyond the end.

    Raises: ToolError when the lines, after cutting long ones, are more than `MAX_SECTION_BYTES`.
    """
    matches = list(itertools.islice(_LINE.finditer(text), offset, offset + limit + 1))
    lines = [_cut(match[1] if match[1] is not None else match[2]) for match in matches[:limit]]
    size = sum(len(line.encode("utf-8", "replace")) + 1 for line in lines)
    if size > MAX_SECTION_BYTES:
        raise ToolError(
            f"This section of {shown} is {size} bytes, the limit is {MAX_SECTION_BYTES}. Ask for fewer lines (`limit`)."
        )
    rows = [f"{offset + at:>6}|{line}" for at, line in enumerate(lines, start=1)]
    block = "<file>\n" + "\n".join(rows) + "\n</file>"
    if len(matches) > limit:
        return f"{block}\n(The file has more lines. Use offset {offset + limit} to read on.)"
    return block


def sniff_image(data: bytes) -> str | None:
    """MIME type by the first bytes; None when they are of none of the four formats."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


async def _image(context: ToolContext, place: Place) -> ToolResult:
    if not context.model.supports_images:
        raise ToolError(f"{place.shown} is an image, and the model {context.model.ref} cannot see images.")
    try:
        data = await context.workspace.read_bytes(place, max_bytes=MAX_SECTION_BYTES)
    except FileUnreadable as error:
        raise ToolError(
            f"{place.shown} cannot be shown: {error.reason} (images may have {MAX_SECTION_BYTES} bytes)."
        ) from error
    mime_type = sniff_image(data) or _IMAGES[place.path.suffix.casefold()]
    return ToolResult(
        content=f"{place.shown} ({mime_type}, {len(data)} bytes)",
        data=data,
        mime_type=mime_type,
        locations=({"uri": place.uri},),
    )


def _cut(line: str) -> str:
    if 4 * len(line) <= MAX_LINE_BYTES:
        return line
    raw = line.encode("utf-8", "replace")
    return line if len(raw) <= MAX_LINE_BYTES else raw[:MAX_LINE_BYTES].decode("utf-8", "ignore") + "..."
