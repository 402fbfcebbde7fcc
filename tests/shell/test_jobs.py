import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lsp_agent.domain.errors import RequestRejected, ToolError
from lsp_agent.shell.jobs import Jobs
from lsp_agent.tools.job_kill import JobKill
from lsp_agent.tools.job_output import JobOutput
from tests.shell.conftest import processes_with, until

ROOT = Path(__file__).parents[2]


async def test_a_command_gives_output_errors_and_its_exit_code_and_that_is_no_error(shell):
    result = await shell.run("echo out; echo err >&2; exit 3")
    assert result.content == f"out\nerr\nExit code 3\n\n<cwd>{shell.root}</cwd>"
    assert not result.is_error
    assert result.metadata["exit_code"] == 3
    assert {"start_time", "end_time", "output", "description", "working_directory", "background", "shell_id"} <= set(
        result.metadata
    )


async def test_no_output_is_said(shell):
    assert (await shell.run("true x")).content.startswith("no output")


async def test_it_runs_where_it_is_told_and_only_in_a_directory(shell):
    (shell.root / "sub").mkdir()
    assert f"{shell.root}/sub" in (await shell.run("pwd", working_dir="sub")).content
    with pytest.raises(ToolError, match="not a directory"):
        await shell.run("pwd", working_dir="nowhere")


@pytest.mark.parametrize("command", ["", "  \n", "echo a\0b", "echo \ud800"])
async def test_text_that_is_no_command_is_an_error(shell, command):
    with pytest.raises(ToolError):
        await shell.run(command)


async def test_live_output_and_terminal_updates_come_in_order(shell):
    await shell.run("echo one; echo two")
    assert "".join(text for _, text in shell.chunks) == "one\ntwo\n"
    assert [(u["status"], u["exitCode"]) for u in shell.updates()] == [("running", None), ("completed", 0)]
    assert shell.updates()[0]["terminalId"] == "001"


async def test_a_long_command_goes_on_in_the_background_and_can_be_read_and_ended(shell):
    (shell.root / "go").touch()
    result = await shell.run("echo started; while [ -e go ]; do sleep 0.02; done; echo over", auto_background_after=1)
    assert result.metadata["background"] is True
    shell_id = result.metadata["shell_id"]
    assert shell_id in result.content
    read = await shell.world.call(JobOutput(shell.jobs), shell_id=shell_id)
    assert read.content.startswith("Status: running\n\nstarted")
    (shell.root / "go").unlink()
    read = await shell.world.call(JobOutput(shell.jobs), shell_id=shell_id.lower(), wait=True)
    assert read.content.startswith("Status: completed\n\nstarted\nover")
    again = await shell.world.call(JobKill(shell.jobs), shell_id=shell_id)
    assert "ended already" in again.content


async def test_run_in_background_catches_a_fast_failure(shell):
    result = await shell.run("exit 7", run_in_background=True)
    assert "Exit code 7" in result.content
    assert result.metadata["background"] is False


async def test_job_kill_ends_it_and_an_unknown_or_foreign_id_is_an_error(shell):
    result = await shell.run("sleep 1234", run_in_background=True)
    job_id = result.metadata["shell_id"]
    killed = await shell.world.call(JobKill(shell.jobs), shell_id=job_id)
    assert killed.content == f"Ended {job_id}."
    assert shell.updates()[-1]["status"] == "killed"
    assert shell.jobs.get("another session", job_id) is None
    for tool in (JobKill(shell.jobs), JobOutput(shell.jobs)):
        with pytest.raises(ToolError, match="no background command"):
            await shell.world.call(tool, shell_id="FFF")


async def test_terminals_are_listed_read_from_an_offset_and_killed(shell):
    await shell.run("echo 0123456789")
    job_id = (await shell.run("echo live; sleep 1234", run_in_background=True)).metadata["shell_id"]
    listed = shell.jobs.terminals("s1")["terminals"]
    assert [(t["terminalId"], t["status"]) for t in listed] == [(job_id, "running"), ("001", "completed")]
    read = shell.jobs.read_terminal("s1", "001", 4)
    assert (read["text"], read["offset"], read["nextOffset"], read["truncated"]) == ("456789\n", 4, 11, False)
    assert shell.jobs.kill_terminal("s1", job_id) == {"killed": True}
    await until(lambda: shell.jobs.terminals("s1")["terminals"][0]["status"] == "killed")
    with pytest.raises(RequestRejected):
        shell.jobs.read_terminal("s2", "001")


