"""Answers that are JSON but not what the service documents: ignored, or a ProviderError, in every dialect."""

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.anthropic_stream import AnthropicStream
from lsp_agent.providers.chat_stream import ChatStream
from lsp_agent.providers.google_stream import GoogleStream
from lsp_agent.providers.responses_stream import ResponsesStream
from lsp_agent.providers.streaming import decode_events

STREAMS: dict[str, Any] = {
    "anthropic": AnthropicStream,
    "responses": ResponsesStream,
    "chat": ChatStream,
    "google": GoogleStream,
}
SAMPLES: dict[str, list[dict[str, Any]]] = {
    "anthropic": [
        {"type": "message_start", "message": {"usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "n"}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "thinking", "thinking": "a"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "thinking_delta", "thinking": "a"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "signature_delta", "signature": "a"}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    ],
    "responses": [
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "call_id": "c"}},
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{}"},
        {"type": "response.output_text.delta", "output_index": 1, "delta": "a"},
        {"type": "response.reasoning_summary_text.delta", "output_index": 1, "delta": "a"},
        {"type": "response.output_item.done", "output_index": 0, "item": {"type": "function_call", "arguments": "{}"}},
        {"type": "response.completed", "response": {"status": "completed", "usage": {"input_tokens_details": {}}}},
    ],
    "chat": [
        {"choices": [{"delta": {"content": "a", "reasoning": "b"}, "finish_reason": None}]},
        {
            "choices": [
                {"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "n", "arguments": "{}"}}]}}
            ]
        },
        {"choices": [{"delta": {"reasoning_details": [{"type": "t", "index": 0, "text": "a"}], "refusal": "a"}}]},
        {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens_details": {}}},
    ],
    "google": [
        {"candidates": [{"content": {"parts": [{"text": "a", "thought": True, "thoughtSignature": "s"}]}}]},
        {"candidates": [{"content": {"parts": [{"functionCall": {"name": "n", "args": {}, "id": "i"}}]}}]},
        {"candidates": [{"finishReason": "STOP", "finishMessage": "a"}], "usageMetadata": {"promptTokenCount": 1}},
        {"promptFeedback": {"blockReason": "SAFETY"}},
    ],
}
JUNK: list[Any] = [None, True, 5, -1.5, "", "x", [], {}, [None], [[]], {"a": 1}, [{"type": []}]]


def spoiled(value: Any, choose: Any) -> Any:
    """`value` with one thing somewhere inside replaced by junk."""
    if not isinstance(value, dict | list) or not value or choose(5) == 0:
        return JUNK[choose(len(JUNK))]
    if isinstance(value, list):
        at = choose(len(value))
        return [*value[:at], spoiled(value[at], choose), *value[at + 1 :]]
    key = list(value)[choose(len(value))]
    return {**value, key: spoiled(value[key], choose)}


@pytest.mark.parametrize("dialect", list(STREAMS))
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(numbers=st.lists(st.integers(0, 59), min_size=10, max_size=60))
def test_F21_garbage_is_ignored_or_a_provider_error(dialect: str, numbers: list[int]):
    left = iter(numbers)

    def choose(count: int) -> int:
        return next(left, 0) % count

    stream = STREAMS[dialect]("svc")
    values = [spoiled(value, choose) if choose(2) else value for value in SAMPLES[dialect]]
    batch, error = decode_events([("", orjson.dumps(value)) for value in values], stream, "svc")
    assert error is None or isinstance(error, ProviderError)
    for event in batch:
        # what the agent folds is text where text is expected
        for name in ("text", "tool_call_id", "name", "input", "refusal"):
            assert isinstance(getattr(event, name, ""), str), event
