"""One connection: JSON-RPC over a reader thread and a writer thread.

Handlers are called synchronously, in wire order; everything they enqueue leaves in the order it was enqueued. Knows the
lifecycle of LSP (initialize, shutdown, exit) and nothing of any other method.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import orjson

from lsp_agent.wire.admission import Admission, Gate, Stage
from lsp_agent.wire.json_decode import clean
from lsp_agent.wire.limits import Limits
from lsp_agent.wire.outbox import Outbox, event_pieces
from lsp_agent.wire.outgoing import Outgoing
from lsp_agent.wire.reader import Incoming, Reader
from lsp_agent.wire.request import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    PARSE_ERROR,
    Notification,
    Request,
    RpcError,
)
from lsp_agent.wire.statistics import Statistics
from lsp_agent.wire.stdio import Pipes
from lsp_agent.wire.writer import Writer

_log = logging.getLogger(__name__)

Handler = Callable[[Request], None]
NotifyHandler = Callable[[Notification], None]
Translate = Callable[[BaseException], RpcError | None]
"""What an exception of a handler means to the caller; None = an internal error."""


class Endpoint:
    """The server's side of one connection. All methods belong to the loop's thread; none of the plain ones waits.

    It is also the `Subscriber` of `ports.events`. `on_closed(endpoint, reason)` is called once on the loop: `eof` = the
    client will send nothing more (writing may still work), `gone` = it does not take anything any more, `abandoned` =
    it was too far behind. `on_exit(endpoint, code)` follows the `exit` notification: 0 after a shutdown, otherwise 1.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pipes: Pipes,
        requests: Mapping[str, Handler],
        notifications: Mapping[str, NotifyHandler],
        *,
        limits: Limits | None = None,
        on_closed: Callable[["Endpoint", str], None] | None = None,
        on_exit: Callable[["Endpoint", int], None] | None = None,
        gate: Gate | None = None,
        translate: Translate | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.opt_out: frozenset[str] = frozenset()
        """Update kinds of class C and E this client does not want."""
        self._loop = loop
        self._pipes = pipes
        self._requests = requests
        self._admission = Admission(requests.keys(), self.limits, gate)
        self._notifications = notifications
        self._on_closed = on_closed
        self._on_exit = on_exit
        self._translate = translate
        self._tasks: set[asyncio.Task[Any]] = set()
        self._frames_in = 0
        self._ignored_responses = 0
        self._ignored_notifications = 0
        self._writer_done = asyncio.Event()
        self._outbox = Outbox(self.limits)
        self._outgoing = Outgoing(loop, self._send_json)
        self._reader = Reader(loop, pipes, self.limits, self._take, self._input_ended)
        self._writer = Writer(self._outbox, pipes, self._gone, self._writer_ended)

    # --------------------------------------------------------------------------------------------- lifetime

    def start(self) -> None:
        """Begin to read and write."""
        self._writer.start()
        self._reader.start()

    async def drain(self, timeout_s: float = 2.0) -> bool:
        """Wait until everything enqueued so far is written. False when that did not happen in time or never will."""
        written = asyncio.Event()
        self._outbox.mark(lambda: self._from_thread(written.set))
        try:
            async with asyncio.timeout(timeout_s):
                await written.wait()
        except TimeoutError:
            return False
        return not self._outbox.closed

    def close(self) -> None:
        """Stop both threads, fail what waits for the client, cancel the connection's tasks. May be called twice."""
        self._on_closed = None
        self._reader.stop()
        self._outbox.close()
        self._pipes.abort()
        self._outgoing.close()
        for task in tuple(self._tasks):
            task.cancel()

    async def wait_closed(self, timeout_s: float = 1.0) -> bool:
        """After `close`: wait for the connection's tasks and its writer thread. False when some still run."""
        try:
            async with asyncio.timeout(timeout_s):
                current = asyncio.current_task()
                while tasks := [task for task in self._tasks if task is not current]:
                    await asyncio.wait(tasks)
                await self._writer_done.wait()
        except TimeoutError:
            return False
        return True

    @property
    def stage(self) -> Stage:
        """Where the connection is in LSP's lifecycle."""
        return self._admission.stage

    @property
    def gate(self) -> Gate | None:
        """Asked before the handler of every request; may be set at any time."""
        return self._admission.gate

    @gate.setter
    def gate(self, gate: Gate | None) -> None:
        self._admission.gate = gate

    @property
    def closed(self) -> bool:
        """Nothing can be sent any more."""
        return self._outbox.closed

    def statistics(self) -> Statistics:
        """A snapshot."""
        return Statistics(
            frames_in=self._frames_in,
            frames_out=self._writer.frames,
            bytes_out=self._writer.bytes,
            resyncs=self._reader.parser.resyncs,
            skipped_bytes=self._reader.parser.skipped_bytes,
            waiting_bytes=self._outbox.waiting_bytes,
            peak_waiting_bytes=self._outbox.peak_bytes,
            dropped_chunks=self._outbox.dropped_chunks,
            lagging=self._outbox.check_lag(),
            outstanding_requests=len(self._admission.in_flight),
            ignored_responses=self._ignored_responses,
            ignored_notifications=self._ignored_notifications,
        )

    # ---------------------------------------------------------------------------------------------- sending

    def configure_events(self, *, opt_out: frozenset[str] = frozenset(), max_latency_ms: int = 0) -> None:
        """What the client negotiated (PROTOCOL 2 `events`). Durable events cannot be opted out of."""
        self.opt_out = opt_out
        self._outbox.max_latency_s = max_latency_ms / 1000

    def notify(
        self,
        method: str,
        params: bytes | Mapping[str, Any] | None = None,
        *,
        kind: str = "D",
        key: str = "",
        session_id: str = "",
    ) -> None:
        """Enqueue a notification; params that are bytes are JSON already and are not read (`Subscriber.notify`)."""
        ready = params if isinstance(params, bytes) else _encode(params or {})
        pieces = event_pieces(ready, method)
        if kind == "D":
            if not self._outbox.put(pieces, session_id, ready):
                self._abandon()
        elif self.opt_out and _update_kind(ready) in self.opt_out:
            return
        elif kind == "E":
            self._outbox.put_ephemeral(pieces, session_id, key)
        else:
            self._outbox.put_droppable(pieces, session_id, ready)

    def chunk(
        self,
        session_id: str,
        run_id: str | None,
        update_kind: str,
        key: str,
        text: str,
        seq: int,
        parent: Mapping[str, Any] | None = None,
    ) -> None:
        """Enqueue text of a message (`Subscriber.chunk`); `parent` is added to the params of a sub-agent's event."""
        if update_kind not in self.opt_out:
            self._outbox.put_chunk(session_id, run_id, update_kind, key, text, seq, parent)

    async def request(self, method: str, params: Mapping[str, Any] | None = None, *, timeout_s: float) -> Any:
        """Ask the client and wait for its result.

        Raises: RemoteError for an error answer, TimeoutError after `timeout_s`, ConnectionClosed. On time-out and on
        cancellation the client is told by `$/cancelRequest`.
        """
        return await self._outgoing.request(method, params or {}, timeout_s)

    def send_result(self, request_id: int | str, method: str, result: Any) -> None:
        """Enqueue an answer (called by `Request`)."""
        try:
            encoded = _encode(result)
        except TypeError as error:
            _log.error("the result of %s is not JSON: %s", method, type(error).__name__)
            self.send_error(request_id, RpcError(INTERNAL_ERROR, "Internal error"), method)
            return
        self.send_result_bytes(request_id, encoded)

    def send_result_bytes(self, request_id: int | str, result: bytes) -> None:
        """Enqueue an answer that is JSON already (called by `Request`)."""
        self._put((b'{"jsonrpc":"2.0","id":' + _encode(request_id) + b',"result":', result, b"}"))

    def send_error(self, request_id: int | str | None, error: RpcError, method: str = "") -> None:
        """Enqueue an error answer (called by `Request`)."""
        if method == "initialize" and self._admission.stage is Stage.READY:
            self._admission.stage = Stage.NEW
        try:
            encoded = _encode(error.to_json())
        except TypeError:
            encoded = _encode(RpcError(error.code, error.message).to_json())
        self._put((b'{"jsonrpc":"2.0","id":' + _encode(request_id) + b',"error":', encoded, b"}"))

    def forget(self, request_id: int | str) -> None:
        """The request is answered (called by `Request`)."""
        self._admission.in_flight.pop(request_id, None)

    def translated(self, error: BaseException, method: str) -> RpcError:
        """What an exception means to the caller (called by `Request`)."""
        if isinstance(error, RpcError):
            return error
        known = self._translate(error) if self._translate is not None else None
        if known is not None:
            return known
        _log.error("%s failed: %s", method, type(error).__name__)
        return RpcError(INTERNAL_ERROR, "Internal error")

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run a coroutine that is cancelled when the connection closes."""
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _send_json(self, message: Mapping[str, Any]) -> bool:
        self._put((_encode(message),))
        return not self._outbox.closed

    def _put(self, pieces: tuple[bytes, ...]) -> None:
        if not self._outbox.put(pieces):
            self._abandon()

    # -------------------------------------------------------------------------------------------- receiving

    def _take(self, incoming: Incoming) -> None:
        """One message, in wire order. No exception leaves it."""
        self._frames_in += 1
        try:
            if incoming.code:
                self.send_error(None, RpcError(incoming.code, incoming.reason))
            elif isinstance(incoming.value, dict):
                self._take_object(incoming.value, incoming.exact)
            else:
                text = "Batches are not supported" if isinstance(incoming.value, list) else "Not a request object"
                self.send_error(None, RpcError(INVALID_REQUEST, text))
        except Exception as error:  # noqa: BLE001 - one message must not end the connection
            _log.error("a message could not be handled: %s", type(error).__name__)

    def _take_object(self, message: dict[str, Any], exact: bool) -> None:
        method = message.get("method")
        request_id = message.get("id")
        readable = isinstance(request_id, (int, str)) and not isinstance(request_id, bool)
        if "method" not in message and ("result" in message or "error" in message):
            self._take_response(message)
        elif not isinstance(method, str) or message.get("jsonrpc") != "2.0":
            self.send_error(request_id if readable else None, RpcError(INVALID_REQUEST, "Not a request object"))
        elif "id" not in message:
            self._take_notification(method, message.get("params"), exact)
        elif isinstance(request_id, (int, str)) and readable:
            self._take_request(request_id, method, message.get("params"), exact)
        elif not exact:
            self.send_error(None, RpcError(PARSE_ERROR, "A number is out of range"))
        else:
            self.send_error(None, RpcError(INVALID_REQUEST, "The id must be a string or an integer"))

    def _take_request(self, request_id: int | str, method: str, params: Any, exact: bool) -> None:
        if params is None:
            params = {}
        try:
            objection = self._admission.objection(request_id, method, params, exact)
        except Exception as error:  # noqa: BLE001 - a bug of ours is an answer, too
            _log.error("a request was not admitted: %s", type(error).__name__)
            objection = RpcError(INTERNAL_ERROR, "Internal error")
        if objection is not None:
            self.send_error(request_id, objection)
            return
        request = Request(self, request_id, method, params)
        self._admission.admit(request_id, request)
        try:
            self._requests[method](request)
        except Exception as error:  # noqa: BLE001 - the handler boundary
            if request.answered:
                _log.error("%s failed after its answer: %s", method, type(error).__name__)
            else:
                request.fail_with(error)

    def _take_notification(self, method: str, params: Any, exact: bool) -> None:
        if params is None:
            params = {}
        if not exact:
            self.send_error(None, RpcError(PARSE_ERROR, "A number is out of range"))
        elif not isinstance(params, dict):
            self._ignored_notifications += 1
        elif method == "exit":
            code = self._admission.exit_code()
            if self._on_exit is not None:
                self._on_exit(self, code)
        elif method == "$/cancelRequest":
            self._cancel_request(params.get("id"))
        elif self._admission.stage is not Stage.READY or method not in self._notifications:
            self._ignored_notifications += 1
        else:
            try:
                self._notifications[method](Notification(self, method, params))
            except Exception as error:  # noqa: BLE001 - the handler boundary
                _log.error("%s failed: %s", method, type(error).__name__)

    def _cancel_request(self, request_id: Any) -> None:
        if isinstance(request_id, (int, str)) and not isinstance(request_id, bool):
            request = self._admission.in_flight.get(request_id)
            if request is not None:
                request.cancel()

    def _take_response(self, message: dict[str, Any]) -> None:
        if not self._outgoing.take(message):
            self._ignored_responses += 1

    # ------------------------------------------------------------------------------------------------ ends

    def _input_ended(self) -> None:
        self._outgoing.close()  # nobody is left who could answer
        self._report_closed("eof")

    def _abandon(self) -> None:
        if not self._outbox.closed:
            _log.error("a client is too far behind and is given up")
            self._outbox.close()
            self._pipes.abort()
            self._outgoing.close()
            self._loop.call_soon(self._report_closed, "abandoned")

    def _gone(self) -> None:
        """The writer thread found nobody at the other end."""
        self._from_thread(self._outgoing.close)
        self._from_thread(lambda: self._report_closed("gone"))

    def _writer_ended(self) -> None:
        self._pipes.leave()
        self._from_thread(self._writer_done.set)

    def _report_closed(self, reason: str) -> None:
        on_closed, self._on_closed = self._on_closed, None
        if on_closed is not None:
            on_closed(self, reason)

    def _from_thread(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            _log.debug("the loop is closed already")


def _encode(value: Any) -> bytes:
    """JSON. Raises: TypeError for what is not JSON-ready."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(clean(value))  # lone surrogates


def _update_kind(params: bytes) -> str:
    update = orjson.loads(params).get("update")
    return str(update.get("sessionUpdate")) if isinstance(update, dict) else ""
