"""Programs that are spoken to: bytes both ways, bounded both ways, an end that is noticed and one that is certain."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from lsp_agent.shell import duplex as module
from lsp_agent.shell.duplex import Duplex, start_duplex
from lsp_agent.shell.environment import child_environment
from lsp_agent.shell.spawner import Order, Spawner
from tests.shell.conftest import processes_with, until

ROOT = Path(__file__).parents[2]
PYTHON = str(Path(sys.executable).resolve())
EVERY_BYTE = bytes(range(256))
Start = Callable[..., Awaitable[Duplex]]


@pytest.fixture
async def start(tmp_path) -> AsyncIterator[Start]:
    """Starts a Python program, or another command; `tmp_path` is its directory."""
    made: list[Duplex] = []

    async def begin(source: str, *words: str, heard=module.unheard, argv=None) -> Duplex:
        line = argv or [PYTHON, "-I", "-S", "-c", source, *words]
        order = Order(line, str(tmp_path), child_environment(os.environ, [tmp_path]))
        async with asyncio.timeout(10):
            made.append(await start_duplex(Spawner(), order, heard))
        return made[-1]

    yield begin
    for one in made:
        async with asyncio.timeout(10):
            await one.close(0)


async def take(program: Duplex, count: int, within: float = 20) -> bytes:
    data = bytearray()
    async with asyncio.timeout(within):
        while len(data) < count and (piece := await program.receive()):
            data += piece
    return bytes(data)


async def rest(program: Duplex, within: float = 10) -> bytes:
    return await take(program, 1 << 62, within)


async def test_every_byte_goes_there_and_back_as_it_is(start):
    program = await start("", argv=["/bin/cat"])
    program.send(EVERY_BYTE)
    assert await take(program, 256) == EVERY_BYTE
    program.send(b"\r\n\0\x1b[31m")
    assert await take(program, 8) == b"\r\n\0\x1b[31m"


@pytest.mark.parametrize("tier", ["bubblewrap", "landlock", "none"])
async def test_it_is_spoken_to_through_every_wall(make_shell, tier):
    shell = make_shell(tier, "none")
    if await shell.sandbox.tier() != tier:
        pytest.skip(f"no {tier} here")
    confined = await shell.sandbox.confine("cat; echo over >&2; exit 7", cwd=shell.root, reading=False)
    program = await start_duplex(Spawner(), confined.order)
    try:
        await program.write(EVERY_BYTE * 1000)
        assert await take(program, 256_000) == EVERY_BYTE * 1000
        program.end_input()
        async with asyncio.timeout(5):
            assert (await asyncio.shield(program.ended)).exit_code == 7
        assert program.errors == "over\n"
    finally:
        await program.close(0)
        await shell.sandbox.release(confined)


async def test_the_environment_and_the_descriptors_are_those_of_every_command(start, monkeypatch):
    monkeypatch.setenv("CANARY_KEY", "sk-canary")
    code = "import os, sys, json; json.dump([dict(os.environ), os.listdir('/proc/self/fd')], sys.stdout)"
    told = (await rest(await start(code))).decode()
    assert "sk-canary" not in told
    assert '"NO_COLOR": "1"' in told
    assert [number for number in ("4", "5", "6") if f'"{number}"' in told.rpartition("[")[2]] == []


# ------------------------------------------------------------------------------------------------------------- bounds


async def test_much_goes_through_a_small_room_both_ways_at_once(start):
    program = await start("", argv=["/bin/cat"])
    data = os.urandom(1 << 20)
    begun = time.monotonic()

    async def give() -> None:
        for _ in range(32):
            await program.write(data)
        program.end_input()

    giving = asyncio.create_task(give())
    assert await rest(program, 30) == data * 32
    await giving
    print(f"32 MiB there and back: {time.monotonic() - begun:.2f} s")


def send_much(program: Duplex) -> None:
    for _ in range(5):
        program.send(bytes(1 << 20))


async def test_a_program_that_does_not_read_makes_write_wait_and_is_ended_when_too_much_piles_up(start, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 4 << 20)
    program = await start("import time; time.sleep(600)")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await program.write(bytes(1 << 20))
    with pytest.raises(BrokenPipeError, match="does not read"):
        send_much(program)
    async with asyncio.timeout(5):
        assert (await asyncio.shield(program.ended)).why == "stopped"
    with pytest.raises(BrokenPipeError, match="ended"):
        program.send(b"x")


async def test_a_program_that_is_not_listened_to_is_held_and_nothing_is_lost(start, tmp_path):
    code = """
