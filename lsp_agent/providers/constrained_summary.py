"""A hand-over without a model: what the user asked, which files were worked on, what was said last. Pure.

Small models invent facts when they summarize. Everything here stands word for word in the conversation.
"""

from collections.abc import Sequence

from lsp_agent.domain.message import Message, Role
from lsp_agent.providers.constrained_view import plain
from lsp_agent.providers.content import input_object

_ASKED, _ANSWERED, _CUT = 12, 2, 400
_CHARS_PER_TOKEN = 3
_SHARE = 4


def mechanical_summary(messages: Sequence[Message], window: int) -> str:
    """The hand-over of a conversation whose last message asks for it; at most a quarter of the window."""
    talk = messages[:-1] if messages else []
    asked = [plain(message.text) for message in talk if message.role is Role.USER]
    answered = [message.text for message in talk if message.role is Role.ASSISTANT and message.text.strip()]
    viewed, changed = _files(talk)
    sections = [("The user's requests, in order", [_cut(text) for text in asked if text][-_ASKED:])]
    sections.append(("Files that were looked at", viewed))
    sections.append(("Files that were changed", changed))
    sections.append(("The last answers", [_cut(text) for text in answered[-_ANSWERED:]]))
    lines = ["This list was made from the conversation, without a model."]
    for title, items in sections:
        if items:
            lines += ["", f"## {title}", *[f"- {item}" for item in items]]
    text = "\n".join(lines)
    limit = window * _CHARS_PER_TOKEN // _SHARE
    return text[:limit] if limit else text


def _files(messages: Sequence[Message]) -> tuple[list[str], list[str]]:
    failed = {part.tool_call_id for message in messages for part in message.tool_results if part.is_error}
    viewed: dict[str, None] = {}
    changed: dict[str, None] = {}
    for message in messages:
        for call in message.tool_calls:
            path = input_object(call.input).get("file_path")
            if isinstance(path, str) and path and call.tool_call_id not in failed:
                (viewed if call.name == "view" else changed)[path] = None
    return list(viewed), list(changed)


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _CUT else text[: _CUT - 1] + "…"
