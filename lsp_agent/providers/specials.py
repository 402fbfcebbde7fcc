"""What single services want otherwise than the rest of their dialect: data, not branches (CORE 17.1, 17.3). Pure.

A service is recognised by the provider's id or by the host of its address, so that a block with a free name is
recognised too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lsp_agent.providers.content import merged

_ENABLED: Mapping[str, Any] = {"thinking": {"type": "enabled"}}
_DISABLED: Mapping[str, Any] = {"thinking": {"type": "disabled"}}


@dataclass(frozen=True, slots=True)
class Special:
    """One service's wishes about thinking. Everything it adds can be replaced by the user's own options."""

    ids: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """Hosts, their sub-domains included."""
    models: str = ""
    """Regular expression searched in the model's name; empty = every model."""
    effort: tuple[str, ...] = ("reasoning_effort",)
    """Where the level goes in the body; empty = it is not sent."""
    on: Mapping[str, Any] = field(default_factory=dict)
    """Added when a reasoning model is to think."""
    off: Mapping[str, Any] = field(default_factory=dict)
    """Added when a reasoning model is not to think."""
    switch_beside_effort: bool = True
    """`on` is added also when there is a level."""
    always: Mapping[str, Any] = field(default_factory=dict)

    def fits(self, provider_id: str, host: str, model_id: str) -> bool:
        """True when these wishes are about that model of that service."""
        named = provider_id in self.ids or any(host == name or host.endswith(f".{name}") for name in self.hosts)
        return named and (not self.models or re.search(self.models, model_id, re.IGNORECASE) is not None)

    def body(self, *, can_reason: bool, thinking: str) -> dict[str, Any]:
        """Fields for a request. `thinking`: a level, `on`, or empty for off."""
        effort = thinking if thinking != "on" else ""
        out = dict(self.always)
        if can_reason and not (effort and not self.switch_beside_effort):
            out = merged(out, self.on if thinking else self.off)
        if effort and self.effort:
            level: Any = effort
            for name in reversed(self.effort):
                level = {name: level}
            out = merged(out, level)
        return out


PLAIN = Special()
"""Everybody else: the level as `reasoning_effort`, nothing without one."""

CHAT_SPECIALS: tuple[Special, ...] = (
    Special(
        ids=("zai", "z-ai", "zhipu", "zhipuai"),
        hosts=("api.z.ai", "open.bigmodel.cn"),
        on=_ENABLED,
        off=_DISABLED,
        always={"tool_stream": True},
    ),
    Special(ids=("deepseek",), hosts=("api.deepseek.com",), on=_ENABLED, off=_DISABLED),
    Special(
        ids=("fireworks", "fireworks-ai"),
        hosts=("api.fireworks.ai",),
        on=_ENABLED,
        off=_DISABLED,
        switch_beside_effort=False,
    ),
    Special(
        ids=("baseten",),
        hosts=("inference.baseten.co",),
        on={"chat_template_args": {"enable_thinking": True}},
        off={"chat_template_args": {"enable_thinking": False}},
    ),
    Special(
        ids=("ionet", "io-net", "io.net"),
        hosts=("api.intelligence.io.solutions",),
        effort=("reasoning", "effort"),
        on={"reasoning": {"effort": "medium"}},
        off={"reasoning": {"effort": "none"}},
        switch_beside_effort=False,
    ),
    Special(
        ids=("opencode", "opencode-zen", "opencode-go"),
        hosts=("opencode.ai",),
        models="minimax",
        effort=(),
        on={"thinking": {"type": "adaptive"}, "reasoning_split": True},
        off=_DISABLED,
    ),
    Special(
        ids=("alibaba", "alibaba-cn", "alibaba-coding", "dashscope"),
        hosts=("aliyuncs.com",),
        on={"enable_thinking": True},
        off={"enable_thinking": False},
    ),
)
"""For Chat Completions."""

ANTHROPIC_SPECIALS: tuple[Special, ...] = (
    Special(
        ids=("alibaba", "alibaba-cn", "alibaba-coding", "dashscope"),
        hosts=("aliyuncs.com",),
        on=_ENABLED,
        off=_DISABLED,
        switch_beside_effort=False,
    ),
)
"""For Anthropic's dialect at other companies, in place of its own thinking fields."""

_BEARER_IDS = ("minimax", "minimax-cn", "minimax-china", "minimax-coding")
_BEARER_HOSTS = ("minimax.io", "minimaxi.com")


@dataclass(frozen=True, slots=True)
class Route:
    """Models of a service that speak another dialect than the service's type says."""

    ids: tuple[str, ...]
    hosts: tuple[str, ...]
    models: str
    """Regular expression that the whole model name must match."""
    dialect: str
    """`anthropic` or `responses`."""


ROUTES: tuple[Route, ...] = (
    Route(("copilot", "github-copilot"), ("githubcopilot.com",), r"gpt-5\.[2-6].*|gpt-5-mini", "responses"),
    Route(("opencode", "opencode-zen", "opencode-go"), ("opencode.ai",), r"qwen3\.7-max", "anthropic"),
)


def special_for(
    provider_id: str, base_url: str, model_id: str, specials: tuple[Special, ...] = CHAT_SPECIALS
) -> Special | None:
    """The wishes that fit, or None."""
    host = urlsplit(base_url).hostname or ""
    return next((special for special in specials if special.fits(provider_id, host, model_id)), None)


def route_for(provider_id: str, base_url: str) -> Route | None:
    """How some models of this service are reached, or None."""
    host = urlsplit(base_url).hostname or ""
    for route in ROUTES:
        if provider_id in route.ids or any(host == name or host.endswith(f".{name}") for name in route.hosts):
            return route
    return None


def wants_bearer(provider_id: str, base_url: str) -> bool:
    """True for a service with Anthropic's dialect that takes its key as a bearer token only (MiniMax)."""
    host = urlsplit(base_url).hostname or ""
    return provider_id in _BEARER_IDS or any(host == name or host.endswith(f".{name}") for name in _BEARER_HOSTS)