import os, sys
for number in range(200):
    os.write(1, bytes([number]) * 65536)
    open("count", "w").write(str(number + 1))
"""
    program = await start(code)

    def written() -> int:
        file = tmp_path / "count"
        return int(file.read_text() or 0) if file.exists() else 0

    seen = [(0, time.monotonic())]

    def stands_still() -> bool:
        if written() != seen[-1][0]:
            seen.append((written(), time.monotonic()))
        return written() >= 4 and time.monotonic() - seen[-1][1] > 0.3

    await until(stands_still)
    held = written() * 65536
    # what we take before we stop, one read of asyncio more, and what the pipe holds
    assert held <= module.ROOM_BYTES + (256 << 10) + (128 << 10), held
    assert await rest(program) == b"".join(bytes([number]) * 65536 for number in range(200))


async def test_what_is_said_on_standard_error_is_kept_at_its_end_clean_and_told_by_the_line(start):
    heard: list[str] = []
    code = """
import sys
for number in range(20_000):
    sys.stderr.write(f"\\x1b[31mline {number}\\n")
sys.stderr.write("the last\\nwithout an end" + "!" * 10_000)
"""
    program = await start(code, heard=heard.append)
    assert await rest(program) == b""
    async with asyncio.timeout(10):
        await asyncio.shield(program.ended)
    assert len(program.errors) == module.MAX_ERRORS_CHARS
    assert "\x1b" not in program.errors
    assert "line 19999\nthe last\nwithout an end!!!" in program.errors
    assert heard == [f"line {number}" for number in range(module.MAX_LINES)]


async def test_a_line_that_never_ends_is_told_in_part_when_the_program_is_gone(start):
    heard: list[str] = []
    program = await start("import sys; sys.stderr.write('a' * 100_000)", heard=heard.append)
    assert await rest(program) == b""
    await until(lambda: bool(heard))
    assert heard == ["a" * module.MAX_LINE_CHARS]


# ------------------------------------------------------------------------------------------------------------ the end


@pytest.mark.parametrize(
    ("code", "status", "number"),
    [("sys.exit(3)", 3, 0), ("os.kill(os.getpid(), 11)", 139, 11), ("os._exit(0)", 0, 0)],
)
async def test_its_death_is_noticed_at_once_with_how_it_died_and_its_last_word(start, code, status, number):
    before = "import os, sys; sys.stdout.write('last word'); sys.stdout.flush(); sys.stdin.read(1)\n"
    program = await start(before + code)
    assert await take(program, 9) == b"last word"
    program.send(b"x")
    begun = time.monotonic()
    async with asyncio.timeout(5):
        ended = await asyncio.shield(program.ended)
    took = time.monotonic() - begun
    assert (ended.exit_code, ended.signal, ended.why) == (status, number, "")
    assert await rest(program) == b""
    assert not program.alive
    print(f"death noticed after {took * 1000:.0f} ms")
    assert took < 2.0  # the figure is a benchmark's; this machine is shared


async def test_what_a_program_said_before_it_died_is_read_afterwards(start):
    program = await start("import os; os.write(1, b'x' * 60_000); os._exit(1)")
    async with asyncio.timeout(5):
        await asyncio.shield(program.ended)
    assert await rest(program) == b"x" * 60_000


async def test_a_program_that_closes_its_input_can_be_told_nothing_and_is_still_heard(start, tmp_path):
    code = """
import os, time
os.close(0)
os.write(1, b"deaf")
while not os.path.exists("go"):
    time.sleep(0.01)
os.write(1, b" but here")
"""
    program = await start(code)
    assert await take(program, 4) == b"deaf"
    await until(lambda: not program.alive)
    with pytest.raises(BrokenPipeError):
        program.send(b"x")
    (tmp_path / "go").touch()
    assert await rest(program) == b" but here"


async def test_a_polite_program_ends_at_the_end_of_its_input(start):
    program = await start("", argv=["/bin/cat"])
    begun = time.monotonic()
    ended = await program.close()
    assert (ended.exit_code, ended.why) == (0, "")
    assert time.monotonic() - begun < module.END_S
    assert await program.close() is ended


async def test_one_that_overhears_the_end_of_its_input_gets_TERM_and_one_that_talks_on_is_not_kept_by_it(start):
    code = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: (os.write(2, b"TERM"), os._exit(9)))
os.write(1, b"up")
while True:
    os.write(1, bytes(65536))
"""
    program = await start(code)
    await take(program, 2)
    begun = time.monotonic()
    async with asyncio.timeout(10):
        ended = await program.close()
    took = time.monotonic() - begun
    assert ended.why == "stopped"
    assert program.errors == "TERM"
    assert module.END_S <= took < module.END_S + module.GRACE_S


