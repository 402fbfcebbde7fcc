"""RELIABILITY 2.6, one test an id, against a whole connection with demo handlers.

PR-19 and PR-20 (signals) and PR-24 and PR-25 (ids, permission answers) need the server itself and are not here.
"""

import asyncio
import json
import logging
import subprocess
import sys
import time
from typing import Any

import pytest

from lsp_agent.wire.limits import Limits
from tests.harness.client import Client, Failed
from tests.harness.frames import frame, raw_frame
from tests.wire.demo import Demo, eventually, serving

ALIVE = {"n": "alive"}


async def answer_to(client: Client, data: bytes, request_id: Any) -> dict[str, Any]:
    """Send bytes; the one answer with that id; and the connection still works."""
    client.raw(data)
    answer = await client.until(lambda m: "method" not in m and m.get("id") == request_id and m.get("id") != 1)
    assert await client.request("demo/echo", ALIVE) == ALIVE
    assert len([m for m in client.messages if "method" not in m and m["id"] == request_id]) == 1
    return answer


def request(request_id: Any, method: str = "demo/echo", **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, **more}


@pytest.mark.parametrize("length", ["99999999999", "99999999999999999999999", "-1", "ten"])
async def test_PR_01_PR_02_an_absurd_length_is_answered_and_survived(length: str) -> None:
    async with serving() as (_, client, _):
        answer = await answer_to(client, f"Content-Length: {length}\r\n\r\n".encode(), None)
        assert answer["error"]["code"] == -32600


@pytest.mark.parametrize("body", [b"{nope", b'{"a":"\xff\xfe"}', b"", b"\x00"])
async def test_PR_03_what_is_not_json_is_answered_with_a_parse_error(body: bytes) -> None:
    async with serving() as (_, client, _):
        answer = await answer_to(client, raw_frame(body), None)
        assert answer["error"]["code"] == -32700
        assert answer["error"]["data"] == {"kind": "ParseError", "retryable": False}


@pytest.mark.parametrize("batch", [[], [request(5)], [request(5), request(6)], [1, 2]])
async def test_PR_04_a_batch_gets_one_refusal(batch: list[Any]) -> None:
    async with serving() as (_, client, _):
        assert (await answer_to(client, frame(batch), None))["error"]["code"] == -32600


@pytest.mark.parametrize("message", [1, "x", None, True, {}, {"id": None}, {"method": 5, "jsonrpc": "2.0"}])
async def test_what_is_no_request_is_refused_without_an_id(message: Any) -> None:
    async with serving() as (_, client, _):
        assert (await answer_to(client, frame(message), None))["error"]["code"] == -32600


@pytest.mark.parametrize(
    "message", [{"id": 77}, {"id": 77, "jsonrpc": "2.0", "method": 5}, {"id": 77, "method": "demo/echo"}]
)
async def test_what_is_no_request_is_refused_with_its_id_when_that_is_readable(message: Any) -> None:
    async with serving() as (_, client, _):
        assert (await answer_to(client, frame(message), 77))["error"]["code"] == -32600


@pytest.mark.parametrize("params", [[], [1], "x", 5, True, 1.5])
async def test_PR_05_params_that_are_no_object_are_refused_with_the_id(params: Any) -> None:
    async with serving() as (_, client, _):
        answer = await answer_to(client, frame(request("p", params=params)), "p")
        assert (answer["error"]["code"], answer["error"]["data"]["path"]) == (-32602, "$")


@pytest.mark.parametrize("more", [{}, {"params": None}, {"params": {}}])
async def test_PR_05_missing_and_null_params_read_as_an_empty_object(more: dict[str, Any]) -> None:
    async with serving() as (_, client, _):
        assert (await answer_to(client, frame(request("p", **more)), "p"))["result"] == {}


@pytest.mark.parametrize("inner", [{"jsonrpc": "2.0"}, {"jsonrpc": 1, "id": 3, "method": "exit"}, {"jsonrpc": None}])
async def test_PR_06_a_nested_jsonrpc_key_is_only_data(inner: dict[str, Any]) -> None:
    async with serving() as (_, client, _):
        params = {"deep": [inner], **inner}
        assert (await answer_to(client, frame(request("j", params=params)), "j"))["result"] == params


@pytest.mark.parametrize("head", ["content-length: {}\r\n\r\n", "CONTENT-LENGTH:{}\n\n", "Content-Length: {}\n\n"])
async def test_PR_07_a_header_in_another_case_or_with_line_feeds_is_heard(head: str) -> None:
    async with serving() as (_, client, _):
        body = json.dumps(request("h")).encode()
        assert (await answer_to(client, head.format(len(body)).encode() + body, "h"))["result"] == {}


