"""Structure-aware fuzz of one connection, in this process.

    python -m tests.wire.fuzz --count 200000 --seed 7

Every input is a valid request that was bent a little: in its framing, its JSON, its envelope or its params. Oracle:
every request with a readable id gets exactly one answer, everything else gets at most one without an id, the connection
lives to the end, and no answer holds a traceback.
"""

import argparse
import asyncio
import json
import random
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from lsp_agent.wire.limits import Limits
from lsp_agent.wire.request import Request
from lsp_agent.wire.rpc import Endpoint
from lsp_agent.wire.stdio import from_socket

METHODS = ["demo/echo", "demo/raise", "demo/task", "agent/cancel", "no/such", "$/odd", "initialize", "", "exit2", "é"]
TEXTS = ["", "a", "é", "\U0001f600", "jsonrpc", "../../etc/passwd", "\u2028", "\f", "\x00", "x" * 3000, "null", "-1"]
NUMBERS: list[Any] = [0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 1.5, 1e300, -0.0]
RAW_VALUES = [b"NaN", b"-Infinity", b"1e999", b"9" * 400, rb'"\ud800"', b"9223372036854775808", rb'{"\udfff":"\ud83d"}']
UNHARMED = [
    b"content-length:%d\n\n",
    b"Content-Type: x\r\nContent-Length: %d\r\n\r\n",
    b"{}Content-Length: %d\r\n\r\n",
]
"""Odd headers whose message is heard all the same."""
MAX_BODY = 64 * 1024


@dataclass
class Case:
    """One input and what has to come of it."""

    data: bytes
    request_id: Any = None
    """Readable: exactly one answer with it."""


@dataclass
class Result:
    """What a run found."""

    frames: int = 0
    seconds: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Bender:
    """Makes cases from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.count = 0

    def case(self) -> Case:
        self.count += 1
        bend = self.random.choices(
            [self.plain, self.bad_params, self.bad_envelope, self.raw_value, self.not_json, self.bad_frame, self.deep],
            weights=[30, 20, 15, 10, 10, 10, 5],
        )[0]
        return bend()

    def value(self, depth: int = 0) -> Any:
        roll = self.random.random()
        if depth < 4 and roll < 0.25:
            return [self.value(depth + 1) for _ in range(self.random.randrange(4))]
        if depth < 4 and roll < 0.5:
            return {self.random.choice(TEXTS): self.value(depth + 1) for _ in range(self.random.randrange(4))}
        return self.random.choice([*TEXTS, *NUMBERS, None, True, False])

    def request_id(self) -> Any:
        return 10_000_000 + self.count if self.random.random() < 0.5 else f"id-{self.count}"

    def message(self) -> dict[str, Any]:
        params = {self.random.choice(TEXTS): self.value() for _ in range(self.random.randrange(3))}
        return {
            "jsonrpc": "2.0",
            "id": self.request_id(),
            "method": self.random.choice(METHODS),
            "params": params,
        }

    def plain(self) -> Case:
        message = self.message()
        return Case(framed(dumps(message)), message["id"])

    def bad_params(self) -> Case:
        message = self.message() | {"params": self.value()}
        if self.random.random() < 0.2:
            del message["params"]
        return Case(framed(dumps(message)), message["id"])

    def bad_envelope(self) -> Case:
        message = self.message()
        what = self.random.choice(["id", "method", "jsonrpc", "drop", "whole", "response"])
        if what == "whole":
            return Case(framed(dumps([message] if self.random.random() < 0.3 else self.value())))
        if what == "response":
            return Case(
                framed(dumps({"jsonrpc": "2.0", "id": self.value(), self.random.choice(["result", "error"]): 1}))
            )
        if what == "drop":
            del message[self.random.choice(["jsonrpc", "method"])]
        else:
            message[what] = self.value()
        if message.get("method") == "initialize" or message.get("id") is None:
            message["id"] = message["id"] if what == "id" else self.request_id()
        request_id = message["id"]
        readable = isinstance(request_id, (int, str)) and not isinstance(request_id, bool)
        # an id out of the table is not unique: it may be answered more than once
        return Case(framed(dumps(message)), request_id if readable and what != "id" else None)

    def raw_value(self) -> Case:
        message = self.message() | {"params": {"x": "HERE"}}
        return Case(framed(dumps(message).replace(b'"HERE"', self.random.choice(RAW_VALUES))), message["id"])

    def not_json(self) -> Case:
        body = bytearray(dumps(self.message() | {"id": f"bent-{self.count}"}))
        for _ in range(self.random.randrange(1, 4)):
            at = self.random.randrange(len(body))
            roll = self.random.random()
            if roll < 0.4:
                body[at] = self.random.randrange(256)
            elif roll < 0.7:
                del body[at:]
                body += b"\xff"
            else:
                body[at:at] = self.random.randbytes(3)
        return Case(framed(bytes(body)))

    def bad_frame(self) -> Case:
        message = self.message()
        body = dumps(message)
        head = self.random.choice(
            [
                b"Content-Length: -%d\r\n\r\n",
                b"Content-Length: %d99999999999\r\n\r\n",
                b"Content-Length: x%d\r\n\r\n",
                *UNHARMED,
                b"garbage %d\r\n",
                b"X: " + b"y" * 9000 + b"\r\nContent-Length: %d\r\n\r\n",
            ]
        )
        if self.random.random() < 0.05:
            body = b"x" * (MAX_BODY + self.random.randrange(1, 50_000))
            return Case(framed(body))
        return Case(head % len(body) + body + b"\n", message["id"] if head in UNHARMED else None)

    def deep(self) -> Case:
        depth = self.random.choice([60, 62, 63, 66, 200, 1100])
        message = self.message() | {"params": {"x": "HERE"}}
        data = framed(dumps(message).replace(b'"HERE"', b"[" * depth + b"]" * depth))
        return Case(data, message["id"] if depth <= 62 else None)


class Oracle:
    """The client's side: reads answers, and knows which are owed."""

    def __init__(self) -> None:
        self.owed: Counter[Any] = Counter()
        self.result = Result()
        self._buffer = b""

    def feed(self, data: bytes) -> None:
        self._buffer += data
        start = 0
        while (end := self._buffer.find(b"\r\n\r\n", start)) >= 0:
            length = int(self._buffer[start + 16 : end])
            if len(self._buffer) < end + 4 + length:
                break
            self.answer(json.loads(self._buffer[end + 4 : end + 4 + length]))
            start = end + 4 + length
        self._buffer = self._buffer[start:]

    def answer(self, message: dict[str, Any]) -> None:
        error = message.get("error")
        self.result.answers["ok" if error is None else str(error["code"])] += 1
        if error is not None and ("Traceback" in str(error) or "secret" in str(error) or "kind" not in error["data"]):
            self.result.failures.append(f"a bad error: {error}")
        request_id = message["id"]
        if isinstance(request_id, (int, str)):
            self.owed[request_id] -= 1


