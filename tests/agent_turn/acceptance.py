"""What providers refuse: a strict reading of both dialects' rules for histories, and of the events of a turn."""

from collections.abc import Sequence
from typing import Any

import orjson

from lsp_agent.agent.history import build
from lsp_agent.domain.message import Message, Role, ToolCallPart


def assert_provider_accepts(history: Sequence[Message]) -> None:
    """`history` as it would be sent, before adapters merge neighbours of one role."""
    assert history, "empty history"
    assert history[0].role is Role.USER, "starts with a user message"
    for message in history:
        assert message.role in (Role.USER, Role.ASSISTANT, Role.TOOL)
        if message.role is not Role.TOOL:
            has_images = any(getattr(part, "data", None) for part in message.parts)
            assert message.text.strip() or message.tool_calls or has_images, f"{message.role} says nothing"
    _openai(history)
    _anthropic(history)


def _openai(history: Sequence[Message]) -> None:
    """Every call is answered by tool messages that follow at once, each exactly once; no other tool message."""
    open_calls: list[str] = []
    for message in history:
        if message.role is Role.TOOL:
            for part in message.tool_results:
                assert part.tool_call_id in open_calls, f"orphan or repeated result {part.tool_call_id}"
                open_calls.remove(part.tool_call_id)
            continue
        assert not open_calls, f"calls without result: {open_calls}"
        ids = [call.tool_call_id for call in message.tool_calls]
        assert len(set(ids)) == len(ids), "two calls of one id"
        for call in message.tool_calls:
            _assert_whole(call)
        open_calls = ids
    assert not open_calls, f"calls without result: {open_calls}"


def _anthropic(history: Sequence[Message]) -> None:
    """Merged by role (tool results are user content), roles alternate, and results answer the message before."""
    blocks: list[tuple[str, list[str], list[str]]] = []
    for message in history:
        role = "assistant" if message.role is Role.ASSISTANT else "user"
        uses = [call.tool_call_id for call in message.tool_calls]
        results = [part.tool_call_id for part in message.tool_results]
        if blocks and blocks[-1][0] == role:
            if results:
                assert blocks[-1][2], "results come first in a user message"
            blocks[-1][1].extend(uses)
            blocks[-1][2].extend(results)
        else:
            blocks.append((role, uses, results))
    for before, after in zip(blocks, [*blocks[1:], ("user", [], [])], strict=True):
        if before[0] == "assistant":
            assert set(before[1]) == set(after[2]), "tool_use without tool_result in the next message"
        else:
            assert not before[1]


def _assert_whole(call: ToolCallPart) -> None:
    assert call.finished
    assert isinstance(orjson.loads(call.input), dict)


def assert_history_is_sound(rows: Sequence[Message]) -> None:
    """What is stored makes a history that providers accept, without help from repair where calls are concerned."""
    assert_provider_accepts(build(rows, images=True, media_in_results=True))
    answered = [part.tool_call_id for row in rows for part in row.tool_results]
    made = [call.tool_call_id for row in rows for call in row.tool_calls]
    assert sorted(answered) == sorted(made), "every call has exactly one stored result"
    for row in rows:
        assert row.finish is not None, f"{row.role} {row.message_id} never finished"


FINAL = {"completed", "failed", "rejected", "cancelled"}


def assert_events_are_sound(events: Sequence[dict[str, Any]], rows: Sequence[Message]) -> None:
    """Guarantees 5 and 6: every opened call ends once; upserts equal the chunks joined and the stored message."""
    last: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    upserts: dict[str, str] = {}
    for event in events:
        kind = event["sessionUpdate"]
        if kind == "tool_call_update":
            last.setdefault(event["toolCallId"], []).append(event["status"])
        elif kind == "agent_message_chunk":
            texts[event["key"]] = texts.get(event["key"], "") + event["text"]
        elif kind == "agent_message":
            text = "".join(block["text"] for block in event["content"])
            if "finish" in event:
                upserts[event["messageId"]] = text
                assert texts.get(event["messageId"], "") == text, "upsert differs from its chunks"
            else:
                texts[event["messageId"]] = text
    for call_id, statuses in last.items():
        assert statuses[-1] in FINAL, f"{call_id} stays {statuses[-1]}"
        assert sum(status in FINAL for status in statuses) == 1, f"{call_id} ended twice: {statuses}"
    stored = {row.message_id: row.text for row in rows}
    for message_id, text in upserts.items():
        assert stored[message_id] == text, "stored text differs from the upsert"
    compactions = [event["status"] for event in events if event["sessionUpdate"] == "compaction_update"]
    assert compactions.count("started") == sum(status != "started" for status in compactions)