async def test_only_so_many_run_at_once_and_old_ones_make_room(shell):
    jobs = Jobs(
        spawner=shell.spawner, sandbox=shell.sandbox, events=shell.world.events, clock=shell.world.clock, max_jobs=2
    )
    run = shell.world.context().run

    async def start(command):
        return await jobs.start(command, cwd=shell.root, run=run, tool_call_id="t1")

    first, second = await start("true"), await start("sleep 1234")
    await first.done.wait()
    third = await start("sleep 1234")
    assert [jobs.get("s1", job.job_id) is not None for job in (first, second, third)] == [False, True, True]
    with pytest.raises(ToolError, match="2 commands are running"):
        await start("true")
    await jobs.close()
    assert third.status == "killed"


async def test_ended_jobs_are_forgotten_after_eight_hours(shell):
    await shell.run("true x")
    shell.world.clock.now += 7 * 3600 * 1000
    assert shell.jobs.get("s1", "001") is not None
    shell.world.clock.now += 2 * 3600 * 1000
    assert shell.jobs.get("s1", "001") is None


async def test_a_deleted_session_takes_its_jobs_along(shell):
    job_id = (await shell.run("sleep 1234", run_in_background=True)).metadata["shell_id"]
    await shell.jobs.end_session("s1")
    assert shell.jobs.get("s1", job_id) is None


async def _started(shell, command: str, mark: str):
    task = asyncio.create_task(shell.run(command))
    await until(lambda: bool(processes_with(mark)))
    return task


@pytest.mark.parametrize("tier", ["bubblewrap", "landlock", "none"])
@pytest.mark.parametrize(
    ("command", "limit_s"),
    [
        ("sleep 98.7{n}", 0.5),
        ("setsid sleep 98.7{n} & wait", 0.5),
        ("(setsid nohup sleep 98.7{n} >/dev/null 2>&1 &) ; sleep 98.7{n}", 0.5),
        ("""python3 -c 'import os,time
if os.fork()==0:
    os.setsid()
    if os.fork()==0: time.sleep(98.7{n})
    os._exit(0)
time.sleep(98.7{n})'""", 0.5),
        ("trap '' TERM; while :; do sleep 98.7{n}; done", 2.5),
        ("(trap '' TERM HUP; setsid bash -c 'trap \"\" TERM; sleep 98.7{n}; sleep 98.7{n}' &) ; sleep 98.7{n}", 2.5),
    ],
    ids=["plain", "setsid", "nohup", "double fork", "ignores TERM", "hidden child ignores TERM"],
)  # fmt: skip
async def test_SH_17_cancel_ends_the_whole_tree_in_time(make_shell, tier, command, limit_s):
    shell = make_shell(tier, "none")
    if await shell.sandbox.tier() != tier:
        pytest.skip(f"no {tier} on this machine")
    mark = f"98.7{os.getpid()}"
    task = await _started(shell, command.replace("98.7{n}", mark), mark)
    begun = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    took = time.monotonic() - begun
    assert processes_with(mark) == []
    assert took < limit_s + 1.5, took  # the figure itself is a benchmark's; this machine is shared
    print(f"cancel to gone: {took * 1000:.0f} ms ({tier})")


@pytest.mark.parametrize("tier", ["bubblewrap", "none"])
async def test_SH_17_what_a_command_leaves_behind_ends_with_it(make_shell, tier):
    shell = make_shell(tier, "none")
    mark = f"97.6{os.getpid()}"
    await shell.run(f"setsid sleep {mark} & (nohup sleep {mark} &>/dev/null &); echo over")
    await until(lambda: processes_with(mark) == [])


@pytest.mark.parametrize("tier", ["bubblewrap", "landlock", "none"])
async def test_SH_17_nothing_survives_a_killed_server(tmp_path, tier):
    mark = f"96.5{os.getpid()}"
    code = f"""
import asyncio, os, sys
from pathlib import Path
from lsp_agent.shell.sandbox import Sandbox
from lsp_agent.shell.spawner import Spawner
async def main():
    root = Path({str(tmp_path)!r})
    spawner = Spawner()
    box = Sandbox(spawner, roots=lambda: [root], is_protected=lambda p: False, is_secret=lambda p: False,
                  environ=os.environ, tiers=({tier!r}, "none"))
    one = await box.confine("setsid sleep {mark} & (setsid sleep {mark} &) ; sleep {mark}", cwd=root, reading=False)
    running = await spawner.start(one.order, lambda name, text: None)
    print("up", flush=True)
    await running.ended
asyncio.run(main())
"""
    server = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)  # noqa: ASYNC220
    try:
        await until(lambda: len(processes_with(f"\0{mark}")) >= 3)
    finally:
        server.kill()
        server.communicate()
    await until(lambda: processes_with(mark) == [])


async def test_SH_18_the_child_has_no_input_no_terminal_and_none_of_our_descriptors(shell):
    listing = "sorted(int(n) for n in os.listdir('/proc/self/fd'))[:4]"
    script = f"import os,json;print(json.dumps([os.read(0,9).decode(),{listing}]))"
    result = await shell.run(f'python3 -c "{script}"; tty; (: < /dev/tty) 2>&1')
    text, descriptors = json.loads(result.content.splitlines()[0])
    assert text == ""
    assert set(descriptors) <= {0, 1, 2, 3}  # 3 is the listing itself
    assert "not a tty" in result.content


