"""What the three folds make of answers that no well-behaved service sends. Pure."""

from typing import Any

import pytest

from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.message import FinishReason
from lsp_agent.domain.stream import (
    Finished,
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
from lsp_agent.providers.anthropic_stream import AnthropicStream
from lsp_agent.providers.chat_stream import ChatStream
from lsp_agent.providers.responses_stream import ResponsesStream


def play(stream: Any, *values: dict[str, Any], done: bool | None = None) -> list[StreamEvent]:
    out: list[StreamEvent] = []
    for value in values:
        stream.feed("", value, out)
    if done is not None:
        stream.end(out, said_done=done)
    return out


def chat(**delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def stop(reason: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def piece(index: int | None, arguments: Any, call_id: str | None = None, name: str | None = None) -> dict[str, Any]:
    value: dict[str, Any] = {"function": {"arguments": arguments}}
    if name is not None:
        value["function"]["name"] = name
    return {**value, **({} if index is None else {"index": index}), **({} if call_id is None else {"id": call_id})}


def ends(events: list[StreamEvent]) -> list[tuple[str, str]]:
    return [(event.name, event.input) for event in events if isinstance(event, ToolCallEnd)]


# ------------------------------------------------------------------------------------------------------- anthropic


def block(index: int, **value: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": value}


def delta(index: int, kind: str, **value: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **value}}


def closed(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


STOPPED = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}


def test_thinking_is_kept_exactly_with_fields_nobody_knows():
    events = play(
        AnthropicStream("svc"),
        block(0, type="thinking", thinking="", signature="", extra={"a": 1}),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="si"),
        delta(0, "signature_delta", signature="g"),
        closed(0),
        block(1, type="redacted_thinking", data="AA=="),
        closed(1),
    )
    whole = {"type": "thinking", "thinking": "hm", "signature": "sig", "extra": {"a": 1}}
    assert events == [
        ReasoningDelta("hm"),
        ReasoningEnd({"anthropic": [whole]}),
        ReasoningEnd({"anthropic": [{"type": "redacted_thinking", "data": "AA=="}]}),
    ]


def test_unsigned_thinking_is_shown_but_not_kept():
    events = play(
        AnthropicStream("svc"), block(0, type="thinking"), delta(0, "thinking_delta", thinking="x"), closed(0)
    )
    assert events[-1] == ReasoningEnd({})


def test_F21_frames_that_come_twice_change_nothing_but_deltas():
    tool = block(0, type="tool_use", id="t", name="view", input={})
    events = play(
        AnthropicStream("svc"), tool, tool, delta(0, "input_json_delta", partial_json="{}"), closed(0), closed(0)
    )
    assert [type(event) for event in events] == [ToolCallStart, ToolCallDelta, ToolCallEnd]


def test_F21_tool_input_without_a_call_is_a_broken_stream():
    with pytest.raises(ProviderError) as caught:
        play(AnthropicStream("svc"), delta(5, "input_json_delta", partial_json="{}"))
    assert caught.value.retryable


def test_text_without_an_announced_block_is_text():
    assert play(AnthropicStream("svc"), delta(0, "text_delta", text="a")) == [TextDelta("a")]


def test_input_given_whole_at_the_start_is_taken():
    events = play(AnthropicStream("svc"), block(0, type="tool_use", id="t", name="view", input={"a": 1}), closed(0))
    assert ends(events) == [("view", '{"a":1}')]


def test_usage_is_cumulative_and_keeps_what_a_later_report_leaves_out():
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 9, "cache_read_input_tokens": 4}}}
    details = {"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 5}, "input_tokens": None}
    events = play(AnthropicStream("svc"), start, {**STOPPED, "usage": details}, {"type": "message_stop"})
    report = [event.usage for event in events if isinstance(event, UsageReport)][-1]
    assert report == Usage(input=9, output=7, cache_read=4, reasoning=5)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("end_turn", FinishReason.END_TURN),
        ("stop_sequence", FinishReason.END_TURN),
        ("pause_turn", FinishReason.END_TURN),
        ("max_tokens", FinishReason.MAX_TOKENS),
        ("model_context_window_exceeded", FinishReason.MAX_TOKENS),
        ("refusal", FinishReason.CONTENT_FILTER),
        ("tool_use", FinishReason.TOOL_USE),
        ("brand_new", FinishReason.UNKNOWN),
    ],
)
def test_anthropic_stop_reasons(reason: str, expected: FinishReason):
    stopped = {"type": "message_delta", "delta": {"stop_reason": reason, "stop_details": {"explanation": "why"}}}
    finished = play(AnthropicStream("svc"), stopped, {"type": "message_stop"})[-1]
    assert finished == Finished(expected, "why" if reason == "refusal" else "")


