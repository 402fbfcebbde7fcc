"""A sub-agent somebody defined: a markdown file with a head (name, description, model, tools, mode) and a prompt. Pure.

Files written for Claude Code are understood: its names of tools, models and permission modes become ours.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lsp_agent.config.keys import MODES
from lsp_agent.context.frontmatter import FrontMatter, FrontMatterError, split
from lsp_agent.untrusted import clean, hidden_characters

MAX_BYTES = 64 << 10
MAX_PROMPT_CHARS = 32_000
MAX_DESCRIPTION_CHARS = 1024
NEVER_GIVEN = frozenset({"agent", "agentic_fetch", "question"})
"""No sub-agent starts another one, and none asks the user questions."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_TOOLS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "read": ("view",),
        "grep": ("grep",),
        "glob": ("glob",),
        "ls": ("ls",),
        "bash": ("bash", "job_output", "job_kill"),
        "bashoutput": ("job_output",),
        "killbash": ("job_kill",),
        "killshell": ("job_kill",),
        "edit": ("edit",),
        "multiedit": ("multiedit", "edit"),
        "write": ("write",),
        "todowrite": ("todos",),
        "todoread": ("todos",),
        "webfetch": ("fetch",),
        "websearch": ("web_search",),
        "task": (),
        "agent": (),
        "notebookread": (),
        "notebookedit": (),
    }
)
_CLAUDE_MODES: Mapping[str, str] = MappingProxyType(
    {
        "plan": "plan",
        "default": "ask",
        "acceptedits": "accept-edits",
        "bypasspermissions": "full-auto",
        "dontask": "ask",
    }
)
_ROLES: Mapping[str, str] = MappingProxyType(
    {"": "", "inherit": "", "default": "", "sonnet": "", "opus": "", "large": "", "haiku": "small", "small": "small"}
)


@dataclass(frozen=True, slots=True)
class Definition:
    """One sub-agent the model can name. `scope`: user or project."""

    name: str
    description: str
    prompt: str
    model: str = ""
    """`provider/model`; `small` for the small model; empty = the model that calls it."""
    tools: frozenset[str] | None = None
    """Names of ours; None = what the caller has."""
    mode: str | None = None
    """A permission mode to narrow the caller's to."""
    scope: str = "user"
    source: str = ""
    """The file, for people."""

    def allows(self, name: str) -> bool:
        """Whether it may use this tool, where its caller may."""
        return name not in NEVER_GIVEN and (self.tools is None or name in self.tools)


def parse(text: str, stem: str, *, scope: str, source: str) -> Definition:
    """The definition in a file called `stem`.md.

    Raises: ValueError with one sentence about what is wrong.
    """
    if scope == "project" and (found := hidden_characters(text)):
        raise ValueError(f"it holds characters that no reader can see ({', '.join(found[:5])})")
    head = _head(text)
    name = head.text("name").lower() or stem.lower()
    if not _NAME.fullmatch(name):
        raise ValueError("its name must be letters, digits, - and _, at most 64 of them")
    description = " ".join(clean(head.text("description")).split())
    if not description:
        raise ValueError("it has no description")
    prompt = clean(head.body).strip()
    if not prompt or len(prompt) > MAX_PROMPT_CHARS:
        raise ValueError(f"its prompt is empty or longer than {MAX_PROMPT_CHARS} characters")
    return Definition(
        name,
        description[:MAX_DESCRIPTION_CHARS],
        prompt,
        _model(head.text("model")),
        _tools(_listed(head, "tools"), _listed(head, "disallowedTools")),
        _mode(head.text("mode", "permissionMode")),
        scope,
        source,
    )


def _head(text: str) -> FrontMatter:
    """Raises: ValueError also for a value that could mean less narrow than it was meant."""
    head = split(text)
    if head.unclosed:
        raise FrontMatterError("the head has no closing ---")
    for name in ("tools", "disallowedTools", "mode", "permissionMode"):
        if isinstance(head.get(name), Mapping):
            raise FrontMatterError(f"its {name} are neither a text nor a list")
    return head


def _listed(head: FrontMatter, name: str) -> Collection[str] | None:
    """None when there is no such field."""
    return None if head.get(name) is None else head.texts(name)


def narrower(*modes: str) -> str:
    """The tightest of some permission modes; one that nobody knows counts as the tightest there is."""
    return min(modes, key=lambda mode: MODES.index(mode) if mode in MODES else -1, default=MODES[0])


def _tools(named: Collection[str] | None, refused: Collection[str] | None) -> frozenset[str] | None:
    if named is None or "*" in named:
        # what is refused from "everything" cannot be listed; such a file gets what reads only
        return None if not refused else frozenset({"view", "grep", "glob", "ls"}) - _ours(refused)
    return _ours(named) - _ours(refused or ()) - NEVER_GIVEN


def _ours(names: Collection[str]) -> frozenset[str]:
    found: set[str] = set()
    for name in names:
        bare = name.partition("(")[0].strip()  # `Bash(git:*)`: what narrows a tool is left to the permission rules
        found.update(_TOOLS.get(bare.lower().replace("_", ""), (bare,)))
    return frozenset(found)


def _model(name: str) -> str:
    if "/" in name:
        return name
    if name.lower() not in _ROLES:
        return ""
    return _ROLES[name.lower()]


def _mode(name: str) -> str | None:
    if not name:
        return None
    if name in MODES:
        return name
    return _CLAUDE_MODES.get(name.lower(), MODES[0])
