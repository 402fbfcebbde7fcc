"""PROTOCOL 9 and CORE 8–9: what goes wrong between the server and the model, and how the user is told."""

import socket

import pytest

from tests.guarantees.world import World, completes, fresh, idle, sent_to_model, turn
from tests.harness.fake_provider import http, text, tool, usage


def notices(client, session):
    return [e["update"] for e in client.events(session, "notice")]


async def failed(world: World, client, kind: str, retryable: bool | None = None):
    result, done = await turn(client)
    assert result["state"] == "running"
    assert done["stopReason"] == "error"
    assert done["error"]["kind"] == kind, done["error"]
    assert done["error"]["title"]
    assert done["error"]["message"]
    if retryable is not None:
        assert done["error"]["retryable"] is retryable
    messages = (await client.request("agent/session/read", {"sessionId": result["sessionId"]}))["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant"]
    assert messages[1]["finish"]["reason"] == "error"
    await idle(client, result["sessionId"])
    return result, done


@pytest.mark.parametrize("type_", ["anthropic", "openai", "openai-compat"])
async def test_every_dialect_runs_a_tool_and_answers(world: World, type_: str):
    world.configure(type_=type_)
    world.write("a.py", "contents of a\n")
    client = await world.start()
    world.fake.push(
        [text("Looking.", deltas=2), tool("view", {"file_path": "a.py"}), usage(100, 20, cache_read=10)],
        [text("Seen it", deltas=3), usage(150, 10)],
    )
    result, done = await turn(client)
    assert (done["stopReason"], done["text"], done["steps"]) == ("end_turn", "Seen it", 2)
    assert (done["usage"]["input"], done["usage"]["output"], done["usage"]["cacheRead"]) == (250, 30, 10)
    assert done["usage"]["estimated"] is False
    assert "contents of a" in str(world.fake.requests[-1].body) or "contents of a" in str(world.fake.requests[-2].body)
    messages = (await client.request("agent/session/read", {"sessionId": result["sessionId"]}))["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize("type_", ["anthropic", "openai-compat"])
async def test_the_provider_cannot_be_reached(world: World, type_: str):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        world.configure(type_=type_, base_url=f"http://127.0.0.1:{reserved.getsockname()[1]}", limits="retries = 1")
        client = await world.start()
        await failed(world, client, "Provider", True)


@pytest.mark.parametrize("type_", ["anthropic", "openai", "openai-compat"])
async def test_401_is_told_as_an_authentication_problem(world: World, type_: str):
    world.configure(type_=type_)
    client = await world.start()
    body = {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
    world.fake.push(*[[http(401, body=body)] for _ in range(3)])
    await failed(world, client, "ProviderAuth", False)
    assert len([r for r in world.fake.requests if r.body.get("tools")]) == 1


async def test_a_key_that_is_not_set(world: World):
    client = await world.start(env={"FAKE_KEY": ""})
    await failed(world, client, "ProviderAuth", False)
    assert not world.fake.requests


async def test_a_model_nobody_configured(world: World):
    client = await world.start()
    result, done = await turn(client, options={"model": "nobody/nothing"})
    assert done["stopReason"] == "error"
    assert done["error"]["kind"] in ("Provider", "ProviderAuth")
    assert not [request for request in world.fake.requests if request.body.get("tools")]
    assert (await turn(client, sessionId=result["sessionId"]))[1]["stopReason"] == "end_turn"


async def test_429_is_retried_and_announced(world: World):
    client = await world.start()
    world.fake.push([http(429, {"retry-after": "0"})], [text("at last")])
    result, done = await turn(client)
    assert (done["stopReason"], done["text"], done["steps"]) == ("end_turn", "at last", 1)
    notice = notices(client, result["sessionId"])[0]
    assert notice["code"] == "retry"
    assert notice["level"] in ("info", "warning")
    assert notice["message"]


async def test_429_waits_as_long_as_retry_after_says(world: World):
    client = await world.start()
    world.fake.push([http(429, {"retry-after": "1"})], [text("at last")])
    await turn(client)
    first, second = [r for r in world.fake.requests if r.body.get("tools")][:2]
    assert 0.95 <= second.at_s - first.at_s < 2.5


@pytest.mark.parametrize(
    ("status", "kind"), [(429, "RateLimited"), (529, "Overloaded"), (500, "Provider"), (503, "Overloaded")]
)
async def test_retries_that_are_used_up(world: World, status: int, kind: str):
    world.configure(limits="retries = 2")
    client = await world.start()
    world.fake.push(*[[http(status)] for _ in range(9)])
    result, done = await turn(client)
    assert done["stopReason"] == "error"
    assert done["error"]["kind"] in (kind, "Provider")
    assert done["error"]["retryable"] is True
    assert len([r for r in world.fake.requests if r.body.get("tools")]) == 3
    assert len([n for n in notices(client, result["sessionId"]) if n["code"] == "retry"]) == 2


@pytest.mark.parametrize("status", [400, 403, 404, 413, 422])
async def test_errors_that_are_not_retried(world: World, status: int):
    client = await world.start()
    world.fake.push(*[[http(status)] for _ in range(5)])
    _, done = await turn(client)
    assert done["stopReason"] == "error"
    assert done["error"]["retryable"] is False
    assert len([r for r in world.fake.requests if r.body.get("tools")]) <= 2


async def test_a_stream_cut_in_the_middle_is_taken_back_and_tried_again(world: World):
    client = await world.start()
    world.fake.push(
        [text("half of an ans", deltas=3), {"end": "abrupt"}], [text("the whole answer", deltas=4), usage(1, 1)]
    )
    result, done = await turn(client)
    assert (done["stopReason"], done["text"]) == ("end_turn", "the whole answer")
    events = client.events(result["sessionId"], "agent_message")
    assert [e["update"]["content"] for e in events] == [[], [{"type": "text", "text": "the whole answer"}]]
    assert notices(client, result["sessionId"])
    messages = (await client.request("agent/session/read", {"sessionId": result["sessionId"]}))["messages"]
    assert [p["text"] for p in messages[1]["parts"] if p["type"] == "text"] == ["the whole answer"]


async def test_a_retry_never_repeats_a_tool_that_has_run(world: World):
    client = await world.start()
    world.fake.push(
        [tool("write", {"file_path": "once.txt", "content": "1"}), usage(1, 1)],
        [text("ha"), {"end": "abrupt"}],
        [text("done")],
    )
    result, done = await turn(client)
    assert (done["stopReason"], done["steps"]) == ("end_turn", 2)
    calls = [e["update"] for e in client.events(result["sessionId"], "tool_call_update")]
    assert [c["status"] for c in calls].count("completed") == 1


async def test_a_silent_stream_ends_in_a_time_out(world: World):
    world.configure(limits="stream_idle_s = 0.4\nretries = 1")
    client = await world.start()
    world.fake.push([text("one"), {"stall": 30}], [text("two"), {"stall": 30}])
    result, done = await turn(client)
    assert done["error"]["kind"] == "Timeout"
    assert done["error"]["retryable"] is True
    assert len([n for n in notices(client, result["sessionId"]) if n["code"] == "retry"]) == 1


async def test_pings_keep_a_stream_alive(world: World):
    world.configure(limits="stream_idle_s = 0.6\nretries = 0")
    client = await world.start()
    world.fake.push(
        [text("a"), *[step for _ in range(5) for step in ({"stall": 0.25}, {"ping": 1})], text("b"), usage(1, 1)]
    )
    _, done = await turn(client)
    assert (done["stopReason"], done["text"]) == ("end_turn", "ab")


async def test_a_page_instead_of_a_stream(world: World):
    world.configure(limits="retries = 0")
    client = await world.start()
    world.fake.push([{"html": 200}])
    await failed(world, client, "Provider")


async def test_a_cancel_during_a_retry_wait_is_at_once(world: World):
    world.configure(limits="retry_base_s = 30")
    client = await world.start()
    world.fake.push([http(500)])
    run_id = fresh()
    session = (await client.request("agent/run", {"runId": run_id, "prompt": "x"}))["sessionId"]
    await client.until_event("notice", session)
    await client.request("agent/cancel", {"sessionId": session})
    assert (await client.until_complete(run_id, timeout=3))["cancelled"] is True
    assert completes(client, session) == [(run_id, "cancelled")]


async def test_the_window_is_summarized_when_it_is_nearly_full(world: World):
    world.configure(model="context_window = 1000")
    client = await world.start()
    world.fake.push([tool("ls", {"path": "."}), usage(900, 50)], [text("after the summary"), usage(100, 5)])
    result, done = await turn(client, "the long task")
    session = result["sessionId"]
    await idle(client, session)
    statuses = [e["update"]["status"] for e in client.events(session, "compaction_update")]
    assert statuses[:2] == ["started", "completed"]
    assert done["stopReason"] == "end_turn"
    assert done["text"] == "after the summary"
    messages = (await client.request("agent/session/read", {"sessionId": session}))["messages"]
    assert any(m["isSummary"] for m in messages)
    assert completes(client, session) == [(result["runId"], "end_turn")]
    assert "the long task" in sent_to_model(world.fake, -1)


async def test_a_request_that_is_too_long_is_summarized_and_sent_again(world: World):
    client = await world.start()
    result, _ = await turn(client, "old words")
    too_long = {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "prompt is too long: 250000 tokens > 200000 maximum"},
    }
    world.fake.push([http(400, body=too_long)], [text("fits now"), usage(1, 1)])
    _, done = await turn(client, "new words", sessionId=result["sessionId"])
    assert done["stopReason"] == "end_turn" or done["error"]["kind"] == "ContextOverflow"


async def test_an_invalid_configuration_is_said_once_and_names_the_key(world: World):
    world.config.write_text(world.config.read_text() + "\n[agent2]\nx = 1\n[permissions2]\n")
    text_ = world.config.read_text().replace("[agent]\n", '[agent]\nmax_steps = "many"\n')
    world.config.write_text(text_)
    client = await world.start()
    shown = await client.until(
        lambda m: m.get("method") == "window/showMessage" and "max_steps" in m["params"]["message"]
    )
    assert "config.toml" in shown["params"]["message"]
    assert (await turn(client))[1]["stopReason"] == "end_turn"


async def test_editor_settings_may_only_tighten(world: World):
    world.configure(permissions='mode = "ask"')
    client = await world.start(
        options={
            "permissions": {"mode": "full-auto"},
            "models": {"large": "evil/model"},
            "agent": {"protocolVersions": [1]},
        }
    )
    world.fake.push([tool("write", {"file_path": "w.txt", "content": "w"}), usage(1, 1)])
    run_id = fresh()
    session = (await client.request("agent/run", {"runId": run_id, "prompt": "x"}))["sessionId"]
    await client.until_event("permission_requested", session)
    await client.request("agent/cancel", {"sessionId": session})
    await client.until_complete(run_id)
