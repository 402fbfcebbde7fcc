"""What a provider can say while it speaks. The closed union `StreamEvent` is the provider port's vocabulary."""

from dataclasses import dataclass, field
from typing import Any

from lsp_agent.domain.message import FinishReason
from lsp_agent.domain.usage import Usage


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningEnd:
    """One block of thinking is whole. `provider_data` as in `ReasoningPart`; empty when there is none to keep.

    May come without any delta before it (redacted or encrypted thinking).
    """

    provider_data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolCallStart:
    """The model began a call; its input follows. Ids are non-empty and unique within the step."""

    tool_call_id: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of the call's JSON input."""

    tool_call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolCallEnd:
    """The call is whole. `input` is the text as the model wrote it, perhaps not valid JSON."""

    tool_call_id: str
    name: str
    input: str


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Counts of this step so far; a later report replaces an earlier one."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class ProviderWarning:
    """Something was dropped or changed on the way to the model; logged and announced as a notice."""

    message: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The stream ended as it should. Without it the stream is broken and the step may be retried.

    `refusal` is set when the service or the model declined (`stopReason: refusal`).
    """

    reason: FinishReason
    refusal: str = ""


StreamEvent = (
    TextDelta
    | ReasoningDelta
    | ReasoningEnd
    | ToolCallStart
    | ToolCallDelta
    | ToolCallEnd
    | UsageReport
    | ProviderWarning
    | Finished
)
