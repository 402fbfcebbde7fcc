"""Every error that crosses a boundary inside the product.

    AgentError
    ├── RequestRejected      before acceptance; answered to the caller, kind = a row of PROTOCOL 12
    ├── ProviderError        the model's service failed; kind = PROTOCOL 9 error.kind
    ├── ToolError            becomes the tool's error result, for the model to read
    ├── StoreError           the database refused or is gone
    └── WorkspaceError       a path, file or edit was refused
        ├── OutsideWorkspace     not below a root
        ├── FileUnreadable       missing, a directory, binary, too large, undecodable
        ├── EditRefused          the editor said no (or nothing, in time)
        └── DocumentChanged      the document moved on under the edit

An adapter translates what it catches into one of these where it catches it first, always `raise … from`.
Cancellation is not an error and never appears here.
"""

from collections.abc import Mapping
from typing import Any


class AgentError(Exception):
    """The root. The text is one sentence a user may read; it never holds a secret or a traceback."""


class RequestRejected(AgentError):
    """A request is refused before anything was accepted.

    `kind` is a row of PROTOCOL 12 (`SessionNotFound`, `SessionBusy`, `DuplicateRun`, …) or `InvalidParams`;
    `data` are that row's extra fields (camelCase, JSON-ready); for `InvalidParams` it holds `path`.
    """

    def __init__(self, kind: str, message: str, *, retryable: bool = False, **data: Any) -> None:
        super().__init__(message)
        self.kind = kind
        self.retryable = retryable
        self.data: Mapping[str, Any] = data


class ProviderError(AgentError):
    """The model's service failed, refused or fell silent."""

    def __init__(
        self,
        kind: str,
        title: str,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        retry_after_s: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        """`ProviderAuth`, `RateLimited`, `Overloaded`, `ContextOverflow`, `Provider` or `Timeout` (PROTOCOL 9)."""
        self.title = title
        self.message = message
        self.status = status
        """HTTP status, when there was a response."""
        self.retryable = retryable
        """Worth the same request again (CORE 8)."""
        self.retry_after_s = retry_after_s
        """What the service asked for, seconds; None = it did not."""
        self.request_id = request_id


class ToolError(AgentError):
    """A tool could not do what was asked; the text goes to the model as an error result (CORE 0.8)."""

    def __init__(self, message: str, *, metadata: Mapping[str, Any] | None = None, stop_turn: bool = False) -> None:
        super().__init__(message)
        self.metadata = dict(metadata or {})
        self.stop_turn = stop_turn


class StoreError(AgentError):
    """The database refused a write or cannot be read. `retryable` when space or a lock may come back."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class WorkspaceError(AgentError):
    """A path, a file or an edit was refused."""


class OutsideWorkspace(WorkspaceError):
    """The real path lies below none of the workspace's roots."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is outside the workspace")
        self.path = path


class FileUnreadable(WorkspaceError):
    """Missing, not a regular file, binary, too large, or not decodable. `reason` is one of those words."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class EditRefused(WorkspaceError):
    """The editor answered `applied: false`, answered with an error, or did not answer in time."""


class DocumentChanged(WorkspaceError):
    """The text is no longer the one the edit was made for."""
