"""Servers that are programs: found, confined, and gone with everything they started."""

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest

from lsp_agent.shell.sandbox import TIERS
from tests.mcp.conftest import PYTHON, chaos, until
from tests.shell.conftest import processes_with


async def test_a_program_is_started_its_tools_are_offered_and_called(room):
    await room.start(chaos=chaos())
    assert [tool.spec.name for tool in room.servers.tools()] == ["mcp__chaos__act", "mcp__chaos__echo"]
    result = await room.call("mcp__chaos__echo", text="hé\u2028llo")
    assert "<U+2028>" in result.content
    assert not result.is_error
    assert [update["state"] for update in room.updates] == ["starting", "connected"]
    assert all(update["sessionUpdate"] == "mcp_update" for update in room.updates)


async def test_MC_07_a_program_gets_a_clean_environment_its_own_directory_and_three_descriptors(room):
    await room.start(chaos=chaos(env={"MINE": "$CANARY_KEY", "PLAIN": "x"}))
    said = (await room.call("mcp__chaos__act", how="env")).content
    seen = json.loads(said[said.index("{") : said.rindex("}") + 1])
    assert seen["env"]["MINE"] == "sk-canary-in-the-environment"
    assert "CANARY_KEY" not in seen["env"]
    assert not {name for name in seen["env"] if name.endswith(("_KEY", "_TOKEN", "_SECRET"))}
    assert Path(seen["cwd"]) == room.base / "kept" / "chaos"
    assert set(seen["fds"]) <= {0, 1, 2, 3}  # 3: the listing itself


async def test_MC_07_nothing_a_program_started_outlives_it_not_even_in_a_session_of_its_own(room):
    mark = str(room.base / "log")
    await room.start(chaos=chaos(f"log={mark}"))
    await room.call("mcp__chaos__act", how="children")
    await until(lambda: len(processes_with(mark)) >= 2)
    await room.servers.close()
    await until(lambda: not processes_with(mark), within=5)


async def test_a_program_that_ignores_its_end_is_killed_in_bounded_time(room):
    mark = str(room.base / "log")
    await room.start(chaos=chaos("stubborn", f"log={mark}"))
    started = asyncio.get_running_loop().time()
    await room.servers.close()
    assert asyncio.get_running_loop().time() - started < 4.9
    await until(lambda: not processes_with(mark), within=5)


async def test_no_pipe_and_no_descriptor_is_left_behind(room):
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(3):
        await room.start(chaos=chaos())
        await room.servers.reconcile({})
    assert len(os.listdir("/proc/self/fd")) <= len(before) + 2  # noqa: PTH208


@pytest.mark.parametrize("tiers", [TIERS, ("landlock", "none")])
async def test_MC_06_a_server_runs_inside_the_sandbox(make_room, tiers):
    room = make_room(*tiers)
    (room.base / "home" / ".ssh").mkdir()
    (room.base / "home" / ".ssh" / "id_ed25519").write_text("PRIVATE")
    (room.base / "data" / "tokens").write_text("PRIVATE")
    (room.root / ".git" / "hooks").mkdir(parents=True)
    await room.start(chaos=chaos())
    tier = room.entry("chaos")["sandbox"]
    assert tier == tiers[0]
    for path in (room.base / "home" / ".ssh" / "id_ed25519", room.base / "data" / "tokens"):
        assert "PRIVATE" not in (await room.call("mcp__chaos__act", how=f"read {path}")).content
    outside = [room.base / "home" / ".bashrc", Path("/etc/evil"), room.base / "data" / "evil"]
    if tier == "bubblewrap":
        outside.append(room.root / ".git" / "hooks" / "pre-commit")
    for path in outside:
        await room.call("mcp__chaos__act", how=f"write {path}")
        assert not path.exists()
    inside = room.root / "note"
    assert "written" in (await room.call("mcp__chaos__act", how=f"write {inside}")).content
    assert inside.exists()


async def test_MC_06_a_sandboxed_server_has_no_network_unless_its_block_says_so(make_room):
    room = make_room(*TIERS)
    listener = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    code = (
        "import socket,sys\n"
        "try:\n    socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2)\n"
        "    print('REACHED', file=sys.stderr)\n"
        "except OSError:\n    print('REFUSED', file=sys.stderr)\n"
    )
    command = [PYTHON, "-I", "-c", code, str(port)]
    async with listener:
        await room.start(no={"command": command}, yes={"command": command, "network": True}, wait_for="error")
        assert "REFUSED" in room.entry("no")["error"]
        assert "REACHED" in room.entry("yes")["error"]


async def test_MC_06_a_program_of_an_untrusted_folder_is_not_started(room):
    program = room.root / "server"
    program.write_text("#!/bin/sh\ntouch " + str(room.base / "ran") + "\n")
    program.chmod(0o755)
    room.environ["PATH"] = f"{room.root}:{room.environ['PATH']}"
    await room.start(
        wait_for="error",
        a={"command": [str(program)]},
        b={"command": ["server"]},
        c=chaos(cwd="."),
        d={"command": ["./server"]},
    )
    assert not (room.base / "ran").exists()
    assert "not trusted" in room.entry("a")["error"]
    assert "not found" in room.entry("b")["error"]
    assert "not trusted" in room.entry("c")["error"]
    room.trusted = True
    await room.start(c=chaos(cwd="."))


async def test_a_program_that_does_not_start_is_an_error_with_what_it_said(room):
    await room.start(broken=chaos("die"), wait_for="error")
    assert "cannot find the database" in room.entry("broken")["error"]
    assert "\x1b" not in room.entry("broken")["error"]


async def test_a_secret_that_a_program_repeats_is_not_shown(room):
    command = ["/bin/sh", "-c", "echo using $KEY >&2; exit 1"]
    await room.start(loud={"command": command, "env": {"KEY": "$CANARY_KEY"}}, wait_for="error")
    assert "using [hidden]" in room.entry("loud")["error"]
    assert "sk-canary" not in json.dumps(room.updates)


async def test_MC_13_the_user_sees_every_argument_before_the_call(room):
    await room.start(chaos=chaos())
    arguments = {"text": "--upload-pack=touch /tmp/x; $(id)"}
    await room.call("mcp__chaos__echo", **arguments)
    ask = room.asked[0]
    assert ask.subject == {"type": "tool", "server": "chaos", "name": "echo", "input": arguments}
    assert ask.pattern == "mcp__chaos__echo"
    assert ask.description == "The server says of it: Says it again."


async def test_the_file_of_approvals_is_private(room):
    await room.start(chaos=chaos())
    mode = (room.base / "data" / "pins.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
