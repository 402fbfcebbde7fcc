"""The composition root: the only module that names concrete classes behind the ports.

`serve` answers `initialize` with what is imported here, which is little; `build` brings in the rest afterwards.
"""

import asyncio
import logging
import os
import signal
import socket as socket_module
from pathlib import Path

from lsp_agent.clock import SystemClock
from lsp_agent.server.core import Core
from lsp_agent.server.editor import ConnectedEditors
from lsp_agent.server.handlers import NOTIFICATIONS, REQUESTS
from lsp_agent.server.negotiation import Negotiated
from lsp_agent.server.server import AgentServer
from lsp_agent.wire.stdio import from_socket, take_stdio

_log = logging.getLogger(__name__)


def serve(*, socket: Path | None = None, model: str | None = None, mode: str | None = None) -> int:
    """Serve the editor on stdin and stdout until it leaves; returns the exit status.

    `socket`: one more unix socket for further clients; that of the data directory is always there once its lock is
    held. `model` and `mode` are the flags.
    """
    pipes = take_stdio()
    flags = {"models.large": model, "permissions.mode": mode}
    sockets = Sockets()

    async def run() -> int:
        loop = asyncio.get_running_loop()
        clock = SystemClock()

        async def build(agreed: Negotiated, editors: ConnectedEditors) -> Core:
            from lsp_agent.composition.build import build_core
            from lsp_agent.config.paths import SOCKET_NAME, data_dir

            core = await build_core(agreed, editors, clock=clock, flags=flags)
            sockets.listen(server, data_dir(os.environ, Path(agreed.roots[0])) / SOCKET_NAME)
            return core

        server = AgentServer(build, REQUESTS, NOTIFICATIONS, instance_id=clock.new_id())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, server.finish, 0)
        server.connect(pipes, primary=True)
        if socket is not None:
            sockets.listen(server, socket)
        status = await server.finished
        sockets.close()  # before the lock is given back: the next server makes its own
        await server.close()
        return status

    # Not asyncio.run: it joins worker threads, and one that is stuck on a dead disk or in a slow import must not keep
    # the process alive. Everything that must finish has been waited for in `close`.
    status = asyncio.new_event_loop().run_until_complete(run())
    os._exit(status)


class Sockets:
    """Where further clients connect: unix sockets of mode 0600."""

    def __init__(self) -> None:
        self._open: list[tuple[socket_module.socket, Path]] = []

    def listen(self, server: AgentServer, path: Path) -> None:
        """Accept clients at `path`; what an earlier server left there is replaced. A path that cannot be is logged."""
        listener = socket_module.socket(socket_module.AF_UNIX, socket_module.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            path.unlink(missing_ok=True)
            listener.bind(str(path))
        except OSError as error:  # for one, 108 bytes are the longest name
            listener.close()
            _log.warning("no socket for further clients: %s", error.strerror or error)
            return
        finally:
            os.umask(before)
        listener.listen()
        listener.setblocking(False)
        self._open.append((listener, path))
        asyncio.get_running_loop().add_reader(listener.fileno(), _accept, server, listener)

    def close(self) -> None:
        """Take no more clients. May be called twice."""
        for listener, path in self._open:
            asyncio.get_running_loop().remove_reader(listener.fileno())
            listener.close()
            path.unlink(missing_ok=True)
        self._open.clear()


def _accept(server: AgentServer, listener: socket_module.socket) -> None:
    try:
        connection, _ = listener.accept()
    except OSError:
        return  # whoever it was has gone again
    server.connect(from_socket(connection), primary=False)
