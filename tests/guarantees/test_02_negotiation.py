"""PROTOCOL 1 and 2: what `initialize` agrees on, and what malformed input is answered with."""

import asyncio
import json

import pytest

from tests.guarantees.world import World, begin, completes, fresh, idle, refused, turn
from tests.harness.client import Failed
from tests.harness.fake_provider import text, tool, usage
from tests.harness.frames import frame, raw_frame


def agent_of(client):
    return client.server["capabilities"]["experimental"]["agent"]


async def test_the_server_block_says_what_it_can(world: World):
    client = await world.start()
    block = agent_of(client)
    assert block["protocolVersion"] == 1
    assert isinstance(block["instanceId"], str)
    assert block["version"]
    assert block["prompt"] == {"image": True, "bufferRef": True}
    assert set(block["session"]) >= {"list", "read", "attach", "fork", "compact", "export"}
    assert block["run"] == {"queueMax": 1000, "steer": {}}
    assert block["limits"] == {"maxMessageBytes": 33554432, "replayEvents": 20000}
    status = await client.request("agent/status")
    assert status["instanceId"] == block["instanceId"]
    assert status["version"] == block["version"]
    assert status["connections"] == 1
    assert status["busy"] is False
    assert status["droppedChunks"] == 0
    assert set(status) >= {
        "busy",
        "sessions",
        "queued",
        "connections",
        "droppedChunks",
        "version",
        "instanceId",
        "logPath",
    }
    assert set(status["sessions"]) >= {"open", "busy"}
    again = await world_restart(world, client)
    assert agent_of(again)["instanceId"] != block["instanceId"]


async def world_restart(world, client):
    assert await client.shutdown() == 0
    return await world.start()


async def test_no_common_version_refuses_the_agents_methods_and_nothing_else(world: World):
    client = await world.start(agent={"protocolVersions": [2, 3]})
    assert agent_of(client) == {"error": {"kind": "UnsupportedVersion", "supportedVersions": [1]}}
    for method, params in (("agent/run", {"prompt": "x"}), ("agent/status", {}), ("agent/session/list", {})):
        error = await refused(client, method, params)
        assert (error.code, error.kind, error.data["supportedVersions"]) == (-31001, "UnsupportedVersion", [1])
    error = await refused(client, "agent/nothing", {})
    assert error.code in (-31001, -32601)
    assert await client.shutdown() == 0


async def test_a_newer_client_that_also_speaks_version_1(world: World):
    client = await world.start(
        agent={"protocolVersions": [7, 1], "somethingNew": {"a": 1}, "ui": {"permission": "hologram"}}
    )
    assert agent_of(client)["protocolVersion"] == 1
    assert (await turn(client))[1]["stopReason"] == "end_turn"


async def test_the_options_win_over_the_capabilities(world: World):
    client = await world.start(
        agent={"protocolVersions": [1]}, capabilities={"experimental": {"agent": {"protocolVersions": [9]}}}
    )
    assert agent_of(client)["protocolVersion"] == 1


async def test_a_block_in_the_capabilities_alone_is_enough(world: World):
    client = await world.start(agent={}, capabilities={"experimental": {"agent": {"protocolVersions": [9]}}})
    assert agent_of(client)["error"]["kind"] == "UnsupportedVersion"


async def test_tier_0_gets_no_event_it_did_not_ask_for(world: World):
    client = await world.start(agent={})
    assert agent_of(client)["protocolVersion"] == 1
    document = world.write("a.py", "x = 1\n").as_uri()
    client.open_document(document, "x = 1\n")
    actions = await client.request(
        "textDocument/codeAction",
        {
            "textDocument": {"uri": document},
            "range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 1}},
            "context": {"diagnostics": []},
        },
    )
    assert actions
    # a literal, or a plain command for a client that knows no literals
    command = actions[0] if isinstance(actions[0]["command"], str) else actions[0]["command"]
    params = {"command": command["command"], "arguments": command["arguments"]}
    await client.request("workspace/executeCommand", params)
    await world.fake.wait_for(1, 30)
    await client.until(lambda m: m.get("method") == "$/progress" and m["params"]["value"]["kind"] == "end")
    assert not client.events()


async def test_events_can_be_switched_off_and_opted_out_of(world: World):
    client = await world.start(
        agent={"protocolVersions": [1], "events": {"enabled": True, "optOut": ["agent_message_chunk", "usage_update"]}}
    )
    world.fake.push([text("abc", deltas=3), tool("ls", {}), usage(1, 1)], [text("d")])
    result, _ = await turn(client)
    await idle(client, result["sessionId"])
    kinds = {e["update"]["sessionUpdate"] for e in client.events() if "update" in e}
    assert "agent_message" in kinds
    assert not {"agent_message_chunk", "usage_update", "tool_input_chunk"} & kinds


async def test_tool_input_is_streamed_only_on_wish(world: World):
    client = await world.start(agent={"protocolVersions": [1], "events": {"optIn": ["tool_input_chunk"]}})
    world.fake.push([tool("ls", {"path": "."}), usage(1, 1)])
    result, _ = await turn(client)
    joined = "".join(e["update"]["content"]["text"] for e in client.events(result["sessionId"], "tool_input_chunk"))
    assert json.loads(joined) == {"path": "."}


async def test_no_events_for_a_client_that_wants_none(world: World):
    client = await world.start(agent={"protocolVersions": [1], "events": {"enabled": False}})
    run_id = fresh()
    params = {"prompt": "x", "runId": run_id}
    await client.request("agent/run", params)
    await world.fake.wait_for(1, 30)
    while (await client.request("agent/run", params))["state"] == "running":
        pass
    assert not [e for e in client.events() if "update" in e]