async def test_PR_08_garbage_between_frames_is_skipped_and_counted() -> None:
    async with serving() as (endpoint, client, _):
        client.raw(b"Hello from a print\r\n\r\n" + b"{}" * 100)
        assert await client.request("demo/echo", ALIVE) == ALIVE
        assert endpoint.statistics().resyncs >= 1
        assert endpoint.statistics().skipped_bytes > 200


async def test_PR_09_a_lone_surrogate_is_replaced() -> None:
    async with serving() as (_, client, _):
        body = rb'{"jsonrpc":"2.0","id":"s","method":"demo/echo","params":{"t":"a\ud800b","\udc00":1}}'
        assert (await answer_to(client, raw_frame(body), "s"))["result"] == {"t": "a\ufffdb", "\ufffd": 1}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "9223372036854775808", "1" * 5000, "-1e999"])
async def test_PR_10_a_number_out_of_range_is_refused_with_the_id(number: str) -> None:
    async with serving() as (_, client, _):
        body = f'{{"jsonrpc":"2.0","id":"n","method":"demo/echo","params":{{"x":[{number}]}}}}'
        assert (await answer_to(client, raw_frame(body.encode()), "n"))["error"]["code"] == -32602


async def test_PR_10_a_number_out_of_range_as_an_id_or_in_a_notification_is_a_parse_error() -> None:
    async with serving() as (_, client, demo):
        body = b'{"jsonrpc":"2.0","id":99999999999999999999,"method":"demo/echo"}'
        assert (await answer_to(client, raw_frame(body), None))["error"]["code"] == -32700
        client.raw(raw_frame(b'{"jsonrpc":"2.0","method":"demo/note","params":{"x":NaN}}'))
        assert await client.request("demo/echo", ALIVE) == ALIVE
        assert "demo/note" not in demo.seen


@pytest.mark.parametrize("depth", [65, 1000, 100_000])
async def test_PR_11_deep_nesting_is_a_parse_error(depth: int) -> None:
    async with serving() as (_, client, _):
        body = b'{"jsonrpc":"2.0","id":"d","method":"demo/echo","params":' + b"[" * depth + b"]" * depth + b"}"
        assert (await answer_to(client, raw_frame(body), None))["error"]["code"] == -32700


