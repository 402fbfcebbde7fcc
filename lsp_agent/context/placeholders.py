"""Filling the placeholders of a command's text: `$ARGUMENTS`, `$1` … `$9`, `$NAME`. Pure.

Text in, text out: nothing is run, no file is read, whatever the text looks like (`!date`, `$(date)`, `@file` stay as
they are, RELIABILITY CF-17). What is filled in is not looked at again, so an argument cannot bring a placeholder along.
"""

import re
import shlex
from collections.abc import Mapping, Sequence

_PLACE = re.compile(r"\$(?:(ARGUMENTS)\b|([1-9])(?!\d)|([A-Z][A-Z0-9_]*)\b)")
_NAMED = re.compile(r"([A-Za-z][A-Za-z0-9_]*)=(.*)", re.DOTALL)


def names(template: str) -> tuple[str, ...]:
    """The `$NAME` placeholders in order of appearance, each once."""
    return tuple(dict.fromkeys([found[3] for found in _PLACE.finditer(template) if found[3]]))


def fill(template: str, arguments: str) -> str:
    """`template` with what the user wrote behind the command's name.

    `NAME=value` words fill `$NAME`. Where the text has only names, the other words fill them in order, the last one
    taking the rest. A name nobody gave a value stays as written, it may be a shell variable of an example; a missing
    `$3` is empty. Where the text has no place for arguments they are put behind it.
    """
    arguments = arguments.strip()
    found = list(_PLACE.finditer(template))
    words = _words(arguments)
    values = _values(template, arguments, words, only_names=all(place[3] for place in found))
    if arguments and not any(place[1] or place[2] or place[3] in values for place in found):
        return f"{template.rstrip()}\n\nArguments: {arguments}"

    def value(place: re.Match[str]) -> str:
        if place[1]:
            return arguments
        if place[2]:
            number = int(place[2])
            return words[number - 1] if number <= len(words) else ""
        return values.get(place[3], place[0])

    return _PLACE.sub(value, template)


def named(arguments: str, wanted: Sequence[str]) -> dict[str, str]:
    """What the user wrote, as values of `wanted` in order; words `name=value` say which. For prompts that have
    parameters and no text of ours."""
    words = _words(arguments.strip())
    return _assigned(words, wanted, arguments.strip())


def _values(template: str, arguments: str, words: Sequence[str], *, only_names: bool) -> Mapping[str, str]:
    wanted = names(template)
    if only_names:
        return _assigned(words, wanted, arguments)
    given = {found[1]: found[2] for word in words if (found := _NAMED.fullmatch(word))}
    return {name: given[name] for name in wanted if name in given}


def _assigned(words: Sequence[str], wanted: Sequence[str], arguments: str) -> dict[str, str]:
    values: dict[str, str] = {}
    rest: list[str] = []
    for word in words:
        found = _NAMED.fullmatch(word)
        if found is not None and found[1] in wanted:
            values[found[1]] = found[2]
        else:
            rest.append(word)
    open_names = [name for name in wanted if name not in values]
    if len(open_names) == 1 and not values and rest:
        return {open_names[0]: arguments}
    if len(rest) > len(open_names) > 0:
        rest = [*rest[: len(open_names) - 1], " ".join(rest[len(open_names) - 1 :])]
    return {**values, **dict(zip(open_names, rest, strict=False))}


def _words(arguments: str) -> list[str]:
    try:
        return shlex.split(arguments)
    except ValueError:  # a quotation mark that is an apostrophe
        return arguments.split()
