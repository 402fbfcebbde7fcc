"""Trying to break out of a tier before it is trusted: a few commands that must fail, and one that must work."""

import asyncio
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

from lsp_agent.shell.environment import child_environment, find_shell
from lsp_agent.shell.ground import Ground
from lsp_agent.shell.outlet import receive_listener
from lsp_agent.shell.spawner import Order, Spawner

_PROBE_S = 10.0
_SCRIPT = r"""
inside=$1 outside=$2 port=$3 server=$4 mark=$5 home=$6
{ : > "$inside/free"; } 2>/dev/null && echo "fine works"
{ : >> "$inside/.git/hooks/pre-commit"; } 2>/dev/null && echo "hook"
{ : > "$outside/file"; } 2>/dev/null && [ -e "$outside/secret" ] && echo "BROKEN writes outside"
{ : > "$home/.lsp-agent-probe-$mark"; } 2>/dev/null && echo "BROKEN writes in the home directory"
[ "$(cat "$outside/secret" 2>/dev/null)" = "$mark" ] && echo "BROKEN reads what is hidden"
{ : >> /etc/hosts; } 2>/dev/null && echo "BROKEN writes in /etc"
{ : >> /proc/sys/kernel/core_pattern; } 2>/dev/null && echo "BROKEN reaches the kernel's settings"
(exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null && echo "BROKEN reaches the network"
kill -0 $server 2>/dev/null && [ -r /proc/$server/environ ] && echo "BROKEN reaches other processes"
grep -qz "$mark" /proc/[0-9]*/environ 2>/dev/null && echo "BROKEN reads other environments"
unshare -Ur true 2>/dev/null && echo "BROKEN makes namespaces"
echo done
"""

Build = Callable[[Ground, Order], Order]


async def break_out(spawner: Spawner, build: Build) -> str | None:
    """Why this tier cannot be trusted; None when nothing got out and the workspace was writable."""
    shell = find_shell()
    if shell is None:
        return "there is no bash"
    base = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="lsp-agent-probe-")).resolve()
    mark = secrets.token_hex(8)
    try:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            return await _run(spawner, build, shell, base, mark, listener.getsockname()[1])
    except (OSError, TimeoutError) as error:
        return f"it could not be tried ({type(error).__name__})"
    finally:
        await asyncio.to_thread(shutil.rmtree, base, True)


async def opens(spawner: Spawner, order: Order) -> bool:
    """Whether an order with an outlet starts, and hands a listening socket out."""
    try:
        running = await spawner.start(order, lambda name, text: None)
    except OSError:
        return False
    channel, listener = running.take_outlet(), None
    try:
        async with asyncio.timeout(_PROBE_S):
            listener = await receive_listener(channel) if channel is not None else None
            ended = await asyncio.shield(running.ended)
    except TimeoutError:
        return False
    finally:
        if listener is not None:
            listener.close()
        if not running.ended.done():
            await running.stop()
    return listener is not None and ended.exit_code == 0


async def _run(spawner: Spawner, build: Build, shell: str, base: Path, mark: str, port: int) -> str | None:
    inside, outside = base / "in", base / "out"
    (inside / ".git" / "hooks").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret").write_text(mark)
    home = os.environ.get("HOME", "/")
    ground = Ground((str(inside),), hidden=(str(outside),), protected=(str(inside / ".git" / "hooks"),))
    argv = [shell, "--noprofile", "--norc", "-c", _SCRIPT, "probe", str(inside), str(outside), str(port)]
    argv += [str(os.getpid()), mark, home]
    said: list[str] = []
    order = build(ground, Order(argv, str(inside), child_environment(os.environ, [inside])))
    running = await spawner.start(order, lambda name, text: said.append(text))
    try:
        async with asyncio.timeout(_PROBE_S):
            await asyncio.shield(running.ended)
    finally:
        if not running.ended.done():
            await running.stop()
    lines = "".join(said).splitlines()
    broken = [line for line in lines if line.startswith("BROKEN")]
    if broken:
        return f"a command inside it {broken[0].removeprefix('BROKEN ')}"
    if "done" not in lines or "fine works" not in lines:
        return f"a command inside it does not run ({' '.join(lines)[:120]})"
    return None
