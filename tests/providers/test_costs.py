"""What a step costs at each service: from its own words on usage to the penny, against figures worked out by hand.

Every case is a stream's usage as the service documents it, a price list in USD per million tokens (input, output, cache
read, cache write), and the expected counts and cost. The arithmetic stands beside each case.
"""

from decimal import Decimal
from typing import Any

import pytest

from lsp_agent.agent.costs import step_usage
from lsp_agent.domain.message import Message, Role, TextPart
from lsp_agent.domain.model import Model
from lsp_agent.domain.stream import StreamEvent, UsageReport
from lsp_agent.domain.usage import Usage
from lsp_agent.providers.anthropic_stream import AnthropicStream
from lsp_agent.providers.catalog import SERVICES
from lsp_agent.providers.chat_stream import ChatStream
from lsp_agent.providers.google_stream import GoogleStream
from lsp_agent.providers.responses_stream import ResponsesStream

Event = dict[str, Any]
SONNET, HAIKU = (3.0, 15.0, 0.3, 3.75), (0.1, 0.5, 0.01, 0.125)
GPT, GEMINI, FREE = (2.0, 10.0, 0.2, 2.5), (2.0, 12.0, 0.2, 0.0), (0.0, 0.0, 0.0, 0.0)


def anthropic(start: Event, end: Event) -> tuple[type[Any], list[Event]]:
    stop = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": end}
    return AnthropicStream, [{"type": "message_start", "message": {"usage": start}}, stop]


def responses(usage: Event) -> tuple[type[Any], list[Event]]:
    return ResponsesStream, [{"type": "response.completed", "response": {"status": "completed", "usage": usage}}]


def chat(usage: Event) -> tuple[type[Any], list[Event]]:
    said = {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}
    return ChatStream, [said, {"choices": [], "usage": usage}]


def google(usage: Event) -> tuple[type[Any], list[Event]]:
    return GoogleStream, [{"candidates": [{"finishReason": "STOP"}], "usageMetadata": usage}]


