"""What must hold of every stream of frames, whatever was done (PROTOCOL 10.1–10.6).

`check(client)` looks at all a client was sent. Written against the protocol's text only.
"""

from collections import defaultdict
from typing import Any

from tests.harness.client import Client

FINAL = {"completed", "failed", "rejected", "cancelled"}
CHUNKS = {
    "agent_message_chunk",
    "agent_thought_chunk",
    "tool_input_chunk",
    "tool_call_content_chunk",
    "terminal_output_chunk",
}
EPHEMERAL = {"usage_update"}
STOPS = {
    "end_turn",
    "max_tokens",
    "max_steps",
    "budget",
    "refusal",
    "loop",
    "cancelled",
    "interrupted",
    "error",
}
ERRORS = {"ProviderAuth", "RateLimited", "Overloaded", "ContextOverflow", "Provider", "Timeout", "Store", "Internal"}


def check(client: Client) -> None:
    """Raises AssertionError, or ConnectionError-like framing errors, when anything broke a rule."""
    assert client.framing_error is None
    _responses(client)
    for session in {e["sessionId"] for e in client.events()}:
        _session(client.events(session))


def _responses(client: Client) -> None:
    """One response a request; the response of a new run or session precedes the first event that names it."""
    answered: set[Any] = set()
    introduced: set[str] = set()
    named: dict[str, int] = {}
    for at, message in enumerate(client.messages):
        assert message.get("jsonrpc") == "2.0"
        if "method" not in message:
            assert ("result" in message) != ("error" in message), message
            if message["id"] is not None:
                assert message["id"] not in answered, f"two responses to {message['id']}"
                answered.add(message["id"])
            if "error" in message:
                error = message["error"]
                assert isinstance(error["code"], int), error
                assert isinstance(error["data"]["kind"], str), error
                assert isinstance(error["data"]["retryable"], bool), error
                assert error["code"] != -32602 or isinstance(error["data"]["path"], str), error
                assert error["code"] != -32603 or error["data"]["kind"] != "Internal", error
                for leak in ("Traceback", "/lsp_agent/", "site-packages", "pydantic", "/data"):
                    assert leak not in repr(error), error
            result = message.get("result")
            if isinstance(result, dict):
                for name in ("sessionId", "runId"):
                    value = result.get(name)
                    if isinstance(value, str) and value not in introduced:
                        introduced.add(value)
                        state = result.get("state")
                        if value in named and state in ("running", "queued") and name == "runId":
                            raise AssertionError(f"{value} was named by an event before its response")
        elif message["method"] in ("agent/event", "agent/runComplete"):
            run_id = message["params"].get("runId")
            if isinstance(run_id, str):
                named.setdefault(run_id, at)


def _session(events: list[dict[str, Any]]) -> None:
    last: int | None = None
    chunk_number: dict[str, int] = defaultdict(lambda: -1)
    streamed: dict[tuple[str, str], str] = defaultdict(str)
    calls: dict[tuple[str, str], tuple[str | None, str]] = {}
    done: list[str] = []
    resynced = False
    lagged = any(event.get("update", {}).get("sessionUpdate") == "resync" for event in events)
    """Chunks may be missing then; the whole upserts may have come before the `resync` says so."""
    for event in events:
        update = event.get("update")
        if update is not None and update["sessionUpdate"] == "resync":
            resynced = True
            continue
        kind = update["sessionUpdate"] if update is not None else "runComplete"
        seq = event["seq"]
        if kind in CHUNKS:
            assert last is None or seq == last, f"a chunk carries seq {seq}, the last durable one was {last}"
            key = update.get("messageId") or update.get("toolCallId") or update.get("terminalId")
            assert event["chunk"] > chunk_number[key], event
            chunk_number[key] = event["chunk"]
            assert update["content"]["type"] == "text"
            streamed[key, kind.removesuffix("_chunk")] += update["content"]["text"]
        elif kind in EPHEMERAL:
            assert last is None or seq == last, f"an ephemeral event carries seq {seq}, the last was {last}"
            assert "chunk" not in event
        else:
            assert "chunk" not in event
            assert last is None or seq == last + 1 or resynced, f"seq {seq} after {last}: {kind}"
            last = seq
        run_id = event.get("runId")
        if isinstance(run_id, str):
            assert run_id not in done, f"{kind} of {run_id} after its runComplete"
        if kind in ("agent_message", "agent_thought") and "content" in update:
            whole = "".join([part.get("text", "") for part in update["content"] or []])
            key = (update["messageId"], kind)
            if update.get("content") == []:
                streamed[key] = ""
            elif streamed[key] and not lagged:
                assert streamed[key] == whole, (streamed[key][-200:], whole[-200:])
        if kind == "tool_call_update":
            calls[update.get("messageId", ""), update["toolCallId"]] = (run_id, update["status"])
        if kind == "runComplete":
            complete(event)
            open_ = [key for key, (owner, status) in calls.items() if owner == run_id and status not in FINAL]
            assert not open_, f"open calls at the end of {run_id}: {open_}"
            if isinstance(run_id, str):
                done.append(run_id)


def complete(event: dict[str, Any]) -> None:
    """One `agent/runComplete` has the fields of PROTOCOL 9 in a combination that is allowed."""
    assert event["stopReason"] in STOPS, event
    assert event["cancelled"] is (event["stopReason"] == "cancelled"), event
    assert {
        "sessionId",
        "runId",
        "seq",
        "messageId",
        "text",
        "error",
        "usage",
        "changes",
        "steps",
        "durationMs",
    } <= set(event)
    assert set(event["usage"]) >= {"input", "output", "cacheRead", "cacheWrite", "costUsd", "estimated"}
    assert set(event["changes"]) >= {"files", "added", "removed"}
    if event["error"] is not None:
        assert event["stopReason"] == "error", event
        assert event["error"]["kind"] in ERRORS
        assert set(event["error"]) >= {"kind", "title", "message", "retryable"}
    else:
        assert event["stopReason"] != "error", event