async def run(count: int, seed: int) -> Result:
    """Send `count` cases over a socket pair."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    endpoint = Endpoint(loop, from_socket(ours), handlers(), {}, limits=Limits(max_body_bytes=MAX_BODY))
    endpoint.start()
    theirs.setblocking(False)
    bender, oracle = Bender(seed), Oracle()
    start_s = time.perf_counter()

    async def read() -> None:
        while data := await loop.sock_recv(theirs, 1 << 20):
            oracle.feed(data)

    reading = loop.create_task(read())
    await loop.sock_sendall(theirs, framed(b'{"jsonrpc":"2.0","id":"first","method":"initialize"}'))
    oracle.owed["first"] += 1
    sent, checked = 0, set()
    while sent < count:
        batch: list[bytes] = []
        for _ in range(min(50, count - sent)):
            case = bender.case()
            batch.append(case.data)
            if case.request_id is not None:
                oracle.owed[case.request_id] += 1
                checked.add(case.request_id)
            sent += 1
        probe = f"probe-{sent}"
        oracle.owed[probe] += 1
        batch.append(framed(dumps({"jsonrpc": "2.0", "id": probe, "method": "demo/echo"})))
        await loop.sock_sendall(theirs, b"".join(batch))
        async with asyncio.timeout(20):
            while oracle.owed[probe] > 0:  # noqa: ASYNC110 - other work than ours has to run
                await asyncio.sleep(0)
    async with asyncio.timeout(20):
        while endpoint.statistics().outstanding_requests or not await endpoint.drain():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        while any(oracle.owed[request_id] > 0 for request_id in checked):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    oracle.result.frames = sent
    oracle.result.seconds = time.perf_counter() - start_s
    oracle.result.failures += [f"{i!r} was owed {n} more answers" for i, n in oracle.owed.items() if n and i in checked]
    endpoint.close()
    await endpoint.wait_closed()
    reading.cancel()
    theirs.close()
    return oracle.result


def run_fuzz(count: int, seed: int) -> Result:
    """Fuzz one connection with `count` frames. The result's `failures` are empty when all is well."""
    return asyncio.run(run(count, seed))


def handlers() -> dict[str, Any]:
    async def later(request: Request) -> None:
        await asyncio.sleep(0)
        request.answer(request.params)

    def explode(_: Request) -> None:
        raise ValueError("secret")

    return {
        "initialize": lambda request: request.answer({}),
        "demo/echo": lambda request: request.answer(request.params),
        "demo/raise": explode,
        "demo/task": lambda request: request.spawn(later(request)),
        "agent/cancel": lambda request: request.answer({}),
    }


def dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def framed(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    import logging

    logging.disable(logging.CRITICAL)
    result = run_fuzz(arguments.count, arguments.seed)
    print(f"{result.frames} frames in {result.seconds:.1f} s: {dict(result.answers)}")
    for failure in result.failures[:20]:
        print(failure)
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