@pytest.mark.parametrize("tier", ["bubblewrap", "landlock", "none"])
async def test_SH_18_no_key_press_can_be_pushed_into_a_terminal(make_shell, tier):
    shell = make_shell(tier, "none")
    result = await shell.run(
        "python3 -c 'import fcntl,pty; m,s=pty.openpty(); fcntl.ioctl(s,0x5412,b\"x\")' 2>&1 | tail -1"
    )
    if await shell.sandbox.tier() != "none":
        assert "Error" in result.content


async def test_SH_09_variables_do_not_last_and_the_server_s_own_do_not_pass(shell):
    os.environ["LSP_AGENT_TEST_SECRET"] = "sk-canary"
    try:
        await shell.run("export PATH=/evil LD_PRELOAD=/evil.so GIT_SSH_COMMAND=evil LEFT=1; echo ok")
        result = await shell.run("env; echo LEFT=$LEFT.")
    finally:
        del os.environ["LSP_AGENT_TEST_SECRET"]
    assert "LEFT=." in result.content
    for name in ("sk-canary", "CANARY", "/evil", "LD_PRELOAD", "GIT_SSH_COMMAND", "BASH_ENV"):
        assert name not in result.content
    assert "PAGER=cat" in result.content


async def test_SH_19_programs_are_not_looked_for_in_the_workspace(shell, monkeypatch):
    for name in ("git", "rg", "bash", "ls", "sh", "python3"):
        fake = shell.root / name
        fake.write_text("#!/bin/sh\necho planted\n")
        fake.chmod(0o755)
    monkeypatch.setenv("PATH", f".::{shell.root}:relative:{os.environ['PATH']}")
    shell.sandbox._environ = dict(os.environ)
    result = await shell.run("git --version; ls /dev/null; echo $PATH")
    assert "planted" not in result.content
    assert str(shell.root) not in result.content.replace(f"<cwd>{shell.root}", "")


async def test_SH_21_nothing_is_started_before_the_first_command(shell):
    import psutil

    assert not [p for p in psutil.Process().children(recursive=True) if "supervisor" in " ".join(p.cmdline())]
    assert shell.sandbox.describe().startswith("not probed yet")
    shell.bash.title({"command": "ls"})
    assert not shell.world.events.updates


async def test_SH_23_endless_output_is_bounded_and_ended(shell):
    from dataclasses import replace

    order = (await shell.sandbox.confine("yes", cwd=shell.root, reading=False)).order
    said: list[int] = []
    running = await shell.spawner.start(
        replace(order, max_output_bytes=20_000_000), lambda name, text: said.append(len(text))
    )
    async with asyncio.timeout(20):
        ended = await running.ended
    assert ended.why == "output"
    assert sum(said) < 30_000_000


async def test_SH_23_output_is_kept_at_both_ends_as_clean_text_and_live_output_has_an_end(shell):
    command = r"printf '\033]0;title\007\033[31mred\033[0m\xff\xfe\000\b\r\n'; seq 1 200000"
    result = await shell.run(command)
    assert result.content.startswith("red��\n1\n2\n")
    assert "lines truncated] …" in result.content
    assert "200000" in result.content
    assert len(result.content) < 31_000
    assert sum(len(text) for _, text in shell.chunks) < 201_000
    assert "live output ends here" in shell.chunks[-1][1]


async def test_SH_24_a_fork_bomb_ends_and_the_server_lives(shell):
    result = await shell.run(":(){ :|:& };:; while :; do sleep 1; done")
    assert "too many processes" in result.content
    assert (await shell.run("echo alive")).content.startswith("alive")


async def test_SH_24_a_memory_hog_ends(shell):
    from dataclasses import replace

    hog = "python3 -c 'b=[]\nwhile True: b.append(bytearray(1<<20))'"
    order = (await shell.sandbox.confine(hog, cwd=shell.root, reading=False)).order
    running = await shell.spawner.start(replace(order, max_memory_bytes=200 << 20), lambda name, text: None)
    async with asyncio.timeout(20):
        ended = await running.ended
    assert ended.why == "memory"


async def test_SH_24_memory_files_and_time_are_limited(shell):
    result = await shell.run("ulimit -c; ulimit -n; ulimit -f; ulimit -t; ulimit -v")
    assert "unlimited" not in result.content


async def test_SH_20_names_with_commands_in_them_are_only_names(shell):
    canary = shell.root / "canary"
    (shell.root / "$(touch canary)").write_text("x")
    (shell.root / "`touch canary`;touch canary #").write_text("x")
    await shell.run("ls -la; cat ./*; git status")
    assert not canary.exists()
