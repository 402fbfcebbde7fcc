"""`edit`: replace a piece of text in one file, delete it, or create a file."""

from collections.abc import Mapping
from typing import Any

from lsp_agent.domain.errors import ToolError
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.tools.arguments import object_schema, one_line, require_writable_text, text_argument
from lsp_agent.tools.changing import Rewritten, change_file, create_file
from lsp_agent.tools.matching import replace_text
from lsp_agent.tools.reading import exists

FILE_PATH = {"type": "string", "description": "Absolute, or relative to the first workspace root."}
EDIT_PROPERTIES = {
    "old_string": {
        "type": "string",
        "description": "The exact text to replace, unique in the file, without line numbers.",
    },
    "new_string": {"type": "string", "description": "What to put in its place; empty deletes it."},
    "replace_all": {"type": "boolean", "description": "Replace every occurrence instead of requiring exactly one."},
}


class Edit:
    """One replacement. An open document is changed in the editor, where the user can undo it."""

    kind = "edit"
    parallel = False
    read_only = False
    spec = ToolSpec(
        name="edit",
        description=(
            "Replace text in one file. View the file first. `old_string` must be exactly what the file has, with its "
            "indentation, and must occur once: add the lines around it until it does, or set `replace_all`. An empty "
            "`new_string` deletes the text. An empty `old_string` creates a new file holding `new_string`. A file open "
            "in the editor is changed there. For several changes in one file use multiedit."
        ),
        input_schema=object_schema(
            {"file_path": FILE_PATH, **EDIT_PROPERTIES}, ["file_path", "old_string", "new_string"]
        ),
    )

    def title(self, arguments: Mapping[str, Any]) -> str:
        return f"Edit {one_line(text_argument(arguments, 'file_path', '…'))}"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        place = context.workspace.place(text_argument(arguments, "file_path"))
        old, new = text_argument(arguments, "old_string"), text_argument(arguments, "new_string")
        replace_all = arguments.get("replace_all") is True
        require_writable_text(new, "new_string")
        if not old:
            if exists(context, place):
                raise ToolError(
                    f"{place.shown} exists already. Give the text to replace, or use write to replace it all."
                )
            return await create_file(context, self.spec.name, place, new)
        if not exists(context, place):
            raise ToolError(f"{place.shown} does not exist. Leave old_string empty to create it.")

        def rewrite(text: str) -> Rewritten:
            done = replace_text(text, old, new, replace_all=replace_all)
            places = f"{done.places} places" if done.places > 1 else "one place"
            summary = f"Edited {place.shown} in {places}."
            return Rewritten(done.text, done.places, f"{summary} {done.note}".rstrip())

        return await change_file(context, self.spec.name, place, rewrite)