CASES: dict[str, tuple[tuple[type[Any], list[Event]], tuple[float, ...], Usage, str]] = {
    # 1000 × 3 + 2000 × 15 = 33,000
    "anthropic plain": (
        anthropic({"input_tokens": 1000, "output_tokens": 1}, {"output_tokens": 2000}),
        SONNET,
        Usage(1000, 2000),
        "0.033",
    ),
    # 100 × 3 + 50 × 15 + 20,000 × 0.3 + 4000 × 3.75 = 300 + 750 + 6000 + 15,000
    "anthropic cached": (
        anthropic(
            {"input_tokens": 100, "cache_read_input_tokens": 20_000, "cache_creation_input_tokens": 4000},
            {"output_tokens": 50},
        ),
        SONNET,
        Usage(100, 50, 20_000, 4000),
        "0.02205",
    ),
    # thinking is part of the output and paid once: 10 × 0.1 + 900 × 0.5 = 451
    "anthropic thinking": (
        anthropic({"input_tokens": 10}, {"output_tokens": 900, "output_tokens_details": {"thinking_tokens": 800}}),
        HAIKU,
        Usage(10, 900, reasoning=800),
        "0.000451",
    ),
    # cached inside input: 1500 × 2 + 300 × 10 + 8500 × 0.2 = 3000 + 3000 + 1700
    "openai responses cached and reasoning": (
        responses(
            {
                "input_tokens": 10_000,
                "input_tokens_details": {"cached_tokens": 8500},
                "output_tokens": 300,
                "output_tokens_details": {"reasoning_tokens": 256},
            }
        ),
        GPT,
        Usage(1500, 300, 8500, reasoning=256),
        "0.0077",
    ),
    # 1000 × 2 + 10 × 10 + 3000 × 0.2 + 6000 × 2.5 = 2000 + 100 + 600 + 15,000
    "openai responses cache writes": (
        responses(
            {
                "input_tokens": 10_000,
                "input_tokens_details": {"cached_tokens": 3000, "cache_write_tokens": 6000},
                "output_tokens": 10,
            }
        ),
        GPT,
        Usage(1000, 10, 3000, 6000),
        "0.0177",
    ),
    # 40 × 2 + 7 × 10 + 60 × 0.2 = 162
    "openai chat cached": (
        chat({"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60}}),
        GPT,
        Usage(40, 7, 60),
        "0.000162",
    ),
    # DeepSeek's own name for cached: 36 × 2 + 5 × 10 + 64 × 0.2 = 134.8
    "deepseek cache hits": (
        chat({"prompt_tokens": 100, "completion_tokens": 5, "prompt_cache_hit_tokens": 64}),
        GPT,
        Usage(36, 5, 64),
        "0.0001348",
    ),
    # a service that counts more cached tokens than tokens costs nothing below zero: 5 × 10 + 200 × 0.2
    "chat more cached than sent": (
        chat({"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 200}}),
        GPT,
        Usage(0, 5, 200),
        "0.00009",
    ),
    # what OpenRouter says replaces 100 × 3 + 100 × 15
    "openrouter own figure": (
        chat({"prompt_tokens": 100, "completion_tokens": 100, "cost": 0.0123}),
        SONNET,
        Usage(100, 100, reported_cost_usd=0.0123),
        "0.0123",
    ),
    "openrouter free of charge": (
        chat({"prompt_tokens": 100, "completion_tokens": 100, "cost": 0}),
        SONNET,
        Usage(100, 100, reported_cost_usd=0.0),
        "0",
    ),
    # cached inside the prompt, thoughts beside the answer: 600 × 2 + (50 + 150) × 12 + 400 × 0.2 = 1200 + 2400 + 80
    "google cached and thoughts": (
        google(
            {
                "promptTokenCount": 1000,
                "cachedContentTokenCount": 400,
                "candidatesTokenCount": 50,
                "thoughtsTokenCount": 150,
            }
        ),
        GEMINI,
        Usage(600, 200, 400, reasoning=150),
        "0.00368",
    ),
    # what tools brought in is prompt: (100 + 50) × 2 + 10 × 12 = 420
    "google tool prompts": (
        google({"promptTokenCount": 100, "toolUsePromptTokenCount": 50, "candidatesTokenCount": 10}),
        GEMINI,
        Usage(150, 10),
        "0.00042",
    ),
    "unknown price": (chat({"prompt_tokens": 100, "completion_tokens": 100}), FREE, Usage(100, 100), "0"),
}


def heard(stream: Any, events: list[Event]) -> Usage:
    out: list[StreamEvent] = []
    for event in events:
        stream.feed("", event, out)
    stream.end(out, said_done=True)
    return [event.usage for event in out if isinstance(event, UsageReport)][-1]


def model(usd: tuple[float, ...], **more: Any) -> Model:
    prices = dict(
        zip(
            ("input_usd_per_mtok", "output_usd_per_mtok", "cache_read_usd_per_mtok", "cache_write_usd_per_mtok"),
            usd,
            strict=True,
        )
    )
    return Model("svc", "m", **prices, **more)


ANSWER = Message("m", "s", Role.ASSISTANT, [TextPart("a")])


@pytest.mark.parametrize("name", list(CASES))
def test_a_step_costs_what_was_worked_out_by_hand(name: str):
    (stream, events), usd, expected, cost = CASES[name]
    reported = heard(stream("svc"), events)
    assert reported == expected
    priced = step_usage(reported, model(usd), [], ANSWER)
    # far below a penny, and not by rounding
    assert abs(Decimal(priced.cost_usd) - Decimal(cost)) < Decimal("1e-15")
    assert not priced.estimated


@pytest.mark.parametrize("name", list(CASES))
def test_a_subscription_costs_nothing(name: str):
    (stream, events), usd, _, _ = CASES[name]
    assert step_usage(heard(stream("svc"), events), model(usd, flat_rate=True), [], ANSWER).cost_usd == 0


def test_the_catalogue_prices_are_sane():
    for service in SERVICES:
        for known in service.models:
            assert 0 < known.input_usd_per_mtok <= known.output_usd_per_mtok, known.ref
            assert 0 <= known.cache_read_usd_per_mtok <= known.input_usd_per_mtok, known.ref
            assert known.context_window >= 8192
