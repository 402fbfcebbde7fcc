"""The small pure pieces: arguments, fold, costs, repetition, thinking, prompts."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_agent.agent.arguments import problems, read_object
from lsp_agent.agent.costs import context_counters, is_nearly_full, merged, priced, step_usage, tokens
from lsp_agent.agent.fold import TEXT, Fold, speakable
from lsp_agent.agent.repetition import is_looping, signature
from lsp_agent.agent.requests import effective_thinking
from lsp_agent.agent.system_prompt import coder_prompt
from lsp_agent.domain.message import Message, Role, TextPart, ToolCallPart, ToolResultPart
from lsp_agent.domain.model import Model
from lsp_agent.domain.session import Session
from lsp_agent.domain.stream import ReasoningDelta, ReasoningEnd, TextDelta, ToolCallEnd, ToolCallStart
from lsp_agent.domain.usage import Usage


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        ('{"a": 1}', {"a": 1}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('{"a": [1, 2,], }', {"a": [1, 2]}),
        ('{"a": "x', {"a": "x"}),
        ('{"a": {"b": [1', {"a": {"b": [1]}}),
        ('{"a": "x\\', {"a": "x"}),
        ('{"a": "},]"', {"a": "},]"}),
        ("[1]", None),
        ("hello", None),
        ('{"a": NaN}', None),
        ('{"a":' * 300 + "1" + "}" * 300, None),
    ],
)
def test_arguments_are_read_and_mended(text, value):
    found, kept = read_object(text)
    assert found == value
    assert orjson.loads(kept) == (value or {})


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='{}[]",:1a\\ \n`', max_size=30))
def test_reading_arguments_never_fails(text):
    value, kept = read_object(text)
    assert orjson.loads(kept) == (value or {})


SCHEMA = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "minLength": 1},
        "limit": {"type": "integer", "minimum": 1, "maximum": 10},
        "mode": {"enum": ["a", "b"]},
        "edits": {"type": "array", "maxItems": 2, "items": {"type": "object", "required": ["old"]}},
        "flag": {"type": ["boolean", "null"]},
    },
    "required": ["path"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ({"path": "x", "limit": 3, "mode": "a", "edits": [{"old": 1}], "flag": None}, ""),
        ({}, "path is required"),
        ({"path": 1}, "path must be of type string"),
        ({"path": ""}, "path must be at least 1 characters"),
        ({"path": "x", "limit": True}, "limit must be of type integer"),
        ({"path": "x", "limit": 11}, "limit must be at most 10"),
        ({"path": "x", "mode": "c"}, "mode must be one of 'a', 'b'"),
        ({"path": "x", "edits": [{}]}, "edits[0].old is required"),
        ({"path": "x", "edits": [{"old": 1}] * 3}, "edits must be at most 2 items"),
        ({"path": "x", "flag": 1}, "flag must be of type boolean or null"),
        ({"path": "x", "sandbox": False}, "sandbox is not a parameter (known: edits, flag, limit, mode, path)"),
    ],
)
def test_arguments_are_held_against_the_schema(arguments, wrong):
    assert "; ".join(problems(arguments, SCHEMA)) == wrong


def folded(*events, taken=()):
    fold = Fold(Message("m", "s", Role.ASSISTANT), taken)
    out = [emission for event in events for emission in fold.apply([event], 5)]
    out += fold.close(6)
    return fold, out


def test_one_leading_newline_goes_from_chunk_and_message_alike():
    for first in (["\n\nhi"], ["\n", "\nhi"], ["", "\n\nhi"]):
        fold, out = folded(*[TextDelta(text) for text in first])
        assert fold.message.text == "\nhi"
        assert "".join(piece for kind, _, pieces in out if kind == TEXT for piece in pieces) == "\nhi"


def test_text_after_thinking_keeps_its_newline():
    fold, _ = folded(ReasoningDelta("hm"), TextDelta("\nhi"))
    assert fold.message.text == "\nhi"


def test_parts_keep_their_order_and_thinking_is_closed_by_what_follows():
    fold, _ = folded(
        ReasoningDelta("a"),
        ReasoningEnd({"k": 1}),
        TextDelta("t"),
        ReasoningDelta("b"),
        ToolCallStart("c", "n"),
        ToolCallEnd("c", "n", "{}"),
        TextDelta("u"),
    )
    names = [type(part).__name__ for part in fold.message.parts]
    assert names == ["ReasoningPart", "TextPart", "ReasoningPart", "ToolCallPart", "TextPart"]
    assert fold.message.parts[0].provider_data == {"k": 1}
    assert fold.message.parts[2].finished_at_ms == 5


def test_an_end_without_a_start_and_a_call_without_an_id_are_taken():
    fold, _ = folded(ToolCallEnd("", "n", '{"a":1'), ToolCallEnd("x", "n", "oops"))
    assert [(call.tool_call_id, call.input, call.finished) for call in fold.message.tool_calls] == [
        ("call", '{"a":1}', True),
        ("x", "{}", True),
    ]
    assert fold.arguments == {"call": {"a": 1}}


def test_neighbouring_deltas_of_a_batch_are_one_chunk():
    fold = Fold(Message("m", "s", Role.ASSISTANT))
    out = fold.apply([TextDelta("a"), TextDelta("b"), ReasoningDelta("c"), TextDelta("d")], 0)
    assert [(kind, "".join(pieces)) for kind, _, pieces in out] == [
        ("text", "ab"),
        ("thought", "c"),
        ("thought_end", ""),
        ("text", "d"),
    ]


def test_a_snapshot_is_independent():
    fold = Fold(Message("m", "s", Role.ASSISTANT))
    fold.apply([TextDelta("a")], 0)
    taken = fold.snapshot()
    fold.apply([TextDelta("b")], 0)
    assert (taken.text, fold.snapshot().text) == ("a", "ab")


@given(st.lists(st.text(alphabet=st.characters(), max_size=5), max_size=8))
def test_chunks_joined_are_the_message(texts):
    fold, out = folded(*[TextDelta(text) for text in texts])
    assert "".join(piece for _, _, pieces in out for piece in pieces) == fold.message.text


def test_surrogate_pairs_become_their_character():
    assert speakable("\ud83d\ude00") == "😀"
    assert speakable("a\ud800") == "a\ufffd"


MODEL = Model("p", "m", 200_000, 0)
PRICED = replace(
    Model("p", "m"),
    context_window=200_000,
    input_usd_per_mtok=10.0,
    output_usd_per_mtok=20.0,
    cache_read_usd_per_mtok=1.0,
    cache_write_usd_per_mtok=12.5,
)


def test_prices():
    assert priced(Usage(input=1000, output=2000), PRICED).cost_usd == 0.05
    assert priced(Usage(cache_read=1_000_000, cache_write=1_000_000), PRICED).cost_usd == 13.5
    assert priced(Usage(input=1000, reported_cost_usd=0.7), PRICED).cost_usd == 0.7
    assert priced(Usage(input=1000), replace(PRICED, flat_rate=True)).cost_usd == 0
    assert priced(Usage(input=1000, reported_cost_usd=0.7), replace(PRICED, flat_rate=True)).cost_usd == 0


@pytest.mark.parametrize("bad", [-5, float("nan"), float("inf")])
def test_broken_counters_cost_nothing(bad):
    usage = priced(Usage(input=bad, output=bad, reported_cost_usd=bad), PRICED)
    assert (usage.input, usage.output, usage.cost_usd) == (0, 0, 0)


def test_huge_counters_are_clamped():
    assert priced(Usage(input=1 << 80), PRICED).input == 1 << 40


def test_estimates_count_bytes_in_fours():
    assert (tokens(""), tokens("a"), tokens("abcd"), tokens("abcde"), tokens("é" * 2)) == (0, 1, 1, 2, 1)
    asked = Message("", "s", Role.USER, [TextPart("x" * 40)])
    said = Message("", "s", Role.ASSISTANT, [TextPart("y" * 8), ToolCallPart("i", "echo", "{}", True)])
    usage = step_usage(Usage(), PRICED, [asked], said)
    assert (usage.input, usage.output, usage.estimated, usage.cost_usd) == (11, 4, True, 0)


def test_what_is_reported_as_nothing_keeps_its_old_value():
    session = Session("s", prompt_tokens=50, completion_tokens=5)
    assert context_counters(Usage(output=9), session)["prompt_tokens"] == 50
    assert context_counters(Usage(input=9), session)["completion_tokens"] == 5


@pytest.mark.parametrize(
    ("window", "used", "full"),
    [
        (0, 10**9, False),
        (100_000, 79_999, False),
        (100_000, 80_000, True),
        (200_000, 160_000, True),
        (200_001, 160_001, False),
        (400_000, 379_999, False),
        (400_000, 380_000, True),
    ],
)
def test_when_a_context_is_nearly_full(window, used, full):
    assert is_nearly_full(Session("s", prompt_tokens=used), replace(PRICED, context_window=window)) is full


def test_options_are_merged_member_by_member():
    assert merged({"a": {"x": 1}, "b": 1}, {"a": {"y": 2}, "b": {"z": 3}}) == {"a": {"x": 1, "y": 2}, "b": {"z": 3}}


def test_a_loop_is_more_than_five_equal_steps_in_the_last_ten():
    one, other = b"1", b"2"
    assert not is_looping([one] * 9)
    assert is_looping([one] * 10)
    assert not is_looping([one, other] * 5)
    assert is_looping([one] * 6 + [other] * 4)
    assert not is_looping([b""] * 10)
    assert not is_looping([one] * 6 + [bytes([n]) for n in range(20, 30)])


def test_a_signature_knows_no_ids_but_everything_else():
    def sign(call_id, text, output):
        return signature([ToolCallPart(call_id, "t", text)], {call_id: ToolResultPart(call_id, "t", output)})

    assert sign("a", "{}", "x") == sign("b", "{}", "x")
    assert len({sign("a", "{}", "x"), sign("a", "{}", "y"), sign("a", "[]", "x")}) == 3
    assert signature([], {}) == b""


@pytest.mark.parametrize(
    ("can_reason", "levels", "default", "wanted", "effect"),
    [
        (False, ("low",), "low", "low", ""),
        (True, ("low", "high"), "high", "low", "low"),
        (True, ("low", "high"), "high", "extreme", "high"),
        (True, ("low", "high"), "none", "", "low"),
        (True, (), "", "on", "on"),
        (True, (), "", "", ""),
        (True, ("low",), "low", "off", ""),
    ],
)
def test_the_effort_in_force(can_reason, levels, default, wanted, effect):
    model = replace(MODEL, can_reason=can_reason, reasoning_efforts=levels, default_reasoning_effort=default)
    assert effective_thinking(model, wanted) == effect


def test_the_prompt_is_the_same_all_day_and_says_where_it_is():
    morning = coder_prompt(now_ms=1_700_006_400_000, roots=[Path("/w/a")], mode="ask", editor_facts=["Editor: Neovim"])
    evening = coder_prompt(now_ms=1_700_060_000_000, roots=[Path("/w/a")], mode="ask", editor_facts=["Editor: Neovim"])
    assert morning == evening
    assert "date: 2023-11-15" in morning
    assert morning.index("Rules that come first") < morning.index("workspace root: /w/a") < morning.index("Neovim")
