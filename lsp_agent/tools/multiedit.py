"""`multiedit`: several replacements in one file, one after the other, as one change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lsp_agent.domain.errors import ToolError
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.tools.arguments import object_schema, one_line, require_writable_text, text_argument
from lsp_agent.tools.changing import Rewritten, change_file, create_file
from lsp_agent.tools.edit import EDIT_PROPERTIES, FILE_PATH
from lsp_agent.tools.matching import replace_text
from lsp_agent.tools.reading import exists


@dataclass(frozen=True, slots=True)
class _Step:
    old: str
    new: str
    replace_all: bool


class MultiEdit:
    """Edits that fail are skipped and reported; the others are applied together, in one undo step of the editor."""

    kind = "edit"
    parallel = False
    read_only = False
    spec = ToolSpec(
        name="multiedit",
        description=(
            "Make several replacements in one file at once. View the file first. The edits are made in order, each on "
            "the result of those before it; one that does not fit is skipped and reported, the others are kept. The "
            "rules for each are those of edit. Only the first may have an empty `old_string`: it creates the file."
        ),
        input_schema=object_schema(
            {
                "file_path": FILE_PATH,
                "edits": {
                    "type": "array",
                    "minItems": 1,
                    "items": object_schema(EDIT_PROPERTIES, ["old_string", "new_string"]),
                },
            },
            ["file_path", "edits"],
        ),
    )

    def title(self, arguments: Mapping[str, Any]) -> str:
        edits = arguments.get("edits")
        count = f" ({len(edits)} edits)" if isinstance(edits, list) else ""
        return f"Edit {one_line(text_argument(arguments, 'file_path', '…'))}{count}"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        place = context.workspace.place(text_argument(arguments, "file_path"))
        steps = _steps(arguments.get("edits"))
        if not steps[0].old:
            if exists(context, place):
                raise ToolError(f"{place.shown} exists already: the first edit must have an old_string.")
            return await self._create(context, arguments, steps)
        if not exists(context, place):
            raise ToolError(f"{place.shown} does not exist. To create it, leave the first old_string empty.")
        return await change_file(
            context, self.spec.name, place, lambda text: _rewrite(text, steps, f"Edited {place.shown}", 0)
        )

    async def _create(self, context: ToolContext, arguments: Mapping[str, Any], steps: Sequence[_Step]) -> ToolResult:
        place = context.workspace.place(text_argument(arguments, "file_path"))
        made = _rewrite(steps[0].new, steps[1:], f"Created {place.shown}", 1)
        result = await create_file(context, self.spec.name, place, made.text)
        if result.is_error:
            return result
        return ToolResult(
            content=made.summary,
            metadata={**result.metadata, **made.metadata},
            locations=result.locations,
            changes=result.changes,
        )


def _steps(edits: Any) -> list[_Step]:
    steps = [
        _Step(text_argument(edit, "old_string"), text_argument(edit, "new_string"), edit.get("replace_all") is True)
        for edit in (edits if isinstance(edits, list) else [])
        if isinstance(edit, Mapping)
    ]
    if not steps:
        raise ToolError("Give at least one edit.")
    for number, step in enumerate(steps, start=1):
        require_writable_text(step.new, f"new_string of edit {number}")
        if number > 1 and not step.old:
            raise ToolError(f"Edit {number} has an empty old_string; only the first edit may create the file.")
    return steps


def _rewrite(text: str, steps: Sequence[_Step], what: str, created: int) -> Rewritten:
    """Apply `steps` to `text`. `created` is 1 when a step before them already made the file.

    Raises: ToolError when all of them failed.
    """
    failed: list[dict[str, Any]] = []
    notes: list[str] = []
    places = 0
    for number, step in enumerate(steps, start=1 + created):
        try:
            done = replace_text(text, step.old, step.new, replace_all=step.replace_all)
        except ToolError as error:
            failed.append({"index": number, "error": str(error)})
            continue
        text, places = done.text, places + done.places
        if done.note:
            notes.append(f"Edit {number}: {done.note}")
    total = len(steps) + created
    applied = total - len(failed)
    reports = [f"Edit {failure['index']} failed: {failure['error']}" for failure in failed]
    if not applied:
        raise ToolError("None of the edits could be made.\n" + "\n".join(reports))
    summary = "\n".join([f"{what}: applied {applied} of {total} edits.", *reports, *notes])
    return Rewritten(text, places, summary, {"edits_applied": applied, "edits_failed": failed})
