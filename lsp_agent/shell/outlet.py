"""The one hole in the wall of a command's network: a listening socket inside it that somebody outside accepts on.

A command in bubblewrap has a network of its own with nothing but loopback. Before the command starts, a few lines of
Python inside the walls listen there on one port, hand the listening socket out over an inherited socket pair, and
become the command. Whoever is outside accepts on it: no process stays in between, no socket has a name in the file
system, and the system-call filter keeps AF_UNIX shut all the while. Who can connect is exactly who is in that network,
so what comes in belongs to that command and no other (RELIABILITY 6, EX-02, EX-10).
"""

import array
import asyncio
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from lsp_agent.shell.environment import system_binary
from lsp_agent.shell.ground import Ground

PORT = 28_117
"""The same in every command: each has a network of its own."""
OUTLET_PLACE = 5
"""Where in the launcher's arguments the number of the descriptor goes."""
_NOT_SEEN = ("/tmp", "/run", "/var/run")
_URL = f"http://127.0.0.1:{PORT}"
_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
PROXY_ENVIRONMENT = {
    **dict.fromkeys(_NAMES, _URL),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,::1"),
    "NODE_USE_ENV_PROXY": "1",
    "PIP_DEFAULT_TIMEOUT": "300",
    "CARGO_HTTP_TIMEOUT": "300",
}
"""curl, git, pip, npm, cargo, go and most libraries go by these. The times: a user may be thinking about an answer."""
_LAUNCH = """
import os, sys, _socket
try:
    channel = _socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(channel.fileno(), False)
    door = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    door.bind(("127.0.0.1", int(sys.argv[2])))
    door.listen(64)
    number = door.fileno().to_bytes(4, sys.byteorder)
    channel.sendmsg([b"."], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, number)])
except (OSError, ValueError):
    for name in sys.argv[3].split(","):
        os.environ.pop(name, None)
os.execv(sys.argv[4], sys.argv[4:])
"""
# without a socket the command runs all the same, with no network and no proxy it could not reach


class HostAsker(Protocol):
    """Whether a command may reach a host, asked for one tool call of one run. Hosts are in canonical spelling."""

    def granted(self, host: str) -> bool:
        """Whether it may without any question. Never waits."""
        ...

    async def ask(self, host: str) -> bool:
        """Ask the user and wait. Cancellation withdraws the question and passes through."""
        ...


class Outlet(Protocol):
    """What accepts on the listening socket of one command."""

    @property
    def asking(self) -> bool:
        """Whether the command waits for an answer of the user."""
        ...

    async def answered(self) -> None:
        """Wait until no question is open; bounded by the questions' own deadline."""
        ...

    async def serve(self, listener: socket.socket) -> None:
        """Take the socket over and accept on it; returns at once."""
        ...

    def stop_asking(self) -> None:
        """Withdraw open questions and ask no more: the run they belong to is over, or nearly. Never waits."""
        ...

    async def close(self) -> None:
        """End everything. Bounded; may be called twice."""
        ...


class Outlets(Protocol):
    """Makes the outlet of each command."""

    def open(self, asker: HostAsker | None, say: Callable[[str], None]) -> Outlet | None:
        """The outlet of a command; None when it could never reach anything. `say`: one line for whoever reads its
        output."""
        ...


def launcher(python: str, argv: Sequence[str]) -> list[str]:
    """`argv` behind the lines that open the hole; the descriptor's number goes to place `OUTLET_PLACE`."""
    names = ",".join(PROXY_ENVIRONMENT)
    return [python, "-I", "-S", "-c", _LAUNCH, "-1", str(PORT), names, *argv]


def interpreter(ground: Ground) -> str | None:
    """A Python that a command on this ground can see, by its real path; None when there is none."""
    for candidate in (sys.executable, system_binary("python3")):
        if not candidate:
            continue
        path = os.path.realpath(candidate)
        needed = [path] if candidate != sys.executable else [path, os.path.realpath(sys.base_prefix)]
        gone = [Path(place) for place in (*_NOT_SEEN, *ground.hidden)]
        if not any(Path(place).is_relative_to(hidden) for place in needed for hidden in gone):
            return path
    return None


async def receive_listener(channel: socket.socket) -> socket.socket | None:
    """The listening socket that comes through `channel`, which is closed; None when it ends without one.

    Whatever else comes is closed: only a listening TCP socket of loopback is taken. The caller sets the deadline.
    """
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    channel.setblocking(False)
    loop.add_reader(channel.fileno(), came.set)
    try:
        await came.wait()
        _, ancillary, _, _ = channel.recvmsg(1, socket.CMSG_SPACE(16), socket.MSG_CMSG_CLOEXEC)
    except OSError:
        return None
    finally:
        loop.remove_reader(channel.fileno())
        channel.close()
    found: list[int] = []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers = array.array("i")
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
            found += numbers
    return _listener(found)


def _listener(descriptors: Sequence[int]) -> socket.socket | None:
    """The one descriptor, when it is what it should be. All others are closed."""
    if len(descriptors) == 1:
        try:
            taken = socket.socket(fileno=descriptors[0])
        except OSError:
            os.close(descriptors[0])
            return None
        listens = taken.family == socket.AF_INET and taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        if listens and taken.type == socket.SOCK_STREAM and taken.getsockname()[0] == "127.0.0.1":
            taken.setblocking(False)
            return taken
        taken.close()
        return None
    for number in descriptors:
        os.close(number)
    return None
