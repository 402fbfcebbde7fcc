"""Shared conversations, encoded by every dialect and compared with checked-in snapshots.

UPDATE_SNAPSHOTS=1 pytest tests/providers/test_requests.py writes them anew; read the difference before committing it.
"""

import copy
import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from lsp_agent.domain.message import Role, ShellPart, TextPart
from lsp_agent.domain.model import Model, Sampling
from lsp_agent.ports.provider import Request, ToolSpec
from lsp_agent.providers import anthropic_request, chat_request, google_request, responses_request
from tests.providers.doubles import VIEW, assistant, call, image, message, request_of, result, thought, user

SNAPSHOTS = Path(__file__).parent / "snapshots"
LS = ToolSpec("ls", "Lists.", {"type": "object", "properties": {}})
SIGNED = {"type": "thinking", "thinking": "hmm", "signature": "Zm9v+/=="}
HIDDEN = {"type": "redacted_thinking", "data": "AAEC"}
SIGNED_CALL = {"tool_call_id": "t1", "thought_signature": "c2ln"}
ITEM = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "hmm"}],
    "encrypted_content": "x",
}
REASONER = Model("fake", "thinker", can_reason=True, reasoning_efforts=("low", "high"), max_output_tokens=500)

CASES: dict[str, Request] = {
    "plain": request_of(user("Hello")),
    "system_prefix": request_of(user("Hello"), system=("Prefix.", "Prompt.")),
    "tools": request_of(user("Hello"), tools=(LS, VIEW)),
    "parallel_calls": request_of(
        user("Look"),
        assistant("Looking.", call("t1"), call("t2", "ls", "{}")),
        result("t2", "two"),
        result("t1", "one", is_error=True),
        user("And now?"),
        tools=(LS, VIEW),
    ),
    "neighbours_merge": request_of(user("one"), user("two"), assistant("a"), assistant("b"), user("three")),
    "empty_parts": request_of(user("one"), assistant("", "  "), user(""), user("two")),
    "images": request_of(
        user("See", image()), assistant(call("t1")), result("t1", "Loaded", data=b"\x89PNG", mime_type="image/png")
    ),
    "broken_input": request_of(
        user("x"), assistant(call("t1", "view", '{"a":')), result("t1", "not JSON", is_error=True)
    ),
    "odd_ids": request_of(
        user("x"), assistant(call("functions.view:0"), call("i" * 80)), result("functions.view:0"), result("i" * 80)
    ),
    "thinking_effort": request_of(
        user("x"),
        assistant(
            thought(anthropic=[SIGNED, HIDDEN], openai=ITEM, google=SIGNED_CALL),
            "So.",
            call("t1"),
        ),
        result("t1"),
        model=REASONER,
        thinking="high",
        tools=(VIEW,),
    ),
    "thinking_on": request_of(user("x"), model=REASONER, thinking="on"),
    "sampling": request_of(user("x"), sampling=Sampling(max_output_tokens=77, temperature=0.5, top_p=0.9, top_k=3)),
    "no_marks": request_of(user("x"), tools=(VIEW,), cache_last_messages=0),
    "long": request_of(user("1"), assistant("2"), user("3"), assistant("4"), user("5"), session_hash="beef"),
}  # fmt: skip


def encode(dialect: str, request: Request) -> dict[str, Any]:
    if dialect == "anthropic":
        found = anthropic_request.encode(request)
        return {"body": found.body, "betas": found.betas, "warnings": found.warnings}
    if dialect == "responses":
        body, warnings = responses_request.encode(request)
        return {"body": body, "warnings": warnings}
    if dialect == "google":
        body, warnings = google_request.encode(request)
        return {"body": body, "warnings": warnings}
    body, warnings = chat_request.encode(request, dialect)
    return {"body": body, "warnings": warnings}