async def test_attach_in_initialize_replays(world: World):
    client = await world.start()
    result, _ = await turn(client)
    await idle(client, result["sessionId"])
    await client.shutdown()
    second = await world.start(
        agent={"protocolVersions": [1], "attach": [{"sessionId": result["sessionId"], "afterSeq": 2}]}
    )
    await second.until_complete(result["runId"])
    assert second.events(result["sessionId"])[0]["seq"] == 3
    assert second.events(result["sessionId"])[0]["seq"] == 3


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b"[]", -32600),
        (b'[{"jsonrpc":"2.0","id":1,"method":"agent/status"}]', -32600),
        (b"3", -32600),
        (b'{"jsonrpc":"2.0","id":77}', -32600),
        (b'{"jsonrpc":"2.0","id":77,"method":5}', -32600),
        (b'{"jsonrpc":"2.0","id":77,"method":"agent/nothing","params":{}}', -32601),
        (b'{"jsonrpc":"2.0","id":77,"method":"agent/status","params":[]}', -32602),
        (b'{"jsonrpc":"2.0","id":77,"method":"agent/status","params":"x"}', -32602),
        (
            b'{"jsonrpc":"2.0","id":77,"method":"agent/run","params":{"prompt":' + b"[" * 5000 + b"]" * 5000 + b"}}",
            None,
        ),
    ],
)
async def test_malformed_messages_are_answered_once_and_survived(world: World, body: bytes, code: int | None):
    client = await world.start()
    client.raw(raw_frame(body))
    answer = await client.until(lambda m: "error" in m)
    if code is not None:
        assert answer["error"]["code"] == code
    if code == -32602:
        assert isinstance(answer["error"]["data"]["path"], str)
    assert answer["id"] == (77 if b'"id":77' in body and code is not None else answer["id"])
    assert (await client.request("agent/status"))["busy"] is False


async def test_missing_and_null_params_read_as_an_empty_object(world: World):
    client = await world.start()
    client.send({"jsonrpc": "2.0", "id": 801, "method": "agent/status"})
    client.send({"jsonrpc": "2.0", "id": 802, "method": "agent/status", "params": None})
    for number in (801, 802):
        answer = await client.until(lambda m, number=number: m.get("id") == number)
        assert answer["result"]["busy"] is False


async def test_string_ids_and_unknown_notifications(world: World):
    client = await world.start()
    client.notify("agent/whoKnows", {"a": 1})
    client.notify("$/whatever", {})
    client.send({"jsonrpc": "2.0", "id": "abc", "method": "agent/status", "params": {}})
    assert (await client.until(lambda m: m.get("id") == "abc"))["result"]["connections"] == 1
    assert not [m for m in client.messages if m.get("error")]


async def test_before_initialize_and_after_shutdown(world: World):
    client = await world.start(initialize=False)
    assert (await refused(client, "agent/status", {})).code == -32002
    await client.initialize(root=world.project)
    assert (await refused(client, "initialize", {})).code == -32600
    await client.request("shutdown")
    error = await refused(client, "agent/run", {"prompt": "x"})
    assert (error.code, error.kind) == (-31014, "ShuttingDown")
    assert (await refused(client, "textDocument/codeAction", {})).code == -32600
    client.notify("exit")
    assert await client.wait_exit() == 0


async def test_exit_without_shutdown_is_status_1(world: World):
    client = await world.start()
    await client.request("agent/status")
    client.notify("exit")
    assert await client.wait_exit() == 1


async def test_11_more_than_64_outstanding_are_overloaded(world: World):
    client = await world.start()
    await client.request("agent/status")
    document = world.write("slow.py", "x\n").as_uri()
    client.open_document(document, "x\n", version=1)
    # each waits 500 ms for a version that never comes
    attachments = [{"type": "buffer", "uri": document, "version": 9}]
    futures = [client.begin("agent/run", {"prompt": "x", "attachments": attachments})[1] for _ in range(70)]
    errors = [error for error in await asyncio.gather(*futures, return_exceptions=True) if isinstance(error, Failed)]
    kinds = [error.kind for error in errors]
    for error in errors:
        if error.kind == "Overloaded":
            assert (error.code, error.data["retryable"]) == (-31009, True)
            assert error.data["retryAfterMs"] > 0
    assert kinds.count("Overloaded") == 6
    assert kinds.count("StaleDocument") == 64
    assert (await turn(client))[1]["stopReason"] == "end_turn"


async def test_11_a_message_over_32_mib_is_skipped_and_the_connection_kept(world: World):
    client = await world.start()
    await client.request("agent/status")
    client.raw(frame({"jsonrpc": "2.0", "id": 5001, "method": "agent/run", "params": {"prompt": "x" * 34_000_000}}))
    answer = await client.until(lambda m: "error" in m)
    assert answer["error"]["code"] == -32600
    assert (await turn(client))[1]["stopReason"] == "end_turn"


async def test_11_the_1001st_queued_run_is_refused(world: World):
    client = await world.start()
    session, _, _ = await begin(client, world.fake)
    for first in range(0, 1000, 50):
        runs = [
            client.begin("agent/run", {"sessionId": session, "runId": f"q{n}", "prompt": "p"})[1]
            for n in range(first, first + 50)
        ]
        for future in runs:
            assert (await future)["state"] == "queued"
    error = await refused(client, "agent/run", {"sessionId": session, "runId": "q1000", "prompt": "p"})
    assert (error.code, error.kind, error.data["max"]) == (-31008, "QueueFull", 1000)
    cancelled = await client.request("agent/cancel", {"sessionId": session})
    assert len(cancelled["cancelled"]) == 1001
    await client.until_complete("q999")
    await idle(client, session)
    assert len(completes(client, session)) == 1001
