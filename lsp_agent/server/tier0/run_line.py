"""What a run is doing, on one line: the last tool or the growing answer, and the tokens so far. Pure."""

from collections.abc import Mapping
from typing import Any

MAX_CHARS = 120
_DONE = frozenset({"completed", "failed", "rejected", "cancelled"})


class RunLine:
    """Fed with the updates of one run, in order; `text` is the line."""

    def __init__(self) -> None:
        self._doing = "thinking"
        self._tokens = 0
        self._answer: tuple[str, int] = ("", 0)
        self._open: dict[str, str] = {}
        """Titles of the tool calls that are not over."""
        self._asked: dict[str, str] = {}
        """Titles of the permission questions that wait."""

    @property
    def text(self) -> str:
        """For example `edit a.py · 12.3k tokens`."""
        doing = self._doing
        if self._asked:
            doing = f"waiting for permission: {next(iter(self._asked.values()))}"
        elif self._open:
            doing = list(self._open.values())[-1]
        return f"{one_line(doing)} · {count(self._tokens)} tokens" if self._tokens else one_line(doing)

    def take(self, update: Mapping[str, Any]) -> None:
        """One `update` of PROTOCOL 8."""
        match update.get("sessionUpdate"):
            case "tool_call_update":
                self._tool(update)
            case "permission_requested":
                self._asked[str(update.get("requestId"))] = str(update.get("title") or "")
            case "permission_resolved":
                self._asked.pop(str(update.get("requestId")), None)
            case "usage_update":
                used = update.get("usedTokens")
                self._tokens = used if isinstance(used, int) else self._tokens
            case "notice":
                self._doing = str(update.get("message") or self._doing)
            case "compaction_update" if update.get("status") == "started":
                self._doing = "summarizing the conversation"
            case _:
                pass

    def take_chunk(self, kind: str, key: str, text: str) -> None:
        """Text of an answer or a thought that is being written."""
        if kind == "agent_thought_chunk":
            self._doing = "thinking"
        elif kind == "agent_message_chunk":
            before = self._answer[1] if self._answer[0] == key else 0
            self._answer = (key, before + len(text))
            self._doing = f"writing ({count(self._answer[1])} characters)"

    def _tool(self, update: Mapping[str, Any]) -> None:
        call = str(update.get("toolCallId"))
        if update.get("status") in _DONE:
            self._doing = self._open.pop(call, self._doing)
            return
        title = str(update.get("title") or update.get("name") or "")
        if title:
            self._open[call] = title


def one_line(text: str, limit: int = MAX_CHARS) -> str:
    """White space runs become one space; cut at `limit` characters."""
    line = " ".join(text[: limit * 8].split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def count(number: int) -> str:
    """999, 1.2k, 34k."""
    if number < 1000:
        return str(number)
    return f"{number / 1000:.1f}k" if number < 100_000 else f"{number // 1000}k"
