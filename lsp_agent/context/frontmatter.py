"""The YAML head of a markdown file (`---` … `---`), as skills, rules, commands and agents have one.

Read with limits: 16 KiB, no aliases (a few of them can grow to gigabytes), no depth to speak of. Tolerates a byte order
mark, blank lines before the head and spaces behind its marks (CORE 30).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

MAX_HEAD_CHARS = 16 * 1024
_MAX_DEPTH = 20
_HEAD = re.compile(r"\A\ufeff?(?:[ \t]*\r?\n)*---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_LINE = re.compile(r"^([A-Za-z][\w-]*)[ \t]*:[ \t]*([^\r\n]*)", re.MULTILINE)
_DEPTH = re.compile(r"[\[{]")


class FrontMatterError(ValueError):
    """The head is there but cannot be read; the text says why and holds nothing of it."""


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """A file's head and what follows it."""

    body: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Keys as written, values as YAML has them; empty when there is no head."""
    present: bool = False

    def text(self, *names: str) -> str:
        """The first of these fields that is a string or a number, stripped; empty when there is none."""
        for name in names:
            value = self.fields.get(name)
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                return str(value).strip()
        return ""

    def flag(self, name: str, *, default: bool) -> bool:
        """A boolean field; the default when it is absent or no boolean."""
        value = self.fields.get(name)
        return value if isinstance(value, bool) else default

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings, also written as one string with commas; empty when it is neither."""
        value = self.fields.get(name)
        if isinstance(value, str):
            value = value.split(",")
        if not isinstance(value, list):
            return ()
        return tuple([item.strip() for item in value if isinstance(item, str) and item.strip()])


def split(text: str) -> FrontMatter:
    """The head and the body of a markdown text.

    Raises: FrontMatterError when the head is too long, not YAML, no mapping, or uses aliases.
    """
    found = _HEAD.match(text[: MAX_HEAD_CHARS + 64])
    if found is None:
        if text.lstrip("\ufeff \t\r\n").startswith("---") and len(text) > MAX_HEAD_CHARS:
            raise FrontMatterError("the front matter is not closed within 16 KiB")
        return FrontMatter(text.removeprefix("\ufeff"))
    return FrontMatter(text[found.end() :], _mapping(found[1]), present=True)


def loosely(text: str) -> FrontMatter:
    """The same for heads that look like YAML and are not (`globs: **/*.ts`): one `name: value` a line, all strings."""
    found = _HEAD.match(text[: MAX_HEAD_CHARS + 64])
    if found is None:
        return FrontMatter(text.removeprefix("\ufeff"))
    fields = {match[1]: match[2].strip().strip("\"'") for match in _LINE.finditer(found[1])}
    return FrontMatter(text[found.end() :], fields, present=True)


def _mapping(head: str) -> Mapping[str, Any]:
    if len(_DEPTH.findall(head)) > _MAX_DEPTH * 10:
        raise FrontMatterError("the front matter is nested too deeply")
    yaml = import_module("yaml")  # untyped, and not needed before the first file that has a head
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(head)):
            raise FrontMatterError("the front matter uses aliases")
        value = yaml.safe_load(head)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, FrontMatterError):
            raise
        raise FrontMatterError("the front matter is not YAML" + _line_of(error)) from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise FrontMatterError("the front matter is not a list of `name: value`")
    return {str(key): item for key, item in value.items()}


def _line_of(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    line = getattr(mark, "line", None)
    return f" (line {line + 2})" if isinstance(line, int) else ""
