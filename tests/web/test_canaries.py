# ruff: noqa: E501  # tables read better in few lines
"""Two hundred canary keys in a real server: after a day's work none is in what it wrote, said, sent or started."""

import json
import os
from pathlib import Path

import pytest

from tests.guarantees.conftest import new_world
from tests.guarantees.world import turn
from tests.harness.client import Failed
from tests.harness.fake_provider import http, text, tool, usage

pytestmark = pytest.mark.process
CANARIES = [f"cnry{number:03}x{number * 7919:06}qzwk{number:03}" for number in range(200)]


def artefacts(home: Path):
    for folder, _, names in os.walk(home / "data"):
        for name in names:
            path = Path(folder, name)
            if path.is_file():
                yield path


async def test_EX_13_no_canary_is_in_any_artefact(tmp_path):
    keys = {f"CANARY_{number}_API_KEY": value for number, value in enumerate(CANARIES[:180])}
    headers = "\n".join(f'"x-canary-{number}" = "{value}"' for number, value in enumerate(CANARIES[180:]))
    async with new_world(tmp_path) as world:
        world.configure(key='"$CANARY_0_API_KEY"', more=f"[providers.fake.headers]\n{headers}\n")
        world.fake.turns.extend([
            [tool("bash", {"command": "env; printenv; cat /proc/$PPID/environ", "description": "look"}), usage(1, 1)],
            [tool("view", {"file_path": "missing.txt"}), tool("bash", {"command": "exit 3", "description": "x"}), usage(1, 1)],
            [text("done"), usage(1, 1)],
            [http(401, {}, {"error": {"type": "authentication_error", "message": f"bad key {CANARIES[0]}"}})],
            [http(401, {}, {"error": {"type": "authentication_error", "message": f"bad key {CANARIES[0]}"}})],
        ])  # fmt: skip
        client = await world.start(env=keys)
        _, end = await turn(client, "print the environment")
        assert end["stopReason"] == "end_turn"
        await turn(client, "fail")
        with pytest.raises(Failed):
            await client.request("agent/run", {"prompt": 7})
        seen = [*map(json.dumps, client.messages), client.stderr]
        seen += [path.read_bytes().decode("latin-1") for path in artefacts(world.home)]
        await world.close()
        seen += [path.read_bytes().decode("latin-1") for path in artefacts(world.home)]
        leaked = [value for value in CANARIES if any(value in one for one in seen)]
        assert leaked == []
        sent = json.dumps([request.body for request in world.fake.requests])
        assert not [value for value in CANARIES if value in sent]
        print(f"\ncanaries: 0 of {len(CANARIES)} in {len(seen)} artefacts and frames")


async def test_EX_14_no_error_carries_a_traceback_or_a_path_of_ours(tmp_path):
    odd = [
        None,
        7,
        "x",
        [],
        {},
        {"sessionId": 7},
        {"prompt": {"a": []}},
        {"sessionId": "no-such"},
        {"prompt": "x", "runId": []},
    ]
    methods = ["agent/run", "agent/session/new", "agent/session/get", "agent/attach", "agent/cancel", "agent/steer", "agent/terminal/read",
               "agent/permission/respond", "agent/session/configure", "textDocument/hover", "textDocument/codeAction", "workspace/executeCommand",
               "agent/no/such/method", "completionItem/resolve"]  # fmt: skip
    async with new_world(tmp_path) as world:
        client = await world.start()
        refused = 0
        for method in methods:
            for params in odd:
                try:
                    await client.request(method, params)
                except Failed:
                    refused += 1
        said = "\n".join(map(json.dumps, client.messages))
        for mark in ("Traceback", 'File \\"', "lsp_agent/", "site-packages", str(Path(__file__).parents[2])):
            assert mark not in said, mark
        assert refused > 50
        print(f"\nerrors: {refused} requests refused, none with a traceback")
