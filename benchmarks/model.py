"""The model's service of the benchmarks: a process that does what the prompt says, in Anthropic's dialect.

The last user text of a request holds `PLAN{json}`:

    {"burst": n}  n deltas at once · {"paced": n, "per_s": r}  · {"hold": 1}  one delta, then silence
    {"think_ms": n}  with any of them: so long until the first delta
    {"tool": "view", "input": {…}}  one tool call first, then the answer · {}  a one-delta answer

Every delta carries `seq,µs;` (monotonic microseconds of its writing). The first also says `a<µs>;`, when the request
was whole here, and after a tool call `t<µs>;`, from the end of the call's stream to the next request. The last one is
`h<sha1 of all before>;`. So the reader of the text knows every latency and can check every byte. A request without
tools (a title) is answered in a word.

    python -m benchmarks.model        prints its port, ends with its standard input
"""

import asyncio
import hashlib
import re
import sys
import time
from typing import Any

import orjson

_PLAN = re.compile(r"PLAN(\{.*?\})END", re.DOTALL)


def plan_text(plan: dict[str, Any]) -> str:
    """The prompt that makes the model do it."""
    return f"PLAN{orjson.dumps(plan).decode()}END"


def now_us() -> int:
    return time.monotonic_ns() // 1000


def _event(value: dict[str, Any]) -> bytes:
    frame = b"event: %b\ndata: %b\n\n" % (value["type"].encode(), orjson.dumps(value))
    return b"%x\r\n%b\r\n" % (len(frame), frame)


class _Text:
    """Text deltas, hashed as they go."""

    def __init__(self) -> None:
        self._hash = hashlib.sha1(usedforsecurity=False)

    def delta(self, text: str) -> bytes:
        self._hash.update(text.encode())
        return _event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})

    def last(self) -> bytes:
        return self.delta(f"h{self._hash.hexdigest()};")


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
START = _event(
    {
        "type": "message_start",
        "message": {
            "id": "msg_bench",
            "type": "message",
            "role": "assistant",
            "model": "large",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 10, "output_tokens": 1},
        },
    }
)
BLOCK = _event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
STOP = _event({"type": "content_block_stop", "index": 0})


def _end(reason: str) -> bytes:
    delta = {"stop_reason": reason, "stop_sequence": None}
    usage = {"input_tokens": 10, "output_tokens": 5}
    ended = _event({"type": "message_delta", "delta": delta, "usage": usage})
    return ended + _event({"type": "message_stop"}) + b"0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client's connection; requests come one after another."""

    def __init__(self, tools_ended_us: dict[str, int], tasks: set["asyncio.Task[None]"]) -> None:
        self._tools_ended_us = tools_ended_us
        self._tasks = tasks
        self._buffer = bytearray()
        self._transport: asyncio.Transport
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        found = re.search(rb"(?i)content-length: *(\d+)", self._buffer[:end])
        total = end + 4 + (int(found[1]) if found else 0)
        if len(self._buffer) < total:
            return
        arrived = now_us()
        body = orjson.loads(bytes(self._buffer[end + 4 : total]))
        del self._buffer[:total]
        self._task = asyncio.get_running_loop().create_task(self._answer(body, arrived))
        self._tasks.add(self._task)
        self._task.add_done_callback(self._tasks.discard)

    async def _answer(self, body: dict[str, Any], arrived_us: int) -> None:
        write = self._transport.write
        text = _Text()
        if not body.get("tools"):
            write(HEAD + START + BLOCK + text.delta("Benchmark") + STOP + _end("end_turn"))
            return
        plan, raw = _plan(body["messages"])
        if "tool" in plan and not _after_tool(body["messages"]):
            write(HEAD + START + _tool(plan) + _end("tool_use"))
            self._tools_ended_us[raw] = now_us()
            return
        first = f"a{arrived_us};"
        await asyncio.sleep(plan.get("think_ms", 0) / 1000)
        if "tool" in plan:
            first += f"t{arrived_us - self._tools_ended_us.pop(raw)};"
        write(HEAD + START + BLOCK + text.delta(first + f"0,{now_us()};"))
        if "burst" in plan:
            stamp = now_us()
            write(b"".join([text.delta(f"{number},{stamp};") for number in range(1, plan["burst"])]))
        elif "paced" in plan:
            await self._paced(text, plan["paced"], plan["per_s"])
        elif "hold" in plan:
            await asyncio.get_running_loop().create_future()
        write(text.last() + STOP + _end("end_turn"))

    async def _paced(self, text: _Text, count: int, per_s: float) -> None:
        start_s = time.monotonic()
        for number in range(1, count):
            wait_s = start_s + number / per_s - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            self._transport.write(text.delta(f"{number},{now_us()};"))


def _tool(plan: dict[str, Any]) -> bytes:
    block = {"type": "tool_use", "id": f"toolu_{now_us()}", "name": plan["tool"], "input": {}}
    delta = {"type": "input_json_delta", "partial_json": orjson.dumps(plan["input"]).decode()}
    return (
        _event({"type": "content_block_start", "index": 0, "content_block": block})
        + _event({"type": "content_block_delta", "index": 0, "delta": delta})
        + STOP
    )


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _plan(messages: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    for message in reversed(messages):
        for block in _blocks(message):
            found = _PLAN.search(block.get("text", "")) if message["role"] == "user" else None
            if found:
                return orjson.loads(found[1]), found[1]
    return {}, ""


def _after_tool(messages: list[dict[str, Any]]) -> bool:
    # the last block: a cancelled call's result may stand before the next prompt in one message
    return bool(_blocks(messages[-1])[-1]["type"] == "tool_result")


async def _serve() -> None:
    tools_ended_us: dict[str, int] = {}
    tasks: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(tools_ended_us, tasks), "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