async def test_one_that_ignores_everything_is_killed_with_all_it_started(start):
    mark = f"95.4{os.getpid()}"
    code = f"""
import os, signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", {mark!r}], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    os.write(1, b"up")
while True:
    time.sleep(1)
"""
    program = await start(code, mark)
    await take(program, 2)
    assert len(processes_with(mark)) >= 3
    begun = time.monotonic()
    async with asyncio.timeout(10):
        ended = await program.close()
    took = time.monotonic() - begun
    assert processes_with(mark) == []
    assert ended.signal == 9
    assert took >= module.END_S + module.GRACE_S - 0.1
    print(f"ignores its end: gone after {took:.2f} s")


async def test_whoever_stops_waiting_for_the_end_does_not_stop_the_end(start):
    program = await start("import os, time; os.write(1, b'up'); time.sleep(600)")
    await take(program, 2)
    closing = asyncio.create_task(program.close(0.1))
    await until(lambda: program._closing is not None)
    closing.cancel()
    async with asyncio.timeout(5):
        assert (await asyncio.shield(program.ended)).why == "stopped"


@pytest.mark.parametrize("tier", ["bubblewrap", "landlock", "none"])
async def test_SH_17_a_program_that_is_spoken_to_does_not_survive_a_killed_server(tmp_path, tier):
    mark = f"94.3{os.getpid()}"
    # it reads no end of its input, ignores TERM, and hides a child in a session of its own
    stubborn = f"trap '' TERM HUP; (trap '' TERM HUP; exec setsid sleep {mark}) & echo up; exec 0<&-; sleep {mark}"
    code = f"""
import asyncio, os
from pathlib import Path
from lsp_agent.shell.duplex import start_duplex
from lsp_agent.shell.sandbox import Sandbox
from lsp_agent.shell.spawner import Spawner
async def main():
    root = Path({str(tmp_path)!r})
    box = Sandbox(Spawner(), roots=lambda: [root], is_protected=lambda p: False, is_secret=lambda p: False,
                  environ=os.environ, tiers=({tier!r}, "none"))
    one = await box.confine({stubborn!r}, cwd=root, reading=False)
    program = await start_duplex(Spawner(), one.order)
    print("tier", await box.tier(), await program.receive(), flush=True)
    await asyncio.wait([program.ended])
asyncio.run(main())
"""
    server = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)  # noqa: ASYNC220
    try:
        assert server.stdout is not None
        async with asyncio.timeout(30):
            line = await asyncio.to_thread(server.stdout.readline)
        assert b"up" in line
        await until(lambda: len(processes_with(mark)) >= 2)
    finally:
        server.kill()
        server.communicate()
    begun = time.monotonic()
    await until(lambda: processes_with(mark) == [])
    print(f"server killed, program gone after {time.monotonic() - begun:.2f} s ({line.decode().strip()})")


# ----------------------------------------------------------------------------------------------------- nothing is left


async def test_no_descriptor_and_no_process_is_left_of_programs_however_they_came_and_went(start, tmp_path):
    mark = f"93.2{os.getpid()}"
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for patience_s in (0.0, 2.0):
        await (await start("", argv=["/bin/cat"])).close(patience_s)
    for ticks in range(12):  # cancelled at every step of starting
        task = asyncio.create_task(start(f"import time; time.sleep(600) # {mark}"))
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=10)
        if not task.cancelled():
            await task.result().close(0)
    with pytest.raises(FileNotFoundError):
        await start_duplex(Spawner("/nonexistent/python"), Order(["/bin/cat"], "/", {}))
    await until(lambda: processes_with(mark) == [])
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)  # noqa: PTH208


async def test_a_program_that_cannot_be_started_has_ended_and_says_why(start):
    program = await start("", argv=["/nonexistent/program"])
    assert await rest(program) == b""
    async with asyncio.timeout(5):
        assert (await asyncio.shield(program.ended)).exit_code == 127
    assert "could not be started" in program.errors
