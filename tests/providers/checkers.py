"""What the services check of a conversation, as far as they say so, and stricter: one checker a dialect."""

import re
from collections.abc import Collection
from typing import Any

import orjson

from lsp_agent.providers.google_request import UNSIGNED

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
MIMES = {"image/png", "image/jpeg", "image/gif", "image/webp"}


def keys(value: dict[str, Any], required: set[str], optional: Collection[str] = ()) -> None:
    assert required <= set(value) <= required | set(optional), value


def check_anthropic(body: dict[str, Any], issued: Collection[str]) -> None:
    """`issued`: signatures that the service has made."""
    messages = body["messages"]
    assert [item["role"] for item in messages] == (["user", "assistant"] * len(messages))[: len(messages)]
    assert messages[-1]["role"] == "user"
    seen: set[str] = set()
    called: list[str] = []
    for item in messages:
        keys(item, {"role", "content"})
        assert item["content"], "empty content"
        results = [block for block in item["content"] if block["type"] == "tool_result"]
        assert item["content"][: len(results)] == results, "results come first"
        assert sorted(block["tool_use_id"] for block in results) == sorted(called)
        called = []
        for block in item["content"]:
            _anthropic_block({**block}, item["role"], issued)
            if block["type"] == "tool_use":
                assert block["id"] not in seen
                seen.add(block["id"])
                called.append(block["id"])
    assert not called


def _anthropic_block(block: dict[str, Any], role: str, issued: Collection[str]) -> None:
    block.pop("cache_control", None)
    kind = block["type"]
    if kind == "text":
        keys(block, {"type", "text"})
        assert block["text"].strip()
    elif kind == "image":
        keys(block, {"type", "source"})
        assert role == "user"
        assert block["source"]["media_type"] in MIMES
    elif kind == "tool_result":
        keys(block, {"type", "tool_use_id", "content"}, {"is_error"})
        for inner in block["content"] if isinstance(block["content"], list) else []:
            assert inner["type"] in {"text", "image"}
        assert block["content"] or not block.get("is_error")
    elif kind == "tool_use":
        keys(block, {"type", "id", "name", "input"})
        assert role == "assistant"
        assert NAME.fullmatch(block["id"])
        assert NAME.fullmatch(block["name"])
        assert isinstance(block["input"], dict)
    else:
        assert kind in {"thinking", "redacted_thinking"}, kind
        assert role == "assistant"
        assert (block.get("signature") or block.get("data")) in issued


def check_responses(body: dict[str, Any], issued: Collection[str]) -> None:
    """`issued`: encrypted reasoning that the service has made."""
    assert body["store"] is False
    open_calls: list[str] = []
    items = body["input"]
    for index, item in enumerate(items):
        kind = item["type"]
        if kind == "function_call":
            keys(item, {"type", "call_id", "name", "arguments"})
            assert 1 <= len(item["call_id"]) <= 64
            assert NAME.fullmatch(item["name"])
            assert isinstance(orjson.loads(item["arguments"]), dict)
            open_calls.append(item["call_id"])
        elif kind == "function_call_output":
            keys(item, {"type", "call_id", "output"})
            open_calls.remove(item["call_id"])
        elif kind == "reasoning":
            assert item["encrypted_content"] in issued
            following = items[index + 1]
            assert following["type"] in {"reasoning", "function_call"} or following["role"] == "assistant"
        else:
            keys(item, {"type", "role", "content"})
            assert not open_calls, "a message between a call and its output"
            allowed = {"input_text", "input_image"} if item["role"] == "user" else {"output_text"}
            assert item["content"]
            assert {part["type"] for part in item["content"]} <= allowed
    assert not open_calls


def check_chat(body: dict[str, Any], issued: Collection[str]) -> None:
    """`issued`: nothing is ever signed here."""
    messages = body["messages"]
    wanted: list[str] = []
    for number, item in enumerate(messages):
        role = item["role"]
        if role == "tool":
            keys(item, {"role", "tool_call_id", "content"})
            assert isinstance(item["content"], str)
            wanted.remove(item["tool_call_id"])
            continue
        assert not wanted, "results come right behind their calls"
        if role == "system":
            assert number == 0
            keys(item, {"role", "content"})
        elif role == "assistant":
            keys(item, {"role", "content"}, {"tool_calls"})
            assert item["content"] or item.get("tool_calls")
            for call in item.get("tool_calls", ()):
                keys(call, {"id", "type", "function"})
                assert NAME.fullmatch(call["function"]["name"])
                assert isinstance(orjson.loads(call["function"]["arguments"]), dict)
                wanted.append(call["id"])
            assert len(set(wanted)) == len(wanted)
        else:
            assert role == "user"
            keys(item, {"role", "content"})
            parts = item["content"]
            assert parts
            for part in parts if isinstance(parts, list) else ():
                assert part["type"] == "text" or part["image_url"]["url"].startswith("data:image/")
    assert not wanted
    assert messages[-1]["role"] in {"user", "tool"}


def check_google(body: dict[str, Any], issued: Collection[str]) -> None:
    """`issued`: thought signatures that the service has made."""
    contents = body["contents"]
    assert contents[0]["role"] == "user"
    assert contents[-1]["role"] == "user"
    calls: list[dict[str, Any]] = []
    for content in contents:
        keys(content, {"role", "parts"})
        assert content["parts"]
        for part in content["parts"]:
            _google_part(part, issued)
        answers = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
        if content["role"] == "user":
            assert len(answers) in {0, len(content["parts"])}, "results come alone"
            shown = [(answer["name"], answer.get("id")) for answer in answers]
            assert shown == [(call["name"], call.get("id")) for call in calls], "results answer the calls, in order"
            calls = []
        else:
            assert content["role"] == "model"
            assert not answers
            assert not calls
            called = [part for part in content["parts"] if "functionCall" in part]
            assert not called or "thoughtSignature" in called[0], "the first call of a step is signed"
            calls = [part["functionCall"] for part in called]
    assert not calls


def _google_part(part: dict[str, Any], issued: Collection[str]) -> None:
    kinds = set(part) & {"text", "inlineData", "functionCall", "functionResponse"}
    assert len(kinds) == 1, part
    keys(part, kinds, {"thoughtSignature", "thought"})
    if "thoughtSignature" in part:
        assert part["thoughtSignature"] in {UNSIGNED, *issued}
    if part.get("text") == "":
        assert "thoughtSignature" in part
    if "inlineData" in part:
        assert part["inlineData"]["mimeType"] in MIMES - {"image/gif"}
    if "functionCall" in part:
        keys(part["functionCall"], {"name", "args"}, {"id"})
        assert NAME.fullmatch(part["functionCall"]["name"])
    if "functionResponse" in part:
        keys(part["functionResponse"], {"name", "response"}, {"id"})
        assert isinstance(part["functionResponse"]["response"], dict)


CHECKERS = {
    "anthropic": check_anthropic,
    "responses": check_responses,
    "chat": check_chat,
    "google": check_google,
}
