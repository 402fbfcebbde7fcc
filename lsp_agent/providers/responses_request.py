"""A request in OpenAI's Responses dialect, as plain dicts. Pure.

Stateless: `store: false`, and encrypted reasoning items are kept by us and sent back. Source: the Responses API
reference, "Reasoning models", "Conversation state"; CORE 17.3.
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
from lsp_agent.providers.content import image_url, input_object, merged, wire_call_id, wire_tool_name

MIN_OUTPUT_TOKENS = 16
"""Less is refused by the API."""
_OURS = frozenset({"model", "input", "instructions", "tools", "stream", "store"})
_ALIASES = frozenset({"reasoning_effort", "reasoning_summary", "text_verbosity"})
_EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})
_ENCRYPTED = "reasoning.encrypted_content"

Item = dict[str, Any]


def encode(request: Request, *, extra_body: Mapping[str, Any] | None = None) -> tuple[Item, list[str]]:
    """The body, and what had to be left out of it."""
    warnings: list[str] = []
    options = request.provider_options
    body: Item = {
        "model": request.model.model_id,
        "input": encode_items(request.messages, request.model.provider_id, warnings),
        "stream": True,
        "store": False,
    }
    if request.system:
        body["instructions"] = "\n\n".join(request.system)
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.input_schema),
                "strict": False,
            }
            for tool in request.tools
        ]
    limit = request.sampling.max_output_tokens or request.model.max_output_tokens
    if limit:
        body["max_output_tokens"] = max(limit, MIN_OUTPUT_TOKENS)
    if request.session_hash:
        body["prompt_cache_key"] = request.session_hash
    _set_reasoning(body, request)
    _set_sampling(body, request, warnings)
    plain = {key: value for key, value in options.items() if key not in _OURS and key not in _ALIASES}
    return merged(merged(body, plain), extra_body or {}), warnings


def encode_items(history: Sequence[Message], provider_id: str, warnings: list[str]) -> list[Item]:
    """Input items in order; reasoning right before what it led to."""
    items: list[Item] = []
    for message in history:
        if message.role is Role.ASSISTANT:
            items.extend(_assistant_items(message, provider_id))
        else:
            items.extend(_user_items(message, warnings))
    return items


def _user_items(message: Message, warnings: list[str]) -> list[Item]:
    items: list[Item] = []
    content: list[Item] = []
    for part in message.parts:
        if isinstance(part, TextPart) and part.text:
            content.append({"type": "input_text", "text": part.text})
        elif isinstance(part, ToolResultPart):
            items.append(_output_item(part, warnings))
        elif isinstance(part, AttachmentPart) and part.data is not None:
            url = image_url(part)
            if url:
                content.append({"type": "input_image", "image_url": url, "detail": "auto"})
            else:
                warnings.append(f"An attachment of type {part.mime_type} was not sent: the model cannot take it.")
    if content:
        items.append({"type": "message", "role": "user", "content": content})
    return items


def _assistant_items(message: Message, provider_id: str) -> list[Item]:
    items: list[Item] = []
    for part in message.parts:
        if isinstance(part, ReasoningPart):
            item = part.provider_data.get("openai")
            # encrypted for one account; without the encrypted part the service would look for a stored item
            foreign = message.provider is not None and message.provider != provider_id
            if isinstance(item, dict) and item.get("encrypted_content") and not foreign:
                items.append(item)
        elif isinstance(part, TextPart) and part.text:
            items.append(
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": part.text}]}
            )
        elif isinstance(part, ToolCallPart):
            items.append(
                {
                    "type": "function_call",
                    "call_id": wire_call_id(part.tool_call_id),
                    "name": wire_tool_name(part.name),
                    "arguments": part.input if input_object(part.input) else "{}",
                }
            )
    # a reasoning item must be followed by what it led to
    while items and items[-1]["type"] == "reasoning":
        items.pop()
    return items


def _output_item(part: ToolResultPart, warnings: list[str]) -> Item:
    output: str | list[Item] = part.content
    url = image_url(part)
    if url:
        text: list[Item] = [{"type": "input_text", "text": part.content}] if part.content else []
        output = [*text, {"type": "input_image", "image_url": url, "detail": "auto"}]
    elif part.data:
        warnings.append(f"A tool result of type {part.mime_type} was not sent: the model cannot take it.")
    return {"type": "function_call_output", "call_id": wire_call_id(part.tool_call_id), "output": output}


def _set_reasoning(body: Item, request: Request) -> None:
    options = request.provider_options
    reasoning: Item = {}
    effort = options.get("reasoning_effort") or (request.thinking if request.thinking in _EFFORTS else "")
    if effort:
        reasoning["effort"] = effort
    if request.model.can_reason:
        reasoning["summary"] = options.get("reasoning_summary") or "auto"
        body["include"] = [_ENCRYPTED]
    if reasoning:
        body["reasoning"] = reasoning
    if "text_verbosity" in options:
        body["text"] = {"verbosity": options["text_verbosity"]}


def _set_sampling(body: Item, request: Request, warnings: list[str]) -> None:
    sampling = request.sampling
    for name in ("temperature", "top_p"):
        value = getattr(sampling, name)
        if value is None:
            continue
        if request.model.can_reason:
            warnings.append(f"{name} was not sent: reasoning models do not take it.")
        else:
            body[name] = value
    unknown = [
        name for name in ("top_k", "frequency_penalty", "presence_penalty") if getattr(sampling, name) is not None
    ]
    warnings.extend([f"{name} was not sent: the Responses API does not know it." for name in unknown])
