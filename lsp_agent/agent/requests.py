"""Model requests as a turn, a compaction and a title make them. Pure but for reading what the turn was given."""

from collections.abc import Sequence

import xxhash

from lsp_agent.agent.costs import merged
from lsp_agent.agent.history import build
from lsp_agent.agent.services import TurnLimits
from lsp_agent.agent.system_prompt import coder_prompt
from lsp_agent.agent.turn_state import TurnState
from lsp_agent.domain.message import Message
from lsp_agent.domain.model import Model, Sampling
from lsp_agent.domain.session import Session
from lsp_agent.ports.provider import Provider, Request


def effective_thinking(model: Model, wanted: str) -> str:
    """The reasoning effort in force (CORE 17.2): the session's wish where the model has it, else its default."""
    if not model.can_reason or wanted == "off":
        return ""
    levels = model.reasoning_efforts
    if wanted in levels:
        return wanted
    if not levels:
        return "on" if wanted == "on" else ""
    return model.default_reasoning_effort if model.default_reasoning_effort in levels else levels[0]


def session_hash(session_id: str) -> str:
    """Opaque and stable, for affinity headers."""
    return xxhash.xxh3_64_hexdigest(session_id.encode())


def system_messages(limits: TurnLimits, prompt: str) -> tuple[str, ...]:
    """The configured prefix, when there is one, then the prompt."""
    return (limits.system_prefix, prompt) if limits.system_prefix else (prompt,)


def turn_request(state: TurnState, model: Model, provider: Provider) -> Request:
    """The request of the next step."""
    services, run, session = state.services, state.run, state.session
    is_child = session.parent_session_id is not None
    sampling = run.options.sampling
    limit = sampling.max_output_tokens or model.max_output_tokens or None
    prompt = coder_prompt(
        now_ms=services.clock.now_ms(),
        roots=services.workspace.roots,
        mode=state.mode,
        editor_facts=services.editor_facts(),
        context=state.context,
        instructions=services.instructions,
    )
    return Request(
        model=model,
        system=system_messages(state.limits, prompt),
        messages=build(
            state.history,
            images=model.supports_images,
            media_in_results=provider.media_in_tool_results,
            todos=state.reminder_todos if not is_child and "todos" in state.tools else None,
        ),
        tools=[tool.spec for tool in state.tools.values()],
        sampling=Sampling(
            limit,
            sampling.temperature,
            sampling.top_p,
            sampling.top_k,
            sampling.frequency_penalty,
            sampling.presence_penalty,
        ),
        thinking=effective_thinking(model, str(state.options.get("thinking") or "")),
        provider_options=merged(model.options, run.options.provider_options),
        session_hash=session_hash(session.session_id),
        cache_last_messages=state.limits.cache_last_messages,
    )


def plain_request(
    session: Session,
    model: Model,
    limits: TurnLimits,
    *,
    system: str,
    messages: Sequence[Message],
    max_output_tokens: int | None,
    purpose: str,
) -> Request:
    """A request without tools and without thinking, for summaries and titles."""
    return Request(
        model=model,
        system=system_messages(limits, system),
        messages=messages,
        sampling=Sampling(max_output_tokens),
        provider_options=model.options,
        session_hash=session_hash(session.session_id),
        purpose=purpose,
        cache_last_messages=limits.cache_last_messages,
    )
