"""Exceptions of the product as JSON-RPC error objects. No pydantic, no traceback, no path of the server."""

from typing import Any

from lsp_agent.domain.errors import (
    AgentError,
    DocumentChanged,
    EditRefused,
    FileUnreadable,
    OutsideWorkspace,
    ProviderError,
    RequestRejected,
    StoreError,
    ToolError,
    WorkspaceError,
)
from lsp_agent.protocol.codes import CODES, EXTRA_FIELDS, INTERNAL_ERROR, INVALID_PARAMS, RETRYABLE_KINDS

_DEFAULT_PATH = {"EmptyPrompt": "prompt"}


def error_object(error: BaseException) -> dict[str, Any]:
    """The `error` member of a response.

    Shape: `{"code": -31003, "message": "…", "data": {"kind": "SessionNotFound", "retryable": false, "id": "s9"}}`.
    Promise: never raises; an exception that is not one of ours becomes `Internal` with a fixed text, so that nothing of
    it leaks.
    """
    if isinstance(error, RequestRejected):
        return _rejected(error)
    if isinstance(error, AgentError):
        kind, message, retryable = _row(error)
        extra: dict[str, Any] = dict.fromkeys(EXTRA_FIELDS.get(kind, ()))
        if kind == "InvalidParams":
            extra["path"] = ""
        return _object(kind, message, retryable=retryable, extra=extra)
    return _object("Internal", "Internal error", retryable=False, extra={})


def invalid_params(path: str, message: str) -> RequestRejected:
    """`InvalidParams` that names the field. `path` as in `attachments[0].uri`; empty = the params themselves."""
    return RequestRejected("InvalidParams", f"{path}: {message}" if path else message, path=path)


def _rejected(error: RequestRejected) -> dict[str, Any]:
    extra = {**dict.fromkeys(EXTRA_FIELDS.get(error.kind, ())), **error.data}
    if CODES.get(error.kind) == INVALID_PARAMS and not isinstance(extra.get("path"), str):
        extra["path"] = _DEFAULT_PATH.get(error.kind, "")
    return _object(error.kind, str(error), retryable=error.retryable or error.kind in RETRYABLE_KINDS, extra=extra)


def _row(error: AgentError) -> tuple[str, str, bool]:
    """Kind, text and retryable of an error that nobody on the way has translated."""
    match error:
        case ProviderError(kind="ProviderAuth"):
            return "AuthRequired", error.message, False
        case ProviderError(kind="RateLimited" | "Overloaded"):
            return "Overloaded", error.message, True
        case ProviderError():
            return "Internal", error.message, error.retryable
        case StoreError():
            return "Store", "The session database refused the request", error.retryable
        case FileUnreadable():
            return "InvalidParams", f"The file cannot be used: {error.reason}", False
        case OutsideWorkspace():
            return "InvalidParams", "The file is outside the workspace", False
        case DocumentChanged() | EditRefused():
            return "ChangeConflict", "The editor did not take the change", True
        case WorkspaceError() | ToolError():
            return "Internal", "The request could not be carried out", False
        case _:
            return "Internal", "Internal error", False


def _object(kind: str, message: str, *, retryable: bool, extra: dict[str, Any]) -> dict[str, Any]:
    data = {"kind": kind, "retryable": retryable, **extra}
    return {"code": CODES.get(kind, INTERNAL_ERROR), "message": message, "data": data}
