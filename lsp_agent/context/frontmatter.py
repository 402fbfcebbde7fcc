"""The head of a markdown file (`---` … `---`), as skills, rules, commands and agents have one. Pure.

Read as YAML whose scalars stay the texts they are written as; what people write and YAML is not (`globs: **/*.ts`,
`description: Use this: now`) is read line by line. With limits: 16 KiB, no aliases (a few of them can grow to
gigabytes), no depth to speak of, nothing that constructs anything. Tolerates a byte order mark, blank lines before the
head and spaces behind its marks (CORE 30).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import Any

MAX_HEAD_CHARS = 16 * 1024
_MAX_BRACKETS = 200
_HEAD = re.compile(r"\A\ufeff?(?:[ \t]*\r?\n)*-{3,}[ \t]*\r?\n(.*?)^-{3,}[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_OPENING = re.compile(r"\A\ufeff?(?:[ \t]*\r?\n)*-{3,}[ \t]*\r?\n")
_KEY = re.compile(r"([A-Za-z_][\w-]*)[ \t]*:(?:[ \t]+(.*)|[ \t]*)$")
_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class FrontMatterError(ValueError):
    """The head is there but cannot be read; the text says why and holds nothing of it."""


@dataclass(frozen=True)
class FrontMatter:
    """A file's head and what follows it. Fields are looked up without regard to case."""

    body: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Keys as written; values are texts, lists and mappings of them, all down. Empty when there is no head."""
    present: bool = False
    unclosed: bool = False
    """It begins like a head and has no end: `body` is the whole text."""

    @cached_property
    def _folded(self) -> Mapping[str, Any]:
        return {name.casefold(): value for name, value in self.fields.items()}

    def get(self, name: str) -> Any:
        """The value of a field; None when there is no such field. One without a value is an empty text."""
        return self._folded.get(name.casefold())

    def text(self, *names: str) -> str:
        """The first of these fields that holds a text, stripped; of a list its entries with commas. Else empty."""
        for name in names:
            value = self.get(name)
            if isinstance(value, list):
                value = ", ".join([item for item in value if isinstance(item, str)])
            if isinstance(value, str) and value.strip():
                return value.strip()
        return ""

    def flag(self, name: str, *, default: bool) -> bool:
        """A boolean field; the default when it is absent or no boolean."""
        value = self.get(name)
        return _FLAGS.get(value.strip().casefold(), default) if isinstance(value, str) else default

    def is_flag(self, name: str) -> bool:
        """Whether the field is absent or a boolean."""
        return self.flag(name, default=True) == self.flag(name, default=False) or self.get(name) is None

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, also written as one text with commas; empty when it is neither."""
        value = self.get(name)
        if isinstance(value, str):
            value = [_unquoted(part.strip()) for part in value.split(",")]
        if not isinstance(value, list):
            return ()
        return tuple([item.strip() for item in value if isinstance(item, str) and item.strip()])


def split(text: str) -> FrontMatter:
    """The head and the body of a markdown text.

    Raises: FrontMatterError when the head is too long, uses aliases, or is neither YAML nor lines of `name: value`.
    """
    found = _HEAD.match(text[: MAX_HEAD_CHARS + 64])
    if found is None:
        unclosed = _OPENING.match(text) is not None
        if unclosed and len(text) > MAX_HEAD_CHARS:
            raise FrontMatterError("the front matter is not closed within 16 KiB")
        return FrontMatter(text.removeprefix("\ufeff"), unclosed=unclosed)
    return FrontMatter(text[found.end() :], _mapping(found[1]), present=True)


class _NotYaml(Exception):
    """It may still be what people write; the text says what is wrong with it as YAML."""


def _mapping(head: str) -> Mapping[str, Any]:
    try:
        return _yaml(head)
    except _NotYaml as error:
        return _lines(head.splitlines(), str(error))


def _yaml(head: str) -> Mapping[str, Any]:
    """Raises: _NotYaml, FrontMatterError for what is well-formed and refused."""
    if head.count("[") + head.count("{") > _MAX_BRACKETS:
        raise _NotYaml("the front matter is nested too deeply")
    yaml = import_module("yaml")  # untyped, and not needed before the first file that has a head
    try:
        tokens = {type(token) for token in yaml.scan(head)}
        if {yaml.AliasToken, yaml.AnchorToken} <= tokens:
            raise FrontMatterError("the front matter uses aliases")
        value = yaml.load(head, Loader=yaml.BaseLoader)  # makes texts, lists and mappings, and nothing else
    except FrontMatterError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _NotYaml("the front matter is not YAML" + _line_of(error)) from error
    if not value:
        return {}
    if not isinstance(value, dict):
        raise _NotYaml("the front matter is not a list of `name: value`")
    return {str(key): item for key, item in value.items()}


def _line_of(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    line = getattr(mark, "line", None)
    return f" (line {line + 2})" if isinstance(line, int) else ""


# ------------------------------------------------------------------------------------------------------ line by line


def _lines(lines: Sequence[str], why_not_yaml: str) -> dict[str, Any]:
    """Plain and quoted texts, lists in brackets or one entry a line, texts over several lines.

    Raises: FrontMatterError.
    """
    fields: dict[str, Any] = {}
    at = 0
    while at < len(lines):
        line, at = lines[at], at + 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _KEY.match(line)
        first = (found[2] or "").strip() if found is not None else ""
        if found is None or (first.startswith(("[", "{")) and not set(first) & {"]", "}"}):
            raise FrontMatterError(f"{why_not_yaml}, and line {at + 1} is not `name: value`")
        below: list[str] = []
        while at < len(lines) and (not lines[at].strip() or lines[at][0] in " \t" or lines[at].startswith("- ")):
            below.append(lines[at])
            at += 1
        fields[found[1]] = _value(first, [line.strip() for line in below if line.strip()])
    return fields


def _value(first: str, below: Sequence[str]) -> Any:
    if first[:1] in ("|", ">") and len(first) <= 2:
        return ("\n" if first[0] == "|" else " ").join(below)
    if not first and below and all(entry.startswith("- ") for entry in below):
        return [_unquoted(entry[2:].strip()) for entry in below]
    if not first and below and all(entries := [_KEY.match(entry) for entry in below]):
        return {entry[1]: _unquoted((entry[2] or "").strip()) for entry in entries if entry is not None}
    inside = first[1:-1]
    if first.startswith("[") and first.endswith("]") and not set(inside) & {"[", "]"}:
        return [_unquoted(part.strip()) for part in inside.split(",") if part.strip()]
    return _unquoted(" ".join([first, *below]).strip())


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1].replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    return text
