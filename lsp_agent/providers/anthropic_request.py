"""A request in Anthropic's Messages dialect, as plain dicts. Pure.

Source: the Messages API reference, "Extended thinking", "Preserved thinking", "Prompt caching"; CORE 12 and 17.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lsp_agent.domain.message import (
    AttachmentPart,
    Message,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from lsp_agent.ports.provider import Request
from lsp_agent.providers.content import image_base64, input_object, merged, wire_call_id, wire_tool_name
from lsp_agent.providers.specials import Special

DEFAULT_MAX_TOKENS = 16_384
"""`max_tokens` is required by the API; this stands in for a model whose limit nobody told us."""
THINKING_BUDGET_TOKENS = 2000
INTERLEAVED_BETA = "interleaved-thinking-2025-05-14"
MAX_MESSAGE_MARKS = 2
"""The API takes four cache marks; one goes to the tools and one to the system prompt."""

_MARK = {"type": "ephemeral"}
_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
_OURS = frozenset({"model", "messages", "system", "tools", "stream", "effort", "anthropic_beta"})
_THINKING_TYPES = frozenset({"thinking", "redacted_thinking"})

Block = dict[str, Any]


class EncodedRequest:
    """The body, the beta flags it needs, and what had to be left out of it."""

    __slots__ = ("betas", "body", "warnings")

    def __init__(self, body: Block, betas: list[str], warnings: list[str]) -> None:
        self.body = body
        self.betas = betas
        self.warnings = warnings


def encode(
    request: Request, *, cache: bool = True, extra_body: Mapping[str, Any] | None = None, special: Special | None = None
) -> EncodedRequest:
    """The whole body. `cache` False (or `cache_last_messages` 0) leaves every prompt-cache mark out.

    `special`: what another company wants in place of Anthropic's own thinking fields.
    """
    warnings: list[str] = []
    options = request.provider_options
    messages = encode_messages(request.messages, warnings)
    body: Block = {
        "model": request.model.model_id,
        "max_tokens": request.sampling.max_output_tokens or request.model.max_output_tokens or DEFAULT_MAX_TOKENS,
        "messages": messages,
        "stream": True,
    }
    if request.system:
        body["system"] = [{"type": "text", "text": text} for text in request.system]
    if request.tools:
        body["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": dict(tool.input_schema)}
            for tool in request.tools
        ]
    if special is None:
        _set_thinking(body, request)
    else:
        body.update(special.body(can_reason=request.model.can_reason, thinking=request.thinking))
    _set_sampling(body, request, warnings)
    if cache and request.cache_last_messages > 0:
        _mark(body, min(request.cache_last_messages, MAX_MESSAGE_MARKS))
    plain = {key: value for key, value in options.items() if key not in _OURS and key not in body}
    body = merged(merged(body, plain), extra_body or {})
    return EncodedRequest(body, _betas(body, options) if special is None else [], warnings)


def encode_messages(history: Sequence[Message], warnings: list[str]) -> list[Block]:
    """Alternating user and assistant messages: neighbours of one role merged, results first, nothing empty."""
    messages: list[Block] = []
    for message in history:
        role = "assistant" if message.role is Role.ASSISTANT else "user"
        blocks = _assistant_blocks(message) if role == "assistant" else _user_blocks(message, warnings)
        if not blocks:
            continue
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"].extend(blocks)
        else:
            messages.append({"role": role, "content": blocks})
    for message_dict in messages:
        if message_dict["role"] == "user":
            # stable: results keep their order, and so does the rest
            message_dict["content"].sort(key=lambda block: block["type"] != "tool_result")
    if messages and messages[0]["role"] == "assistant":
        messages.insert(0, {"role": "user", "content": [{"type": "text", "text": "(The conversation goes on.)"}]})
    return messages


def _user_blocks(message: Message, warnings: list[str]) -> list[Block]:
    blocks: list[Block] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            if part.text.strip():
                blocks.append({"type": "text", "text": part.text})
        elif isinstance(part, ToolResultPart):
            blocks.append(_tool_result(part, warnings))
        elif isinstance(part, AttachmentPart) and part.data is not None:
            image = _image(part)
            if image:
                blocks.append(image)
            else:
                warnings.append(f"An attachment of type {part.mime_type} was not sent: the model cannot take it.")
    return blocks


def _assistant_blocks(message: Message) -> list[Block]:
    blocks: list[Block] = []
    for part in message.parts:
        if isinstance(part, ReasoningPart):
            # exactly as received, or not at all: an edited or unsigned block is refused
            blocks.extend(part.provider_data.get("anthropic") or ())
        elif isinstance(part, TextPart):
            if part.text.strip():
                blocks.append({"type": "text", "text": part.text})
        elif isinstance(part, ToolCallPart):
            blocks.append(
                {
                    "type": "tool_use",
                    "id": wire_call_id(part.tool_call_id, restricted=True),
                    "name": wire_tool_name(part.name),
                    "input": input_object(part.input),
                }
            )
    if all(block.get("type") in _THINKING_TYPES for block in blocks):
        # thinking alone is no message (a turn cancelled before anything was said)
        return []
    return blocks


def _tool_result(part: ToolResultPart, warnings: list[str]) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": wire_call_id(part.tool_call_id, restricted=True)}
    image = _image(part)
    if image:
        text: list[Block] = [{"type": "text", "text": part.content}] if part.content.strip() else []
        block["content"] = [*text, image]
    else:
        if part.data:
            warnings.append(f"A tool result of type {part.mime_type} was not sent: the model cannot take it.")
        block["content"] = part.content
    if part.is_error:
        block["is_error"] = True
        # an error without a text is refused
        block["content"] = block["content"] or "The tool failed."
    return block


def _image(part: AttachmentPart | ToolResultPart) -> Block | None:
    image = image_base64(part)
    if image is None:
        return None
    return {"type": "image", "source": {"type": "base64", "media_type": image[0], "data": image[1]}}


def _set_thinking(body: Block, request: Request) -> None:
    """Effort where the model has levels, else a budget; what the options say wins (CORE 17.3)."""
    options = request.provider_options
    effort = options.get("effort") or request.thinking
    if effort in _EFFORTS:
        body["output_config"] = {"effort": effort}
    if "thinking" in options:
        body["thinking"] = options["thinking"]
    elif effort in _EFFORTS:
        body["thinking"] = {"type": "adaptive"}
    elif effort:
        body["thinking"] = {"type": "enabled", "budget_tokens": THINKING_BUDGET_TOKENS}
    thinking = body.get("thinking")
    if not isinstance(thinking, Mapping) or thinking.get("type") != "enabled":
        return
    if _answers_without_thinking(body["messages"]):
        # manual thinking cannot begin in the middle of a tool loop: the API wants the loop's first block to be thinking
        del body["thinking"]
        return
    budget = thinking.get("budget_tokens")
    if isinstance(budget, int) and body["max_tokens"] <= budget:
        body["max_tokens"] = budget + DEFAULT_MAX_TOKENS


def _answers_without_thinking(messages: Sequence[Block]) -> bool:
    """Does the request end in results of calls that an assistant made without thinking first?"""
    if len(messages) < 2 or not any(block["type"] == "tool_result" for block in messages[-1]["content"]):
        return False
    return messages[-2]["content"][0].get("type") not in _THINKING_TYPES


def _set_sampling(body: Block, request: Request, warnings: list[str]) -> None:
    sampling = request.sampling
    thinking = body.get("thinking")
    thinks = isinstance(thinking, Mapping) and thinking.get("type") in {"enabled", "adaptive"}
    for name in ("temperature", "top_p", "top_k"):
        value = getattr(sampling, name)
        if value is None:
            continue
        if thinks:
            warnings.append(f"{name} was not sent: the model does not take it while it thinks.")
        else:
            body[name] = value
    unknown = [name for name in ("frequency_penalty", "presence_penalty") if getattr(sampling, name) is not None]
    warnings.extend([f"{name} was not sent: Anthropic's API does not know it." for name in unknown])


def _mark(body: Block, last_messages: int) -> None:
    """Prompt-cache marks on the last tool, the last system block and the last messages. Marks go on copies."""
    for key in ("tools", "system"):
        if body.get(key):
            body[key][-1] = {**body[key][-1], "cache_control": _MARK}
    for message in body["messages"][-last_messages:]:
        content = message["content"]
        for index in range(len(content) - 1, -1, -1):
            if content[index].get("type") not in _THINKING_TYPES:
                content[index] = {**content[index], "cache_control": _MARK}
                break


def _betas(body: Block, options: Mapping[str, Any]) -> list[str]:
    betas = [str(flag) for flag in options.get("anthropic_beta") or ()]
    thinking = body.get("thinking")
    if isinstance(thinking, Mapping) and thinking.get("type") != "disabled":
        betas.append(INTERLEAVED_BETA)
    return list(dict.fromkeys(betas))
