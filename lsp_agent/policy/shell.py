"""Judging a shell command by its parse tree: may it run unasked, must it be asked, or does it never run? Pure.

An allow-list all the way down: node kinds of the tree, characters of a word, programs, flags. Whatever is not on it
asks; nothing here tries to recognise what is bad, but for two short lists that make matters stricter, never looser.
Text that could be read in two ways (a backslash, a byte outside printable ASCII, a parse error) is not read at all.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import tree_sitter
import tree_sitter_bash

from lsp_agent.policy.flags import ArgumentsRefused, read_arguments
from lsp_agent.policy.git_programs import GIT, GIT_GLOBAL_FLAGS
from lsp_agent.policy.hazards import blocked, destructive, reads_commands
from lsp_agent.policy.programs import PROGRAMS
from lsp_agent.policy.protected import is_secret

MAX_COMMANDS = 50
MAX_CHARS = 20_000
MAX_PATTERN_CHARS = 300

_PLAIN = frozenset("\n\t" + "".join([chr(code) for code in range(0x20, 0x7F)])) - {"\\"}
_JOINING = frozenset({"program", "list", "pipeline"})
_OPERATORS = frozenset({"&&", "||", "|", ";", "\n"})
_WORD = re.compile(r"(?:[A-Za-z0-9_@%+=:,./^*?\[\]!-]|(?<=[A-Za-z0-9_^])~)*")
"""A tilde behind a letter or digit is only a tilde (`HEAD~1`)."""
_GLOB = re.compile(r"[*?\[]")
_REFLOG = re.compile(r"@\{\d+\}")


@dataclass(frozen=True, slots=True)
class Word:
    """One word as the program gets it. `glob`: the shell may put file names in its place."""

    text: str
    glob: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is thought of a command. `effect` `allow` holds inside a sandbox only (see `policy.rules`)."""

    effect: Literal["allow", "ask", "deny"]
    reason: str
    pattern: str | None = None
    """What a grant covers: the very command. None = it is not understood whole, or must be asked every time."""
    destructive: bool = False
    """Asks every time, whatever was granted and whatever the mode."""
    opaque: bool = False
    """Not understood at all: not even a mode that allows everything lets it run unasked."""
    broad: bool = False
    """Reads files it does not name: needs a sandbox that hides those with secrets."""
    paths: tuple[str, ...] = ()
    """What it names and may read, as written: somebody who knows the disk must check that they lie inside."""
    words: tuple[tuple[str, ...], ...] = ()
    """Its simple commands, when it is understood whole."""


class _Refused(Exception):
    """This part is not on the list. The text is the reason."""


def judge(command: str) -> Judgement:
    """The judgement. Never raises; linear in the length of the command."""
    if not command.strip():
        return Judgement("ask", "The command is empty.", opaque=True)
    if len(command) > MAX_CHARS:
        return Judgement("ask", "The command is very long.", opaque=True, destructive=destructive(command[:MAX_CHARS]))
    if any(ch != "\t" and ch != "\n" and not ch.isprintable() for ch in command):
        return _hidden(command)
    root = _parsed(command)
    names = [_plain_command(node) for node in _commands(root)]
    forbidden = next((reason for words in names if (reason := blocked(words)) is not None), None)
    if forbidden is not None:
        return Judgement("deny", forbidden)
    dangerous = destructive(command)
    if root.has_error:
        return Judgement("ask", "The command cannot be parsed.", destructive=dangerous, opaque=True)
    if len(names) > MAX_COMMANDS:
        return Judgement("ask", f"More than {MAX_COMMANDS} commands at once.", destructive=dangerous, opaque=True)
    if any(not words or reads_commands(words) for words in names):
        return Judgement("ask", "What would run is only known when it runs.", destructive=dangerous, opaque=True)
    judgement = _by_tree(command, root)
    if dangerous:
        return replace(
            judgement, effect="ask", reason="This destroys or publishes work.", pattern=None, destructive=True
        )
    return judgement


def _hidden(command: str) -> Judgement:
    dangerous = destructive(command)
    return Judgement("ask", "The command contains hidden characters.", destructive=dangerous, opaque=True)


def _parsed(command: str) -> tree_sitter.Node:
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))
    return parser.parse(command.encode("utf-8", "replace")).root_node


def _by_tree(command: str, root: tree_sitter.Node) -> Judgement:
    try:
        if not set(command) <= _PLAIN:
            raise _Refused("The command holds a backslash or a character that is not plain ASCII.")
        commands = list(_simple_commands(root, command))
    except _Refused as refused:
        return Judgement("ask", str(refused))
    pattern = _pattern(command)
    words = tuple([tuple([word.text for word in argv]) for argv in commands])
    paths: list[str] = []
    broad = False
    for argv in commands:
        try:
            named, more = _reading(argv)
        except (ArgumentsRefused, _Refused) as refused:
            return Judgement("ask", str(refused), pattern, words=words)
        paths += named
        broad = broad or more
    return Judgement("allow", "It only reads.", pattern, broad=broad, paths=tuple(paths), words=words)


def _pattern(command: str) -> str | None:
    text = command.strip()
    return text if len(text) <= MAX_PATTERN_CHARS and text.isprintable() else None


