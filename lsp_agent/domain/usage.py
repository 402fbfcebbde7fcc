"""Tokens and money, for one step and for a run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """What one step, or one run, consumed. All counts are tokens, never negative."""

    input: int = 0
    """Prompt tokens that were neither read from nor written to the provider's cache."""
    output: int = 0
    """Generated tokens, reasoning included."""
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    """The part of `output` that was reasoning; 0 where the provider does not say."""
    cost_usd: float = 0.0
    estimated: bool = False
    """True when the provider reported nothing and the counts are ours (CORE 11)."""
    reported_cost_usd: float | None = None
    """What the provider itself says it charged (OpenRouter); replaces our own figure."""

    @property
    def is_zero(self) -> bool:
        """True when the provider reported no count at all."""
        return not (self.input or self.output or self.cache_read or self.cache_write or self.reasoning)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.reasoning + other.reasoning,
            self.cost_usd + other.cost_usd,
            self.estimated or other.estimated,
        )
