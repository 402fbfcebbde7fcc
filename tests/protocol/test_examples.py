"""The JSON of PROTOCOL 9 and 15, and one sample of every event, fit the types."""

import pytest

from lsp_agent.protocol.decode import decode
from lsp_agent.protocol.events import UPDATES, EventParams, RunCompleteParams
from lsp_agent.protocol.methods import METHODS

NOW = "2026-11-22T22:22:59.123Z"
RANGE = {"start": {"line": 0, "character": 0}, "end": {"line": 1, "character": 0}}
HUNK = {
    "hunkId": "h",
    "range": RANGE,
    "oldText": "a",
    "newText": "b",
    "state": "pending",
    "runId": None,
    "toolCallId": "t1",
}
FILES = [{"uri": "file:///w/a.py", "kind": "edit", "baseVersion": 41, "hunks": [HUNK]}]
PERMISSION = {
    "requestId": "p1",
    "sessionId": "s1",
    "runId": "r1",
    "toolCallId": "t1",
    "tool": "bash",
    "title": "Run pytest",
    "subject": {"type": "command", "command": "pytest", "cwd": "/w"},
    "options": [{"optionId": "allow_once", "kind": "allow_once", "name": "Allow once"}],
    "createdAt": NOW,
}
TEXT = {"type": "text", "text": "hello"}
SAMPLES = {
    "user_message": {"messageId": "m1", "content": [TEXT], "attachments": []},
    "agent_message_chunk": {"messageId": "m2", "content": TEXT},
    "agent_thought_chunk": {"messageId": "m2", "content": TEXT},
    "agent_message": {
        "messageId": "m2",
        "content": [TEXT],
        "finish": {"reason": "end_turn"},
        "model": "m",
        "provider": "p",
    },
    "agent_thought": {"messageId": "m2", "content": [TEXT]},
    "tool_call_update": {"toolCallId": "t1", "status": "in_progress", "rawInput": {}, "content": None},
    "tool_input_chunk": {"toolCallId": "t1", "content": TEXT},
    "tool_call_content_chunk": {"toolCallId": "t1", "content": TEXT},
    "terminal_output_chunk": {"terminalId": "x", "content": TEXT},
    "terminal_update": {"terminalId": "x", "command": "ls", "status": "exited", "exitCode": -9},
    "plan_update": {"entries": [{"content": "c", "status": "pending", "activeForm": "doing c"}]},
    "usage_update": {"usedTokens": 1, "contextWindow": 0, "costUsd": 0.1, "estimated": True},
    "state_update": {"state": "running"},
    "queue_update": {
        "revision": 1,
        "items": [
            {"runId": None, "messageId": "m", "position": 0, "preview": "p", "kind": "queued", "acceptedAt": NOW}
        ],
    },
    "permission_requested": PERMISSION,
    "permission_resolved": {"requestId": "p1", "outcome": "cancelled", "resolvedBy": None},
    "question_requested": {
        "requestId": "q",
        "sessionId": "s1",
        "runId": None,
        "message": "Which?",
        "createdAt": NOW,
    },
    "question_resolved": {"requestId": "q", "outcome": {"action": "decline"}, "resolvedBy": "nvim"},
    "changes_update": {"files": FILES},
    "session_info_update": {"title": "New"},
    "config_option_update": {"options": [{"optionId": "mode", "name": "Mode", "value": "ask", "choices": ["ask"]}]},
    "available_commands_update": {
        "availableCommands": [{"name": "init", "description": "Look around", "input": {"hint": "x"}}]
    },
    "mcp_update": {"name": "docs", "type": "stdio", "state": "connected", "error": None, "tools": 2},
    "auth_update": {},
    "compaction_update": {"status": "completed", "messageId": "m9"},
    "notice": {"level": "warning", "code": "retry", "message": "again in 5 s"},
    "resync": {"afterSeq": 7},
}


def test_there_is_a_sample_of_every_event():
    assert set(SAMPLES) == set(UPDATES)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_an_event_of_each_kind_fits_its_type(name):
    envelope = {"sessionId": "s1", "runId": "r1", "seq": 813, "update": {"sessionUpdate": name, **SAMPLES[name]}}
    assert type(decode(EventParams, envelope).update) is UPDATES[name][0]


def test_the_envelope_of_the_specification_fits():
    envelope = {
        "sessionId": "s",
        "runId": "r",
        "seq": 813,
        "chunk": 7,
        "parent": {"sessionId": "p", "toolCallId": "t"},
        "update": {"sessionUpdate": "agent_message_chunk", "messageId": "m", "content": TEXT},
    }
    event = decode(EventParams, envelope)
    assert event.parent is not None
    assert (event.chunk, event.parent.tool_call_id) == (7, "t")


def test_an_event_of_a_later_version_is_tolerated():
    event = decode(EventParams, {"sessionId": "s", "seq": 1, "update": {"sessionUpdate": "hologram_update", "x": 1}})
    assert event.update.session_update == "hologram_update"


def test_the_terminal_event_of_the_specification_fits():
    complete = {
        "sessionId": "s1",
        "runId": None,
        "seq": 940,
        "messageId": None,
        "text": "text of the turn's last assistant message",
        "stopReason": "end_turn",
        "cancelled": False,
        "error": None,
        "usage": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "costUsd": 0.0123, "estimated": False},
        "changes": {"files": 2, "added": 14, "removed": 3},
        "steps": 6,
        "durationMs": 18230,
    }
    assert decode(RunCompleteParams, complete).model_dump(by_alias=True) == complete
    failed = {"kind": "RateLimited", "title": "Too many requests", "message": "later", "retryable": True}
    assert decode(RunCompleteParams, {**complete, "stopReason": "error", "error": failed}).error is not None


@pytest.mark.parametrize(
    ("method", "params", "result"),
    [
        (
            "agent/run",
            {
                "runId": "r1",
                "prompt": "fix the failing import",
                "attachments": [
                    {"type": "buffer", "uri": "file:///w/a.py", "version": 41},
                    {"type": "diagnostics", "uri": "file:///w/a.py"},
                ],
            },
            {"sessionId": "s1", "runId": "r1", "messageId": "m1", "state": "running", "seq": 0},
        ),
        (
            "agent/permission/respond",
            {"requestId": "p1", "outcome": {"type": "selected", "optionId": "allow_once"}},
            {"accepted": True},
        ),
        ("agent/cancel", {"sessionId": "s1"}, {"cancelled": ["r1", None], "notRunning": []}),
        (
            "agent/session/attach",
            {"sessionId": "s1", "afterSeq": 0},
            {
                "seq": 4,
                "mode": "replay",
                "pending": {"permissions": [PERMISSION], "questions": []},
                "activeRunId": None,
                "queueRevision": 0,
            },
        ),
        ("agent/changes/list", {"sessionId": "s1"}, {"files": FILES}),
    ],
)
def test_requests_and_responses_of_the_specification_fit(method, params, result):
    entry = METHODS[method]
    decode(entry.params, params)
    assert entry.result is not None
    decode(entry.result, result)


def test_the_diagnostics_notification_of_the_example_fits():
    raw = {"uri": "file:///w/a.py", "version": 42, "server": "pyright", "items": []}
    assert decode(METHODS["agent/editor/didPublishDiagnostics"].params, raw)
    assert not METHODS["agent/editor/didPublishDiagnostics"].is_request
