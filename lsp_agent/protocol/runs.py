"""Runs: submit, steer, cancel, look at the queue, ask for the state (PROTOCOL 3).

Modifiers are open enums: a value unknown here reads as the documented default. Verbs and modes are closed: what cannot
be understood is refused with −32602, so that nothing is loosened or deleted by a typing error.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from lsp_agent.protocol.base import (
    Amount,
    Count,
    Identifier,
    JsonObject,
    Limit,
    Number,
    RunId,
    Short,
    Timestamp,
    Wire,
    known,
    open_enum,
)
from lsp_agent.protocol.content import Attachments, Prompt
from lsp_agent.protocol.run_request import WHEN_BUSY

Mode = Literal["ask", "plan", "accept-edits", "full-auto"]
WhenBusy = Annotated[str, AfterValidator(known(*WHEN_BUSY)), open_enum(*WHEN_BUSY)]
Otherwise = Annotated[str, AfterValidator(known("reject", "queue", otherwise="reject")), open_enum("reject", "queue")]
QueueFate = Annotated[str, AfterValidator(known("drop", "keep", otherwise="keep")), open_enum("drop", "keep")]


class RunOptions(Wire):
    """Choices for one run; absent = the session's or the configuration's."""

    model: Short | None = None
    mode: Mode | None = None
    max_output_tokens: Limit | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    top_k: Count | None = None
    frequency_penalty: Number | None = None
    presence_penalty: Number | None = None
    provider_options: JsonObject | None = None
    max_steps: Count | None = None
    max_cost_usd: Amount | None = None
    non_interactive: bool | None = None
    title: Short | None = None


class RunParams(Wire):
    """`agent/run`. `when_busy` is None when absent or unknown: queue with a run id, fold without."""

    prompt: Prompt
    session_id: Identifier | None = None
    run_id: RunId | None = None
    attachments: Attachments | None = None
    when_busy: WhenBusy | None = None
    options: RunOptions | None = None


class RunResult(Wire):
    """Accepted. `state` is `running`, `queued`, or the stop reason of a run that is over."""

    session_id: str
    run_id: str | None
    message_id: str
    state: str
    position: Count | None = None
    seq: Count


class SteerParams(Wire):
    """`agent/steer`: fold into the run named."""

    session_id: Identifier
    expected_run_id: RunId
    prompt: Prompt
    attachments: Attachments | None = None
    otherwise: Otherwise | None = None


class SteerResult(Wire):
    """`state`: `pending` until the next step boundary, or `queued` as a run of its own."""

    message_id: str
    state: str


class CancelParams(Wire):
    """`agent/cancel`. `queue` is None when absent, which means `drop`; an unknown value keeps the queue."""

    session_id: Identifier
    run_id: RunId | None = None
    queue: QueueFate | None = None
    reason: Short | None = None


class CancelResult(Wire):
    """What was cancelled (null = a turn without a run id), and what was not running any more."""

    cancelled: list[str | None]
    not_running: list[str]


class QueueParams(Wire):
    """`agent/queue`; `op` absent = list."""

    session_id: Identifier
    op: Literal["list", "edit", "move", "remove", "clear", "sendNow"] | None = None
    run_id: RunId | None = None
    message_id: Identifier | None = None
    prompt: Prompt | None = None
    index: Count | None = None
    if_revision: Count | None = None


class QueueItem(Wire):
    """One prompt that waits. `prompt` is the whole text, in answers to `agent/queue` as far as there is room."""

    run_id: str | None
    message_id: str
    position: Count
    preview: str
    prompt: str | None = None
    kind: Annotated[str, open_enum("queued", "fold")]
    accepted_at: Timestamp


class QueueResult(Wire):
    """The queue of a session, and its revision."""

    revision: Count
    count: Count
    items: list[QueueItem]


class StatusParams(Wire):
    """`agent/status`."""

    session_id: Identifier | None = None


class SessionCounts(Wire):
    """Sessions this process has loaded, and how many of them work."""

    open: Count
    busy: Count


class StatusResult(Wire):
    """How the server is."""

    busy: bool
    sessions: SessionCounts
    queued: Count
    connections: Count
    dropped_chunks: Count = Field(default=0)
    version: str
    instance_id: str
    log_path: str | None = None