@pytest.mark.parametrize("dialect", ["anthropic", "responses", "openai-compat", "openrouter", "google"])
@pytest.mark.parametrize("name", list(CASES))
def test_a_conversation_is_encoded_as_in_its_snapshot(dialect: str, name: str):
    request = CASES[name]
    before = copy.deepcopy(request.messages)
    found = orjson.loads(orjson.dumps(encode(dialect, request)))
    path = SNAPSHOTS / dialect / f"{name}.json"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    assert found == orjson.loads(path.read_bytes())
    assert request.messages == before, "history was changed"


@pytest.mark.parametrize("name", list(CASES))
def test_anthropic_rules_hold_for_every_case(name: str):
    messages = anthropic_request.encode(CASES[name]).body["messages"]
    assert [item["role"] for item in messages] == ["user", "assistant"] * (len(messages) // 2) + ["user"] * (
        len(messages) % 2
    )
    called: set[str] = set()
    for item in messages:
        kinds = [block["type"] for block in item["content"]]
        assert kinds, "empty message"
        assert kinds == sorted(kinds, key=lambda kind: kind != "tool_result") or item["role"] == "assistant"
        assert {block["tool_use_id"] for block in item["content"] if block["type"] == "tool_result"} == called
        called = {block["id"] for block in item["content"] if block["type"] == "tool_use"}
        assert all(block["text"].strip() for block in item["content"] if block["type"] == "text")


@pytest.mark.parametrize("name", list(CASES))
def test_at_most_four_cache_marks_are_set(name: str):
    body = anthropic_request.encode(CASES[name]).body
    marks = orjson.dumps(body).count(b'"cache_control"')
    assert marks <= 4
    assert (marks == 0) is (name == "no_marks")


def test_signed_thinking_goes_back_byte_for_byte():
    body = anthropic_request.encode(CASES["thinking_effort"]).body
    assert body["messages"][1]["content"][:2] == [SIGNED, HIDDEN]
    items = responses_request.encode(CASES["thinking_effort"])[0]["input"]
    assert items[1] == ITEM
    assert [item["type"] for item in items] == [
        "message",
        "reasoning",
        "message",
        "function_call",
        "function_call_output",
    ]


def test_cache_marks_can_be_switched_off():
    assert b"cache_control" not in orjson.dumps(anthropic_request.encode(CASES["tools"], cache=False).body)


def test_thinking_alone_is_no_message():
    body = anthropic_request.encode(request_of(user("a"), assistant(thought(anthropic=[SIGNED])), user("b"))).body
    assert [item["role"] for item in body["messages"]] == ["user"]
    items = responses_request.encode(request_of(user("a"), assistant(thought(openai=ITEM)), user("b")))[0]["input"]
    assert [item["type"] for item in items] == ["message", "message"]


def test_reasoning_of_another_account_or_dialect_is_left_out():
    other = request_of(user("a"), assistant(thought(openai=ITEM), "b", provider="elsewhere"), user("c"))
    assert "rs_1" not in str(responses_request.encode(other)[0])
    foreign = request_of(user("a"), assistant(thought(openai=ITEM, google={"x": 1}), "b"), user("c"))
    assert "hmm" not in str(anthropic_request.encode(foreign).body)


def test_manual_thinking_does_not_begin_inside_a_tool_loop():
    request = request_of(user("x"), assistant(call("t1")), result("t1"), model=REASONER, thinking="on")
    assert "thinking" not in anthropic_request.encode(request).body


def test_a_thinking_budget_fits_below_the_output_limit():
    options = {"thinking": {"type": "enabled", "budget_tokens": 9000}}
    body = anthropic_request.encode(request_of(user("x"), model=REASONER, provider_options=options)).body
    assert body["thinking"]["budget_tokens"] < body["max_tokens"]


def test_max_tokens_has_a_default_where_the_api_requires_it():
    request = request_of(user("x"), model=Model("fake", "unknown"))
    assert anthropic_request.encode(request).body["max_tokens"] == anthropic_request.DEFAULT_MAX_TOKENS
    assert "max_output_tokens" not in responses_request.encode(request)[0]
    assert "max_tokens" not in chat_request.encode(request, "openai-compat")[0]


