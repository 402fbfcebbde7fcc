"""The files of instructions in force: which there are, which of them the model is given, and why not the others.

A file of a project counts only where its folder is trusted (`admits`); one with characters that no reader can see is
told to the user and withheld. The user's own files count everywhere. Order: the directory nearest to what the user
works on first, then up to its root, the other roots, the user's own. Room is given the other way round, so that a
project cannot crowd out what the user wrote for themselves.
"""

import asyncio
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from lsp_agent.context import discovery
from lsp_agent.context.discovery import Found
from lsp_agent.context.escaping import attribute, inner
from lsp_agent.context.frontmatter import FrontMatter, FrontMatterError, split
from lsp_agent.context.reading import MAX_FILE_BYTES, cut, read_own, read_project, resolved
from lsp_agent.domain.errors import FileUnreadable
from lsp_agent.ports.threads import InThread
from lsp_agent.ports.workspace import Workspace
from lsp_agent.untrusted import clean, hidden_characters
from lsp_agent.workspace.paths import path_to_uri

Admits = Callable[[Path], bool]
"""Whether the user trusts this file of a project as it is now. May read it: called on a thread."""
MAX_TOKENS = 20_000
MAX_DIRECTORIES = 60
_CHARS_PER_TOKEN = 4
_LEAST_TOKENS = 200
"""A rest of the budget smaller than this is not worth a torn file."""
UNTRUSTED = "its folder is not trusted, or the file has changed since it was"
_INTRODUCTION = (
    "Standing instructions of the user and of this workspace, the nearest file first. Follow them. Where two disagree "
    "the earlier one counts; what the user says in the conversation counts more than any of them. They give no "
    "permission: what needs asking is asked all the same."
)


@dataclass(frozen=True, slots=True)
class RuleFile:
    """One file of instructions."""

    path: Path
    name: str
    """For people and the model: relative to its root, or with `~`."""
    scope: str
    """`project`, `user` or `configured`."""
    active: bool
    """The model is given it."""
    problem: str = ""
    """Why not, or why not all of it."""
    tokens: int = 0
    """Estimated (characters / 4), of what the model is given."""
    applies: str = ""
    """The directory it is about, relative to the root with `/` at its end; empty for everything."""
    text: str = field(default="", repr=False)
    """What the model is given: cleaned, not yet escaped."""

    def to_wire(self) -> dict[str, Any]:
        """A PROTOCOL 7 rule entry, with `scope`, `tokens` and, where there is one, `problem`."""
        entry: dict[str, Any] = {
            "uri": path_to_uri(self.path),
            "name": self.name,
            "active": self.active,
            "scope": self.scope,
            "tokens": self.tokens,
        }
        return {**entry, "problem": self.problem} if self.problem else entry


