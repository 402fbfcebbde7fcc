"""A request in Gemini's `generateContent` dialect, for the Gemini API and for Vertex, as plain dicts. Pure.

Source: the Gemini API reference: "Generating content", "Thought signatures", "Function calling", "Thinking"; CORE 17.
"""

import re
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
from lsp_agent.providers.content import image_base64, input_object, is_own_call_id, merged, wire_tool_name
from lsp_agent.providers.google_schema import parameters_schema

THINKING_BUDGET_TOKENS = 2000
UNSIGNED = "skip_thought_signature_validator"
"""The documented stand-in for a call that another model made: without any signature Gemini 3 refuses the history."""
_IMAGES = frozenset({"image/png", "image/jpeg", "image/webp"})
_TWO = re.compile(r"(^|/)gemini-[12]\b")
"""Models of the second generation and before: a thinking budget instead of a level, signatures not asked for."""
_OURS = frozenset({"model", "contents", "systemInstruction", "tools", "stream"})
_ALIASES: Mapping[str, str] = {"safety_settings": "safetySettings", "cached_content": "cachedContent"}
_THINKING_NAMES: Mapping[str, str] = {
    "thinking_budget": "thinkingBudget",
    "thinking_level": "thinkingLevel",
    "include_thoughts": "includeThoughts",
}

Object = dict[str, Any]


def encode(request: Request, *, extra_body: Mapping[str, Any] | None = None) -> tuple[Object, list[str]]:
    """The body, and what had to be left out of it. The model's name is part of the address, not of the body."""
    warnings: list[str] = []
    model = request.model
    body: Object = {"contents": encode_contents(request.messages, model.provider_id, model.model_id, warnings)}
    if request.system:
        body["systemInstruction"] = {"parts": [{"text": text} for text in request.system]}
    if request.tools:
        declarations = [
            {
                "name": tool.name,
                "description": tool.description,
                "parametersJsonSchema": parameters_schema(tool.input_schema),
            }
            for tool in request.tools
        ]
        body["tools"] = [{"functionDeclarations": declarations}]
    generation = _generation_config(request)
    if generation:
        body["generationConfig"] = generation
    options = request.provider_options
    plain = {
        _ALIASES.get(key, key): value
        for key, value in options.items()
        if key not in _OURS and key not in {"thinking_config", "reasoning_effort"}
    }
    return merged(merged(body, plain), extra_body or {}), warnings


def encode_contents(history: Sequence[Message], provider_id: str, model_id: str, warnings: list[str]) -> list[Object]:
    """User and model contents: the results of a step together, in the order of its calls, right behind it."""
    contents: list[Object] = []
    for message in history:
        if message.role is Role.ASSISTANT:
            _append(contents, "model", _model_parts(message, provider_id, model_id))
            continue
        results = [part for part in message.parts if isinstance(part, ToolResultPart)]
        _append(contents, "user", [_result(part, contents, warnings) for part in results])
        _append(contents, "user", _user_parts(message, warnings))
    _order_results(contents)
    if contents and contents[0]["role"] == "model":
        contents.insert(0, {"role": "user", "parts": [{"text": "(The conversation goes on.)"}]})
    return contents


def _append(contents: list[Object], role: str, parts: list[Object]) -> None:
    """Neighbours of one role become one content; results stay apart from what the user says."""
    if not parts:
        return
    last = contents[-1] if contents else None
    if last is not None and last["role"] == role and _answers(last["parts"]) == _answers(parts):
        last["parts"].extend(parts)
    else:
        contents.append({"role": role, "parts": parts})


def _answers(parts: Sequence[Object]) -> bool:
    return "functionResponse" in parts[0]


def _user_parts(message: Message, warnings: list[str]) -> list[Object]:
    parts: list[Object] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            if part.text.strip():
                parts.append({"text": part.text})
        elif isinstance(part, AttachmentPart) and part.data is not None:
            image = image_base64(part)
            if image and image[0] in _IMAGES:
                parts.append({"inlineData": {"mimeType": image[0], "data": image[1]}})
            else:
                warnings.append(f"An attachment of type {part.mime_type} was not sent: the model cannot take it.")
    return parts


def _result(part: ToolResultPart, contents: Sequence[Object], warnings: list[str]) -> Object:
    """Carries the id of its call under a key of ours until `_order_results` has put it in its place."""
    if part.data:
        warnings.append("Media of a tool result was not sent: this dialect takes text there only.")
    response = {"error": part.content or "The tool failed."} if part.is_error else {"output": part.content}
    return {"functionResponse": {"name": wire_tool_name(part.name), "response": response}, "_call": part.tool_call_id}


