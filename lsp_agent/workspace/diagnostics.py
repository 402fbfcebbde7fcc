"""Diagnostics of other language servers as text for the model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from lsp_agent.workspace.pushed import PushedDiagnostics

SEVERITIES: Final = ("error", "warning", "information", "hint")
"""LSP's 1 to 4."""
MAX_SHOWN = 200
_TAGS = {1: "unnecessary", 2: "deprecated"}


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


def render_diagnostics(pushed: Sequence[PushedDiagnostics], limit: int, shown: Callable[[str], str]) -> str:
    """One line a diagnostic, errors first: `error src/a.py:3:7 pyright [reportX] (deprecated) message`.

    Units: lines and columns from 1, columns as the reporting editor counts them. `shown` makes a path of a URI.
    """
    rows: list[tuple[int, str, int, str]] = []
    for one in pushed:
        path = shown(one.uri)
        for item in one.items:
            severity = _severity(item)
            if severity <= limit:
                line, column = _start(item)
                text = f"{SEVERITIES[severity - 1]} {path}:{line + 1}:{column + 1} {_details(item, one.server)}"
                rows.append((severity, path, line, text))
    if not rows:
        return "No diagnostics are known."
    rows.sort(key=lambda row: row[:3])
    lines = [row[3] for row in rows[:MAX_SHOWN]]
    if len(rows) > MAX_SHOWN:
        lines.append(f"… and {len(rows) - MAX_SHOWN} more")
    return "\n".join(lines)


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
    words.append(" ".join(str(message if message is not None else "").split()))
    return " ".join(words)
