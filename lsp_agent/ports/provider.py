"""The model's service: a request in, a stream of events out.

An adapter owns one dialect. It never retries, never stores, never knows sessions or editors; nothing of an SDK crosses
this port. History arrives as domain messages and is encoded by the adapter.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lsp_agent.domain.message import Message
from lsp_agent.domain.model import Model, Sampling
from lsp_agent.domain.stream import StreamEvent


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model is told of it. `input_schema` is a JSON Schema object."""

    name: str
    description: str
    input_schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One model request: everything an adapter needs, nothing it has to look up."""

    model: Model
    system: tuple[str, ...]
    """System messages in order: the configured prefix first (may be absent), then the prompt. Never empty strings."""
    messages: Sequence[Message]
    """History, oldest first, already repaired (CORE 13): every tool call is followed by its results."""
    tools: Sequence[ToolSpec] = ()
    """Sorted by name."""
    sampling: Sampling = Sampling()
    thinking: str = ""
    """Effective reasoning effort (CORE 17.2): one of the model's levels, `on`, or empty for off/default."""
    provider_options: Mapping[str, Any] = field(default_factory=dict)
    """Merged catalogue < provider < model < run options (CORE 17.3)."""
    session_hash: str = ""
    """Hex XXH3 of the session id, for `x-session-id` and `x-session-affinity` (CORE 12)."""
    purpose: str = "turn"
    """`turn`, `title` or `summary`: for providers that play a part, and for logs."""
    cache_last_messages: int = 2
    """How many of the last messages carry a prompt-cache mark, where the dialect has marks; 0 = no marks at all."""


class Provider(Protocol):
    """One configured service."""

    provider_id: str
    media_in_tool_results: bool
    """The dialect takes images inside tool results; otherwise history carries them in a user message (CORE 14)."""

    def stream(self, request: Request) -> AsyncIterator[Sequence[StreamEvent]]:
        """Send `request` and yield what comes back, in batches: all events of one network read as one batch.

        Shape: an **empty batch** means bytes arrived that carry no event (a ping): the caller's idle watchdog counts
        any batch as life. The last event of a good stream is `Finished`. `UsageReport` may come at any time.
        Promise: closing the iterator or cancelling closes the connection at once. No retries, no internal deadline but
        the connect time-out.
        Raises: ProviderError (only), also in the middle of the stream; a stream that ends without `Finished` raises
        one with `kind="Provider"` and `retryable=True`.
        """
        ...

    async def close(self) -> None:
        """Release connections. Bounded, may be called twice."""
        ...


class Providers(Protocol):
    """The configured models and how to reach them (implemented over the configuration; re-read every run)."""

    async def prepare(self) -> None:
        """Look for what has to be looked for (a local server), once; before the first `resolve`. At most 300 ms."""
        ...

    def resolve(self, ref: str | None, *, role: str = "large") -> Model:
        """The model for `provider/model`, or for the configured `role` (`large`, `small`) when `ref` is None.

        Raises: ProviderError(kind="ProviderAuth" or "Provider") with a text that says what to configure.
        """
        ...

    async def provider_for(self, model: Model) -> Provider:
        """The adapter for a model; imports its SDK on first use off the event loop. Raises: ProviderError."""
        ...

    async def refresh_credentials(self, model: Model) -> bool:
        """After a 401: re-read the key (environment, command, file). True when it changed and a retry makes sense."""
        ...

    def models(self) -> Sequence[Model]:
        """Every model that is configured or known, large first. Never waits."""
        ...
