"""Matching the arguments of rules: globs for paths, words for commands. Pure, and linear in the length of the input.

The patterns come from the user's configuration, the paths and commands from the model.
"""

from collections.abc import Sequence

from lsp_agent.policy.protected import canonical

_SHELL_CHARACTERS = frozenset(";&|<>$`(){}[]!*?~#\\\n\r\0\"'=")
"""A command holding one of these may do more than its first word says."""


def path_matches(pattern: str, path: str, *, fold: bool) -> bool:
    """Whether the whole path fits: `*` and `?` within a name, `**` for any number of directories.

    `fold`: compare as a file system that ignores case might, for deny rules. A pattern without `/` fits at any depth.
    """
    if fold:
        pattern, path = canonical(pattern), canonical(path)
    pattern = pattern.removeprefix("./")
    parts = pattern.split("/")
    if len(parts) == 1:
        parts = ["**", *parts]
    return _parts_match(parts, path.split("/"))


def command_matches(pattern: str, command: str, *, strict: bool) -> bool:
    """Whether a command is the one of a rule.

    `strict` (allow rules): exactly that command, or with any plain words after it when the pattern ends in ` *`. Else
    (deny rules): the words of the pattern anywhere in the command, in order and side by side.
    """
    words, wanted = command.split(), pattern.split()
    if strict:
        if command.strip() == pattern.strip():
            return True
        if wanted[-1:] != ["*"] or not wanted[:-1] or _SHELL_CHARACTERS & set(command):
            return False
        return words[: len(wanted) - 1] == wanted[:-1]
    if wanted[-1:] == ["*"]:
        wanted = wanted[:-1]
    plain = "".join([" " if ch in _SHELL_CHARACTERS else ch for ch in command]).split()
    return any(line[at : at + len(wanted)] == wanted for line in (words, plain) for at in range(len(line)))


def _parts_match(patterns: Sequence[str], parts: Sequence[str]) -> bool:
    """Row by row over the patterns: which prefixes of `parts` the patterns so far can cover."""
    reachable = [True] + [False] * len(parts)
    for number, pattern in enumerate(patterns):
        if pattern == "**":
            first = reachable.index(True) if True in reachable else len(reachable)
            at_least = first + (1 if number == len(patterns) - 1 else 0)
            reachable = [at >= at_least for at in range(len(reachable))]
        else:
            reachable = [False] + [reachable[at] and name_matches(pattern, part) for at, part in enumerate(parts)]
    return reachable[-1]


def url_below(prefix: str, url: str) -> bool:
    """Whether a URL begins with a deny rule's; neither case nor encryption counts."""
    prefix, url = prefix.casefold(), url.casefold()
    bare = _without_scheme(prefix)
    return url.startswith(prefix) or (bool(bare) and _without_scheme(url).startswith(bare))


def _without_scheme(url: str) -> str:
    return url.removeprefix("https://").removeprefix("http://")


def name_matches(pattern: str, name: str) -> bool:
    """One name against `*` and `?`, greedy with one point to come back to."""
    at = here = 0
    star, after = -1, 0
    while at < len(name):
        if here < len(pattern) and pattern[here] == "*":
            star, after = here, at
            here += 1
        elif here < len(pattern) and pattern[here] in ("?", name[at]):
            here, at = here + 1, at + 1
        elif star >= 0:
            after += 1
            here, at = star + 1, after
        else:
            return False
    return all(ch == "*" for ch in pattern[here:])
