"""Error codes of the wire (PROTOCOL 12), importable without pydantic.

Knows the numbers only; `protocol.errors` makes error objects of exceptions.
"""

from collections.abc import Mapping
from types import MappingProxyType

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
NOT_INITIALIZED = -32002
REQUEST_CANCELLED = -32800

CODES: Mapping[str, int] = MappingProxyType(
    {
        "ParseError": PARSE_ERROR,
        "InvalidRequest": INVALID_REQUEST,
        "MethodNotFound": METHOD_NOT_FOUND,
        "InvalidParams": INVALID_PARAMS,
        "EmptyPrompt": INVALID_PARAMS,
        "Internal": INTERNAL_ERROR,
        "Store": INTERNAL_ERROR,
        "NotInitialized": NOT_INITIALIZED,
        "RequestCancelled": REQUEST_CANCELLED,
        "UnsupportedVersion": -31001,
        "AuthRequired": -31002,
        "SessionNotFound": -31003,
        "RunNotFound": -31004,
        "SessionBusy": -31005,
        "RunMismatch": -31006,
        "DuplicateRun": -31007,
        "QueueFull": -31008,
        "Overloaded": -31009,
        "StaleDocument": -31010,
        "ChangeConflict": -31011,
        "RevisionConflict": -31012,
        "CapabilityMissing": -31013,
        "ShuttingDown": -31014,
        "WorkspaceUntrusted": -31015,
    }
)
"""Kind to code. `data.kind` is the contract; several kinds may share a standard code."""

EXTRA_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "InvalidParams": ("path",),
        "EmptyPrompt": ("path",),
        "UnsupportedVersion": ("supportedVersions",),
        "SessionNotFound": ("id",),
        "RunNotFound": ("id",),
        "SessionBusy": ("activeRunId",),
        "RunMismatch": ("activeRunId",),
        "DuplicateRun": ("state",),
        "QueueFull": ("max",),
        "Overloaded": ("retryAfterMs",),
        "StaleDocument": ("uri", "wanted", "have"),
        "ChangeConflict": ("hunks",),
        "RevisionConflict": ("revision",),
        "CapabilityMissing": ("capability",),
        "WorkspaceUntrusted": ("root",),
    }
)
"""Fields of `data` that a kind always carries besides `kind` and `retryable`; None where nobody knows them."""

RETRYABLE_KINDS = frozenset({"Overloaded", "QueueFull", "SessionBusy", "StaleDocument", "RevisionConflict"})
"""Kinds where the same request may succeed later without the user doing anything."""
