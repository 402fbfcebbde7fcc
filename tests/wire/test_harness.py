"""The editor model of the harness: it is the judge of other tests, so it is judged here."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.client import Client, Gone
from tests.harness.documents import Documents, OpenDocument
from tests.wire.demo import serving


def edit(start: tuple[int, int], end: tuple[int, int], new: str) -> dict[str, Any]:
    return {
        "range": {
            "start": {"line": start[0], "character": start[1]},
            "end": {"line": end[0], "character": end[1]},
        },
        "newText": new,
    }


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 4), ("utf-16", 2), ("utf-32", 1)])
def test_a_column_counts_units_of_the_encoding(encoding: str, column: int) -> None:
    assert Documents(encoding).apply("\U0001f600x", [edit((0, column), (0, column), "-")]) == "\U0001f600-x"


def test_lines_end_at_lf_crlf_and_cr_only() -> None:
    text = "a\r\nb\rc\u2028d\fe\nf"
    assert Documents().apply(text, [edit((3, 0), (3, 1), "F"), edit((1, 0), (1, 1), "B")]) == "a\r\nB\rc\u2028d\fe\nF"
    assert Documents().apply("ab\ncd", [edit((0, 99), (9, 0), "!")]) == "ab!"


async def test_an_edit_of_the_server_is_applied_reported_and_answered() -> None:
    changes: list[Any] = []
    async with serving() as (endpoint, client, _):
        endpoint._notifications = {"textDocument/didChange": lambda n: changes.append(n.params)}
        client.open_document("file:///a.py", "one\ntwo\n")
        change = {"textDocument": {"uri": "file:///a.py", "version": 1}, "edits": [edit((1, 0), (1, 3), "2")]}
        answer = await endpoint.request("workspace/applyEdit", {"edit": {"documentChanges": [change]}}, timeout_s=5)
        assert answer == {"applied": True}
        assert client.documents.open["file:///a.py"] == OpenDocument("file:///a.py", "one\n2\n", 2, "python")
        assert changes[0]["textDocument"] == {"uri": "file:///a.py", "version": 2}
        stale = await endpoint.request("workspace/applyEdit", {"edit": {"documentChanges": [change]}}, timeout_s=5)
        assert stale["applied"] is False


SERVER = """
import json, os, sys
def read():
    n = int(sys.stdin.buffer.readline()[16:]); sys.stdin.buffer.readline()
    return json.loads(sys.stdin.buffer.read(n))
def write(m):
    b = json.dumps(m).encode(); sys.stdout.buffer.write(b"Content-Length: %d\\r\\n\\r\\n" % len(b) + b)
    sys.stdout.flush()
print("started in", os.environ["HOME"], file=sys.stderr, flush=True)
while True:
    m = read()
    if m["method"] == "exit": sys.exit(3)
    if m["method"] == "break": print("oops", flush=True)
    elif "id" in m: write({"jsonrpc": "2.0", "id": m["id"], "result": m["params"]})
"""


async def start(home: Path) -> Client:
    return await Client.start(home, command=[sys.executable, "-c", SERVER])


@pytest.mark.process
async def test_a_process_is_started_alone_spoken_to_and_waited_for(tmp_path: Path) -> None:
    async with await start(tmp_path / "home") as client:
        assert await client.request("echo", {"a": 1}) == {"a": 1}
        client.notify("exit")
        assert await client.wait_exit() == 3
        assert client.stderr.strip() == f"started in {tmp_path / 'home'}"
        with pytest.raises(Gone):
            await client.until(lambda m: m.get("id") == 99)


@pytest.mark.process
async def test_a_killed_process_ends_every_wait(tmp_path: Path) -> None:
    async with await start(tmp_path) as client:
        await client.request("echo")
        _, future = client.begin("exit")
        client.kill9()
        with pytest.raises(Gone):
            await future
        assert await client.wait_exit() in (-9, 3)


@pytest.mark.process
async def test_anything_but_frames_on_stdout_is_noticed(tmp_path: Path) -> None:
    async with await start(tmp_path) as client:
        client.notify("break")
        _, future = client.begin("echo")
        with pytest.raises(Gone, match="not a header"):
            await asyncio.wait_for(future, 10)
        assert json.dumps(client.messages) == "[]"