# ------------------------------------------------------------------------------------------------------ the tree


def _commands(root: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """Every simple command anywhere in the tree, also inside substitutions."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.type in ("command", "declaration_command", "unset_command"):
            yield node
        waiting += reversed(node.children)


def _plain_command(node: tree_sitter.Node) -> list[str]:
    """The words of a command with the quotes taken away; empty when the program itself is not a plain word."""
    words: list[str] = []
    if node.type != "command":
        return [_text(node.children[0])]
    for child in node.named_children:
        if child.type in ("variable_assignment", "file_redirect", "herestring_redirect", "heredoc_redirect"):
            continue
        text = re.sub(r"[\"'\\]", "", _text(child))
        if child.type == "command_name" and re.search(r"[$`*?\[{~]", text) and text not in ("[", "[["):
            return []
        words.append(text)
    return words or ["="]


def _simple_commands(node: tree_sitter.Node, command: str) -> Iterator[list[Word]]:
    """The commands of a tree that holds nothing but them and plain operators between them. Raises: _Refused."""
    end = node.start_byte
    for child in node.children:
        if command[end : child.start_byte].strip(" \t\n"):
            raise _Refused("The command holds something that is not understood.")
        end = child.end_byte
        if child.type in _JOINING:
            yield from _simple_commands(child, command)
        elif child.type == "command":
            yield [_word(part) for part in _parts(child)]
        elif child.type not in _OPERATORS:
            raise _Refused(f"Asks because of {_kind(child)}.")
    if command[end : node.end_byte].strip(" \t\n"):
        raise _Refused("The command holds something that is not understood.")


def _parts(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    for number, child in enumerate(node.children):
        if child.type == "command_name" and number == 0 and len(child.children) == 1:
            yield child.children[0]
        elif number == 0:
            raise _Refused(f"Asks because of {_kind(child)}.")
        else:
            yield child


def _word(node: tree_sitter.Node) -> Word:
    """The word a node stands for. Raises: _Refused for one whose text only the shell knows."""
    text = _text(node)
    if node.type in ("word", "number") and not node.named_children:
        if not _WORD.fullmatch(text):
            raise _Refused("A word holds a character with a meaning of its own.")
        return Word(text, _GLOB.search(text) is not None)
    if node.type == "raw_string":
        return Word(text[1:-1])
    if node.type == "string":
        if any(child.type not in ('"', "string_content") for child in node.children) or set(text[1:-1]) & set('$`"'):
            raise _Refused("Asks because of an expansion in quotes.")
        return Word(text[1:-1])
    if node.type == "concatenation":
        if _REFLOG.search(text) and re.fullmatch(r"[A-Za-z0-9_/.-]*@\{\d+\}", text):
            return Word(text)
        parts = [_word(child) for child in node.children]
        return Word("".join([part.text for part in parts]), any(part.glob for part in parts))
    raise _Refused(f"Asks because of {_kind(node)}.")


def _text(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _kind(node: tree_sitter.Node) -> str:
    return node.type.replace("_", " ") if node.is_named else f"`{node.type}`"


# -------------------------------------------------------------------------------------------------- the programs


def _reading(argv: Sequence[Word]) -> tuple[list[str], bool]:
    """The paths a command reads, and whether it reads more than those. Raises: _Refused, ArgumentsRefused."""
    name, arguments = argv[0].text, argv[1:]
    if argv[0].glob or name not in PROGRAMS:
        program = GIT.get(arguments[0].text) if name == "git" and arguments else None
        if program is None or argv[0].glob:
            return _git(argv) if name == "git" and not argv[0].glob else _unknown(name)
        arguments = arguments[1:]
        name = f"git {argv[1].text}"
    else:
        program = PROGRAMS[name]
    read = read_arguments(name, program, [(word.text, word.glob) for word in arguments])
    secret = next((path for path in read.paths if is_secret(path) or is_secret(path.rpartition(":")[2])), None)
    if secret is not None:
        raise _Refused(f"{secret} may hold secrets.")
    return list(read.paths), read.broad


def _git(argv: Sequence[Word]) -> tuple[list[str], bool]:
    """`git` with flags before its sub-command."""
    rest = list(argv[1:])
    paths: list[str] = []
    while rest and rest[0].text.startswith("-"):
        flag = rest.pop(0).text
        if flag == "-C" and rest and not rest[0].glob and not rest[0].text.startswith("-"):
            paths.append(rest.pop(0).text)
        elif flag not in GIT_GLOBAL_FLAGS:
            raise _Refused(f"git {flag} is not on the list of what may run unasked.")
    if not rest:
        return paths, False
    if len(rest) == len(argv) - 1:
        raise _Refused(f"git {rest[0].text} is not on the list of what may run unasked.")
    named, broad = _reading([argv[0], *rest])
    # paths after -C are relative to that directory; both readings must lie inside
    return [*paths, *named, *[f"{base}/{path}" for base in paths for path in named]], broad


def _unknown(name: str) -> tuple[list[str], bool]:
    raise _Refused(f"{name[:60]} is not on the list of what may run unasked.")
