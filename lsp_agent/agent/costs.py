"""What a step cost, and how full the context is after it (CORE 11). Pure.

Session counters describe the current context: they are set, never added, and cached tokens count in full, those written
to the cache included (the reference forgot them and compacted one step late).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lsp_agent.domain.message import (
    AttachmentPart,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from lsp_agent.domain.model import Model
from lsp_agent.domain.session import Session
from lsp_agent.domain.usage import Usage

_MAX_TOKENS = 1 << 40
"""Nobody's context; what is larger is a broken counter."""


def priced(reported: Usage, model: Model) -> Usage:
    """`reported` with sane counts and its price.

    The service's own figure replaces ours; a flat rate and an estimate cost nothing. Never negative, never NaN.
    """
    sane = replace(
        reported,
        input=_sane(reported.input),
        output=_sane(reported.output),
        cache_read=_sane(reported.cache_read),
        cache_write=_sane(reported.cache_write),
        reasoning=_sane(reported.reasoning),
    )
    cost = (
        sane.input * model.input_usd_per_mtok
        + sane.output * model.output_usd_per_mtok
        + sane.cache_read * model.cache_read_usd_per_mtok
        + sane.cache_write * model.cache_write_usd_per_mtok
    ) / 1e6
    own = reported.reported_cost_usd
    if own is not None and math.isfinite(own) and own >= 0:
        cost = own
    if model.flat_rate or reported.estimated:
        cost = 0.0
    return replace(sane, cost_usd=cost)


def _sane(count: float) -> int:
    return int(min(max(count, 0), _MAX_TOKENS)) if math.isfinite(count) else 0


def step_usage(reported: Usage | None, model: Model, request: Sequence[Message], answer: Message) -> Usage:
    """The priced usage of a step; estimated from the texts when the service reported nothing."""
    if reported is not None and not reported.is_zero:
        return priced(reported, model)
    sent = sum(_message_tokens(message) for message in request)
    got = sum(_part_tokens(part) for part in answer.parts)
    own = reported.reported_cost_usd if reported is not None else None
    return priced(Usage(input=sent, output=got, estimated=True, reported_cost_usd=own), model)


def context_counters(usage: Usage, session: Session) -> dict[str, Any]:
    """Fields of the session a step sets: what is reported as 0 keeps its old value."""
    prompt = usage.input + usage.cache_read + usage.cache_write
    return {
        "prompt_tokens": prompt or session.prompt_tokens,
        "completion_tokens": usage.output or session.completion_tokens,
        "estimated_usage": usage.estimated,
    }


def is_nearly_full(session: Session, model: Model) -> bool:
    """True when what is left of the window is at most 20,000 tokens, or a fifth of a window of up to 200,000."""
    window = model.context_window
    if window <= 0:
        return False
    threshold = 20_000 if window > 200_000 else window // 5
    return window - (session.prompt_tokens + session.completion_tokens) <= threshold


def tokens(text: str | bytes) -> int:
    """A rough count: a token for every four bytes, rounded up."""
    size = len(text) if isinstance(text, bytes) or text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return -(-size // 4)


def estimate_tokens(messages: Iterable[Message]) -> int:
    """A rough count of what these messages weigh."""
    return sum(_message_tokens(message) for message in messages)


def _message_tokens(message: Message) -> int:
    return tokens(message.role.value) + sum(_part_tokens(part) for part in message.parts)


def _part_tokens(part: Part) -> int:
    match part:
        case TextPart(text) | ReasoningPart(text):
            return tokens(text)
        case AttachmentPart():
            return tokens(part.text) if part.text is not None else tokens(f"{part.mime_type} {part.name or ''} bytes")
        case ToolCallPart():
            return tokens(part.name) + tokens(part.input)
        case ToolResultPart():
            return tokens(part.tool_call_id) + tokens(part.content)
        case _:
            return 0


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on it, objects merged member by member (CORE 17.3)."""
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        out[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out
