"""Gemini's dialect where it differs from the others. Pure."""

from typing import Any

import pytest

from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.message import FinishReason
from lsp_agent.domain.model import Model, Sampling
from lsp_agent.domain.stream import (
    Finished,
    ProviderWarning,
    ReasoningDelta,
    ReasoningEnd,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from lsp_agent.domain.usage import Usage
from lsp_agent.providers.errors import status_error
from lsp_agent.providers.google_request import UNSIGNED, encode
from lsp_agent.providers.google_schema import parameters_schema
from lsp_agent.providers.google_stream import GoogleStream
from tests.providers.doubles import VIEW, assistant, call, image, request_of, result, thought, user

GEMINI_3 = Model("fake", "gemini-3-pro", can_reason=True, max_output_tokens=1000)
GEMINI_2 = Model("fake", "models/gemini-2.5-flash", can_reason=True, max_output_tokens=1000)


def chunk(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **more}]}


def play(*values: dict[str, Any], taken: tuple[str, ...] = ()) -> list[StreamEvent]:
    stream, out = GoogleStream("svc", taken), []
    for value in values:
        stream.feed("", value, out)
    stream.end(out, said_done=False)
    return out


STOP = chunk(finishReason="STOP")


def test_a_call_comes_whole_and_its_signature_is_kept_byte_for_byte():
    events = play(
        chunk({"text": "hm", "thought": True}),
        chunk({"functionCall": {"name": "view", "args": {"a": 1}, "id": "x1"}, "thoughtSignature": "A+/b=="}),
        STOP,
    )
    assert events == [
        ReasoningDelta("hm"),
        ReasoningEnd(),
        ReasoningEnd({"google": {"tool_call_id": "x1", "thought_signature": "A+/b=="}}),
        ToolCallStart("x1", "view"),
        ToolCallDelta("x1", '{"a":1}'),
        ToolCallEnd("x1", "view", '{"a":1}'),
        Finished(FinishReason.TOOL_USE),
    ]


def test_calls_without_ids_get_ids_that_are_unique_in_the_session():
    same = {"functionCall": {"name": "view", "args": {}}}
    ids = [event.tool_call_id for event in play(chunk(same, same), STOP) if isinstance(event, ToolCallEnd)]
    assert len(set(ids)) == 2
    again = play(chunk({"functionCall": {"name": "view", "id": "x1"}}), STOP, taken=("x1",))
    assert isinstance(again[0], ToolCallStart)
    assert again[0].tool_call_id != "x1"


def test_a_signature_of_a_text_is_kept_where_it_was_and_goes_back_as_a_part():
    events = play(chunk({"text": "Hi"}), chunk({"text": "", "thoughtSignature": "s"}, finishReason="STOP"))
    assert events[:2] == [TextDelta("Hi"), ReasoningEnd({"google": {"thought_signature": "s"}})]
    said = assistant("Hi", thought(google={"thought_signature": "s"}))
    parts = encode(request_of(user("a"), said, user("b"), model=GEMINI_3))[0]["contents"][1]["parts"]
    assert parts == [{"text": "Hi"}, {"text": "", "thoughtSignature": "s"}]


def test_a_signature_of_a_thought_goes_back_with_the_thought():
    events = play(chunk({"text": "hmm", "thought": True, "thoughtSignature": "s"}), STOP)
    kept = {"thought": True, "thought_signature": "s"}
    assert events[:2] == [ReasoningDelta("hmm"), ReasoningEnd({"google": kept})]
    said = assistant(thought(google=kept), "Hi")
    parts = encode(request_of(user("a"), said, user("b"), model=GEMINI_3))[0]["contents"][1]["parts"]
    assert parts == [{"text": "hmm", "thought": True, "thoughtSignature": "s"}, {"text": "Hi"}]


