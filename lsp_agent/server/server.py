"""The server: who is connected, how far it has started, and how it ends.

`initialize` is answered from plain data at once; configuration, database and models come after it. Everything that
needs them waits in wire order until they are there, so nothing overtakes. The agent methods are in
`handlers`.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lsp_agent.domain.errors import AgentError, RequestRejected
from lsp_agent.protocol.errors import error_object
from lsp_agent.server import interpreter
from lsp_agent.server.connection import Connection
from lsp_agent.server.core import Boot, Core
from lsp_agent.server.editor import ConnectedEditors
from lsp_agent.server.negotiation import Negotiated, initialize_result, negotiate
from lsp_agent.server.watchdog import watch_process
from lsp_agent.wire.request import Notification, Request, RpcError
from lsp_agent.wire.rpc import Endpoint
from lsp_agent.wire.stdio import Pipes

_log = logging.getLogger(__name__)

SHUTDOWN_S = 3.0
DRAIN_S = 2.0
SHUTTING_DOWN = "the server is shutting down"
_PATH = re.compile(r"(?<!\S)/\S+")

Build = Callable[[Negotiated, ConnectedEditors], Awaitable[Core]]
Handle = Callable[["AgentServer", Connection, Request], Any]
"""An agent method: returns the result, or a coroutine that does, or None when it answers by itself."""
Notify = Callable[["AgentServer", Connection, Mapping[str, Any]], None]


class AgentServer:
    """One process. `finished` gets the exit status when the primary client, a signal or a dead editor ends it."""

    def __init__(
        self,
        build: Build,
        requests: Mapping[str, Handle],
        notifications: Mapping[str, Notify],
        *,
        instance_id: str,
    ) -> None:
        self.instance_id = instance_id
        self.editors = ConnectedEditors()
        self.connections: dict[Endpoint, Connection] = {}
        self.boot = Boot()
        self.finished: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._build = build
        self._requests = {
            "initialize": self._initialize,
            "shutdown": self._shutdown,
            **{method: self._gated(handle) for method, handle in requests.items()},
        }
        self._notifications = {
            "initialized": self._initialized,
            **{method: self._in_order(notify) for method, notify in notifications.items()},
        }
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stop_watching: Callable[[], None] = lambda: None
        self._ended: asyncio.Task[None] | None = None

    # ----------------------------------------------------------------------------------------------- connections

    def connect(self, pipes: Pipes, *, primary: bool) -> Connection:
        """Serve one more client. The end of the primary one ends the process."""
        loop = asyncio.get_running_loop()
        endpoint = Endpoint(
            loop,
            pipes,
            self._requests,
            self._notifications,
            on_closed=self._closed,
            on_exit=self._exit,
            translate=translate,
        )
        connection = Connection(endpoint, primary=primary)
        self.connections[endpoint] = connection
        endpoint.start()
        return connection

    def finish(self, status: int) -> None:
        """End the process with `status`, after its clean-up; the first call decides."""
        if not self.finished.done():
            self.finished.set_result(status)

    def spawn(self, work: Any, name: str) -> asyncio.Task[Any]:
        """Run something that belongs to no connection; its failure is logged by type."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("%s failed: %s", task.get_name(), type(error).__name__)

    def _closed(self, endpoint: Endpoint, reason: str) -> None:
        connection = self.connections.get(endpoint)
        if connection is None:
            return
        if connection.primary:
            self.finish(0 if reason == "eof" else 1)
            return
        self._leave(endpoint)

    def _leave(self, endpoint: Endpoint) -> None:
        connection = self.connections.pop(endpoint, None)
        if connection is None:
            return
        self.editors.remove(connection)
        if connection.surface is not None:
            connection.surface.close()
        if self.boot.core is not None:
            self.boot.core.agent.drop(endpoint)
            if connection.companion is not None:
                self.boot.core.agent.drop(connection.companion)
        endpoint.close()

    def _exit(self, endpoint: Endpoint, status: int) -> None:
        connection = self.connections.get(endpoint)
        if connection is not None and connection.primary:
            self.finish(status)
        else:
            self._leave(endpoint)

    # ------------------------------------------------------------------------------------------------- lifecycle

    def _initialize(self, request: Request) -> None:
        connection = self.connections[request.connection]
        connection.agree(negotiate(request.params))
        self.editors.add(connection)
        request.answer(initialize_result(connection.agreed, self.instance_id))
        if connection.agreed.process_id is not None and connection.primary:
            loop = asyncio.get_running_loop()
            self._stop_watching = watch_process(loop, connection.agreed.process_id, lambda: self.finish(1))
        self._when_started(lambda: self._give_surface(connection))
        if self.boot.core is None and not self.boot.failure:
            _ = self.spawn(self._start(connection), "start")

    async def _start(self, connection: Connection) -> None:
        if self.boot.starting:
            return
        self.boot.starting = True
        try:
            core = await self._build(connection.agreed, self.editors)
        except AgentError as error:
            self.boot.failure = str(error)
        except Exception as error:  # noqa: BLE001 - a server that cannot start says so instead of dying
            _log.exception("the agent could not start")
            self.boot.failure = f"the agent could not start ({type(error).__name__}); see the log"
        else:
            if self._ended is not None:  # a shutdown was quicker: nothing may start any more
                await core.close()
                return
            self.boot.core = core
            for notice in core.notices:
                connection.show(f"lsp-agent: {notice}", level=2)
        if self.boot.failure and self._ended is None:
            connection.show(f"lsp-agent: {self.boot.failure}", level=1)
        self._let_go()
        try:
            if self.boot.core is not None:
                await self.boot.core.preload()
        finally:
            interpreter.settle()
        if self.boot.core is not None:
            await self.boot.core.load_rest()
            interpreter.settle()

    def _let_go(self) -> None:
        """Do, or refuse, what arrived before the start was over."""
        waiting, self.boot.waiting = self.boot.waiting, []
        for work in waiting:
            work()

    def _give_surface(self, connection: Connection) -> None:
        if self.boot.core is not None and not connection.endpoint.closed:
            from lsp_agent.server.surfaces import Surface
            from lsp_agent.server.tier0.companion import Companion

            connection.companion = Companion(connection, self.boot.core)
            connection.surface = Surface(connection, self.boot.core, self.boot.core.questions)
            connection.companion.greet()

    def _initialized(self, notification: Notification) -> None:
        connection = self.connections.get(notification.connection)
        if connection is not None:
            self._when_started(lambda: self.spawn(self._attach(connection), "attach"))

    async def _attach(self, connection: Connection) -> None:
        """What the client asked for in `initialize`: the sessions it had open before (PROTOCOL 2 `attach`)."""
        core = self.boot.core
        for entry in connection.agreed.attach:
            session_id, after = entry.get("sessionId"), entry.get("afterSeq")
            if core is None or not isinstance(session_id, str):
                continue
            try:
                await core.agent.attach(
                    session_id, connection.endpoint, after if isinstance(after, int) else None, lambda _: None
                )
            except RequestRejected as error:
                _log.warning("attach in initialize: %s", error)

    def _shutdown(self, request: Request) -> None:
        connection = self.connections[request.connection]
        _ = request.spawn(self._end_runs(request, connection))

    async def _end_runs(self, request: Request, connection: Connection) -> None:
        if connection.primary:
            await self.end_runs()
        await request.connection.drain(DRAIN_S)
        request.answer(None)

    async def end_runs(self) -> None:
        """Take no more runs and end the active ones; their terminal events are enqueued afterwards. Bounded."""
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_task(self._end_core(), name="end runs")
        await asyncio.shield(self._ended)

    async def _end_core(self) -> None:
        if self.boot.core is None:
            self.boot.failure = self.boot.failure or SHUTTING_DOWN
            self._let_go()
            return
        try:
            async with asyncio.timeout(SHUTDOWN_S + 1):
                await self.boot.core.agent.shutdown(SHUTDOWN_S)
        except TimeoutError:
            _log.error("the runs did not end within %s s", SHUTDOWN_S)

    async def close(self) -> None:
        """After `finished`: end runs, let every client have what it is owed, close everything. Bounded."""
        self._stop_watching()
        await self.end_runs()
        for endpoint in list(self.connections):
            await endpoint.drain(DRAIN_S)
        if self.boot.core is not None:
            await self.boot.core.close()
        for endpoint in list(self.connections):
            endpoint.close()
        for task in list(self._tasks):
            task.cancel()

    # ------------------------------------------------------------------------------------------------ dispatching

    def core(self) -> Core:
        """The agent. Raises: RequestRejected when it could not start."""
        if self.boot.core is None:
            if self.boot.failure == SHUTTING_DOWN:
                raise RequestRejected("ShuttingDown", SHUTTING_DOWN)
            # where it lies is for the user's eyes (`window/showMessage`), not for an error (PROTOCOL 1)
            raise RequestRejected("Store", _PATH.sub("…", self.boot.failure), retryable=True)
        return self.boot.core

    def _when_started(self, work: Callable[[], Any]) -> None:
        if (self.boot.core is None and not self.boot.failure) or self.boot.waiting:
            self.boot.waiting.append(work)
        else:
            work()

    def _gated(self, handle: Handle) -> Callable[[Request], None]:
        def take(request: Request) -> None:
            connection = self.connections[request.connection]
            if not connection.agreed.version_agreed and request.method.startswith("agent/"):
                raise RequestRejected("UnsupportedVersion", "no common protocol version", supportedVersions=[1])
            self._when_started(lambda: self._run(handle, connection, request))

        return take

    def _run(self, handle: Handle, connection: Connection, request: Request) -> None:
        try:
            result = handle(self, connection, request)
        except Exception as error:  # noqa: BLE001 - the handler boundary: every request is answered
            request.fail_with(error)
            return
        if asyncio.iscoroutine(result):
            _ = request.spawn(self._answer(request, result))
        elif result is not None:
            request.answer(result)

    async def _answer(self, request: Request, work: Awaitable[Any]) -> None:
        result = await work
        if not request.answered:
            request.answer(result)

    def _in_order(self, notify: Notify) -> Callable[[Notification], None]:
        """A notification is taken at once, unless a request before it still waits for the start."""

        def take(notification: Notification) -> None:
            connection = self.connections.get(notification.connection)
            if connection is None:
                return
            if self.boot.waiting:
                self.boot.waiting.append(lambda: notify(self, connection, notification.params))
            else:
                notify(self, connection, notification.params)

        return take


def translate(error: BaseException) -> RpcError | None:
    """Our own errors as the wire's error objects; anything else stays an internal error without detail."""
    if not isinstance(error, AgentError):
        return None
    shape = error_object(error)
    return RpcError(shape["code"], shape["message"], shape["data"])
