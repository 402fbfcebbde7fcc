"""One connection: exactly one answer a request, order, lifecycle, overload, cancelling, asking the client."""

import asyncio
import logging
from typing import Any

import pytest

from lsp_agent.wire.limits import Limits
from lsp_agent.wire.outgoing import ConnectionClosed, RemoteError
from lsp_agent.wire.request import INVALID_REQUEST, Request, RpcError
from lsp_agent.wire.rpc import Endpoint, Stage
from tests.harness.client import NEVER, Client, Failed, Refuse
from tests.wire.demo import Demo, eventually, serving


async def error_of(client: Client, method: str, params: Any = None) -> Failed:
    with pytest.raises(Failed) as caught:
        await client.request(method, params)
    return caught.value


async def test_requests_are_handled_and_answered_in_wire_order() -> None:
    async with serving() as (_, client, demo):
        futures = [client.begin("demo/echo", {"n": n})[1] for n in range(200)]
        assert await asyncio.gather(*futures) == [{"n": n} for n in range(200)]
        assert demo.seen[1:] == [str(n) for n in range(200)]


async def test_an_answer_leaves_before_what_was_enqueued_after_it() -> None:
    def run(request: Request) -> None:
        request.answer_bytes(b'{"sessionId":"s"}')
        connection = request.connection
        connection.notify("agent/event", b'{"sessionId":"s","seq":1,"update":{}}', kind="D", key="", session_id="s")
        connection.chunk("s", None, "agent_message_chunk", "m", "text", 1)
        connection.notify("agent/runComplete", {"sessionId": "s", "seq": 2}, session_id="s")

    demo = Demo()
    requests = demo.requests() | {"agent/run": run}
    demo.requests = lambda: requests  # type: ignore[method-assign]
    async with serving(demo) as (_, client, _):
        assert await client.request("agent/run") == {"sessionId": "s"}
        await client.until(lambda m: m.get("method") == "agent/runComplete")
        assert [m.get("method", "answer") for m in client.messages[-4:]] == [
            "answer",
            "agent/event",
            "agent/event",
            "agent/runComplete",
        ]


async def test_a_handler_that_refuses_says_why() -> None:
    async with serving() as (_, client, _):
        error = await error_of(client, "demo/refuse", {"run": "r1"})
        assert (error.code, error.message) == (-31005, "busy")
        assert error.data == {"kind": "SessionBusy", "retryable": False, "activeRunId": "r1"}


