"""The composition root: the only module that names concrete classes behind the ports.

`serve` answers `initialize` with what is imported here, which is little; `build` brings in the rest afterwards.
"""

import asyncio
import os
import signal
import socket as sockets
from pathlib import Path
from typing import Any

from lsp_agent.clock import SystemClock
from lsp_agent.server.core import Core
from lsp_agent.server.editor import ConnectedEditors
from lsp_agent.server.handlers import NOTIFICATIONS, REQUESTS
from lsp_agent.server.negotiation import Negotiated
from lsp_agent.server.server import AgentServer
from lsp_agent.wire.stdio import from_socket, take_stdio


def serve(*, socket: Path | None = None, model: str | None = None, mode: str | None = None) -> int:
    """Serve the editor on stdin and stdout until it leaves; returns the exit status.

    `socket`: a unix socket for further clients, readable by the user alone. `model` and `mode` are the flags.
    """
    pipes = take_stdio()
    flags = {"models.large": model, "permissions.mode": mode}

    async def run() -> int:
        loop = asyncio.get_running_loop()
        clock = SystemClock()

        async def build(agreed: Negotiated, editors: ConnectedEditors) -> Core:
            from lsp_agent.composition import build_core

            return await build_core(agreed, editors, clock=clock, flags=flags)

        server = AgentServer(build, REQUESTS, NOTIFICATIONS, instance_id=clock.new_id())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, server.finish, 0)
        server.connect(pipes, primary=True)
        listener = await _listen(server, socket) if socket is not None else None
        status = await server.finished
        if listener is not None and socket is not None:
            listener.close()
            socket.unlink(missing_ok=True)
        await server.close()
        return status

    # Not asyncio.run: it joins worker threads, and one that is stuck on a dead disk or in a slow import must not keep the
    # process alive. Everything that must finish has been waited for in `close`.
    status = asyncio.new_event_loop().run_until_complete(run())
    os._exit(status)


async def _listen(server: AgentServer, path: Path) -> sockets.socket:
    """Accept further clients. The socket file is made with mode 0600 in a directory of the user's."""
    loop = asyncio.get_running_loop()
    listener = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen()
    listener.setblocking(False)

    def accept(*_: Any) -> None:
        try:
            connection, _address = listener.accept()
        except (BlockingIOError, InterruptedError):
            return
        server.connect(from_socket(connection), primary=False)

    loop.add_reader(listener.fileno(), accept)
    return listener
