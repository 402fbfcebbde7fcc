"""One TOML file from disk, whatever may be there: missing, a pipe, huge, not text, not TOML."""

import hashlib
import os
import re
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsp_agent.config.sections import Problem, Source

MAX_BYTES = 1024 * 1024
_AT = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True)
class ReadFile:
    """What was found. `document` None = not there, or `problem` says why it cannot be used."""

    source: Source
    document: dict[str, Any] | None = None
    text: str = ""
    problem: Problem | None = None


def read_file(path: Path, *, follow_links: bool) -> ReadFile:
    """Read and parse. Promise: never raises, never blocks on a pipe or device, reads at most 1 MiB.

    `follow_links` False for a file of a repository: a link there may lead anywhere.
    """
    source, content, reason = _looked_at(path, follow_links)
    if content is None:
        return ReadFile(source, problem=Problem(str(path), "", reason) if reason else None)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return ReadFile(source, problem=Problem(str(path), "", "is not UTF-8", line))
    try:
        return ReadFile(source, tomllib.loads(text), text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        return ReadFile(source, text=text, problem=_syntax(path, text, error))


def source_of(path: Path, *, follow_links: bool) -> Source:
    """What tells whether a file has changed, without understanding it: cheap enough for every turn. As `read_file`."""
    return _looked_at(path, follow_links)[0]


def _looked_at(path: Path, follow_links: bool) -> tuple[Source, bytes | None, str]:
    """(source, content, why there is none)."""
    try:
        content = _bytes(path, follow_links)
    except FileNotFoundError:
        return Source(path, None), None, ""
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else str(error)) or "cannot be read"
        return Source(path, ""), None, reason
    return Source(path, hashlib.blake2b(content, digest_size=16).hexdigest()), content, ""


def _bytes(path: Path, follow_links: bool) -> bytes:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("is not a regular file")
        pieces = []
        left = MAX_BYTES + 1
        while left > 0 and (piece := os.read(descriptor, left)):
            pieces.append(piece)
            left -= len(piece)
    finally:
        os.close(descriptor)
    if left <= 0:
        raise ValueError("is larger than 1 MiB")
    return b"".join(pieces)


def _syntax(path: Path, text: str, error: Exception) -> Problem:
    """Where the text stops being TOML, and the key of that line where it has one."""
    if not isinstance(error, tomllib.TOMLDecodeError):
        return Problem(str(path), "", "is not valid TOML")
    message = str(error)
    found = _AT.search(message)
    line = int(found[1]) if found and found[1] else text.count("\n") + 1
    lines = text.splitlines()
    written = lines[line - 1] if 0 < line <= len(lines) else ""
    key = written.partition("=")[0].strip() if "=" in written else ""
    if not re.fullmatch(r"[A-Za-z0-9_.\-]{1,80}", key):
        key = ""
    if key and (table := _table_above(lines[: line - 1])):
        key = f"{table}.{key}"
    return Problem(str(path), key, f"is not valid TOML: {_without_value(_AT.sub('', message))}", line)


def _table_above(lines: list[str]) -> str:
    for line in reversed(lines):
        if found := re.fullmatch(r"\s*\[+\s*([A-Za-z0-9_.\-]{1,80})\s*\]+\s*(?:#.*)?", line):
            return found[1]
    return ""


def _without_value(message: str) -> str:
    """The parser's sentence without what it quotes: that may be a key's value."""
    return re.split(r"[:'\"]", message)[0].strip().lower() or "syntax error"
