"""Every setting: its type, default, bounds, environment variable, and whether a repository may tighten it.

The validator, the JSON Schema (`config.schema`) and `config show` all read this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

MODES = ("plan", "ask", "accept-edits", "full-auto")
"""From tight to loose."""
PROVIDER_TYPES = (
    "anthropic",
    "openai",
    "openai-compat",
    "openrouter",
    "vercel",
    "azure",
    "bedrock",
    "google",
    "vertex",
    "embedded",
    "scripted",
    # OpenAI-compatible servers by their own names (CORE 17.1)
    "litellm",
    "ollama",
    "omlx",
    "llamacpp",
    "lmstudio",
)
TYPE_OF_ID: Mapping[str, str] = MappingProxyType(
    {**{name: name for name in PROVIDER_TYPES}, "gemini": "google", "deepseek": "openai-compat"}
)
"""The type of a block that names none, by its id."""


class Kind(Enum):
    """What a value is in TOML."""

    TEXT = "string"
    REF = "provider/model"
    URL = "http or https URL"
    FLAG = "boolean"
    WHOLE = "integer"
    NUMBER = "number"
    TEXTS = "list of strings"
    TABLE = "table"
    STRINGS = "table of strings"


class Tighten(Enum):
    """What project and editor values may do to a setting."""

    NEVER = "nothing"
    LOWER = "only lower it"
    CAP = "only lower it; 0 is no limit"
    EXTEND = "only add to it"
    MODE = "only a tighter mode"


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. `name` is dotted for the fixed sections, a plain key inside a provider, model or MCP block."""

    name: str
    kind: Kind
    default: Any
    summary: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    env: str | None = None
    tighten: Tighten = Tighten.NEVER
    is_security: bool = False
    """Only the user's file and flags may set it."""
    is_secret: bool = False
    """Never shown."""


def _table(*keys: Key) -> Mapping[str, Key]:
    return MappingProxyType({key.name: key for key in keys})


