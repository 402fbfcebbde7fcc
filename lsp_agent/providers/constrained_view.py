"""What a conversation says to a model that is led by the hand: the question, the files there are, what it has seen.

Pure. Reads nothing but the request: text attachments stand in the user's words as `<file path='…'>` blocks, files that
were looked at in the results of `view`.
"""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lsp_agent.domain.message import Message, Role, ToolCallPart, ToolResultPart
from lsp_agent.ports.provider import Request
from lsp_agent.providers.content import input_object

MAX_PATHS = 24
_BLOCK = re.compile(r"<file(?P<attributes>(?: \w+='[^'\n]*')*)>\n(?P<body>.*?)\n</file>", re.DOTALL)
_ATTRIBUTE = re.compile(r" (\w+)='([^'\n]*)'")
_INFO = re.compile(r"<system_info>.*?</system_info>", re.DOTALL)
_REMINDER = re.compile(r"<system_reminder>.*?</system_reminder>|<context[ >].*?</context>", re.DOTALL)
_ROW = re.compile(r"^ *(\d+)\|(.*)$")
_NAMED = re.compile(
    r"(?<![\w/.-])((?:[\w.-]+/)*[\w-][\w.-]*\."
    r"(?:c|cc|cpp|cs|css|go|h|hpp|html|java|js|json|jsx|kt|lua|md|php|py|pyi|rb|rs|scala|sh|sql|swift|toml|ts|tsx|txt|"
    r"vue|yaml|yml|zig))\b"
)
_PATH_TOOLS = frozenset({"view", "edit", "multiedit", "write"})


@dataclass(frozen=True, slots=True)
class Attached:
    """One text the user attached. Lines are zero-based; None = the whole text."""

    path: str
    text: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A piece of a file as `view` showed it; `first` is its first line, zero-based. `more`: the file goes on."""

    path: str
    lines: tuple[str, ...]
    first: int = 0
    more: bool = False

    @property
    def text(self) -> str:
        """The lines joined."""
        return "\n".join(self.lines)

    @property
    def whole(self) -> bool:
        """It is the file from beginning to end."""
        return self.first == 0 and not self.more


@dataclass(frozen=True, slots=True)
class Done:
    """One call of this turn and what came of it."""

    call: ToolCallPart
    result: ToolResultPart | None

    @property
    def arguments(self) -> dict[str, Any]:
        """The call's input."""
        return input_object(self.call.input)

    @property
    def failed(self) -> bool:
        """It has no result, or that of a failure."""
        return self.result is None or self.result.is_error


@dataclass(frozen=True, slots=True)
class Situation:
    """Where the turn stands."""

    question: str
    attached: tuple[Attached, ...] = ()
    """Of the last words of the user."""
    paths: tuple[str, ...] = ()
    """Files there are to look at, the likeliest first."""
    done: tuple[Done, ...] = ()
    seen: tuple[Seen, ...] = ()
    """What was looked at in this turn, in order."""
    earlier: tuple[tuple[str, str], ...] = field(default=())
    """(role, text) of what was said before, oldest first; without files."""
    steps: int = 0
    """Answers of the model in this turn so far."""

    def selection(self, path: str) -> Attached | None:
        """The part of `path` that the user attached, when it was a part."""
        return next((item for item in self.attached if item.path == path and item.start is not None), None)


def situation_of(request: Request) -> Situation:
    """Read a request."""
    last = _last_words(request.messages)
    turn = request.messages[last + 1 :]
    words = request.messages[last].text if last >= 0 else ""
    attached = attachments(words)
    done = _done(turn)
    seen = tuple([piece for piece in map(_seen, done) if piece is not None])
    question = plain(words)
    earlier = _earlier(request.messages[: max(last, 0)])
    return Situation(
        question,
        attached,
        _paths(request.messages, attached, question),
        done,
        seen,
        earlier,
        sum(message.role is Role.ASSISTANT for message in turn),
    )


def attachments(text: str) -> tuple[Attached, ...]:
    """The texts that are attached to a prompt."""
    found = []
    for block in _BLOCK.finditer(text):
        attributes = {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(block["attributes"])}
        lines = re.fullmatch(r"(\d+)-(\d+)", attributes.get("lines", ""))
        start, end = (int(lines[1]) - 1, int(lines[2]) - 1) if lines else (None, None)
        if attributes.get("path"):
            found.append(Attached(attributes["path"], html.unescape(block["body"]), start, end))
    return tuple(found)


def plain(text: str) -> str:
    """The user's own words: without attached texts and without what was put beside them."""
    return _REMINDER.sub("", _INFO.sub("", _BLOCK.sub("", text))).strip()


def rows(view: str) -> tuple[int, tuple[str, ...]]:
    """(first line from zero, lines) of a `view` result; no lines when it shows none."""
    found = [match for line in view.split("\n") if (match := _ROW.match(line))]
    if not found:
        return 0, ()
    return int(found[0][1]) - 1, tuple([match[2] for match in found])


def _last_words(messages: Sequence[Message]) -> int:
    """Index of the message that began the turn. One that only carries pictures of a tool's result does not count."""
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message.role is Role.USER and message.text.strip():
            return index
    return -1


def _done(turn: Sequence[Message]) -> tuple[Done, ...]:
    results = {part.tool_call_id: part for message in turn for part in message.tool_results}
    return tuple([Done(call, results.get(call.tool_call_id)) for message in turn for call in message.tool_calls])


def _seen(done: Done) -> Seen | None:
    if done.call.name != "view" or done.failed or done.result is None:
        return None
    first, lines = rows(done.result.content)
    path = str(done.arguments.get("file_path", ""))
    return Seen(path, lines, first, "(The file has more lines." in done.result.content) if lines and path else None


def _paths(messages: Sequence[Message], attached: Sequence[Attached], question: str) -> tuple[str, ...]:
    """Attached now, named now, attached or worked on before (the latest first)."""
    found = [item.path for item in attached]
    found += _NAMED.findall(question)
    for message in reversed(messages):
        if message.role is Role.USER:
            found += [item.path for item in attachments(message.text)]
        for call in message.tool_calls:
            path = input_object(call.input).get("file_path") if call.name in _PATH_TOOLS else None
            if isinstance(path, str) and path:
                found.append(path)
    return tuple(dict.fromkeys(found))[:MAX_PATHS]


def _earlier(messages: Sequence[Message]) -> tuple[tuple[str, str], ...]:
    said = []
    for message in messages:
        text = plain(message.text) if message.role is Role.USER else message.text.strip()
        if text and message.role in {Role.USER, Role.ASSISTANT}:
            said.append((message.role.value, text))
    return tuple(said)
