import asyncio
import sys
from pathlib import Path

import orjson
import pytest

from tests.harness.fake_provider import FakeProvider, cut, http, text, tool, usage

ROOT = Path(__file__).parents[2]


async def fetch(port: int, method: str, path: str, body: object = None) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    data = b"" if body is None else orjson.dumps(body)
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    first = await reader.readuntil(b"\r\n\r\n")
    if b"content-length" in first:
        length = int(first.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        answer = await reader.readexactly(length)
    else:
        answer = await reader.readuntil(b"0\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(first.split()[1]), answer


@pytest.mark.parametrize(
    "path",
    ["/v1/messages", "/v1/responses", "/v1/chat/completions", "/v1beta/models/m:streamGenerateContent?alt=sse"],
)
async def test_every_dialect_plays_the_same_script(path: str):
    turn = [text("hello", deltas=2), tool("view", {"a": 1}), usage(1, 2)]
    async with FakeProvider([turn], aside=[text("a title")]) as fake:
        status, answer = await fetch(fake.port, "POST", path, {"model": "m", "tools": [{}]})
        assert status == 200
        assert b"hel" in answer
        assert b"view" in answer
        _, answer = await fetch(fake.port, "POST", path, {"model": "m"})
        assert b"a title" in answer
        assert [item.body["model"] for item in fake.requests] == ["m", "m"]


async def test_statuses_and_headers_are_played():
    async with FakeProvider([[http(429, {"retry-after": "3"})]]) as fake:
        assert (await fetch(fake.port, "POST", "/v1/messages", {}))[0] == 429
        assert (await fetch(fake.port, "GET", "/nowhere"))[0] == 404


async def test_a_burst_of_ten_thousand_deltas_is_quick():
    async with FakeProvider([[{"burst": 10_000, "text": "word "}]]) as fake:
        async with asyncio.timeout(5):
            _, answer = await fetch(fake.port, "POST", "/v1/messages", {})
        assert answer.count(b"text_delta") == 10_000


def test_a_text_is_cut_into_parts_that_are_never_empty():
    assert cut("abcdef", 3) == ["ab", "cd", "ef"]
    assert cut("ab", 9) == ["a", "b"]
    assert cut("", 3) == []


async def test_it_runs_as_a_process_and_is_controlled_over_http(tmp_path: Path):
    script = tmp_path / "script.json"
    script.write_bytes(orjson.dumps({"turns": [[text("from the file")]], "routes": {"/v1/models": {"data": []}}}))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.harness.fake_provider",
        "--script",
        str(script),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    async with asyncio.timeout(20):
        port = int(await process.stdout.readline())
        assert b"from the file" in (await fetch(port, "POST", "/v1/messages", {"model": "m"}))[1]
        await fetch(port, "POST", "/__turns", [[text("pushed")]])
        assert b"pushed" in (await fetch(port, "POST", "/v1/messages", {"model": "m"}))[1]
        recorded = orjson.loads((await fetch(port, "GET", "/__requests"))[1])
        assert [item["path"] for item in recorded] == ["/v1/messages", "/v1/messages"]
        assert (await fetch(port, "GET", "/v1/models"))[1] == b'{"data":[]}'
        process.stdin.close()
        assert await process.wait() == 0