KEYS = _table(
    Key("models.large", Kind.REF, None, "Model of the agent: provider id / model id", env="LSP_AGENT_MODEL"),
    Key("models.small", Kind.REF, None, "Model of titles; default: large", env="LSP_AGENT_SMALL_MODEL"),
    Key("models.refresh_prices", Kind.FLAG, False, "Read the published price list once a day", is_security=True),
    Key("models.fallback", Kind.REF, None, "Model a run goes on with when the large one stays overloaded"),
    Key(
        "agent.auto_summarize",
        Kind.FLAG,
        True,
        "Summarize when the context is nearly full",
        env="LSP_AGENT_AUTO_SUMMARIZE",
    ),
    Key(
        "agent.update_interval_ms",
        Kind.WHOLE,
        33,
        "Debounce of stored and announced text; 0 = every delta",
        minimum=0,
        maximum=10_000,
        env="LSP_AGENT_UPDATE_INTERVAL_MS",
    ),
    Key(
        "agent.max_steps",
        Kind.WHOLE,
        0,
        "Steps of one run; 0 = no limit",
        minimum=0,
        maximum=1_000_000,
        env="LSP_AGENT_MAX_STEPS",
        tighten=Tighten.CAP,
    ),
    Key(
        "agent.max_cost_usd",
        Kind.NUMBER,
        0.0,
        "USD one run may cost; 0 = no limit",
        minimum=0,
        maximum=1_000_000,
        env="LSP_AGENT_MAX_COST_USD",
        tighten=Tighten.CAP,
    ),
    Key(
        "limits.stream_idle_s",
        Kind.NUMBER,
        120.0,
        "Seconds of silence after which a model request is given up",
        minimum=0.05,
        maximum=3600,
        env="LSP_AGENT_STREAM_IDLE_S",
        tighten=Tighten.LOWER,
    ),
    Key(
        "limits.stream_total_s",
        Kind.NUMBER,
        900.0,
        "Seconds one model request may take altogether",
        minimum=0.05,
        maximum=86_400,
        env="LSP_AGENT_STREAM_TOTAL_S",
        tighten=Tighten.LOWER,
    ),
    Key(
        "limits.retries",
        Kind.WHOLE,
        3,
        "Repeats of a failed model request",
        minimum=0,
        maximum=20,
        env="LSP_AGENT_RETRIES",
        tighten=Tighten.LOWER,
    ),
    Key(
        "limits.retry_base_s",
        Kind.NUMBER,
        5.0,
        "Seconds before the first repeat, doubled each time",
        minimum=0,
        maximum=600,
        env="LSP_AGENT_RETRY_BASE_S",
    ),
    Key(
        "limits.parallel_tools",
        Kind.WHOLE,
        5,
        "Tool calls that may run at once",
        minimum=1,
        maximum=64,
        tighten=Tighten.LOWER,
    ),
    Key(
        "permissions.mode",
        Kind.TEXT,
        "ask",
        "What may happen without asking",
        choices=MODES,
        env="LSP_AGENT_MODE",
        tighten=Tighten.MODE,
    ),
    Key("permissions.allow", Kind.TEXTS, (), "Tools and commands allowed without asking", is_security=True),
    Key("permissions.deny", Kind.TEXTS, (), "Tools and commands always refused", tighten=Tighten.EXTEND),
    Key("tools.disabled", Kind.TEXTS, (), "Tools the model is not offered", tighten=Tighten.EXTEND),
    Key("context.paths", Kind.TEXTS, (), "More files with rules for the model; `~` and `$NAME` are expanded"),
    Key(
        "context.max_tokens",
        Kind.WHOLE,
        20_000,
        "Tokens that rules, skills and instructions may take of a request",
        minimum=0,
        maximum=200_000,
        tighten=Tighten.LOWER,
    ),
    Key("skills.disabled", Kind.TEXTS, (), "Skills the model is not told of", tighten=Tighten.EXTEND),
    Key("agents.disabled", Kind.TEXTS, (), "Sub-agents that cannot be called", tighten=Tighten.EXTEND),
    Key("checkpoints.enabled", Kind.FLAG, True, "Keep what is needed to go back to before a run"),
    Key(
        "sandbox.tier",
        Kind.TEXT,
        "auto",
        "What confines commands; auto = the best that holds on this machine",
        choices=("auto", "bubblewrap", "landlock", "none"),
        is_security=True,
    ),
    Key("sandbox.network_domains", Kind.TEXTS, (), "Hosts that commands may reach; empty = none", is_security=True),
    Key(
        "local.model",
        Kind.TEXT,
        None,
        "Weights of the embedded engine: a name it knows, or a path",
        is_security=True,
    ),
    Key("local.threads", Kind.WHOLE, 0, "Threads of the embedded engine; 0 = as many as fit", minimum=0, maximum=1024),
    Key(
        "local.context_window",
        Kind.WHOLE,
        0,
        "Tokens the embedded engine keeps; 0 = as the weights say",
        minimum=0,
        maximum=10_000_000,
    ),
    Key("web.search_url", Kind.URL, None, "Where web_search asks; `{query}` is replaced", is_security=True),
    Key("web.allow_domains", Kind.TEXTS, (), "Hosts that may be fetched without asking", is_security=True),
    Key("web.deny_domains", Kind.TEXTS, (), "Hosts that are never fetched", tighten=Tighten.EXTEND),
)

PROVIDER_KEYS = _table(
    Key("type", Kind.TEXT, None, "Dialect; default: by the id where it is well known", choices=PROVIDER_TYPES),
    Key("base_url", Kind.URL, None, "Where the service is; may hold `$NAME`"),
    Key("api_key", Kind.TEXT, None, "Literal, `$NAME`, or `$(command)`", is_secret=True),
    Key("headers", Kind.STRINGS, {}, "Extra HTTP headers; values may be `$NAME`", is_secret=True),
    Key("extra_body", Kind.TABLE, {}, "Merged into the request's JSON"),
    Key("flat_rate", Kind.FLAG, False, "Paid by subscription: costs are shown as 0"),
    Key("script", Kind.TEXT, None, "Path of the script (type scripted)"),
    Key("options", Kind.TABLE, {}, "Provider options for every model of it"),
)


def _price(name: str, summary: str) -> Key:
    return Key(name, Kind.NUMBER, 0.0, f"USD per million {summary}", minimum=0, maximum=1_000_000)