@pytest.mark.parametrize("request_id", [None, 1.5, True, False, {}, {"a": 1}, [1]])
async def test_PR_12_an_id_that_is_no_id_is_refused(request_id: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as (_, client, demo):
        answer = await answer_to(client, frame(request(request_id, params={"n": "bad"})), None)
        assert answer["error"]["code"] == -32600
        assert "bad" not in demo.seen
    assert "Traceback" not in caplog.text


async def test_PR_13_an_id_in_flight_is_refused_and_the_first_request_is_unharmed() -> None:
    async with serving() as (_, client, demo):
        client.send(request("x", "demo/hold"))
        client.send(request("x"))
        refusal = await client.until(lambda m: m.get("id") == "x")
        assert refusal["error"]["code"] == -32600
        demo.held[0].answer("first")
        assert (await client.until(lambda m: m.get("id") == "x" and "result" in m))["result"] == "first"
        client.send(request("x"))
        await client.until(lambda m: m.get("id") == "x" and m.get("result") == {})
        assert await client.request("demo/echo", ALIVE) == ALIVE


async def test_PR_13_the_same_number_and_text_are_two_ids() -> None:
    async with serving() as (_, client, demo):
        client.send(request(500, "demo/hold"))
        client.send(request("500", "demo/hold"))
        await eventually(lambda: len(demo.held) == 2)


async def test_PR_14_answers_to_nobody_are_ignored_and_counted() -> None:
    async with serving() as (endpoint, client, _):
        for answer in ({"id": "s1", "result": 1}, {"id": 1, "result": 1}, {"id": None, "error": {}}, {"result": 1}):
            client.send({"jsonrpc": "2.0", **answer})
        client.send({"id": [], "error": "odd"})
        assert await client.request("demo/echo", ALIVE) == ALIVE
        assert endpoint.statistics().ignored_responses == 5


async def test_PR_15_cancelling_a_request_does_not_tear_its_task() -> None:
    async with serving() as (_, client, demo):
        slow, answer = client.begin("demo/slow")
        client.begin("demo/hold")
        await eventually(lambda: demo.held)
        client.notify("$/cancelRequest", {"id": slow})
        assert await client.request("demo/echo", ALIVE) == ALIVE
        demo.held[0].answer(None)
        assert await answer == "done"
        assert demo.finished == ["slow"]


async def longest_stall(work: "asyncio.Task[Any]") -> float:
    """The longest time the loop did not run, in seconds, while `work` went on."""
    longest_s, last_s = 0.0, time.perf_counter()
    while not work.done():
        await asyncio.sleep(0.002)
        now_s = time.perf_counter()
        longest_s, last_s = max(longest_s, now_s - last_s - 0.002), now_s
    return longest_s


async def test_PR_16_a_client_that_stops_reading_stops_nothing_and_reads_everything_later() -> None:
    async with serving(over_pipes=True) as (endpoint, client, _):
        client.pipe.pause_reading()
        sent: list[str] = []

        async def stream() -> None:
            for n in range(20_000):
                text = f"{n:06d} " * 8
                sent.append(text)
                endpoint.chunk("s", "r", "agent_message_chunk", "m", text, 1)
                if n % 100 == 0:
                    await asyncio.sleep(0)
            endpoint.notify("agent/event", {"sessionId": "s", "seq": 2, "update": {"sessionUpdate": "x"}})

        stall_s = await longest_stall(asyncio.create_task(stream()))
        assert stall_s < 0.25  # 50 ms on an idle machine; eight people share two cores here
        assert endpoint.statistics().peak_waiting_bytes < 8 * 1024 * 1024
        client.pipe.resume_reading()
        await client.until_event("x")
        assert client.chunk_text("m") == "".join(sent)
        assert endpoint.statistics().dropped_chunks == 0


async def test_PR_16_far_behind_chunks_are_dropped_and_the_full_text_still_arrives() -> None:
    async with serving(over_pipes=True) as (endpoint, client, _):
        client.pipe.pause_reading()
        text = ""
        for n in range(300):
            piece = f"{n:03d}" + "x" * 50_000
            text += piece
            endpoint.chunk("s", "r", "agent_message_chunk", "m", piece, 1)
        update = {"sessionUpdate": "agent_message", "messageId": "m", "content": [{"type": "text", "text": text}]}
        endpoint.notify("agent/event", {"sessionId": "s", "runId": "r", "seq": 2, "update": update}, session_id="s")
        statistics = endpoint.statistics()
        assert statistics.dropped_chunks > 0
        assert statistics.lagging
        client.pipe.resume_reading()
        assert (await client.until_event("agent_message"))["update"]["content"][0]["text"] == text
        resync = await client.until_event("resync")
        assert (resync["seq"], resync["update"]["afterSeq"]) == (2, 1)
        assert text.startswith(client.chunk_text("m"))
        assert not endpoint.statistics().lagging
        endpoint.chunk("s", "r", "agent_message_chunk", "m2", "on", 2)
        await client.until(lambda m: "on" in str(m.get("params", {}).get("update", {}).get("content")))


async def test_PR_16_a_slow_client_gets_everything() -> None:
    async with serving(over_pipes=True) as (endpoint, client, _):
        client.pipe.throttle(2_000_000)
        text = "".join(f"{n} " for n in range(60_000))
        for at in range(0, len(text), 40):
            endpoint.chunk("s", "r", "agent_message_chunk", "m", text[at : at + 40], 1)
        endpoint.notify("agent/event", {"sessionId": "s", "seq": 2, "update": {"sessionUpdate": "x"}}, session_id="s")
        await client.until_event("x")
        assert client.chunk_text("m") == text


async def test_PR_17_when_the_client_closes_stdout_nobody_raises_and_the_server_is_told_once() -> None:
    async with serving(over_pipes=True) as (endpoint, client, demo):
        client.pipe.close_stdout()
        for n in range(100):
            endpoint.notify("demo/event", {"n": n})
            endpoint.chunk("s", "r", "agent_message_chunk", "m", "x", 1)
            await asyncio.sleep(0)
        await eventually(lambda: demo.closed == ["gone"])
        client.pipe.close_stdin()
        await eventually(lambda: endpoint.closed)
        assert await endpoint.drain(0.1) is False
        assert demo.closed == ["gone"]


async def test_PR_18_at_the_end_of_input_the_server_is_told_and_can_still_write() -> None:
    async with serving(over_pipes=True) as (endpoint, client, demo):
        client.begin("demo/hold")
        client.pipe.close_stdin()
        await eventually(lambda: demo.closed == ["eof"])
        demo.held[0].answer("late but true")
        assert await endpoint.drain()
        assert (await client.until(lambda m: m.get("id") == 2))["result"] == "late but true"


async def test_PR_21_a_message_beyond_the_limit_is_skipped_and_the_connection_kept() -> None:
    async with serving(limits=Limits(max_body_bytes=100_000)) as (_, client, _):
        answer = await answer_to(client, frame(request("big", params={"t": "x" * 500_000})), None)
        assert answer["error"]["code"] == -32600


async def test_PR_21_a_large_message_is_read_without_stopping_the_loop_for_long() -> None:
    async with serving() as (_, client, _):
        _, future = client.begin("demo/hold", {"t": "x" * 8_000_000})
        work = asyncio.create_task(client.pipe.flush())
        assert await longest_stall(work) < 0.5
        assert await client.request("demo/echo", ALIVE) == ALIVE
        assert not future.done()


def test_PR_22_prints_and_children_cannot_reach_the_protocol() -> None:
    program = """if True:
        import os, subprocess, sys
        from lsp_agent.wire.stdio import take_stdio
        pipes = take_stdio()
        print("stray", flush=True)
        os.write(1, b"raw")
        subprocess.run(["echo", "child"])
        assert sys.stdin.read() == ""
        assert min(pipes.read_fd, pipes.write_fd) > 2
        assert not os.get_inheritable(pipes.write_fd) and not os.get_inheritable(pipes.read_fd)
        os.write(pipes.write_fd, b"protocol " + os.read(pipes.read_fd, 100))
    """
    done = subprocess.run([sys.executable, "-c", program], input=b"hello", capture_output=True, timeout=20, check=True)
    assert done.stdout == b"protocol hello"
    assert done.stderr.split() == [b"stray", b"rawchild"]


@pytest.mark.parametrize("closed", ["0", "2"])
def test_PR_22_a_parent_that_closed_descriptors_does_not_confuse_it(closed: str) -> None:
    program = """if True:
        import os, sys
        os.close(int(sys.argv[1]))
        if sys.argv[1] == "0":
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        from lsp_agent.wire.stdio import take_stdio
        pipes = take_stdio()
        print("stray", flush=True)
        assert min(pipes.read_fd, pipes.write_fd) > 2
        os.write(pipes.write_fd, b"protocol")
    """
    done = subprocess.run(
        [sys.executable, "-c", program, closed], input=b"", capture_output=True, timeout=20, check=True
    )
    assert done.stdout == b"protocol"


async def test_PR_23_before_initialize_requests_are_refused_and_notifications_dropped() -> None:
    async with serving(initialized=False) as (endpoint, client, demo):
        for method in ("demo/echo", "shutdown", "no/such"):
            with pytest.raises(Failed) as caught:
                await client.request(method)
            assert caught.value.code == -32002
        client.notify("demo/note")
        await client.initialize()
        assert endpoint.statistics().ignored_notifications == 1
        with pytest.raises(Failed) as caught:
            await client.request("initialize")
        assert caught.value.code == -32600
        await eventually(lambda: demo.seen == ["initialized"])


async def test_PR_23_after_shutdown_only_exit_is_heard() -> None:
    async with serving() as (_, client, demo):
        assert await client.request("shutdown") is None
        for method in ("demo/echo", "shutdown", "initialize"):
            with pytest.raises(Failed) as caught:
                await client.request(method)
            assert caught.value.code == -32600
        client.notify("demo/note")
        client.notify("exit")
        await eventually(lambda: demo.exits == [0])
        assert demo.seen == ["initialized"]


@pytest.mark.parametrize("initialized", [True, False])
async def test_PR_23_exit_without_shutdown_is_status_1(initialized: bool) -> None:
    async with serving(initialized=initialized) as (_, client, demo):
        client.notify("exit")
        await eventually(lambda: demo.exits == [1])


async def test_F30_a_flood_of_requests_is_bounded_and_a_cancel_gets_through() -> None:
    async with serving() as (endpoint, client, _):
        body = b"".join(frame(request(f"f{n}", "demo/hold")) for n in range(20_000))
        client.raw(body)
        assert await client.request("agent/cancel") == {"cancelled": []}
        refused = [m for m in client.messages if m.get("error", {}).get("code") == -31009]
        assert len(refused) == 20_000 - 64
        assert endpoint.statistics().outstanding_requests == 64


async def test_no_payload_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with serving(Demo()) as (_, client, _):
            client.raw(raw_frame(b'{"PAYLOAD": nope') + b"PAYLOAD\r\n\r\n")
            for method in ("demo/raise", "demo/echo", "PAYLOAD/unknown"):
                client.begin(method, {"PAYLOAD": "PAYLOAD"})
            client.notify("demo/raise", {"PAYLOAD": 1})
            client.notify("PAYLOAD")
            assert await client.request("demo/echo", ALIVE) == ALIVE
    assert "PAYLOAD" not in "".join(r.getMessage() for r in caplog.records if r.name.startswith("lsp_agent"))
