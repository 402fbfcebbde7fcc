"""Well-known services and models: data, as published by the services in November 2026. USD per million tokens.

An unknown model works too, with window 0 (never summarized automatically) and no price. A price that depends on the
length of the prompt is given for the shorter band.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lsp_agent.domain.model import Model


@dataclass(frozen=True, slots=True)
class KnownService:
    """A service that needs no block in the configuration when its key is in the environment."""

    provider_id: str
    type: str
    key_names: tuple[str, ...]
    """Environment variables that hold its key, in order of preference; empty = one logs in (`lsp-agent login`)."""
    base_url: str = ""
    """Empty = the type's own address."""
    base_url_names: tuple[str, ...] = ()
    """Environment variables that replace `base_url`."""
    compat_url: str = ""
    """Its address for a block of type `openai-compat`, when its own type is another."""
    large: str = ""
    """Empty = never chosen only because its key is there."""
    small: str = ""
    models: tuple[Model, ...] = ()
    needs_key: bool = True
    """False when there are other ways to prove who asks."""


COPILOT_URL = "https://api.githubcopilot.com"
_DATED = re.compile(r"([-@]\d{8})?(-v\d+(:\d+)?)?$")
"""Date and version that a host adds to a model's name."""
_ALL_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_ADAPTIVE: Mapping[str, Any] = {"thinking": {"type": "adaptive", "display": "summarized"}}
_PRESERVED: Mapping[str, Any] = {
    # our system prompt and reminders may change between requests: let the service drop what no longer fits, not refuse
    "thinking": {
        "type": "adaptive",
        "display": "summarized",
        "block_binding": {"prefix_mismatch_behavior": "drop_block"},
    },
    "anthropic_beta": ["thinking-binding-controls-2026-08-01"],
}


def _model(
    provider: str,
    model_id: str,
    name: str,
    *,
    window: int,
    output: int,
    usd: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
    efforts: tuple[str, ...] = (),
    default: str = "",
    reasons: bool = True,
    images: bool = True,
    options: Mapping[str, Any] | None = None,
) -> Model:
    """`usd`: input, output, cache read, cache write."""
    return Model(
        provider_id=provider,
        model_id=model_id,
        name=name,
        context_window=window,
        max_output_tokens=output,
        input_usd_per_mtok=usd[0],
        output_usd_per_mtok=usd[1],
        cache_read_usd_per_mtok=usd[2],
        cache_write_usd_per_mtok=usd[3],
        can_reason=reasons,
        reasoning_efforts=efforts,
        default_reasoning_effort=default,
        supports_images=images,
        options=dict(options or {}),
    )


def _claude(
    model_id: str,
    name: str,
    usd: tuple[float, float, float, float],
    *,
    window: int = 1_000_000,
    output: int = 32_000,
    efforts: tuple[str, ...] = _ALL_EFFORTS,
    default: str = "high",
    options: Mapping[str, Any] = _ADAPTIVE,
) -> Model:
    """`output` is the limit of a step, chosen below what the model could do."""
    return _model(
        "anthropic",
        model_id,
        name,
        window=window,
        output=output,
        usd=usd,
        efforts=efforts,
        default=default if efforts else "",
        options=options,
    )


_ANTHROPIC = (
    _claude("claude-sonnet-5-5", "Claude Sonnet 5.5", (2, 10, 0.1, 2.5), options=_PRESERVED),
    _claude("claude-opus-5-5", "Claude Opus 5.5", (4, 20, 0.2, 5), default="medium", options=_PRESERVED),
    _claude("claude-haiku-5-5", "Claude Haiku 5.5", (0.1, 0.5, 0.01, 0.125), default="medium", options=_PRESERVED),
    _claude("claude-fable-5-1", "Claude Fable 5.1", (10, 50, 0.25, 12.5), options=_PRESERVED),
    _claude("claude-opus-5", "Claude Opus 5", (5, 25, 0.5, 6.25)),
    _claude("claude-sonnet-5", "Claude Sonnet 5", (2, 10, 0.2, 2.5)),
    _claude("claude-opus-4-8", "Claude Opus 4.8", (5, 25, 0.5, 6.25)),
    _claude("claude-opus-4-7", "Claude Opus 4.7", (5, 25, 0.5, 6.25)),
    _claude(
        "claude-sonnet-4-6",
        "Claude Sonnet 4.6",
        (3, 15, 0.3, 3.75),
        window=200_000,
        efforts=("low", "medium", "high", "max"),
    ),
    _claude("claude-haiku-4-5", "Claude Haiku 4.5", (1, 5, 0.1, 1.25), window=200_000, efforts=(), options={}),
    _claude("claude-sonnet-4-5", "Claude Sonnet 4.5", (3, 15, 0.3, 3.75), window=200_000, efforts=(), options={}),
)

_GPT_EFFORTS = ("low", "medium", "high", "xhigh")


def _gpt(model_id: str, name: str, usd: tuple[float, float, float, float], *, window: int = 1_050_000) -> Model:
    return _model(
        "openai",
        model_id,
        name,
        window=window,
        output=64_000,
        usd=usd,
        efforts=_GPT_EFFORTS,
        default="medium",
    )


