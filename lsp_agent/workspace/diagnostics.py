"""Diagnostics of other language servers as text for the model, and what changed between two looks at them. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lsp_agent.untrusted import clean
from lsp_agent.workspace.pushed import PushedDiagnostics

SEVERITIES: Final = ("error", "warning", "information", "hint")
"""LSP's 1 to 4."""
MAX_SHOWN = 200
MAX_MESSAGE = 600
"""Characters of one message; a type checker's explanation may be a page."""
_TAGS = {1: "unnecessary", 2: "deprecated"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One diagnostic. `line` and `column` count from 0, the column as the reporting editor counts."""

    uri: str
    line: int
    column: int
    severity: int
    text: str
    """Source, code, tags and message on one line."""

    @property
    def key(self) -> tuple[str, int, str]:
        """What stays the same when the lines above it change."""
        return self.uri, self.severity, self.text


@dataclass(frozen=True, slots=True)
class Delta:
    """How the diagnostics changed. Each list: errors first, then by file and line."""

    new: Sequence[Problem]
    fixed: Sequence[Problem]
    still: Sequence[Problem]


def severity_limit(value: object) -> int:
    """The least severe kind wanted, 1 to 4, from a number or a name. Raises: ValueError."""
    if value is None:
        return 4
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 4:
        return value
    if isinstance(value, str):
        name = {"info": "information", "warn": "warning"}.get(value.lower(), value.lower())
        if name in SEVERITIES:
            return SEVERITIES.index(name) + 1
    raise ValueError("severity is 1 to 4 or one of " + ", ".join(SEVERITIES))


def problems_in(pushed: Iterable[PushedDiagnostics], limit: int = 4) -> list[Problem]:
    """Every diagnostic at least as severe as `limit`, errors first, then by file and line."""
    found: list[Problem] = []
    for one in pushed:
        for item in one.items:
            severity = _severity(item)
            if severity <= limit:
                found.append(Problem(one.uri, *_start(item), severity, _details(item, one.server)))
    return sorted(found, key=_order)


def render_diagnostics(pushed: Sequence[PushedDiagnostics], limit: int, shown: Callable[[str], str]) -> str:
    """One line a diagnostic, errors first: `error src/a.py:3:7 pyright [reportX] (deprecated) message`.

    Units: lines and columns from 1, columns as the reporting editor counts them. `shown` makes a path of a URI.
    """
    found = problems_in(pushed, limit)
    if not found:
        return "No diagnostics are known."
    return "\n".join(render_problems(found, MAX_SHOWN, shown))


def render_problems(found: Sequence[Problem], most: int, shown: Callable[[str], str]) -> list[str]:
    """At most `most` lines, and one that says how many there are besides."""
    lines = [render_problem(one, shown) for one in found[:most]]
    if len(found) > most:
        lines.append(f"… and {len(found) - most} more")
    return lines


def render_problem(one: Problem, shown: Callable[[str], str]) -> str:
    """One line."""
    return f"{SEVERITIES[one.severity - 1]} {shown(one.uri)}:{one.line + 1}:{one.column + 1} {one.text}"


def compare(
    before: Sequence[Problem], after: Sequence[Problem], moved: Callable[[str, int], int] = lambda uri, line: line
) -> Delta:
    """What is new, fixed and still there. `moved`: where a line (uri, line) of before is now.

    Two diagnostics are the same when file, severity and text are; of several alike those whose lines are nearest are.
    """
    waiting: dict[tuple[str, int, str], list[Problem]] = defaultdict(list)
    for one in before:
        waiting[one.key].append(one)
    new: list[Problem] = []
    still: list[Problem] = []
    counts: dict[tuple[str, int, str], list[Problem]] = defaultdict(list)
    for one in after:
        counts[one.key].append(one)
    for key, now in counts.items():
        old = waiting.pop(key, [])
        left = list(now)
        while old and left:
            pairs = [(abs(moved(a.uri, a.line) - b.line), i, j) for i, a in enumerate(old) for j, b in enumerate(left)]
            _, i, j = min(pairs)
            old.pop(i)
            still.append(left.pop(j))
        new += left
        if old:
            waiting[key] = old
    fixed = [one for rest in waiting.values() for one in rest]
    return Delta(sorted(new, key=_order), sorted(fixed, key=_order), sorted(still, key=_order))


def _order(one: Problem) -> tuple[int, str, int, str]:
    return one.severity, one.uri, one.line, one.text


def _severity(item: Mapping[str, Any]) -> int:
    value = item.get("severity")
    return value if isinstance(value, int) and 1 <= value <= 4 else 1


def _start(item: Mapping[str, Any]) -> tuple[int, int]:
    span = item.get("range")
    start = span.get("start") if isinstance(span, Mapping) else None
    if not isinstance(start, Mapping):
        return 0, 0
    line, column = start.get("line"), start.get("character")
    return (line if isinstance(line, int) else 0, column if isinstance(column, int) else 0)


def _details(item: Mapping[str, Any], server: str) -> str:
    source, code, tags = item.get("source"), item.get("code"), item.get("tags")
    name = source if isinstance(source, str) and source else server
    words = [name] if name else []
    if isinstance(code, str | int) and code != "":
        words.append(f"[{code}]")
    if isinstance(tags, list):
        words += [f"({_TAGS[tag]})" for tag in tags if isinstance(tag, int) and tag in _TAGS]
    message = item.get("message")
    text = clean(" ".join(str(message if message is not None else "").split()))
    words.append(text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "…")
    return clean(" ".join(words))