def _tokens(name: str, summary: str) -> Key:
    return Key(name, Kind.WHOLE, 0, summary, minimum=0, maximum=1_000_000_000)


MODEL_KEYS = _table(
    Key("id", Kind.TEXT, None, "As the provider's API wants it"),
    Key("name", Kind.TEXT, "", "For people"),
    _tokens("context_window", "Tokens; 0 = unknown, never auto-summarized"),
    _tokens("max_output_tokens", "Limit of one step; 0 = not sent"),
    _price("input_usd_per_mtok", "prompt tokens"),
    _price("output_usd_per_mtok", "generated tokens"),
    _price("cache_read_usd_per_mtok", "tokens from the cache"),
    _price("cache_write_usd_per_mtok", "tokens to the cache"),
    Key("can_reason", Kind.FLAG, False, "The model can think before it answers"),
    Key("reasoning_efforts", Kind.TEXTS, (), "Levels it knows"),
    Key("default_reasoning_effort", Kind.TEXT, "", "Level used when none is chosen"),
    Key("supports_images", Kind.FLAG, False, "Images may be sent"),
    Key("options", Kind.TABLE, {}, "Provider options for this model"),
)

MCP_KEYS = _table(
    Key("type", Kind.TEXT, "stdio", "Transport", choices=("stdio", "http", "sse")),
    Key("command", Kind.TEXTS, (), "Program and arguments (stdio)"),
    Key("url", Kind.URL, None, "Address (http, sse)"),
    Key("env", Kind.STRINGS, {}, "Environment of the program", is_secret=True),
    Key("headers", Kind.STRINGS, {}, "HTTP headers", is_secret=True),
    Key("cwd", Kind.TEXT, None, "Working directory of the program; default: one of its own, outside the workspace"),
    Key("timeout_s", Kind.NUMBER, 10.0, "Seconds to start, and to answer", minimum=0.05, maximum=3600),
    Key("disabled", Kind.FLAG, False, "Keep the entry, do not start it"),
    Key("enabled_tools", Kind.TEXTS, (), "Only these of its tools; empty = all"),
    Key("disabled_tools", Kind.TEXTS, (), "Without these of its tools"),
    Key("oauth", Kind.FLAG, True, "Offer a login when the server asks for one (http, sse)"),
    Key("call_timeout_s", Kind.NUMBER, 300.0, "Seconds a tool call may take", minimum=0.05, maximum=86_400),
    Key("network", Kind.FLAG, False, "The sandboxed program may use the network (stdio)"),
    Key("sandbox", Kind.FLAG, True, "Run the program inside the sandbox (stdio)"),
    Key("instructions", Kind.FLAG, True, "Pass its instructions on to the model, marked as text from outside"),
)

HOOK_EVENTS = ("PreToolUse", "PostToolUse", "SessionStart", "UserPromptSubmit", "Stop", "PreCompact")
"""Names are compared without case and underscores (`pre_tool_use`)."""
HOOK_KEYS = _table(
    Key("matcher", Kind.TEXT, "", "Regular expression over the tool's name; absent = every tool"),
    Key("name", Kind.TEXT, "", "For people"),
    Key("command", Kind.TEXT, None, "Command line, run by bash"),
    Key("timeout", Kind.NUMBER, 30.0, "Seconds", minimum=0.05, maximum=3600),
)
HOOK_COMMAND_KEYS = _table(
    Key("type", Kind.TEXT, "command", "Always `command`", choices=("command",)),
    Key("command", Kind.TEXT, None, "Command line, run by bash"),
    Key("timeout", Kind.NUMBER, 30.0, "Seconds", minimum=0.05, maximum=3600),
)
"""One item of `hooks = [{type = "command", …}]` below an event, as Claude Code writes it."""

SECTIONS = (
    *("models", "providers", "agent", "limits", "permissions", "mcp", "tools", "hooks", "context", "skills"),
    *("agents", "checkpoints", "sandbox", "local", "web"),
)
SECURITY_SECTIONS = frozenset({"providers", "mcp", "hooks", "sandbox", "local", "env"})
"""Whole sections a repository or an editor can never set."""
