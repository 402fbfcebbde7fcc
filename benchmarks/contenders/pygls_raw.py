"""Floor: bare pygls that forwards raw events: httpx2, its own cutting of events, one orjson envelope a delta."""

import os
from typing import Any

import orjson

from benchmarks.contenders.floor import HEADERS, Answer, EventStream, request_of
from benchmarks.contenders.pygls_server import serve

URL = os.environ["BENCH_MODEL"] + "/v1/messages"


class Model:
    """httpx2 is imported with the first request."""

    def __init__(self) -> None:
        self._client: Any = None

    async def ask(self, history: list[dict[str, Any]], answer: Answer) -> None:
        if self._client is None:
            import httpx2

            self._client = httpx2.AsyncClient(timeout=None, limits=httpx2.Limits(max_connections=1000))
        events = EventStream(answer)
        body = orjson.dumps(request_of(history))
        async with self._client.stream("POST", URL, content=body, headers=HEADERS) as response:
            async for data in response.aiter_raw():
                events.feed(data)


def notify(server: Any, method: str, params: Any) -> None:
    """Past pygls' own serializer, which costs 25 to 30 µs a message."""
    body = orjson.dumps({"jsonrpc": "2.0", "method": method, "params": params})
    server.protocol.writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))


if __name__ == "__main__":
    serve(Model().ask, notify)
