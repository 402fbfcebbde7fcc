"""A request in the Chat Completions dialect, for every compatible server, as plain dicts. Pure.

Source: the Chat Completions reference; OpenRouter's "Reasoning tokens", "Prompt caching" and "Usage accounting";
Gemini's "OpenAI compatibility" (thought signatures); CORE 17.
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
from lsp_agent.providers.specials import PLAIN, special_for

EXACTO_MODELS = frozenset(
    {
        "moonshotai/kimi-k2-0905",
        "deepseek/deepseek-v3.1-terminus",
        "z-ai/glm-4.6",
        "openai/gpt-oss-120b",
        "qwen/qwen3-coder",
    }
)
"""Models that OpenRouter routes to providers with reliable tool calls when the id ends in `:exacto` (CORE 17.1)."""
_GATEWAYS = frozenset({"openrouter", "vercel"})
_OPENAIS_OWN = frozenset({"openai", "azure"})
_OURS = frozenset({"model", "messages", "tools", "stream", "extra_body"})
_MARK = {"type": "ephemeral"}

Object = dict[str, Any]


def encode(
    request: Request,
    service_type: str,
    *,
    extra_body: Mapping[str, Any] | None = None,
    replay_reasoning: bool = False,
    base_url: str = "",
) -> tuple[Object, list[str]]:
    """The body, and what had to be left out of it.

    `service_type`: a type of the configuration. `base_url`: where it goes, for what single services want.
    """
    warnings: list[str] = []
    model_id = request.model.model_id
    if service_type == "openrouter" and model_id in EXACTO_MODELS:
        model_id += ":exacto"
    messages = encode_messages(request, service_type, replay_reasoning, warnings)
    if service_type in _GATEWAYS and model_id.startswith("anthropic/") and request.cache_last_messages > 0:
        _mark(messages, request.cache_last_messages)
    body: Object = {
        "model": model_id,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": dict(tool.input_schema),
                },
            }
            for tool in request.tools
        ]
    limit = request.sampling.max_output_tokens or request.model.max_output_tokens
    if limit:
        body["max_completion_tokens" if service_type in _OPENAIS_OWN else "max_tokens"] = limit
    _set_reasoning(body, request, service_type, base_url)
    _set_sampling(body, request, service_type, warnings)
    options = request.provider_options
    plain = {key: value for key, value in options.items() if key not in _OURS}
    body = merged(body, plain)
    inner = options.get("extra_body")
    body = merged(body, inner) if isinstance(inner, Mapping) else body
    return merged(body, extra_body or {}), warnings


def encode_messages(request: Request, service_type: str, replay_reasoning: bool, warnings: list[str]) -> list[Object]:
    """One system message, then the history; a tool result is a message of its own."""
    messages: list[Object] = []
    if request.system:
        messages.append({"role": "system", "content": "\n\n".join(request.system)})
    for message in request.messages:
        if message.role is Role.ASSISTANT:
            # what one service signed or encrypted is refused, or not understood, by another
            own = message.provider is None or message.provider == request.model.provider_id
            encoded = _assistant_message(message, service_type, replay_reasoning, own=own)
            if encoded is not None:
                messages.append(encoded)
        else:
            messages.extend(_user_messages(message, warnings))
    return messages


def _user_messages(message: Message, warnings: list[str]) -> list[Object]:
    results: list[Object] = []
    content: list[Object] = []
    for part in message.parts:
        if isinstance(part, TextPart) and part.text:
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, ToolResultPart):
            if part.data:
                warnings.append("Media of a tool result was not sent: this dialect takes text there only.")
            results.append({"role": "tool", "tool_call_id": wire_call_id(part.tool_call_id), "content": part.content})
        elif isinstance(part, AttachmentPart) and part.data is not None:
            url = image_url(part)
            if url:
                content.append({"type": "image_url", "image_url": {"url": url}})
            else:
                warnings.append(f"An attachment of type {part.mime_type} was not sent: the model cannot take it.")
    if not content:
        return results
    if all(item["type"] == "text" for item in content):
        # plain strings are understood by every server, lists of parts are not
        return [*results, {"role": "user", "content": "\n\n".join([item["text"] for item in content])}]
    return [*results, {"role": "user", "content": content}]


def _assistant_message(message: Message, service_type: str, replay_reasoning: bool, *, own: bool) -> Object | None:
    calls = _tool_calls(message, _signatures(message) if own else {})
    text = message.text
    if not text and not calls:
        return None
    encoded: Object = {"role": "assistant", "content": text or None}
    if calls:
        encoded["tool_calls"] = calls
    if service_type in _GATEWAYS and own:
        details = [
            item
            for part in message.parts
            if isinstance(part, ReasoningPart)
            for item in part.provider_data.get("openrouter") or ()
        ]
        if details:
            encoded["reasoning_details"] = details
    elif replay_reasoning and message.reasoning:
        encoded["reasoning_content"] = message.reasoning
    return encoded


def _signatures(message: Message) -> dict[str, Object]:
    """Gemini's `extra_content` by call id."""
    signed: dict[str, Object] = {}
    for part in message.parts:
        google = part.provider_data.get("google") if isinstance(part, ReasoningPart) else None
        if not isinstance(google, dict) or not google.get("tool_call_id"):
            continue
        if google.get("extra_content"):
            signed[str(google["tool_call_id"])] = google["extra_content"]
        elif google.get("thought_signature"):
            # kept by Gemini's own dialect
            signed[str(google["tool_call_id"])] = {"google": {"thought_signature": google["thought_signature"]}}
    return signed


def _tool_calls(message: Message, signed: Mapping[str, Object]) -> list[Object]:
    calls: list[Object] = []
    for part in message.parts:
        if not isinstance(part, ToolCallPart):
            continue
        call: Object = {
            "id": wire_call_id(part.tool_call_id),
            "type": "function",
            "function": {
                "name": wire_tool_name(part.name),
                "arguments": part.input if input_object(part.input) else "{}",
            },
        }
        if part.tool_call_id in signed:
            call["extra_content"] = signed[part.tool_call_id]
        calls.append(call)
    return calls


def _set_reasoning(body: Object, request: Request, service_type: str, base_url: str) -> None:
    """Defaults of CORE 17.3; what the options say wins because they are merged afterwards."""
    model, effort = request.model, request.thinking if request.thinking not in {"", "on"} else ""
    if service_type == "openrouter":
        body["usage"] = {"include": True}
    if service_type in _GATEWAYS:
        if model.can_reason and request.thinking:
            body["reasoning"] = {"enabled": True, "effort": effort} if effort else {"enabled": True}
        return
    special = special_for(model.provider_id, base_url, model.model_id) or PLAIN
    body.update(special.body(can_reason=model.can_reason, thinking=request.thinking))


def _set_sampling(body: Object, request: Request, service_type: str, warnings: list[str]) -> None:
    sampling = request.sampling
    for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty", "top_k"):
        value = getattr(sampling, name)
        if value is None:
            continue
        if service_type in _OPENAIS_OWN and (request.model.can_reason or name == "top_k"):
            warnings.append(f"{name} was not sent: the model does not take it.")
        else:
            body[name] = value


def _mark(messages: Sequence[Object], last_messages: int) -> None:
    """Cache marks for Claude behind a gateway: the system message and the last ones, as content parts."""
    marked = [message for message in messages[:1] if message["role"] == "system"]
    candidates = [message for message in messages if message["role"] in {"user", "tool"} and message["content"]]
    for message in [*marked, *candidates[-min(last_messages, 2) :]]:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
        parts[-1] = {**parts[-1], "cache_control": _MARK}
        message["content"] = parts
