"""What exit codes and output mean, and what many answers mean together (CORE 25)."""

import json

import pytest

from lsp_agent.hooks.answers import NO_REASON, Answer, combined, read_answer
from lsp_agent.hooks.config import Hook
from lsp_agent.hooks.matching import make_matcher

HOOK = Hook("PreToolUse", "x", make_matcher("", claude=False))


def said(value, event="PreToolUse"):
    return read_answer(event, 0, json.dumps(value), "")


def test_exit_codes_forbid_end_the_turn_or_have_no_opinion():
    assert read_answer("PreToolUse", 2, "ignored", " not on a Friday\n") == Answer("deny", reason="not on a Friday")
    assert read_answer("PreToolUse", 2, "", "").reason == NO_REASON
    assert read_answer("PreToolUse", 49, "", "stop it") == Answer("deny", True, "stop it")
    other = read_answer("PreToolUse", 1, '{"decision": "deny"}', "oops")
    assert (other.decision, other.error) == ("", "it ended with exit code 1: oops")


@pytest.mark.parametrize("text", ["", "  \n", "fine", "{", '{"decision": }', "[]", '"deny"', "null"])
def test_empty_and_malformed_output_is_no_opinion(text):
    assert read_answer("PreToolUse", 0, text, "") == Answer()


@pytest.mark.parametrize("event", ["UserPromptSubmit", "SessionStart"])
def test_plain_output_is_context_where_claude_says_so(event):
    assert read_answer(event, 0, "today is Monday\n", "").context == "today is Monday"
    assert read_answer(event, 0, "{not json", "").context == "{not json"


@pytest.mark.parametrize(
    ("value", "decision"),
    [
        ("allow", "allow"),
        ("DENY", "deny"),
        ("approve", "allow"),
        ("block", "deny"),
        ("ask", "ask"),
        ("maybe", ""),
        (1, ""),
    ],
)
def test_decisions_in_both_vocabularies(value, decision):
    assert said({"decision": value}).decision == decision
    assert said({"hookSpecificOutput": {"permissionDecision": value}}).decision == decision


def test_the_stronger_word_counts_when_a_hook_says_two():
    both = {"decision": "approve", "hookSpecificOutput": {"permissionDecision": "deny"}}
    assert said(both).decision == "deny"


def test_reasons_contexts_and_patches_in_every_shape():
    answer = said(
        {
            "version": 2,
            "context": ["one", "", "two", None],
            "systemMessage": "seen",
            "hookSpecificOutput": {
                "hookEventName": "PreToolUse",
                "permissionDecision": "deny",
                "permissionDecisionReason": "too wide",
                "updatedInput": {"command": "ls"},
                "additionalContext": "three",
            },
        }
    )
    assert answer == Answer("deny", False, "too wide", "one\ntwo\nthree", {"command": "ls"}, "seen")
    assert said({"updated_input": '{"a": 1}'}).patch == {"a": 1}
    for nothing in ("[1]", "x", 3, None, [1]):
        assert said({"updated_input": nothing}).patch is None
    assert said({"context": None}).context == ""


def test_continue_false_and_halt_end_the_turn():
    assert said({"continue": False, "stopReason": "enough"}) == Answer("deny", True, "enough")
    assert said({"halt": True}) == Answer("deny", True, NO_REASON)
    assert said({"continue": True}) == Answer()


def test_hidden_characters_and_escapes_never_come_through():
    answer = read_answer("PreToolUse", 2, "", "a\x1b[31mb\u202ec\U000e0041")
    assert answer.reason == "ab<U+202E>c"


def together(*answers, given=None):
    return combined("PreToolUse", [(HOOK, answer, 3) for answer in answers], given or {"a": 1, "b": 2})


def test_deny_is_stronger_than_ask_than_allow_than_nothing():
    order = [Answer(), Answer("allow"), Answer("ask", reason="look"), Answer("deny", reason="no")]
    for most in range(4):
        for answers in (order[: most + 1], order[: most + 1][::-1]):
            assert together(*answers).decision == ("", "allow", "ask", "deny")[most]


def test_reasons_of_denials_and_contexts_are_joined_in_order():
    result = together(
        Answer("deny", reason="first", context="c1"), Answer("allow", reason="fine"), Answer("deny", reason="second")
    )
    assert (result.reason, result.context) == ("first\nsecond", "c1")


def test_one_halt_is_enough():
    result = together(Answer("allow"), Answer("deny", True, "stop"))
    assert (result.halt, result.decision, result.reason) == (True, "deny", "stop")


def test_patches_are_merged_over_the_input_in_order_and_dropped_with_a_denial():
    result = together(Answer(patch={"b": 3, "c": 4}), Answer("allow", patch={"c": 5}))
    assert result.input == {"a": 1, "b": 3, "c": 5}
    assert together(Answer(patch={"a": 1})).input is None
    assert together(Answer(patch={"b": 3}), Answer("deny", reason="no")).input is None


def test_the_metadata_says_who_said_what():
    result = together(Answer("allow", message="hi"), Answer(error="it ended with exit code 1"))
    assert {key: result.metadata[key] for key in ("event", "count", "decision", "halt", "input_rewrite")} == {
        "event": "PreToolUse",
        "count": 2,
        "decision": "allow",
        "halt": False,
        "input_rewrite": False,
    }
    assert result.metadata["messages"] == ["hi"]
    assert result.metadata["hooks"][1]["error"] == "it ended with exit code 1"
    assert result.metadata["hooks"][0]["duration_ms"] == 3
