"""Searching texts line by line in this process: open documents, and everything where ripgrep is missing.

Patterns come from a model, so they are matched by `regex` with a time-out and never by `re` (RELIABILITY FS-14). Its
dialect is a superset of ripgrep's for all but a few classes. Blocks: belongs on a worker thread.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from lsp_agent.domain.errors import ToolError
from lsp_agent.tools.hunks import split_lines

_LINE_TIMEOUT_S = 1.0
_TEXT_TIMEOUT_S = 5.0
"""A text that takes longer is searched no further: its thread must not outlive the call for long."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One matching line. `line` and `column` count from 1; the column counts characters."""

    line: int
    column: int
    text: str


def line_searcher(pattern: str, *, literal: bool) -> Callable[[str, int], list[Hit]]:
    """A search of a text for at most so many matching lines.

    Raises: ToolError for an invalid pattern; the search raises it when one line takes longer than a second.
    """
    import regex  # 2 MB: only when something is searched for

    try:
        compiled = regex.compile(regex.escape(pattern) if literal else pattern)
    except regex.error as error:
        raise ToolError(invalid_pattern(pattern, str(error))) from error

    def search(text: str, limit: int) -> list[Hit]:
        hits: list[Hit] = []
        deadline_s = time.monotonic() + _TEXT_TIMEOUT_S
        for number, line in enumerate(split_lines(text), start=1):
            bare = line.rstrip("\r\n")
            try:
                found = compiled.search(bare, timeout=_LINE_TIMEOUT_S, concurrent=True)
            except TimeoutError as error:
                raise ToolError(f"The pattern {pattern!r} takes too long to match. Make it simpler.") from error
            if found is not None:
                hits.append(Hit(number, found.start() + 1, bare))
            if len(hits) >= limit or time.monotonic() > deadline_s:
                break
        return hits

    return search


def invalid_pattern(pattern: str, reason: str) -> str:
    """The sentence for a pattern that does not compile."""
    return f"Invalid search pattern {pattern!r}: {reason.strip()}\nSet literal_text to search for the text itself."
