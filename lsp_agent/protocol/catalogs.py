"""Lists and small requests (PROTOCOL 7): models, tools, commands, rules, MCP servers, terminals, mentions, trust."""

from typing import Annotated, Any

from pydantic import Field

from lsp_agent.protocol.base import (
    Amount,
    Count,
    Identifier,
    Int,
    JsonObject,
    Page,
    Paging,
    Short,
    Text,
    Uri,
    Wire,
    open_enum,
)


class ListParams(Paging):
    """Any list."""


class ModelEntry(Wire):
    """A model that can be chosen. `id` is `provider/model`."""

    id: str
    name: str
    provider: str
    context_window: Count
    max_output_tokens: Count
    can_reason: bool
    reasoning_efforts: list[str]
    supports_images: bool
    input_usd_per_mtok: Amount
    output_usd_per_mtok: Amount
    notes: str | None = None
    """What a model of this kind can and cannot do."""


class ModelsListResult(Page):
    """`large` and `small` are the models that would be used now, `mode` the one sessions begin in."""

    models: list[ModelEntry]
    large: str | None = None
    small: str | None = None
    mode: str | None = None


class ToolEntry(Wire):
    """A tool the model can call."""

    name: str
    description: str
    kind: str
    read_only: bool
    server: str | None = None


class ToolsListResult(Page):
    """Sorted by name."""

    tools: list[ToolEntry]


class CommandEntry(Wire):
    """A command a user can call by name."""

    name: str
    description: str
    hint: str | None = None
    source: str | None = None
    """`user`, `project`, `skill`, `mcp`, or `builtin`."""
    action: str | None = None
    """Of a command that the client carries out itself."""
    uri: str | None = None
    problem: str | None = None


class CommandsListResult(Page):
    """Sorted by name."""

    commands: list[CommandEntry]


class RuleEntry(Wire):
    """A file of instructions that is or would be given to the model."""

    uri: str
    name: str
    active: bool
    scope: str | None = None
    tokens: Count = 0
    problem: str | None = None
    """Why it is not given to the model: hidden characters, no trust, no room."""


class SkillEntry(Wire):
    """A skill the model may read."""

    uri: str
    name: str
    description: str
    scope: str
    active: bool
    problem: str | None = None


class RulesListResult(Page):
    """In the order they are given to the model."""

    rules: list[RuleEntry]
    skills: list[SkillEntry] = Field(default_factory=list)
    tokens: Count = 0
    max_tokens: Count = 0


class McpEntry(Wire):
    """An MCP server."""

    name: str
    type: str | None = None
    """`stdio`, `http` or `sse`."""
    state: str
    error: str | None = None
    tools: Count = 0
    resources: Count = 0
    prompts: Count = 0
    changed_tools: list[str] | None = None
    """Tools whose description is not the one that was allowed before."""
    refused_tools: JsonObject | None = None
    """Tools that are not offered: name to why."""
    sandbox: str | None = None
    url: str | None = None
    """Where a login goes on."""


class McpListResult(Page):
    """Sorted by name."""

    servers: list[McpEntry]


class McpParams(Wire):
    """`agent/mcp/restart`, `agent/mcp/login`."""

    name: Identifier


class McpResult(Wire):
    """The rest is told by `mcp_update`; `url` is where a login goes on."""

    state: str
    url: str | None = None


class TerminalListParams(Paging):
    """`agent/terminal/list`."""

    session_id: Identifier


class TerminalEntry(Wire):
    """A command of the model, running or ended."""

    terminal_id: str
    tool_call_id: str | None = None
    command: str
    cwd: Uri | None = None
    status: Annotated[str, open_enum("running", "completed", "killed")]
    exit_code: Int | None = None
    background: bool = False


class TerminalListResult(Page):
    """Newest first."""

    terminals: list[TerminalEntry]


class TerminalParams(Wire):
    """`agent/terminal/kill`."""

    session_id: Identifier
    terminal_id: Identifier


class TerminalReadParams(TerminalParams):
    """`agent/terminal/read`: output from `offset` (characters)."""

    offset: Count | None = None


class TerminalReadResult(TerminalEntry):
    """Output from `offset`, and the offset after it; `truncated` when some of what was asked for is not kept."""

    text: str
    offset: Count = 0
    next_offset: Count
    truncated: bool


class TerminalKillResult(Wire):
    """False when it had ended."""

    killed: bool


class MentionCompleteParams(Wire):
    """`agent/mention/complete`: `offset` counts UTF-16 code units of `text`, as LSP positions do by default."""

    text: Text
    offset: Count
    session_id: Identifier | None = None


class MentionItem(Wire):
    """One thing that can be mentioned, and the attachment that goes with it."""

    label: str
    insert_text: str
    detail: str | None = None
    attachment: dict[str, Any] | None = None


class MentionCompleteResult(Wire):
    """Best first."""

    items: list[MentionItem]
    start: Count = 0
    end: Count = 0
    """The part of the text they replace, UTF-16 code units."""


class TrustGetParams(Wire):
    """`agent/trust/get`; without a root: the first."""

    root: Uri | None = None


class TrustSetParams(Wire):
    """`agent/trust/set`."""

    root: Uri
    trusted: bool


class TrustResult(Wire):
    """Whether the root is trusted, and what that admits.

    `files`: what the agent would obey. `changed`: of these, what is new or different since. `hidden`: what holds
    characters nobody can see. `complete` false: there is more than was looked at.
    """

    root: Short
    trusted: bool
    changed: list[Uri] = Field(default_factory=list)
    files: list[Uri] = Field(default_factory=list)
    hidden: list[Uri] = Field(default_factory=list)
    complete: bool = True
