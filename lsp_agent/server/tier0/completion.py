"""Mentions as LSP completion items, for the prompt document of an editor with no plugin."""

from collections.abc import Mapping
from typing import Any

from lsp_agent.context.mentions import Mentions, Surroundings
from lsp_agent.domain.errors import RequestRejected
from lsp_agent.domain.text import Range
from lsp_agent.server.positions import from_wire_position, to_wire_range
from lsp_agent.workspace.lines import LineIndex

TRIGGERS = ("@", "/", "#")
"""For `completionProvider.triggerCharacters`."""
_FILE, _REFERENCE, _FUNCTION, _TEXT = 17, 18, 3, 1
"""LSP's CompletionItemKind."""


async def completion_list(
    mentions: Mentions, text: str, position: object, around: Surroundings, encoding: str
) -> dict[str, Any] | None:
    """A `CompletionList`; None when nothing can be mentioned there. Raises: RequestRejected for no position."""
    index = LineIndex(text)
    try:
        offset = index.offset(from_wire_position(index, position, encoding))
    except ValueError as error:
        raise RequestRejected("InvalidParams", f"position: {error}", path="position") from error
    found = await mentions.complete(text, offset, around)
    if not found.items:
        return None
    span = to_wire_range(index, Range(index.position(found.start), index.position(found.end)), encoding)
    items = [_item(item, span, number) for number, item in enumerate(found.items)]
    return {"isIncomplete": True, "items": items}


def _item(item: Mapping[str, Any], span: Mapping[str, Any], number: int) -> dict[str, Any]:
    text = str(item["insertText"])
    made = {
        "label": item["label"],
        "kind": _kind(item),
        # editors filter by what stands in the text, which begins with the mark
        "filterText": text.strip(),
        "sortText": f"{number:03}",
        "textEdit": {"range": span, "newText": text},
    }
    return {**made, "detail": item["detail"]} if item.get("detail") else made


def _kind(item: Mapping[str, Any]) -> int:
    attachment = item.get("attachment")
    if not isinstance(attachment, Mapping):
        return _FUNCTION
    return {"buffer": _FILE, "image": _FILE, "symbol": _REFERENCE}.get(str(attachment["type"]), _TEXT)
