"""One request or notification of the client, as its handler sees it.

A request is answered exactly once whatever its handler does; that is kept here and nowhere else.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lsp_agent.wire.rpc import Endpoint

_log = logging.getLogger(__name__)

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
NOT_INITIALIZED = -32002
REQUEST_CANCELLED = -32800
OVERLOADED = -31009
SHUTTING_DOWN = -31014

_KINDS = {
    PARSE_ERROR: "ParseError",
    INVALID_REQUEST: "InvalidRequest",
    METHOD_NOT_FOUND: "MethodNotFound",
    INVALID_PARAMS: "InvalidParams",
    INTERNAL_ERROR: "Internal",
    NOT_INITIALIZED: "NotInitialized",
    REQUEST_CANCELLED: "RequestCancelled",
}


class RpcError(Exception):
    """An error answer. Raised by a handler, or made by a `translate` of the endpoint.

    Shape: `{"code": …, "message": …, "data": {"kind": …, "retryable": …, …}}` (PROTOCOL 12); `kind` and `retryable` are
    filled in when `data` lacks them. The message is for people and holds no secret.
    """

    def __init__(self, code: int, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data: dict[str, Any] = {"kind": _KINDS.get(code, "Error"), "retryable": False, **(data or {})}

    def to_json(self) -> dict[str, Any]:
        """The `error` object of the answer."""
        return {"code": self.code, "message": self.message, "data": self.data}


class Notification:
    """A message that wants no answer."""

    __slots__ = ("connection", "method", "params")

    def __init__(self, connection: "Endpoint", method: str, params: dict[str, Any]) -> None:
        self.connection = connection
        self.method = method
        self.params = params
        """Never None."""

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine as a task of this connection: cancelled with it, its failure logged by type."""
        task = self.connection.spawn(work, name=self.method)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("%s failed: %s", self.method, type(error).__name__)


class Request:
    """A message that gets exactly one answer.

    A handler may answer at once, keep the request and answer later, or `spawn` a coroutine that answers. A second
    answer is ignored and logged. A handler that raises, or a spawned coroutine that fails or ends without an answer,
    answers -32603 without any detail (or what the endpoint's `translate` makes of the exception).
    """

    __slots__ = ("_cancel_callbacks", "_request_id", "answered", "cancelled", "connection", "method", "params")

    def __init__(self, connection: "Endpoint", request_id: int | str, method: str, params: dict[str, Any]) -> None:
        self.connection = connection
        self._request_id = request_id
        self.method = method
        self.params = params
        """Never None; `{}` when missing or null."""
        self.answered = False
        self.cancelled = False
        """The client sent `$/cancelRequest` for it. Changes nothing by itself."""
        self._cancel_callbacks: list[Callable[[], None]] = []

    def answer(self, result: Any) -> None:
        """Answer with a JSON-ready result, encoded now."""
        if self._first():
            self.connection.send_result(self._request_id, self.method, result)

    def answer_bytes(self, result: bytes) -> None:
        """Answer with a result that is JSON already."""
        if self._first():
            self.connection.send_result_bytes(self._request_id, result)

    def fail(self, code: int, message: str, data: Mapping[str, Any] | None = None) -> None:
        """Answer with an error; `data` gets `kind` and `retryable` when it lacks them."""
        self.refuse(RpcError(code, message, data))

    def refuse(self, error: RpcError) -> None:
        """Answer with an error."""
        if self._first():
            self.connection.send_error(self._request_id, error, self.method)

    def fail_with(self, error: BaseException) -> None:
        """Answer with what an exception means to the caller; nothing of it is shown unless it is meant for people."""
        self.refuse(self.connection.translated(error, self.method))

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine as a task of this connection that has to answer (see the class)."""
        task = self.connection.spawn(work, name=self.method)
        task.add_done_callback(self._done)
        return task

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the client cancels this request; at once when it has.

        Only then may -32800 be answered.
        """
        if self.cancelled:
            callback()
        else:
            self._cancel_callbacks.append(callback)

    def cancel(self) -> None:
        """The client does not wait for the answer any more (called by the endpoint)."""
        self.cancelled = True
        callbacks, self._cancel_callbacks = self._cancel_callbacks, []
        for callback in callbacks:
            try:
                callback()
            except Exception as error:  # noqa: BLE001 - the handler boundary
                _log.error("cancelling %s failed: %s", self.method, type(error).__name__)

    def _first(self) -> bool:
        if self.answered:
            _log.warning("a second answer to %s was ignored", self.method)
            return False
        self.answered = True
        self.connection.forget(self._request_id)
        return True

    def _done(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            if not self.answered:
                code = REQUEST_CANCELLED if self.cancelled else INTERNAL_ERROR
                self.fail(code, "Request cancelled" if self.cancelled else "Internal error")
            return
        error = task.exception()
        if error is not None and self.answered:
            _log.error("%s failed after its answer: %s", self.method, type(error).__name__)
        elif error is not None:
            self.fail_with(error)
        elif not self.answered:
            _log.error("%s ended without an answer", self.method)
            self.fail(INTERNAL_ERROR, "Internal error")
