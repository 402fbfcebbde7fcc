"""Two lists that make matters stricter: what never runs, and what asks every time because it destroys. Pure.

They are a net below the allow-list, not the fence: whoever hides a command well enough from them is asked about it, or
runs it inside the sandbox.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from lsp_agent.policy.hazard_lists import (
    BLOCKED,
    BLOCKED_ARGUMENTS,
    DESTRUCTIVE_ARGUMENTS,
    DESTRUCTIVE_PROGRAMS,
    LAUNCHERS,
    SHELLS,
)

_SEPARATORS = re.compile(r"[;&|\n(){}`<>]+")
_DEVICE = re.compile(r">\s*/dev/(?!null\b|stdout\b|stderr\b|fd/|tty\b|zero\b)")
_FORK_BOMB = re.compile(r"([\w:.]{1,20})\s{0,5}\(\)\s{0,5}\{\s{0,5}\1\s{0,5}\|\s{0,5}\1\s{0,5}&")
_REMOVERS = frozenset({"rm", "unlink", "rmdir"})
_SUSPECTS = DESTRUCTIVE_PROGRAMS | _REMOVERS | {pattern.split()[0] for pattern, _ in DESTRUCTIVE_ARGUMENTS}
_MAX_SUSPECTS = 200
_ROOTS = frozenset({".", "./", "*", "./*", "/", "~", ".git", ".git/", "..", "--no-preserve-root"})


def blocked(words: Sequence[str]) -> str | None:
    """Why this command never runs; None when it may. `words`: one simple command, quotes taken away."""
    rest = list(words)
    while rest:
        name = program_name(rest[0])
        if name in BLOCKED or name.startswith("mkfs"):
            return f"`{name}` is not allowed for security reasons."
        for program, first, flags in BLOCKED_ARGUMENTS:
            operands = [word for word in rest[1:] if not word.startswith("-")]
            given = [word for word in rest[1:] if word.startswith("-")]
            if name == program and tuple(operands[: len(first)]) == first and (not flags or set(given) & set(flags)):
                return f"`{' '.join([program, *first, *flags[:1]])}` is not allowed for security reasons."
        if name in SHELLS and "-c" in rest:
            script = " ".join(rest[rest.index("-c") + 1 :])
            return next((why for part in _segments(script) if (why := blocked(part)) is not None), None)
        if name not in LAUNCHERS:
            return None
        rest = _after_launcher(rest)
    return None


def destructive(command: str) -> bool:
    """Whether a command, however quoted, may destroy or publish work. Read loosely: a mention is enough."""
    flat = re.sub(r"\$\{?IFS\}?", " ", command)
    flat = re.sub(r"[\"'\\]", "", flat.replace("\\\n", ""))
    if _DEVICE.search(flat) or _FORK_BOMB.search(flat):
        return True
    for text in (flat, flat.replace(",", " ")):
        for words in _segments(text):
            places = [at for at, word in enumerate(words) if _is_suspect(program_name(word))]
            # more of them than anybody writes: not worth the time to look at each
            if len(places) > _MAX_SUSPECTS or any(_destroys(words[at:]) for at in places):
                return True
    return False


def reads_commands(words: Sequence[str]) -> bool:
    """Whether what it runs comes from its input or is put together at run time: `… | sh`, `eval`, `source <(…)`."""
    rest = list(words)
    while rest and program_name(rest[0]) in LAUNCHERS:
        rest = _after_launcher(rest)
    if not rest:
        return False
    name = program_name(rest[0])
    if name in ("eval", "source", "."):
        return True
    return name in SHELLS and all(word.startswith("-") and word not in ("-c", "--version") for word in rest[1:])


def program_name(word: str) -> str:
    """`/usr/bin/rm` → `rm`, in lower case."""
    return PurePosixPath(word).name.lower()


def _after_launcher(words: Sequence[str]) -> list[str]:
    """What a launcher would run: the words after its flags, its variables and a number or duration."""
    rest = list(words[1:])
    while rest and (rest[0].startswith("-") or "=" in rest[0] or re.fullmatch(r"\d+(\.\d+)?[smhd]?", rest[0])):
        rest.pop(0)
    return rest


def _segments(text: str) -> Iterator[list[str]]:
    for piece in _SEPARATORS.split(text):
        words = piece.split()
        if words:
            yield words


def _is_suspect(name: str) -> bool:
    return name in _SUSPECTS or name.startswith("mkfs")


def _destroys(words: Sequence[str]) -> bool:
    name = program_name(words[0])
    if name in DESTRUCTIVE_PROGRAMS or name.startswith("mkfs"):
        return True
    if name in _REMOVERS:
        return _removes_too_much(words[1:])
    operands = [word for word in words if not word.startswith("-")]
    for pattern, marks in DESTRUCTIVE_ARGUMENTS:
        wanted = pattern.split()
        if name != wanted[0] or (len(wanted) > 1 and wanted[1] not in operands[1:]):
            continue
        if not marks or any(_is_mark(word, marks) for word in words[1:]):
            return True
        if pattern == "git push" and any(word.startswith(("+", ":")) for word in words[1:]):
            return True
    return False


def _removes_too_much(arguments: Sequence[str]) -> bool:
    targets = [word for word in arguments if not word.startswith("-") or word == "--no-preserve-root"]
    return any(
        target in _ROOTS or target.startswith(("/", "~", "$")) or ".." in target.split("/") or target.endswith("/.git")
        for target in targets
    )


def _is_mark(word: str, marks: frozenset[str]) -> bool:
    """A mark, one with a value, or a short one among joined flags."""
    if word in marks or word.partition("=")[0] in marks:
        return True
    if not word.startswith("-") or word.startswith("--"):
        return False
    return any(len(mark) == 2 and mark[0] == "-" and mark[1] in word[1:] for mark in marks)
