"""Whether a request may reach its handler: the lifecycle of LSP 3.17, and how many may wait for an answer."""

from collections.abc import Callable, Collection
from enum import Enum
from typing import Any

from lsp_agent.wire.limits import Limits
from lsp_agent.wire.request import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    NOT_INITIALIZED,
    OVERLOADED,
    SHUTTING_DOWN,
    Request,
    RpcError,
)

Gate = Callable[[str], RpcError | None]
"""Asked with the method of a request before its handler; an error refuses it."""

_RESERVED = frozenset({"initialize", "shutdown", "agent/cancel", "agent/permission/respond", "agent/question/respond"})
"""Taken however many requests are outstanding: they are what frees the others."""


class Stage(Enum):
    """Where the connection is in LSP's lifecycle."""

    NEW = "new"
    READY = "ready"
    SHUT_DOWN = "shut down"
    EXITED = "exited"


class Admission:
    """The requests in flight and the stage of one connection."""

    def __init__(self, methods: Collection[str], limits: Limits, gate: Gate | None) -> None:
        self._methods = methods
        self._limits = limits
        self.gate = gate
        self.stage = Stage.NEW
        self.in_flight: dict[int | str, Request] = {}

    def admit(self, request_id: int | str, request: Request) -> None:
        """The request goes to its handler."""
        self.in_flight[request_id] = request
        if request.method == "initialize":
            self.stage = Stage.READY
        elif request.method == "shutdown":
            self.stage = Stage.SHUT_DOWN

    def exit_code(self) -> int:
        """What the process shall end with; `exit` has come. 0 after a shutdown, else 1."""
        code = 0 if self.stage is Stage.SHUT_DOWN else 1
        self.stage = Stage.EXITED
        return code

    def objection(self, request_id: int | str, method: str, params: Any, exact: bool) -> RpcError | None:
        """Why a request is refused before its handler sees it; None = it is not."""
        if request_id in self.in_flight:
            return RpcError(INVALID_REQUEST, "The id is already in use")
        if self.stage is Stage.NEW and method != "initialize":
            return RpcError(NOT_INITIALIZED, "The server is not initialized")
        if self.stage is Stage.READY and method == "initialize":
            return RpcError(INVALID_REQUEST, "The server is already initialized")
        if self.stage not in (Stage.NEW, Stage.READY):
            code = SHUTTING_DOWN if method.startswith("agent/") else INVALID_REQUEST  # LSP's word for LSP's methods
            return RpcError(code, "The server is shutting down", {"kind": "ShuttingDown"})
        if method not in self._methods:
            return RpcError(METHOD_NOT_FOUND, "Method not found")
        if not isinstance(params, dict):
            return RpcError(INVALID_PARAMS, "The params must be an object", {"path": "$"})
        if not exact:
            return RpcError(INVALID_PARAMS, "A number is out of range", {"path": "$"})
        if self.gate is not None and (refusal := self.gate(method)) is not None:
            return refusal
        return self._overload(method)

    def _overload(self, method: str) -> RpcError | None:
        if len(self.in_flight) < self._limits.outstanding_requests:
            return None
        if method in _RESERVED or method.startswith("$/"):
            return None
        return RpcError(
            OVERLOADED,
            "Too many requests are waiting for an answer",
            {"kind": "Overloaded", "retryable": True, "retryAfterMs": self._limits.retry_after_ms},
        )