_OPENAI = (
    _gpt("gpt-6.2-sol", "GPT-6.2 Sol", (2, 10, 0.2, 2.5)),
    _gpt("gpt-6.2-astra", "GPT-6.2 Astra", (8, 40, 0.4, 10)),
    _gpt("gpt-6-luna", "GPT-6 Luna", (0.1, 0.5, 0.01, 0.125), window=1_000_000),
    _gpt("gpt-5.5", "GPT-5.5", (5, 30, 0.5, 0), window=400_000),
    _gpt("gpt-5.4", "GPT-5.4", (2.5, 15, 0.25, 0), window=400_000),
    _model(
        "openai",
        "gpt-4.1",
        "GPT-4.1",
        window=1_047_576,
        output=16_384,
        usd=(2, 8, 0.5, 0),
        reasons=False,
    ),
)

_GEMINI = (
    _model(
        "gemini",
        "gemini-3.1-pro-preview-customtools",
        "Gemini 3.1 Pro",
        window=1_048_576,
        output=64_000,
        usd=(2, 12, 0.2, 0),
        efforts=("low", "medium", "high"),
        default="medium",
    ),
    _model(
        "gemini",
        "gemini-3.8-flash",
        "Gemini 3.8 Flash",
        window=1_048_576,
        output=65_536,
        usd=(0.75, 3.75, 0.075, 0),
        efforts=("low", "medium", "high"),
        default="medium",
    ),
)

_OPENROUTER = (
    _model(
        "openrouter",
        "anthropic/claude-sonnet-5.5",
        "Claude Sonnet 5.5 (OpenRouter)",
        window=1_000_000,
        output=32_000,
        usd=(2, 10, 0.1, 2.5),
        efforts=("low", "medium", "high"),
        default="medium",
    ),
    _model(
        "openrouter",
        "anthropic/claude-haiku-5.5",
        "Claude Haiku 5.5 (OpenRouter)",
        window=1_000_000,
        output=32_000,
        usd=(0.1, 0.5, 0.01, 0.125),
        efforts=("low", "medium", "high"),
        default="medium",
    ),
)

SERVICES: tuple[KnownService, ...] = (
    KnownService(
        "anthropic",
        "anthropic",
        ("ANTHROPIC_API_KEY",),
        base_url_names=("ANTHROPIC_BASE_URL", "ANTHROPIC_API_ENDPOINT"),
        large="claude-sonnet-5-5",
        small="claude-haiku-5-5",
        models=_ANTHROPIC,
    ),
    KnownService(
        "openai",
        "openai",
        ("OPENAI_API_KEY",),
        base_url_names=("OPENAI_BASE_URL", "OPENAI_API_ENDPOINT"),
        large="gpt-6.2-sol",
        small="gpt-6-luna",
        models=_OPENAI,
    ),
    KnownService(
        "openrouter",
        "openrouter",
        ("OPENROUTER_API_KEY",),
        base_url="https://openrouter.ai/api/v1",
        large="anthropic/claude-sonnet-5.5",
        small="anthropic/claude-haiku-5.5",
        models=_OPENROUTER,
    ),
    KnownService(
        "gemini",
        "google",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        compat_url="https://generativelanguage.googleapis.com/v1beta/openai",
        base_url_names=("GEMINI_API_ENDPOINT",),
        large="gemini-3.1-pro-preview-customtools",
        small="gemini-3.8-flash",
        models=_GEMINI,
    ),
    KnownService(
        "deepseek",
        "openai-compat",
        ("DEEPSEEK_API_KEY",),
        base_url="https://api.deepseek.com/v1",
        large="deepseek-chat",
        small="deepseek-chat",
    ),
    KnownService(
        "vercel",
        "vercel",
        ("AI_GATEWAY_API_KEY", "VERCEL_API_KEY"),
        base_url="https://ai-gateway.vercel.sh/v1",
        large="anthropic/claude-sonnet-5.5",
        small="anthropic/claude-haiku-5.5",
    ),
    KnownService("copilot", "openai-compat", (), base_url=COPILOT_URL),
    KnownService("github-copilot", "openai-compat", (), base_url=COPILOT_URL),
    KnownService("google", "google", ("GEMINI_API_KEY", "GOOGLE_API_KEY"), models=_GEMINI),
    KnownService("vertex", "vertex", ("CLOUDSDK_AUTH_ACCESS_TOKEN",), models=_GEMINI),
    KnownService("azure", "azure", ("AZURE_OPENAI_API_KEY",), base_url_names=("AZURE_OPENAI_ENDPOINT",)),
    KnownService("bedrock", "bedrock", ("AWS_BEARER_TOKEN_BEDROCK",), needs_key=False),
)
"""In the order in which the environment is searched."""


def known_service(provider_id: str) -> KnownService | None:
    """By the id that the configuration and `provider/model` use."""
    for service in SERVICES:
        if service.provider_id == provider_id:
            return service
    return None


def vendors_model(model_id: str) -> Model | None:
    """The vendor's own entry for a model that a host (Bedrock, Vertex, Azure) serves under a longer name.

    `us.anthropic.claude-sonnet-4-5-20250929-v1:0`, `claude-sonnet-4-5@20250929` and `claude-sonnet-4-5` are one model.
    """
    name = _DATED.sub("", model_id.rpartition("anthropic.")[2])
    return next((model for service in SERVICES for model in service.models if model.model_id == name), None)
