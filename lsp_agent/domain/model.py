"""A model as the agent sees it: what it is called, what it can take, what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Model:
    """One model of one configured provider. Prices are USD per million tokens."""

    provider_id: str
    """The key of the provider's block in the configuration, for example `anthropic` or `local`."""
    model_id: str
    """As the provider's API wants it."""
    name: str = ""
    context_window: int = 0
    """Tokens; 0 = unknown, never auto-summarized."""
    max_output_tokens: int = 0
    """Default limit of a step; 0 = leave the field out of the request."""
    input_usd_per_mtok: float = 0.0
    output_usd_per_mtok: float = 0.0
    cache_read_usd_per_mtok: float = 0.0
    cache_write_usd_per_mtok: float = 0.0
    can_reason: bool = False
    reasoning_efforts: tuple[str, ...] = ()
    default_reasoning_effort: str = ""
    supports_images: bool = False
    flat_rate: bool = False
    """The provider is paid by subscription: every cost is 0."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Catalogue and configuration options of this model, merged into `provider_options` (CORE 17.3)."""

    @property
    def ref(self) -> str:
        """`provider/model`, as the configuration and `agent/session/configure` write it."""
        return f"{self.provider_id}/{self.model_id}"


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters of a request. None = not sent."""

    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
