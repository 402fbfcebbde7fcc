"""What comes in with a prompt and what is answered: plain values between the server and the conductor.

`answer` and `reject` of a submission are called at most once in total, on the event loop, never inside the call that
submits when the run is accepted (acceptance is answered from the store's commit callback).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from lsp_agent.domain.errors import RequestRejected
from lsp_agent.domain.message import AttachmentPart
from lsp_agent.domain.run import RunOptions
from lsp_agent.ports.events import Subscriber

Attachments = Callable[[], Awaitable[tuple[AttachmentPart, ...]]]


@dataclass(frozen=True, slots=True)
class Submission:
    """One `agent/run` or `agent/steer`, decoded."""

    prompt: str
    session_id: str | None = None
    """None = a new session."""
    run_id: str | None = None
    attachments: Attachments | None = None
    """Reads the attachments; raises RequestRejected or WorkspaceError. None = there are none, nothing is awaited."""
    when_busy: str | None = None
    """queue, fold, reject, interrupt; None = queue with a run id, fold without."""
    options: RunOptions = field(default_factory=RunOptions)
    content_hash: str = ""
    """Of prompt, attachments and options as the caller sent them."""
    root: str | None = None
    """Workspace root (file URI) of a new session."""
    title: str | None = None
    """Name of a new session, given by the user."""
    subscriber: Subscriber | None = None
    """The connection that submits: from the answer on it receives the session's events."""
    expand: Callable[[], Awaitable[str]] | None = None
    """What a custom command in the prompt stands for; raises RequestRejected. None = the prompt is as it is."""


@dataclass(frozen=True, slots=True)
class RunAnswer:
    """Result of `agent/run` (PROTOCOL 3); of `agent/steer` the message id and the state `pending` or `queued`."""

    session_id: str
    run_id: str | None
    message_id: str
    state: str
    """running, queued, or the stop reason of a run that has ended."""
    position: int | None
    seq: int
    """Number of the last event that was sent before this answer."""


Answer = Callable[[RunAnswer], None]
Reject = Callable[[RequestRejected], None]
