"""What the configuration says about models and providers, as plain frozen data.

The configuration builds these; nobody else does. An `api_key` here is the template as written (`$NAME`, `$(command)`),
never the key itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lsp_agent.domain.model import Model

SUPPORTED_TYPES = frozenset(
    {
        "anthropic",
        "azure",
        "bedrock",
        "embedded",
        "google",
        "openai",
        "openai-compat",
        "openrouter",
        "scripted",
        "vercel",
        "vertex",
    }
)
COMPATIBLE_ALIASES = frozenset({"litellm", "ollama", "omlx", "llamacpp", "lmstudio"})
"""Types that are openai-compat under another name (CORE 17.1)."""
OWN_MODEL_OPTIONS = frozenset({"constrained", "text_calls", "mechanical_summary", "notes"})
"""Options of a model that say how we treat it; never sent. `constrained`: led by the hand, it cannot call tools;
`text_calls`: its calls are looked for in its text; `mechanical_summary`: conversations are shortened without it;
`notes`: a sentence for people about what it can do."""
ADAPTER_OPTIONS = frozenset(
    {
        *("api", "api_version", "ca_file", "hold_dir", "location", "profile", "project", "region", "replay_reasoning"),
        *("oauth", "script", "transport"),
    }
)
"""Options of a provider's block that say how to reach it; all others are sent with every request of its models."""


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One `[providers.<id>]` block, or one well-known provider found by its key in the environment."""

    provider_id: str
    type: str
    base_url: str = ""
    """Empty = the well-known address of the type. May hold `$NAME`."""
    api_key: str = ""
    """Template, or `keyring:SERVICE/NAME`; empty = no key is sent."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request; values may be templates."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """Merged into the JSON of every request, last."""
    flat_rate: bool = False
    models: tuple[Model, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    """`api` (`responses` or `chat`, for types openai and azure), `replay_reasoning` (bool, for compatible servers that
    want their `reasoning_content` back), `api_version` (azure), `region` and `profile` (bedrock), `project` and
    `location` (vertex), `script` (path of a script) and `hold_dir` (scripted), `ca_file` (PEM, trusted in
    addition), `transport` (`http`, or `sdk`: through the vendor's own package, for Anthropic's and OpenAI's dialects);
    the rest are provider options of every model (CORE 17.3)."""


@dataclass(frozen=True, slots=True)
class ProvidersSettings:
    """Everything of the configuration that chooses and reaches a model."""

    large: str = ""
    """`provider/model`; empty = not configured."""
    small: str = ""
    """For titles; empty = the large one."""
    providers: tuple[ProviderSettings, ...] = ()
    """In the order of the file."""
    refresh_prices: bool = False
    """May the published price list be read, once a day?"""
    probe_local: bool = True
    """May ports of well-known local servers on 127.0.0.1 be asked when nothing else is configured?"""