def _model_parts(message: Message, provider_id: str, model_id: str) -> list[Object]:
    foreign = message.provider is not None and message.provider != provider_id
    signatures = {} if foreign else _call_signatures(message)
    parts: list[Object] = []
    called = False
    for part in message.parts:
        if isinstance(part, TextPart):
            if part.text.strip():
                parts.append({"text": part.text})
        elif isinstance(part, ReasoningPart) and not foreign:
            parts.extend(_signed_part(part))
        elif isinstance(part, ToolCallPart):
            call: Object = {"name": wire_tool_name(part.name), "args": input_object(part.input)}
            if not foreign and not is_own_call_id(part.tool_call_id):
                call["id"] = part.tool_call_id
            encoded: Object = {"functionCall": call, "_call": part.tool_call_id}
            signature = signatures.get(part.tool_call_id)
            if signature is None and not called and not _TWO.search(model_id):
                signature = UNSIGNED
            if signature is not None:
                encoded["thoughtSignature"] = signature
            called = True
            parts.append(encoded)
    return parts


def _call_signatures(message: Message) -> dict[str, str]:
    """Signature by call id, as this dialect or Gemini's OpenAI-compatible one kept it."""
    found: dict[str, str] = {}
    for part in message.parts:
        kept = part.provider_data.get("google") if isinstance(part, ReasoningPart) else None
        if not isinstance(kept, Mapping) or not kept.get("tool_call_id"):
            continue
        extra = kept.get("extra_content")
        inner = extra.get("google") if isinstance(extra, Mapping) else None
        signature = kept.get("thought_signature") or (
            inner.get("thought_signature") if isinstance(inner, Mapping) else None
        )
        if isinstance(signature, str):
            found[str(kept["tool_call_id"])] = signature
    return found


def _signed_part(part: ReasoningPart) -> list[Object]:
    """A signature that came with a text or a thought goes back as a part of its own, where it was."""
    kept = part.provider_data.get("google")
    if not isinstance(kept, Mapping) or kept.get("tool_call_id") or not kept.get("thought_signature"):
        return []
    if kept.get("thought"):
        return [{"text": part.text, "thought": True, "thoughtSignature": kept["thought_signature"]}]
    return [{"text": "", "thoughtSignature": kept["thought_signature"]}]


def _order_results(contents: Sequence[Object]) -> None:
    """Results in the order of the calls before them, with the call's id where the service gave one."""
    calls: dict[str, Object] = {}
    for content in contents:
        parts = content["parts"]
        if content["role"] == "model":
            calls = {part.pop("_call"): part["functionCall"] for part in parts if "functionCall" in part}
        elif _answers(parts):
            places = {call_id: place for place, call_id in enumerate(calls)}
            parts.sort(key=lambda part, places=places: places.get(part["_call"], len(places)))
            for part in parts:
                call = calls.get(part.pop("_call"), {})
                part["functionResponse"]["name"] = call.get("name", part["functionResponse"]["name"])
                if "id" in call:
                    part["functionResponse"] = {"id": call["id"], **part["functionResponse"]}


def _generation_config(request: Request) -> Object:
    sampling = request.sampling
    config: Object = {
        "maxOutputTokens": sampling.max_output_tokens or request.model.max_output_tokens or None,
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "topK": sampling.top_k,
        "frequencyPenalty": sampling.frequency_penalty,
        "presencePenalty": sampling.presence_penalty,
    }
    config = {name: value for name, value in config.items() if value is not None}
    thinking = _thinking(request)
    if thinking:
        config["thinkingConfig"] = thinking
        budget, limit = thinking.get("thinkingBudget"), config.get("maxOutputTokens")
        if isinstance(budget, int) and limit is not None and limit <= budget:
            # thoughts count as output
            config["maxOutputTokens"] = limit + budget
    return config


def _thinking(request: Request) -> Object:
    """Budget or level by the model's generation; what the options say wins (CORE 17.3)."""
    chosen = request.provider_options.get("thinking_config")
    if isinstance(chosen, Mapping):
        return {_THINKING_NAMES.get(str(name), str(name)): value for name, value in chosen.items()}
    effort = str(request.provider_options.get("reasoning_effort") or request.thinking)
    if not effort:
        return {}
    if _TWO.search(request.model.model_id):
        return {"thinkingBudget": THINKING_BUDGET_TOKENS, "includeThoughts": True}
    return {"includeThoughts": True} if effort == "on" else {"thinkingLevel": effort, "includeThoughts": True}