@pytest.mark.parametrize(
    ("reason", "expected", "refused"),
    [
        ("STOP", FinishReason.END_TURN, False),
        ("MAX_TOKENS", FinishReason.MAX_TOKENS, False),
        ("SAFETY", FinishReason.CONTENT_FILTER, True),
        ("RECITATION", FinishReason.CONTENT_FILTER, True),
        ("PROHIBITED_CONTENT", FinishReason.CONTENT_FILTER, True),
        ("SPII", FinishReason.CONTENT_FILTER, True),
        ("BLOCKLIST", FinishReason.CONTENT_FILTER, True),
        ("LANGUAGE", FinishReason.UNKNOWN, False),
        ("BRAND_NEW", FinishReason.UNKNOWN, False),
    ],
)
def test_finish_reasons(reason: str, expected: FinishReason, refused: bool):
    finished = play(chunk({"text": "a"}, finishReason=reason))[-1]
    assert isinstance(finished, Finished)
    assert (finished.reason, bool(finished.refusal)) == (expected, refused)


def test_a_blocked_prompt_is_a_refusal_with_its_reason():
    finished = play({"promptFeedback": {"blockReason": "SAFETY"}})[-1]
    assert finished == Finished(FinishReason.CONTENT_FILTER, "The prompt was blocked: SAFETY.")


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"])
def test_a_call_the_service_cannot_read_is_worth_another_try(reason: str):
    with pytest.raises(ProviderError) as caught:
        play(chunk(finishReason=reason))
    assert caught.value.retryable


def test_usage_counts_thoughts_as_output_and_cached_tokens_apart():
    counts = {
        "promptTokenCount": 100,
        "toolUsePromptTokenCount": 5,
        "cachedContentTokenCount": 40,
        "candidatesTokenCount": 7,
        "thoughtsTokenCount": 3,
    }
    first = {**chunk({"text": "a"}), "usageMetadata": {"promptTokenCount": 100}}
    events = play(first, {**STOP, "usageMetadata": counts})
    reports = [event.usage for event in events if isinstance(event, UsageReport)]
    assert reports == [Usage(input=100), Usage(input=65, output=10, cache_read=40, reasoning=3)]


