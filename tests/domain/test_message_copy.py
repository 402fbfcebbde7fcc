"""A copy of a message equals it and shares nothing that can change, whatever its parts are."""

import pytest

from lsp_agent.domain.message import (
    AttachmentPart,
    FinishPart,
    FinishReason,
    Message,
    Part,
    ReasoningPart,
    Role,
    ShellPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

PARTS: list[Part] = [
    TextPart("hello"),
    ReasoningPart("hm", {}, 1, 2),
    ReasoningPart("hm", {"anthropic": [{"type": "thinking", "signature": "s"}]}, 1, 2),
    AttachmentPart("text/plain", "text", None, "file:///a", "a", "a", 1, 2, 3, "buffer"),
    ToolCallPart("c1", "view", '{"file_path": "a"}', True, True),
    ToolResultPart("c1", "view", "text", True, b"x", "image/png", {"lines": [1, 2]}),
    ShellPart("ls", "a\n", 1),
    FinishPart(FinishReason.ERROR, "title", "details", 7),
]


def message(*parts: Part) -> Message:
    return Message("m", "s", Role.ASSISTANT, list(parts), "model", "provider", True, 1, 2, "run")


@pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)
def test_a_copy_equals_its_message_and_has_parts_of_its_own(part: Part):
    original = message(part)
    copied = original.copy()
    assert copied == original
    assert copied.parts is not original.parts
    assert copied.parts[0] is not part


def test_values_inside_a_part_are_not_shared():
    original = message(*PARTS)
    copied = original.copy()
    result, thought = copied.parts[5], copied.parts[2]
    assert isinstance(result, ToolResultPart)
    assert isinstance(thought, ReasoningPart)
    result.metadata["lines"].append(3)
    thought.provider_data["anthropic"][0]["signature"] = "other"
    assert original == message(*PARTS)
    assert PARTS[5] == ToolResultPart("c1", "view", "text", True, b"x", "image/png", {"lines": [1, 2]})