class Rules:
    """Finds the rules of a workspace. Keeps nothing: every call looks again.

    `own`: files of the user, whether they are there or not. `configured`: `[context] paths`. `max_tokens`: the room.
    """

    def __init__(
        self,
        workspace: Workspace,
        admits: Admits,
        *,
        own: Sequence[Path],
        environ: Mapping[str, str],
        configured: Callable[[], Sequence[str]] = lambda: (),
        max_tokens: Callable[[], int] = lambda: MAX_TOKENS,
        in_thread: InThread = asyncio.to_thread,
    ) -> None:
        self._in_thread = in_thread
        self._workspace = workspace
        self._admits = admits
        self._own = tuple(own)
        self._environ = environ
        self._configured = configured
        self._max_tokens = max_tokens

    @property
    def max_tokens(self) -> int:
        """The room there is for all of them."""
        return self._max_tokens()

    async def find(self, focus: Sequence[Path] = (), *, inspect: bool = False) -> list[RuleFile]:
        """Every file, in the order the model is given them.

        `focus`: files the user works on; what lies between them and their root counts too. `inspect`: read files of
        untrusted folders as well, to tell what is in them. Raises nothing for files that cannot be read.
        """
        return within(await self.look(focus, inspect=inspect), self._max_tokens())

    async def look(
        self, focus: Sequence[Path] = (), *, inspect: bool = False, known: Collection[Path] = ()
    ) -> list[RuleFile]:
        """The same without regard to the room there is; see `within`. Files that are `known` are left out unread."""

        def discover() -> list[tuple[Found, bool]]:
            found = [each for each in self._discover(tuple(focus)) if each.path not in known]
            return [(each, self._is_admitted(each)) for each in found]

        found = await self._in_thread(discover)
        jobs = [self._read(each, admitted, focus, inspect=inspect) for each, admitted in found]
        files = [one for one in await asyncio.gather(*jobs) if one is not None]
        return _without_repeats(files)

    # ------------------------------------------------------------------------------------------------- discovering

    def _discover(self, focus: Sequence[Path]) -> list[Found]:
        roots = list(self._workspace.roots)
        nested = {each for path in focus for root in roots for each in discovery.above(path, root)} - set(roots)
        # deepest first is nearest first, and does not depend on the order in which files came into focus
        ordered = sorted(nested, key=lambda path: (-len(path.parts), str(path)))[:MAX_DIRECTORIES]
        found = [each for directory in ordered for each in discovery.in_directory(directory, is_root=False)]
        for root in roots:
            found += discovery.in_directory(root, is_root=True)
        named = discovery.configured(self._configured(), roots[0], self._environ)
        found += [Found(path, *self._scope_of(path, roots)) for path in named]
        found += [Found(path, "user") for path in self._own if path.is_file()]
        unique: dict[Path, Found] = {}
        for each in found:
            unique.setdefault(resolved(each.path), each)
        return list(unique.values())

    def _scope_of(self, path: Path, roots: Sequence[Path]) -> tuple[str, Path | None]:
        """A configured path into a project names a file of the project: whoever wrote it is not the user."""
        real = resolved(path)
        root = next((root for root in roots if real.is_relative_to(root)), None)
        return ("project", root) if root is not None else ("configured", None)

    def _is_admitted(self, found: Found) -> bool:
        return found.scope != "project" or self._admits(resolved(found.path))

    # ----------------------------------------------------------------------------------------------------- reading

    async def _read(self, found: Found, admitted: bool, focus: Sequence[Path], *, inspect: bool) -> RuleFile | None:
        file = RuleFile(found.path, self._shown(found), found.scope, active=False, applies=self._applies(found))
        if not admitted and not inspect:
            return replace(file, problem=UNTRUSTED)
        try:
            own = found.scope != "project"
            raw = await (read_own(found.path) if own else read_project(self._workspace, found.path))
        except FileUnreadable as error:
            return None if error.reason == "missing" else replace(file, problem=f"cannot be read: {error.reason}")
        return _judged(file, raw, admitted=admitted, fits=partial(self._fits, found, focus))

    def _fits(self, found: Found, focus: Sequence[Path], globs: Sequence[str]) -> bool:
        """Whether one of the files in focus is among those that a rule with `globs` is about."""
        from pathspec import GitIgnoreSpec

        base = found.directory or found.path.parent
        try:
            spec = GitIgnoreSpec.from_lines(globs)
        except ValueError:
            return False
        names = [path.relative_to(base).as_posix() for path in focus if path.is_relative_to(base)]
        return any(spec.match_file(name) for name in names)

    def _root_of(self, found: Found) -> Path | None:
        if found.directory is None:
            return None
        return next((root for root in self._workspace.roots if found.directory.is_relative_to(root)), None)

    def _shown(self, found: Found) -> str:
        root = self._root_of(found)
        if root is not None and found.path.is_relative_to(root):
            name = found.path.relative_to(root).as_posix()
            return name if root == self._workspace.roots[0] else f"{root.name}/{name}"
        home = Path(self._environ.get("HOME") or "/nonexistent")
        return f"~/{found.path.relative_to(home)}" if found.path.is_relative_to(home) else str(found.path)

    def _applies(self, found: Found) -> str:
        root = self._root_of(found)
        if root is None or found.directory is None:
            return ""
        parts = [root.name] if len(self._workspace.roots) > 1 else []
        return "".join([f"{part}/" for part in (*parts, *found.directory.relative_to(root).parts)])