def test_a_call_id_of_an_earlier_step_is_replaced():
    events = play(AnthropicStream("svc", {"t"}), block(0, type="tool_use", id="t", name="view", input={}))
    assert isinstance(events[0], ToolCallStart)
    assert events[0].tool_call_id not in {"", "t"}


# ------------------------------------------------------------------------------------------------------- responses


def test_summary_parts_are_separated_and_the_item_is_kept():
    item = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "e", "status": None}
    text = {"type": "response.reasoning_summary_text.delta", "output_index": 0}
    part = {"type": "response.reasoning_summary_part.added", "output_index": 0}
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    events = play(ResponsesStream("svc"), part, {**text, "delta": "a"}, part, {**text, "delta": "b"}, done)
    assert events == [ReasoningDelta("a"), ReasoningDelta("\n\n"), ReasoningDelta("b"), ReasoningEnd({"openai": item})]


def test_a_call_announced_only_when_whole_is_a_call():
    item = {"type": "function_call", "call_id": "c", "name": "view", "arguments": "{}"}
    events = play(ResponsesStream("svc"), {"type": "response.output_item.done", "output_index": 0, "item": item})
    assert events == [ToolCallStart("c", "view"), ToolCallEnd("c", "view", "{}")]


def test_a_failed_response_is_an_error_with_its_code():
    failed = {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}}
    with pytest.raises(ProviderError) as caught:
        play(ResponsesStream("svc"), {"type": "response.failed", "response": failed})
    assert (caught.value.kind, caught.value.retryable) == ("RateLimited", True)


def test_a_refusal_is_text_and_a_refused_end():
    said = {"type": "response.refusal.delta", "delta": "I cannot."}
    events = play(ResponsesStream("svc"), said, {"type": "response.completed", "response": {"status": "completed"}})
    assert events == [TextDelta("I cannot."), Finished(FinishReason.CONTENT_FILTER, "I cannot.")]


# ------------------------------------------------------------------------------------------------------------ chat


def test_calls_are_told_apart_by_index():
    events = play(
        ChatStream("svc"),
        chat(tool_calls=[piece(0, "", "a", "view"), piece(1, "", "b", "ls")]),
        chat(tool_calls=[piece(1, "{}")]),
        chat(tool_calls=[piece(0, '{"x":'), piece(0, "1}")]),
        stop("tool_calls"),
        done=True,
    )
    assert ends(events) == [("view", '{"x":1}'), ("ls", "{}")]
    assert events[-1] == Finished(FinishReason.TOOL_USE)


def test_calls_that_all_have_index_zero_are_told_apart_by_id():
    events = play(
        ChatStream("svc"),
        chat(tool_calls=[piece(0, '{"a":1}', "one", "view")]),
        chat(tool_calls=[piece(0, '{"b":2}', "two", "ls")]),
        done=True,
    )
    assert ends(events) == [("view", '{"a":1}'), ("ls", '{"b":2}')]


def test_an_id_and_name_repeated_with_every_piece_stay_one_call():
    repeated = [chat(tool_calls=[piece(0, text, "one", "view")]) for text in ('{"a"', ":1}")]
    assert ends(play(ChatStream("svc"), *repeated, done=True)) == [("view", '{"a":1}')]


