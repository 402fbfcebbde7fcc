"""`write`: give a file a whole new text, or create it."""

from collections.abc import Mapping
from typing import Any

from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.tools.arguments import (
    MAX_TEXT_CHARS,
    object_schema,
    one_line,
    require_writable_text,
    text_argument,
)
from lsp_agent.tools.changing import Rewritten, change_file, create_file
from lsp_agent.tools.edit import FILE_PATH
from lsp_agent.tools.reading import exists


class Write:
    """The whole text at once. Never rebased: what the user types meanwhile would be lost."""

    kind = "edit"
    parallel = False
    read_only = False
    spec = ToolSpec(
        name="write",
        description=(
            "Create a file, or replace the whole text of one. Missing parent directories are made. A file that exists "
            "must have been viewed and must not have changed since. For a change in a part of a file use edit. At most "
            f"{MAX_TEXT_CHARS} characters; an empty `content` makes an empty file."
        ),
        input_schema=object_schema(
            {"file_path": FILE_PATH, "content": {"type": "string", "description": "The whole new text."}},
            ["file_path", "content"],
        ),
    )

    def title(self, arguments: Mapping[str, Any]) -> str:
        return f"Write {one_line(text_argument(arguments, 'file_path', '…'))}"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        place = context.workspace.place(text_argument(arguments, "file_path"))
        content = text_argument(arguments, "content")
        require_writable_text(content, "content")
        if not exists(context, place):
            return await create_file(context, self.spec.name, place, content)
        return await change_file(
            context,
            self.spec.name,
            place,
            lambda _text: Rewritten(content, 1, f"Wrote {place.shown}."),
            may_rebase=False,
        )
