"""Glob patterns for paths: `*`, `?`, `[…]`, `{a,b}`, and `**` for any number of directories.

Translated to `regex` patterns that are matched with a time-out, because the model writes them (RELIABILITY FS-14).
"""

from collections.abc import Callable

from lsp_agent.domain.errors import ToolError

_MATCH_TIMEOUT_S = 0.5
_MAX_PATTERN_CHARS = 1_000


def glob_matcher(pattern: str) -> Callable[[str], bool]:
    """A test for paths with `/`, relative to where the pattern is anchored; the whole path must match.

    Raises: ToolError for a pattern that is broken or too long; the returned test raises it when it takes too long.
    """
    import regex  # 2 MB: only when something is searched for

    if len(pattern) > _MAX_PATTERN_CHARS:
        raise ToolError(f"The glob pattern is longer than {_MAX_PATTERN_CHARS} characters.")
    try:
        compiled = regex.compile(_translated(pattern))
    except regex.error as error:
        raise ToolError(f"Invalid glob pattern {pattern!r}: {error}.") from error

    def matches(path: str) -> bool:
        try:
            return compiled.fullmatch(path, timeout=_MATCH_TIMEOUT_S, concurrent=True) is not None
        except TimeoutError as error:
            raise ToolError(f"The glob pattern {pattern!r} takes too long to match. Make it simpler.") from error

    return matches


def literal_prefix(pattern: str) -> tuple[str, str]:
    """The leading directories of `pattern` that hold no wildcard, and the rest; either may be empty."""
    parts = pattern.split("/")
    at = 0
    while at < len(parts) - 1 and not any(ch in parts[at] for ch in "*?[{\\"):
        at += 1
    return "/".join(parts[:at]) or ("/" if at and not parts[0] else ""), "/".join(parts[at:])


def _translated(pattern: str) -> str:
    pieces: list[str] = []
    at, depth = 0, 0
    while at < len(pattern):
        ch = pattern[at]
        if pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/"):
            pieces.append("(?:[^/]+/)*")
            at += 3
            continue
        if ch == "*":
            whole = pattern.startswith("**", at)
            while pattern.startswith("*", at + 1):
                at += 1
            pieces.append(".*" if whole else "[^/]*")
        elif ch == "?":
            pieces.append("[^/]")
        elif ch == "[":
            at, piece = _character_class(pattern, at)
            pieces.append(piece)
        elif ch == "{" and "}" in pattern[at:]:
            depth += 1
            pieces.append("(?:")
        elif ch == "}" and depth:
            depth -= 1
            pieces.append(")")
        elif ch == "," and depth:
            pieces.append("|")
        elif ch == "\\" and at + 1 < len(pattern):
            at += 1
            pieces.append(_escaped(pattern[at]))
        else:
            pieces.append(_escaped(ch))
        at += 1
    return "(?s:" + "".join(pieces) + ")"


def _character_class(pattern: str, start: int) -> tuple[int, str]:
    """The class at `start` as a regex, and the index of its last character; a lone `[` stands for itself."""
    at = start + 1
    negated = pattern[at : at + 1] in ("!", "^")
    at += negated
    end = pattern.find("]", at + 1)
    if end < 0:
        return start, r"\["
    body = "".join([ch if ch == "-" else _escaped(ch) for ch in pattern[at:end]])
    return end, f"(?!/)[{'^' if negated else ''}{body}]"


def _escaped(ch: str) -> str:
    return ch if ch.isalnum() or ch in "_/" else "\\" + ch
