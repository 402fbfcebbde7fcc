"""Which tools a matcher means. Matchers are the user's; names may come from anywhere, so looking is bounded in time.

A matcher of ours is a regular expression, searched for in our name of the tool and in Claude Code's. One in Claude
Code's shape means what it means there: words with `|` between them are whole names, anything else is an expression.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence

_log = logging.getLogger(__name__)

Matcher = Callable[[Sequence[str]], bool]
"""Whether one of these names is meant."""

SEARCH_S = 0.1
_WORDS = re.compile(r"[\w| -]+", re.ASCII)
_CLAUDE_NAMES: Mapping[str, tuple[str, ...]] = {
    "bash": ("Bash",),
    "view": ("Read",),
    "edit": ("Edit",),
    "multiedit": ("MultiEdit", "Edit"),
    "write": ("Write",),
    "grep": ("Grep",),
    "glob": ("Glob",),
    "ls": ("LS",),
    "agent": ("Task", "Agent"),
    "fetch": ("WebFetch",),
    "web_fetch": ("WebFetch",),
    "agentic_fetch": ("WebFetch",),
    "web_search": ("WebSearch",),
    "todos": ("TodoWrite",),
    "question": ("AskUserQuestion",),
    "job_output": ("BashOutput", "TaskOutput"),
    "job_kill": ("KillShell", "TaskStop"),
}
"""By our name: what Claude Code calls it, its present name first. A hook that guards `Edit` guards `multiedit` too."""


def names_of(tool: str) -> tuple[str, ...]:
    """Every name a matcher may know the tool by, ours first."""
    return (tool, *_CLAUDE_NAMES.get(tool, ()))


def claude_name(tool: str) -> str:
    """What Claude Code calls the tool; our name where it has none."""
    return _CLAUDE_NAMES.get(tool, (tool,))[0]


def make_matcher(text: str, *, claude: bool) -> Matcher:
    """The matcher `text` stands for; empty and `*` mean everything. Raises: ValueError for a broken expression."""
    if text.strip() in ("", "*"):
        return _everything
    if claude and _WORDS.fullmatch(text):
        wanted = frozenset(word.strip() for word in text.split("|"))
        return lambda names: not wanted.isdisjoint(names)
    return _expression(text)


def _everything(_names: Sequence[str]) -> bool:
    return True


def _expression(text: str) -> Matcher:
    import regex

    try:
        pattern = regex.compile(text)
    except (regex.error, OverflowError, RecursionError) as error:
        raise ValueError(f"the matcher {text[:80]!r} is no regular expression ({error})") from error

    def matches(names: Sequence[str]) -> bool:
        try:
            return any(pattern.search(name, timeout=SEARCH_S) is not None for name in names)
        except TimeoutError:
            _log.warning("a hook's matcher took too long; the hook runs")
            return True  # a name made to be slow must not get round the hook

    return matches