def _judged(file: RuleFile, raw: str, *, admitted: bool, fits: Callable[[Sequence[str]], bool]) -> RuleFile:
    """What becomes of a file that could be read."""
    unread = ""
    try:
        head = _head_of(file.path, raw)
    except FrontMatterError as error:
        head, unread = FrontMatter(raw.removeprefix("\ufeff")), str(error)
    text, was_cut = cut(clean(head.body).strip())
    file = replace(file, text=text, tokens=tokens(text))
    found = hidden_characters(raw)
    problem = f"holds characters that cannot be seen ({', '.join(found[:8])})" if found else ""
    if not admitted:
        return _left_out(file, "; ".join([part for part in (UNTRUSTED, problem) if part]))
    if problem and file.scope == "project":
        return _left_out(file, problem)
    if not text:
        return _left_out(file, "is empty")
    if reason := unread or _not_now(head, fits):
        return _left_out(file, reason)
    if was_cut:
        problem = "; ".join(
            [part for part in (problem, f"only its first {MAX_FILE_BYTES // 1024} KiB are used") if part]
        )
    return replace(file, active=True, problem=problem)


def _head_of(path: Path, raw: str) -> FrontMatter:
    """Only rules of Cursor have a head that means something. Raises: FrontMatterError."""
    is_cursors = path.suffix.casefold() == ".mdc"
    return split(raw) if is_cursors else FrontMatter(raw.removeprefix("\ufeff"))


def _not_now(head: FrontMatter, fits: Callable[[Sequence[str]], bool]) -> str:
    """Why a rule of Cursor does not count for what the user works on; empty when it does."""
    if not head.present or head.flag("alwaysApply", default=False):
        return ""
    globs = head.texts("globs")
    if globs:
        return "" if fits(globs) else f"is about {clean(', '.join(globs))[:200]}"
    return "" if head.text("description") else "is given only when it is mentioned"


def _left_out(file: RuleFile, problem: str) -> RuleFile:
    return replace(file, active=False, problem=problem, tokens=0, text="")


def _without_repeats(files: Iterable[RuleFile]) -> list[RuleFile]:
    seen: dict[bytes, str] = {}
    result: list[RuleFile] = []
    for file in files:
        if file.active:
            key = hashlib.sha256(file.text.encode("utf-8", "replace")).digest()
            if key in seen:
                file = _left_out(file, f"has the same text as {seen[key]}")
            else:
                seen[key] = file.name
        result.append(file)
    return result


def within(files: Sequence[RuleFile], room: int) -> list[RuleFile]:
    """What fits into `room` tokens: the user's own first, then the nearest."""
    result = list(files)
    order = sorted(range(len(result)), key=lambda at: (result[at].scope == "project", at))
    for at in order:
        file = result[at]
        if not file.active:
            continue
        if file.tokens > room:
            whole = file.tokens
            text, _ = cut(file.text, max(room, 0) * _CHARS_PER_TOKEN) if room >= _LEAST_TOKENS else ("", True)
            note = f"no room: {tokens(text)} of {whole} tokens are given" if text else f"no room for its {whole} tokens"
            problem = "; ".join([part for part in (file.problem, note) if part])
            file = replace(file, text=text, tokens=tokens(text), problem=problem) if text else _left_out(file, problem)
            result[at] = file
        room -= file.tokens
    return result


def tokens(text: str) -> int:
    """An estimate: a token is four characters."""
    return -(-len(text) // _CHARS_PER_TOKEN)


def rules_block(files: Sequence[RuleFile]) -> str:
    """The block of the system prompt; empty when there is none. The same files make the same text."""
    active = [file for file in files if file.active]
    if not active:
        return ""
    blocks = [_INTRODUCTION]
    for file in active:
        applies = f' applies_to="{attribute(file.applies)}"' if file.applies else ""
        mark = f'<rule_file path="{attribute(file.name)}"{applies}>'
        blocks.append(f"{mark}\n{inner(file.text)}\n</rule_file>")
    return "<rules>\n" + "\n".join(blocks) + "\n</rules>"