def test_an_error_inside_the_stream_has_its_kind():
    with pytest.raises(ProviderError) as caught:
        play({"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}})
    assert (caught.value.kind, caught.value.retryable) == ("RateLimited", True)


def test_nonsense_in_a_chunk_is_ignored():
    odd = [{}, {"candidates": []}, {"candidates": ["x"]}, chunk(), {"candidates": [{"content": {"parts": ["x", {}]}}]}]
    assert play(*odd, STOP) == [Finished(FinishReason.END_TURN)]
    media = play(chunk({"inlineData": {"mimeType": "image/png", "data": ""}}), STOP)
    assert isinstance(media[0], ProviderWarning)


# --------------------------------------------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("model", "thinking", "options", "expected"),
    [
        (GEMINI_2, "on", {}, {"thinkingBudget": 2000, "includeThoughts": True}),
        (GEMINI_2, "high", {}, {"thinkingBudget": 2000, "includeThoughts": True}),
        (GEMINI_3, "high", {}, {"thinkingLevel": "high", "includeThoughts": True}),
        (GEMINI_3, "on", {}, {"includeThoughts": True}),
        (GEMINI_3, "", {}, None),
        (GEMINI_3, "high", {"thinking_config": {"thinking_budget": 9}}, {"thinkingBudget": 9}),
        (GEMINI_3, "high", {"thinking_config": {"thinkingLevel": "low"}}, {"thinkingLevel": "low"}),
    ],
)
def test_thinking_is_a_budget_or_a_level(model: Model, thinking: str, options: Any, expected: Any):
    request = request_of(user("x"), model=model, thinking=thinking, provider_options=options)
    assert encode(request)[0]["generationConfig"].get("thinkingConfig") == expected


def test_a_thinking_budget_does_not_eat_the_answer():
    config = encode(request_of(user("x"), model=GEMINI_2, thinking="on"))[0]["generationConfig"]
    assert config["maxOutputTokens"] == 3000


def test_a_call_another_model_made_goes_without_id_and_with_the_documented_stand_in():
    made = assistant(call("toolu_1"), call("toolu_2"), thought(google={"x": 1}), provider="anthropic")
    request = request_of(user("x"), made, result("toolu_2", "two"), result("toolu_1", "one"), model=GEMINI_3)
    _, calls, answers = encode(request)[0]["contents"]
    assert [part.get("thoughtSignature") for part in calls["parts"]] == [UNSIGNED, None]
    assert "'id'" not in str(calls)
    shown = [part["functionResponse"]["response"] for part in answers["parts"]]
    assert shown == [{"output": "one"}, {"output": "two"}]
    second = request_of(user("x"), made, result("toolu_1"), result("toolu_2"), model=GEMINI_2)
    assert UNSIGNED not in str(encode(second)[0])


def test_a_signature_of_the_compatible_dialect_is_understood():
    kept = {"tool_call_id": "t1", "extra_content": {"google": {"thought_signature": "s"}}}
    request = request_of(user("x"), assistant(call("t1"), thought(google=kept)), result("t1"), model=GEMINI_3)
    assert encode(request)[0]["contents"][1]["parts"][0]["thoughtSignature"] == "s"


def test_options_reach_the_body_but_not_what_we_own():
    options = {"safety_settings": [1], "generationConfig": {"seed": 7}, "contents": [], "model": "other"}
    sampling = Sampling(temperature=0.5, frequency_penalty=0.1)
    body = encode(request_of(user("x"), provider_options=options, sampling=sampling), extra_body={"labels": {"a": 1}})[
        0
    ]
    assert body["safetySettings"] == [1]
    assert body["generationConfig"] == {
        "maxOutputTokens": 1000,
        "temperature": 0.5,
        "frequencyPenalty": 0.1,
        "seed": 7,
    }
    assert body["contents"]
    assert "model" not in body
    assert body["labels"] == {"a": 1}


def test_what_the_model_cannot_see_is_reported():
    assert encode(request_of(user("x", image("image/gif"))))[1]
    assert encode(request_of(user("x"), assistant(call("t")), result("t", data=b"x", mime_type="image/png")))[1]


def test_a_history_that_begins_with_an_answer_gets_a_beginning():
    contents = encode(request_of(assistant("a"), user("b")))[0]["contents"]
    assert [content["role"] for content in contents] == ["user", "model", "user"]


def test_a_schema_is_reduced_to_words_the_service_knows():
    schema = {
        "$schema": "x",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "pattern": {"type": "string", "pattern": "^a", "minLength": 1, "description": "d"},
            "kind": {"oneOf": [{"const": "a"}, {"type": "null"}]},
            "list": {"type": "array", "items": {"type": "string", "format": "uri"}, "minItems": 1},
        },
        "required": ["pattern"],
    }
    assert parameters_schema(schema) == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "pattern": {"type": "string", "description": "d"},
            "kind": {"anyOf": [{"enum": ["a"]}, {"type": "null"}]},
            "list": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        },
        "required": ["pattern"],
    }
    declared = encode(request_of(user("x"), tools=(VIEW,)))[0]["tools"][0]["functionDeclarations"]
    assert declared[0]["parametersJsonSchema"] == VIEW.input_schema


def test_a_waiting_time_and_a_bad_key_inside_an_error_body_are_understood():
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"}]
    error = status_error("svc", 429, {"error": {"code": 429, "message": "quota", "details": details}}, {})
    assert (error.kind, error.retry_after_s) == ("RateLimited", 7.5)
    said = {"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}
    assert status_error("svc", 400, said, {}).kind == "ProviderAuth"
    assert status_error("svc", 400, [said], {}).kind == "ProviderAuth"
