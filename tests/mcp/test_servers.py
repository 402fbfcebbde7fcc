"""All servers of a workspace together: the configuration followed, states told, prompts and requests of clients."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from lsp_agent.domain.errors import RequestRejected, ToolError
from lsp_agent.mcp.entry import EntryProblem, read_entry
from lsp_agent.protocol.catalogs import McpListResult
from lsp_agent.server import mcp_handlers
from lsp_agent.wire.outgoing import ConnectionClosed, RemoteError
from tests.mcp.conftest import chaos, until
from tests.shell.conftest import processes_with


async def test_unchanged_servers_are_left_alone_changed_ones_started_anew_and_missing_ones_ended(room):
    logs = [room.base / f"log{number}" for number in range(3)]
    await room.start(a=chaos(f"log={logs[0]}"), b=chaos(f"log={logs[1]}"))
    [first] = processes_with(f"log={logs[0]}")[:1]
    room.approve_servers = True
    await room.start(a=chaos(f"log={logs[0]}"), c=chaos(f"log={logs[2]}"))
    assert first in processes_with(f"log={logs[0]}")
    assert not processes_with(f"log={logs[1]}")
    assert [one["name"] for one in room.servers.entries()] == ["a", "c"]
    assert room.updates[-1]["name"] in ("b", "c")
    assert {"sessionUpdate": "mcp_update", "name": "b", "state": "removed"} in room.updates
    await room.servers.reconcile({"a": chaos(f"log={logs[0]}", disabled=True)})
    assert room.state("a") == "disabled"
    assert not processes_with(f"log={logs[0]}")
    assert room.servers.tools() == []
    await room.start(a=chaos(f"log={logs[0]}"))


async def test_of_many_reconciliations_at_once_the_last_one_counts(room):
    wanted = [{f"s{number}": chaos()} for number in range(8)]
    await asyncio.gather(*[room.servers.reconcile(one) for one in wanted])
    assert [one["name"] for one in room.servers.entries()] == ["s7"]
    await until(lambda: room.state("s7") == "connected")


async def test_a_wrong_block_is_an_error_that_names_the_field_and_no_value(room):
    await room.servers.reconcile(
        {
            "a": {"type": "carrier-pigeon"},
            "b": {"command": "not a list SECRET"},
            "c": {"command": []},
            "d": {"type": "http"},
            "e": {"command": ["x"], "timeout_s": "SECRET"},
            "f": {"command": ["x"], "env": {"A": 1}},
            "g": {"command": ["/usr/bin/env"], "env": {"A": "$NOT_SET_ANYWHERE"}},
            "h": {"command": ["/usr/bin/env"], "env": {"A": "$(false SECRET)"}},
        }
    )
    await until(lambda: all(one["state"] == "error" for one in room.servers.entries()))
    said = {one["name"]: one["error"] for one in room.servers.entries()}
    fields = ["type", "command", "command", "url", "timeout_s", "env", "env.A", "env.A"]
    assert [said[name].split(":")[0] for name in "abcdefgh"] == fields
    assert "SECRET" not in json.dumps(said)


@pytest.mark.parametrize("key", ["timeout_s", "call_timeout_s"])
@pytest.mark.parametrize("value", [0, -1, 1e9, True, None, float("nan")])
def test_time_limits_are_bounded(key, value):
    with pytest.raises(EntryProblem):
        read_entry("a", {"command": ["x"], key: value})


async def test_tools_can_be_filtered_by_the_servers_own_names(room):
    await room.start(
        only=chaos(enabled_tools=["echo"]),
        without=chaos(disabled_tools=["echo"]),
        both=chaos(enabled_tools=["echo", "act"], disabled_tools=["act"]),
        none=chaos(enabled_tools=["other"]),
    )
    assert [tool.spec.name for tool in room.servers.tools()] == [
        "mcp__both__echo",
        "mcp__only__echo",
        "mcp__without__act",
    ]


async def test_a_changed_list_is_read_again(room):
    state = room.base / "state"
    await room.start(chaos=chaos(f"state={state}"))
    more = [{"name": "fresh", "description": "New.", "inputSchema": {"type": "object"}}]
    state.write_text(json.dumps({"tools": more, "mutate": True}))
    await room.call("mcp__chaos__echo", text="x")
    await until(lambda: [tool.spec.name for tool in room.servers.tools()] == ["mcp__chaos__fresh"])
    assert room.updates[-1]["tools"] == 1


async def test_instructions_can_be_left_out(room):
    await room.start(a=chaos(), b=chaos(instructions=False))
    assert [server for server, _ in room.servers.instructions()] == ["a"]


async def test_prompts_of_odd_names_are_left_out_and_a_hanging_one_ends(room):
    state = room.base / "state"
    prompts = [{"name": "ok", "description": "\x1b[1mD"}, {"name": "b\u0430d"}, {"name": 3}, {"name": ""}]
    message = {"role": "user", "content": {"type": "text", "text": "do\x1b[2J it"}}
    state.write_text(json.dumps({"prompts": prompts[:2], "prompt": {"messages": [message]}}))
    await room.start(chaos=chaos(f"state={state}"))
    assert [(one.name, one.description) for one in room.servers.prompts()] == [("mcp:chaos:ok", "D")]
    assert await room.servers.get_prompt("mcp:chaos:ok") == "do it"
    with pytest.raises(ToolError, match="not available"):
        await room.servers.get_prompt("mcp:other:ok")


async def test_closing_twice_and_during_a_start_leaves_nothing(room):
    mark = str(room.base / "log")
    await room.servers.reconcile({"a": chaos("slow", f"log={mark}")})
    await asyncio.gather(room.servers.close(), room.servers.close())
    await room.servers.reconcile({"a": chaos(f"log={mark}")})
    assert room.servers.entries() == []
    await until(lambda: not processes_with(mark))


class Answers:
    """An editor that answers `window/showMessageRequest`."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    async def request(self, method: str, params: Any, timeout_s: float) -> Any:
        assert method == "window/showMessageRequest"
        self.asked.append(dict(params))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([{"title": "Start it"}], True),
        ([{"title": "Do not start it"}], False),
        ([None], False),
        ([RemoteError(-32601, "no"), {"title": "Start it"}], True),
        ([TimeoutError(), ConnectionClosed("gone")], False),
        ([], False),
    ],
)
async def test_a_changed_server_is_approved_by_a_button_in_an_editor_and_by_nothing_else(answers, expected):
    editors = [Answers(answer) for answer in answers]
    approve = mcp_handlers.approve_in_editor(lambda: editors)
    subject = {"type": "command", "command": "server --flag", "cwd": "/x"}
    assert await approve("Start the changed MCP server x", "Before: server", subject) is expected
    assert all("server --flag" in editor.asked[0]["message"] for editor in editors if editor.asked)


async def test_clients_list_restart_and_log_in(room):
    await room.start(a=chaos())
    server: Any = SimpleNamespace(core=lambda: SimpleNamespace(mcp=room.servers))
    handle = mcp_handlers.REQUESTS

    def request(**params: Any) -> Any:
        return SimpleNamespace(params=params)

    listed = handle["agent/mcp/list"](server, None, request())
    assert McpListResult.model_validate(listed).servers[0].state == "connected"
    assert (await handle["agent/mcp/restart"](server, None, request(name="a"))) == {"state": "starting"}
    await until(lambda: room.state("a") == "connected")
    for method in ("restart", "login"):
        with pytest.raises(RequestRejected):
            await handle[f"agent/mcp/{method}"](server, None, request(name="nobody"))
    with pytest.raises(RequestRejected, match="no login"):
        await handle["agent/mcp/login"](server, None, request(name="a"))