@pytest.mark.parametrize("method", ["demo/raise", "demo/silent"])
async def test_a_handler_that_fails_or_forgets_to_answer_answers_an_internal_error_without_detail(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with serving() as (_, client, _):
            error = await error_of(client, method)
    assert (error.code, error.message) == (-32603, "Internal error")
    assert error.data == {"kind": "Internal", "retryable": False}
    assert "secret" not in caplog.text
    assert "Traceback" not in caplog.text


async def test_an_exception_is_translated_where_the_server_knows_it() -> None:
    def translate(error: BaseException) -> RpcError | None:
        return RpcError(-31003, "gone", {"kind": "SessionNotFound"}) if isinstance(error, ValueError) else None

    async with serving(translate=translate) as (_, client, _):
        assert (await error_of(client, "demo/raise")).kind == "SessionNotFound"


async def test_a_second_answer_is_ignored() -> None:
    async with serving() as (endpoint, client, _):
        assert await client.request("demo/twice") == 1
        await client.request("demo/echo")
        assert len([m for m in client.messages if m.get("id") == 2]) == 1
        assert endpoint.statistics().outstanding_requests == 0


async def test_a_result_that_is_not_json_is_an_internal_error_and_a_lone_surrogate_is_not() -> None:
    demo = Demo()
    requests = demo.requests() | {
        "demo/bad": lambda r: r.answer({"x": object()}),
        "demo/torn": lambda r: r.answer({"x": "a\ud800"}),
    }
    demo.requests = lambda: requests  # type: ignore[method-assign]
    async with serving(demo) as (_, client, _):
        assert (await error_of(client, "demo/bad")).code == -32603
        assert await client.request("demo/torn") == {"x": "a\ufffd"}


async def test_a_failing_notification_handler_harms_nobody() -> None:
    async with serving() as (_, client, _):
        client.notify("demo/raise")
        client.notify("demo/unknown")
        client.notify("$/unknown")
        client.send({"jsonrpc": "2.0", "method": "demo/note", "params": [1]})
        assert await client.request("demo/echo", {"n": 1}) == {"n": 1}


async def test_more_than_64_unanswered_requests_are_refused_but_the_reserved_lane_stays_open() -> None:
    async with serving() as (_, client, demo):
        for _ in range(64):
            client.begin("demo/hold")
        error = await error_of(client, "demo/echo")
        assert (error.code, error.kind) == (-31009, "Overloaded")
        assert error.data["retryable"] is True
        assert error.data["retryAfterMs"] > 0
        assert await client.request("agent/cancel") == {"cancelled": []}
        assert await client.request("agent/permission/respond") == {"accepted": True}
        assert await client.request("agent/question/respond") == {"accepted": True}
        assert (await error_of(client, "$/whatever")).code == -32601
        demo.held[0].answer(None)
        assert await client.request("demo/echo", {"n": 1}) == {"n": 1}
        assert await client.request("shutdown") is None


async def test_the_gate_refuses_what_it_wants() -> None:
    async with serving() as (endpoint, client, _):
        endpoint.gate = lambda method: (
            RpcError(-31001, "no", {"kind": "UnsupportedVersion", "supportedVersions": [1]})
            if method.startswith("agent/")
            else None
        )
        assert (await error_of(client, "agent/cancel")).data["supportedVersions"] == [1]
        assert await client.request("demo/echo", {"n": 1}) == {"n": 1}


async def test_cancelling_a_request_sets_its_flag_and_calls_only_who_asked_for_it() -> None:
    async with serving() as (_, client, demo):
        first, first_answer = client.begin("demo/hold")
        second, _ = client.begin("demo/hold")
        await eventually(lambda: len(demo.held) == 2)
        demo.held[0].on_cancel(lambda: demo.held[0].fail(-32800, "Request cancelled"))
        for request_id in (second, first, 999, "x", None, True):
            client.notify("$/cancelRequest", {"id": request_id})
        with pytest.raises(Failed) as caught:
            await first_answer
        assert (caught.value.code, caught.value.kind) == (-32800, "RequestCancelled")
        assert [request.cancelled for request in demo.held] == [True, True]
        assert demo.held[1].answered is False
        called: list[int] = []
        demo.held[1].on_cancel(lambda: called.append(1))
        assert called == [1]


async def test_a_failed_initialize_may_be_tried_again() -> None:
    demo = Demo()
    answers = [lambda r: r.fail(-32602, "no"), lambda r: r.answer({})]
    requests = demo.requests() | {"initialize": lambda r: answers.pop(0)(r)}
    demo.requests = lambda: requests  # type: ignore[method-assign]
    async with serving(demo, initialized=False) as (endpoint, client, _):
        assert (await error_of(client, "initialize")).code == -32602
        assert endpoint.stage is Stage.NEW
        assert await client.request("initialize") == {}


async def test_the_server_asks_the_client_and_gets_results_and_errors() -> None:
    async with serving() as (endpoint, client, _):

        def refuse(_: Any) -> None:
            raise Refuse(-32001, "no")

        client.handlers["editor/refuse"] = refuse
        assert await endpoint.request("workspace/configuration", {"items": [{}, {}]}, timeout_s=5) == [None, None]
        with pytest.raises(RemoteError) as caught:
            await endpoint.request("editor/refuse", timeout_s=5)
        assert (caught.value.code, caught.value.message) == (-32001, "no")


async def test_a_client_that_never_answers_is_told_that_nobody_waits() -> None:
    async with serving() as (endpoint, client, _):
        client.handlers["editor/never"] = lambda _: NEVER
        with pytest.raises(TimeoutError):
            await endpoint.request("editor/never", timeout_s=0.01)
        task = asyncio.create_task(endpoint.request("editor/never", timeout_s=60))
        await client.until(lambda m: m.get("id") == "s2")
        task.cancel()
        await client.until(lambda m: m.get("method") == "$/cancelRequest" and m["params"] == {"id": "s2"})
        assert [m["params"]["id"] for m in client.messages if m.get("method") == "$/cancelRequest"] == ["s1", "s2"]


async def test_when_the_client_goes_whoever_waits_for_it_is_told() -> None:
    async with serving() as (endpoint, client, demo):
        client.handlers["editor/never"] = lambda _: NEVER
        waiting = asyncio.create_task(endpoint.request("editor/never", timeout_s=60))
        await client.until(lambda m: m.get("method") == "editor/never")
        client.pipe.close_stdin()
        with pytest.raises(ConnectionClosed):
            await waiting
        await eventually(lambda: demo.closed == ["eof"])
        with pytest.raises(ConnectionClosed):
            await endpoint.request("editor/never", timeout_s=60)


async def test_what_is_enqueued_before_a_drain_is_written_when_it_returns() -> None:
    async with serving(over_pipes=True) as (endpoint, client, _):
        for n in range(1000):
            endpoint.notify("demo/event", {"n": n, "pad": "x" * 100})
        assert await endpoint.drain(5)
        assert endpoint.statistics().waiting_bytes == 0
        await client.until(lambda m: (m.get("params") or {}).get("n") == 999)


async def test_a_drain_of_a_client_that_does_not_read_ends_in_time() -> None:
    async with serving(over_pipes=True) as (endpoint, client, _):
        client.pipe.pause_reading()
        endpoint.notify("demo/event", {"pad": "x" * 1_000_000})
        assert await endpoint.drain(0.05) is False


async def test_an_event_kind_can_be_opted_out_of_unless_it_is_durable() -> None:
    async with serving() as (endpoint, client, _):
        endpoint.configure_events(opt_out=frozenset({"agent_thought_chunk", "usage_update", "agent_message"}))
        for kind, update in (("E", "usage_update"), ("C", "agent_thought_chunk"), ("D", "agent_message")):
            params = b'{"sessionId":"s","seq":1,"update":{"sessionUpdate":"%s"}}' % update.encode()
            endpoint.notify("agent/event", params, kind=kind, key="k", session_id="s")
        endpoint.chunk("s", "r", "agent_thought_chunk", "m", "hidden", 1)
        endpoint.chunk("s", "r", "agent_message_chunk", "m", "shown", 1)
        await client.until_event("agent_message_chunk")
        assert [p["update"]["sessionUpdate"] for p in client.events()] == ["agent_message", "agent_message_chunk"]


async def test_the_endpoint_is_a_subscriber_of_the_event_port() -> None:
    from lsp_agent.ports.events import Subscriber

    async with serving() as (endpoint, _, _):
        subscriber: Subscriber = endpoint
        assert subscriber.notify


async def test_a_request_after_the_connection_is_closed_raises_nothing() -> None:
    async with serving() as (endpoint, client, demo):
        client.begin("demo/hold")
        await eventually(lambda: demo.held)
        endpoint.close()
        endpoint.close()
        demo.held[0].answer(1)
        endpoint.notify("x", {})
        endpoint.chunk("s", "r", "agent_message_chunk", "m", "t", 1)
        assert await endpoint.drain(0.1) is False
        assert endpoint.closed


async def test_invalid_requests_leave_a_stage_unchanged() -> None:
    async with serving(initialized=False) as (endpoint, client, _):
        assert (await error_of(client, "demo/echo")).code == -32002
        assert endpoint.stage is Stage.NEW
        await client.initialize()
        assert (await error_of(client, "initialize")).code == INVALID_REQUEST
        assert isinstance(endpoint, Endpoint)


async def test_back_pressure_stops_the_reader_and_not_the_loop() -> None:
    limits = Limits(ingress_messages=8, turn_s=0.0)
    async with serving(limits=limits) as (endpoint, client, demo):
        futures = [client.begin("demo/echo", {"n": n})[1] for n in range(300)]
        ticks = 0
        while not all(future.done() for future in futures):
            ticks += 1
            assert len(endpoint._reader._queue) <= 8
            await asyncio.sleep(0.0002)  # a loop that spins would hold the interpreter against the reader
        assert demo.seen[1:] == [str(n) for n in range(300)]
        assert ticks > 20