def test_sampling_a_thinking_model_refuses_is_dropped_with_a_warning():
    sampling = Sampling(temperature=0.5, top_p=0.9)
    request = request_of(user("x"), model=REASONER, thinking="high", sampling=sampling)
    found = anthropic_request.encode(request)
    assert "temperature" not in found.body
    assert len(found.warnings) == 2
    body, warnings = responses_request.encode(request)
    assert "temperature" not in body
    assert len(warnings) == 2


def test_options_of_the_user_win_over_our_defaults():
    options = {"reasoning_effort": "low", "reasoning": {"summary": "detailed"}, "service_tier": "flex"}
    body = responses_request.encode(request_of(user("x"), model=REASONER, thinking="high", provider_options=options))[0]
    assert body["reasoning"] == {"effort": "low", "summary": "detailed"}
    assert body["service_tier"] == "flex"
    mine = {"thinking": {"type": "disabled"}, "effort": "low"}
    body = anthropic_request.encode(request_of(user("x"), model=REASONER, thinking="high", provider_options=mine)).body
    assert body["thinking"] == {"type": "disabled"}
    assert body["output_config"] == {"effort": "low"}


def test_options_cannot_replace_what_we_own():
    options = {"model": "other", "messages": [], "input": [], "stream": False, "store": True}
    request = request_of(user("x"), provider_options=options)
    assert anthropic_request.encode(request).body["model"] == "fake-large"
    body = responses_request.encode(request)[0]
    assert (body["model"], body["stream"], body["store"]) == ("fake-large", True, False)
    assert chat_request.encode(request, "openai-compat")[0]["messages"]


def test_gateways_get_exacto_usage_and_reasoning():
    model = Model("openrouter", "z-ai/glm-4.6", can_reason=True)
    body = chat_request.encode(request_of(user("x"), model=model, thinking="high"), "openrouter")[0]
    assert body["model"] == "z-ai/glm-4.6:exacto"
    assert body["usage"] == {"include": True}
    assert body["reasoning"] == {"enabled": True, "effort": "high"}


def test_claude_behind_a_gateway_gets_cache_marks():
    model = Model("openrouter", "anthropic/claude-x")
    body = chat_request.encode(request_of(user("a"), assistant("b"), user("c"), model=model), "openrouter")[0]
    assert orjson.dumps(body).count(b"cache_control") == 3


def test_the_limit_has_the_name_the_service_wants():
    assert "max_completion_tokens" in chat_request.encode(CASES["plain"], "openai")[0]
    assert "max_tokens" in chat_request.encode(CASES["plain"], "openai-compat")[0]


def test_reasoning_is_sent_back_where_the_service_wants_it():
    said = request_of(
        user("x"), assistant(thought(openrouter=[{"type": "reasoning.text", "text": "hmm"}]), "y"), user("z")
    )
    assert chat_request.encode(said, "openrouter")[0]["messages"][2]["reasoning_details"][0]["text"] == "hmm"
    replayed = chat_request.encode(said, "openai-compat", replay_reasoning=True)[0]["messages"][2]
    assert replayed["reasoning_content"] == "hmm"
    assert "reasoning_content" not in chat_request.encode(said, "openai-compat")[0]["messages"][2]


def test_gemini_signatures_go_back_with_their_call():
    signature = {"google": {"thought_signature": "abc"}}
    said = assistant(call("t1"), thought(google={"tool_call_id": "t1", "extra_content": signature}))
    body = chat_request.encode(request_of(user("x"), said, result("t1")), "openai-compat")[0]
    assert body["messages"][2]["tool_calls"][0]["extra_content"] == signature


def test_an_attachment_nobody_can_take_is_reported():
    request = request_of(user("x", image("image/tiff")))
    assert anthropic_request.encode(request).warnings
    assert responses_request.encode(request)[1]
    assert chat_request.encode(request, "openai-compat")[1]


def test_parts_that_history_has_inlined_are_skipped():
    request = request_of(message(Role.USER, TextPart("x"), ShellPart("ls", "out", 0)))
    assert len(anthropic_request.encode(request).body["messages"][0]["content"]) == 1