def test_missing_index_and_id_and_object_arguments_are_understood():
    events = play(ChatStream("svc"), chat(tool_calls=[piece(None, {"a": 1}, None, "view")]), stop("stop"), done=False)
    assert ends(events) == [("view", '{"a":1}')]
    assert all(event.tool_call_id for event in events if isinstance(event, ToolCallStart))
    assert events[-1] == Finished(FinishReason.TOOL_USE)


def test_a_name_that_comes_late_is_waited_for():
    events = play(
        ChatStream("svc"),
        chat(tool_calls=[piece(0, '{"a"', "x")]),
        chat(tool_calls=[piece(0, ":1}", None, "view")]),
        done=True,
    )
    assert events[0] == ToolCallStart("x", "view")
    assert "".join([event.text for event in events if isinstance(event, ToolCallDelta)]) == '{"a":1}'


def test_both_names_of_reasoning_are_read_and_it_ends_before_the_text():
    events = play(ChatStream("svc"), chat(reasoning="a"), chat(reasoning_content="b"), chat(content="c"))
    assert events == [ReasoningDelta("a"), ReasoningDelta("b"), ReasoningEnd({}), TextDelta("c")]


def test_reasoning_details_are_joined_for_replay():
    first = {"type": "reasoning.text", "text": "hel", "index": 0, "format": "f"}
    second = {"type": "reasoning.text", "text": "lo", "index": 0, "signature": "s"}
    events = play(
        ChatStream("svc"), chat(reasoning_details=[first]), chat(reasoning_details=[second]), chat(content="x")
    )
    joined = {"type": "reasoning.text", "text": "hello", "index": 0, "format": "f", "signature": "s"}
    assert events[0] == ReasoningEnd({"openrouter": [joined]})


def test_usage_may_be_absent_come_last_and_carry_a_cost():
    usage = {"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 6}, "cost": 0.5}
    events = play(ChatStream("svc"), chat(content="x"), stop("stop"), {"choices": [], "usage": usage}, done=True)
    report = next(event.usage for event in events if isinstance(event, UsageReport))
    assert report == Usage(input=4, output=4, cache_read=6, reported_cost_usd=0.5)
    assert not [
        event for event in play(ChatStream("svc"), chat(content="x"), done=True) if isinstance(event, UsageReport)
    ]


@pytest.mark.parametrize("cost", [-1, float("nan"), "free", True])
def test_F24_a_cost_that_makes_no_sense_is_none(cost: object):
    events = play(ChatStream("svc"), chat(content="x"), {"choices": [], "usage": {"cost": cost}}, done=True)
    assert next(event.usage for event in events if isinstance(event, UsageReport)).reported_cost_usd is None


def test_done_or_a_finish_reason_is_enough_and_neither_is_a_broken_stream():
    assert play(ChatStream("svc"), chat(content="x"), stop("stop"), done=False)[-1] == Finished(FinishReason.END_TURN)
    assert play(ChatStream("svc"), chat(content="x"), done=True)[-1] == Finished(FinishReason.END_TURN)
    for said_done, values in ((False, [chat(content="x")]), (True, [])):
        with pytest.raises(ProviderError) as caught:
            play(ChatStream("svc"), *values, done=said_done)
        assert caught.value.retryable


def test_an_error_in_a_chunk_is_an_error():
    with pytest.raises(ProviderError) as caught:
        play(ChatStream("svc"), {"error": {"code": 502, "message": "upstream"}})
    assert caught.value.retryable


def test_a_gemini_signature_is_kept_with_its_call():
    signed = {**piece(0, "{}", "a", "view"), "extra_content": {"google": {"thought_signature": "s"}}}
    events = play(ChatStream("svc"), chat(tool_calls=[signed]), stop("stop"), done=True)
    kept = next(event for event in events if isinstance(event, ReasoningEnd))
    assert kept.provider_data["google"]["tool_call_id"] == "a"


def test_nonsense_in_a_chunk_is_ignored():
    stream = ChatStream("svc")
    assert play(stream, {}, {"choices": []}, chat(content=None), chat(tool_calls=["x"]), {"usage": 3}) == []
