"""Reading a program's arguments against the flags it is known to have. Pure.

Stricter than any real parser: a flag must be spelled whole, a value never begins with a dash, and after `--` no word
may. So a difference between this reading and the program's own can only make a command ask.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from lsp_agent.policy.programs import Program

_SED = re.compile(r"(?:\d+|\$)(?:,(?:\d+|\$|\+\d+))?[pdq](?:; ?(?:\d+|\$)(?:,(?:\d+|\$))?[pdq])*")
_FLAG_WITH_VALUE = re.compile(r"--[a-z-]+=")
"""A pattern behind it stays this flag, whatever files there are."""
_NUMBER = re.compile(r"-\d{1,9}")
_READING_FILTERS = ("env", "import", "include", "input_filename")
_PS_LETTERS = re.compile(r"[auxfwlj]{1,6}")


class ArgumentsRefused(Exception):
    """An argument is not on the program's list. The text is the reason."""


@dataclass(slots=True)
class Reading:
    """What the arguments name."""

    paths: list[str] = field(default_factory=list)
    broad: bool = False
    operands: list[tuple[str, bool]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    """Flags that are there."""


def read_arguments(name: str, program: Program, arguments: Sequence[tuple[str, bool]]) -> Reading:
    """Check `(text, is a glob)` arguments. Raises: ArgumentsRefused."""
    if program.exact is not None:
        if tuple([text for text, _ in arguments]) not in program.exact:
            raise ArgumentsRefused(f"Only a few forms of {name} may run unasked.")
        return Reading()
    for text, glob in arguments:
        if glob and text[0] in "*?[" and not program.loose_globs:
            raise ArgumentsRefused(f"`{text[:60]}` may turn into a flag of {name}.")
        if glob and re.search(r"(?:^|/)\.[^/]*[*?\[]", text):
            raise ArgumentsRefused(f"`{text[:60]}` may stand for hidden files.")
    reading = Reading(broad=program.broad or any(glob for _, glob in arguments))
    if program.operands == "find":
        _read_find(name, program, arguments, reading)
    else:
        _read_flags(name, program, arguments, reading)
    _read_operands(name, program, reading)
    if reading.seen & program.broad_flags:
        reading.broad = True
    return reading


def _read_flags(name: str, program: Program, arguments: Sequence[tuple[str, bool]], reading: Reading) -> None:
    waiting = list(arguments)
    plain = False
    while waiting:
        text, glob = waiting.pop(0)
        if plain or not text.startswith("-") or text == "-":
            if plain and text.startswith("-") and text != "-":
                raise ArgumentsRefused(f"`{text[:60]}` after `--` looks like a flag.")
            reading.operands.append((text, glob))
        elif text == "--":
            plain = True
        elif glob and not _FLAG_WITH_VALUE.match(text):
            raise ArgumentsRefused(f"`{text[:60]}` is a flag with a pattern.")
        else:
            _read_flag(name, program, text, waiting, reading)


def _read_flag(name: str, program: Program, text: str, waiting: list[tuple[str, bool]], reading: Reading) -> None:
    flag, equals, value = text.partition("=")
    if text in program.flags or text in program.optional or (program.numbers and _NUMBER.fullmatch(text)):
        reading.seen.add(text)
    elif text in program.valued:
        reading.seen.add(text)
        _check_value(name, program, text, _next_value(name, text, waiting), reading)
    elif equals and flag.startswith("--") and (flag in program.valued or flag in program.optional):
        reading.seen.add(flag)
        _check_value(name, program, flag, value, reading)
    elif not text.startswith("--"):
        _read_letters(name, program, text, waiting, reading)
    else:
        raise _unlisted(name, flag)


def _read_letters(name: str, program: Program, text: str, waiting: list[tuple[str, bool]], reading: Reading) -> None:
    """Joined short flags; the first that takes a value takes the rest."""
    for at in range(1, len(text)):
        flag = f"-{text[at]}"
        if flag in program.flags:
            reading.seen.add(flag)
        elif flag in program.valued:
            rest = text[at + 1 :] or _next_value(name, flag, waiting)
            reading.seen.add(flag)
            return _check_value(name, program, flag, rest, reading)
        else:
            raise _unlisted(name, flag)
    return None


def _next_value(name: str, flag: str, waiting: list[tuple[str, bool]]) -> str:
    if not waiting:
        raise ArgumentsRefused(f"{name} {flag} lacks its value.")
    value, glob = waiting.pop(0)
    if glob or value.startswith("-"):
        raise ArgumentsRefused(f"The value of {name} {flag} looks like a flag or a pattern.")
    return value


def _check_value(name: str, program: Program, flag: str, value: str, reading: Reading) -> None:
    if flag in program.path_valued:
        reading.paths.append(value)
    if name.startswith("git") and ("%G" in value or "%(signature" in value or value.startswith("%(trailers")):
        raise ArgumentsRefused(f"{name} {flag} may run the signature program.")


def _read_find(name: str, program: Program, arguments: Sequence[tuple[str, bool]], reading: Reading) -> None:
    """Paths first, then an expression whose every word is known."""
    waiting = list(arguments)
    while waiting and not (waiting[0][0].startswith("-") or waiting[0][0] in ("!", "(", ")")):
        reading.paths.append(waiting.pop(0)[0])
    while waiting:
        text, _ = waiting.pop(0)
        if text in program.valued:
            if not waiting:
                raise ArgumentsRefused(f"find {text} lacks its value.")
            value, glob = waiting.pop(0)
            if glob:
                raise ArgumentsRefused(f"find {text} is given a pattern that the shell expands.")
            if text.startswith("-newer") and text != "-newermt":
                reading.paths.append(value)
        elif text not in program.flags:
            raise _unlisted(name, text)
    reading.operands = []


def _read_operands(name: str, program: Program, reading: Reading) -> None:
    operands = reading.operands
    if len(operands) > program.max_operands or (operands and program.operands == "none"):
        raise ArgumentsRefused(f"{name} is given more than it may have unasked.")
    if operands and program.needs and not reading.seen & program.needs:
        raise ArgumentsRefused(f"{name} with arguments may change something.")
    if program.operands == "pattern" and not reading.seen & {"-e", "--regexp", "--files"}:
        operands = operands[1:]
    elif program.operands == "filter":
        if operands and any(word in operands[0][0].lower() for word in _READING_FILTERS):
            raise ArgumentsRefused(f"The filter of {name} reads more than its input.")
        operands = operands[1:]
    elif program.operands == "sed":
        if not operands or not _SED.fullmatch(operands[0][0]):
            raise ArgumentsRefused("Only a sed that prints lines by number may run unasked.")
        operands = operands[1:]
    elif program.operands == "text":
        operands = []
        _check_text(name, reading)
    reading.paths += [text for text, _ in operands if text != "-"]


def _check_text(name: str, reading: Reading) -> None:
    """A few programs take words that do something: the clock for `date`, options without a dash for `ps`."""
    for text, _ in reading.operands:
        if name == "date" and not text.startswith("+"):
            raise ArgumentsRefused("date with a value sets the clock.")
        if name == "ps" and not _PS_LETTERS.fullmatch(text):
            raise ArgumentsRefused("Only common forms of ps may run unasked.")


def _unlisted(name: str, flag: str) -> ArgumentsRefused:
    return ArgumentsRefused(f"{name} {flag[:60]} is not on the list of what may run unasked.")
