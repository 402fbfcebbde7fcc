"""What a turn adds to the system prompt: rules, skills, instructions of MCP servers, the state of git; and what the
model is told of the rules of folders that it enters later.

Read once when a turn begins, within a bound, and never the reason for a turn to fail. What changes least comes first
and git last. What is known of git is kept for a session as long as the provider's prompt cache is likely to be warm: a
system prompt that differs by one line makes the whole conversation be paid for again.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lsp_agent.context.entering import Entered
from lsp_agent.context.escaping import attribute, inner, stable_nonce
from lsp_agent.context.git import Git, GitState, git_block
from lsp_agent.context.reading import cut
from lsp_agent.context.rules import RuleFile, Rules, rules_block, tokens, within
from lsp_agent.context.skills import Skill, Skills, skills_block
from lsp_agent.domain.errors import WorkspaceError
from lsp_agent.domain.run import Run
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import Events, Update
from lsp_agent.ports.threads import InThread
from lsp_agent.ports.workspace import Workspace
from lsp_agent.untrusted import clean, fence

_log = logging.getLogger(__name__)

T = TypeVar("T")
BOUND_S = 3.0
ENTER_S = 1.0
"""For the rules of folders that are entered: a tool's result waits for them."""
INSTRUCTION_BYTES = 8 * 1024
MAX_SERVERS = 20
WARM_S = 300.0
"""After a pause this long the providers' prompt caches are cold: what is known of git may be read anew for nothing."""
_REAP_S = 0.2
_SESSIONS = 256
_FOCUS = 32
_SERVERS_INTRODUCTION = (
    "What MCP servers say of their own tools. It helps to use those tools and is good for nothing else."
)

Instructions = Callable[[], Sequence[tuple[str, str]]]
"""Server and text, of the servers that are connected now."""


def no_instructions() -> Sequence[tuple[str, str]]:
    """There are no MCP servers."""
    return ()


@dataclass(slots=True)
class _Memory:
    """What is remembered of a session, in this process only."""

    focus: dict[Path, None] = field(default_factory=dict)
    """Files it was about, in the order they came."""
    told: tuple[Any, ...] | None = None
    """The rules and problems the user was told of."""
    entered: Entered = field(default_factory=Entered)
    given: Sequence[RuleFile] = ()
    """What became of the rules when the last turn began: those in its prompt, and why not the others."""
    skills: Sequence[Skill] = ()
    others_tokens: int = 0
    """Of that prompt, what is not rules."""
    git: list[GitState] | None = None
    mark: tuple[object, ...] = ()
    seen_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found for one turn."""

    rules: Sequence[RuleFile] | None
    """None = they could not be read in time."""
    skills: Sequence[Skill]
    git: Sequence[GitState]


class TurnContext:
    """Makes the blocks. `focus`: files the user looks at now, the focused one first."""

    def __init__(
        self,
        *,
        workspace: Workspace,
        rules: Rules,
        skills: Skills,
        git: Git,
        events: Events,
        clock: Clock,
        focus: Callable[[], Sequence[Path]] = lambda: (),
        instructions: Instructions = no_instructions,
        bound_s: float = BOUND_S,
        in_thread: InThread = asyncio.to_thread,
    ) -> None:
        self._in_thread = in_thread
        self._workspace = workspace
        self._rules = rules
        self._skills = skills
        self._git = git
        self._events = events
        self._clock = clock
        self._focus = focus
        self._instructions = instructions
        self._bound_s = bound_s
        self._secret = secrets.token_bytes(16)
        self._memories: dict[str, _Memory] = {}

    async def blocks(self, run: Run) -> Sequence[str]:
        """The blocks for one turn, in a fixed order. Bounded, raises nothing; what is missing is told in a notice."""
        memory = self._memory(run.session_id)
        problems: list[str] = []
        found = await self._find(run, memory, problems)
        rules = memory.entered.for_prompt(found.rules) if found.rules is not None else ()
        blocks, memory.given = self._render(found, rules, memory.entered.in_force)
        memory.skills = found.skills
        memory.others_tokens = sum([tokens(block) for block in blocks]) - _spent(memory.given)
        self._tell(run, memory, problems)
        return blocks

    async def for_child(self, run: Run) -> Sequence[str]:
        """The blocks for a sub-agent of this run, with all the run was told meanwhile. Uses nothing up."""
        found = await self._find(run, self._memory(run.session_id), [])
        return self._render(found, found.rules or (), ())[0]

    async def touched(self, run: Run, paths: Sequence[Path], called_by: Run | None = None) -> None:
        """The model has seen or changed these files (real paths): rules for them count from its next step on.

        `called_by`: in a sub-agent, the run whose rules its prompt holds. Bounded (`ENTER_S`), raises nothing.
        """
        memory = self._memory(run.session_id)
        caller = self._memories.get(called_by.session_id) if called_by is not None else None
        for path in paths:
            if not memory.entered.is_new(path):
                continue
            known = [*_in_force(memory), *(_in_force(caller) if caller is not None else ())]
            try:
                async with asyncio.timeout(ENTER_S):
                    found = await self._rules.look([path], known={file.path for file in known})
            except (TimeoutError, OSError) as error:
                memory.entered.look_again(path)
                _log.warning("the rules of a folder could not be read: %s", type(error).__name__)
                continue
            room = self._rules.max_tokens - memory.others_tokens - _spent(known)
            texts = {file.text for file in known}
            if memory.entered.take(path, within([file for file in found if file.text not in texts], room)):
                memory.given = [*memory.given, *[file for file in found if _is_kept_back(file, memory.given)]]
                self._tell(run, memory, ())

    def notes(self, session_id: str) -> str:
        """What the model is to be told before its next step; given once. Empty when there is nothing."""
        memory = self._memories.get(session_id)
        return memory.entered.note() if memory is not None else ""

    def heard(self, session_id: str, update: Update) -> None:
        """An event of a session (`ports.events.EventListener`): when its conversation is cut, what it held is lost."""
        kind = update.get("sessionUpdate")
        is_shorter = kind == "compaction_update" and update.get("status") == "completed"
        is_other = kind == "session_info_update" and "lastMessageId" in update  # went back to a checkpoint
        memory = self._memories.get(session_id)
        if memory is not None and (is_shorter or is_other):
            memory.entered.forget()

    # ------------------------------------------------------------------------------------------------------ parts

    async def _find(self, run: Run, memory: _Memory, problems: list[str]) -> "_Found":
        focus = [*self._in_focus(run, memory), *memory.entered.paths]
        rules, skills, git = await self._gather(
            problems,
            ("rules", self._rules.look(list(dict.fromkeys(focus)))),
            ("skills", self._skills.find()),
            ("git", self._git_states(memory)),
        )
        return _Found(rules, skills or (), git or ())

    def _render(
        self, found: "_Found", rules: Sequence[RuleFile], told: Sequence[RuleFile]
    ) -> tuple[list[str], list[RuleFile]]:
        """The blocks, and the rules as far as there is room beside those that were `told`."""
        # skills and servers have a quarter of the room each at most; rules have what those leave
        room = self._rules.max_tokens
        others = [skills_block(found.skills, room), self._servers_block(room)]
        given = within(rules, room - _spent(told) - sum([tokens(block) for block in others]))
        blocks = [rules_block(given), *others, git_block(found.git)]
        return [block for block in blocks if block], given

    async def _gather(self, problems: list[str], *works: tuple[str, Awaitable[Any]]) -> list[Any]:
        """The results in order; None for one that failed or was late. A cancellation passes through."""
        tasks = {name: asyncio.ensure_future(work) for name, work in works}
        try:
            await asyncio.wait(tasks.values(), timeout=self._bound_s)
        finally:
            late = [task for task in tasks.values() if not task.done()]
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=_REAP_S)
        return [_result(name, task, problems) for name, task in tasks.items()]

    def _in_focus(self, run: Run, memory: _Memory) -> list[Path]:
        """Files the session was about so far. They only come to be more, so that the prompt's start stays the same."""
        named = [part.uri for part in run.attachments if part.uri and part.uri[:5].casefold() == "file:"]
        for path in (*[self._path_of(uri) for uri in named], *self._focus()):
            if path is not None and len(memory.focus) < _FOCUS:
                memory.focus[path] = None
        return list(memory.focus)

    def _path_of(self, uri: str) -> Path | None:
        try:
            place = self._workspace.place(uri)
        except WorkspaceError:
            return None
        return place.path if place.inside else None

    async def _git_states(self, memory: _Memory) -> list[GitState]:
        now = self._clock.monotonic_s()
        mark = await self._in_thread(self._git.fingerprint)
        is_warm = memory.git is not None and now - memory.seen_s < WARM_S and mark == memory.mark
        memory.seen_s = now
        if not is_warm or memory.git is None:
            memory.git, memory.mark = None, mark
            memory.git = await self._git.states()
        return memory.git

    def _servers_block(self, room_chars: int) -> str:
        texts: list[str] = []
        for server, text in list(self._instructions())[:MAX_SERVERS]:
            body, was_cut = cut(inner(text).strip(), min(INSTRUCTION_BYTES, max(room_chars, 0)))
            room_chars -= len(body)
            if body:
                body += "\n[cut here]" if was_cut else ""
                texts.append(
                    fence(
                        body,
                        f"instructions of the MCP server {attribute(server, 60)}",
                        stable_nonce(self._secret, body),
                    )
                )
        if not texts:
            return ""
        return "<mcp_instructions>\n" + "\n".join([_SERVERS_INTRODUCTION, *texts]) + "\n</mcp_instructions>"

    # ----------------------------------------------------------------------------------------------------- telling

    def _tell(self, run: Run, memory: _Memory, problems: Sequence[str]) -> None:
        """One notice when the rules in force, or what is wrong with them, are others than the user was told."""
        rules = [*memory.entered.in_force, *memory.given]
        active = [file for file in rules if file.active]
        problems = [*problems, *_problems(rules, memory.skills)]
        told = (tuple([(file.name, file.problem) for file in active]), tuple(problems))
        if told == memory.told or (memory.told is None and not any(told)):
            return
        memory.told = told
        spent = _spent(active)
        names = ", ".join([file.name for file in active])
        lines = [f"Rules in force: {names} ({spent} tokens)." if active else "No rules are in force.", *problems]
        update = {
            "sessionUpdate": "notice",
            "level": "warning" if problems else "info",
            "code": "rules",
            "message": clean(" ".join(lines))[:2000],
            "files": [file.to_wire() for file in active],
            "tokens": spent,
            "contextTokens": memory.others_tokens + spent,
        }
        self._events.durable(run.session_id, run, update)

    def _memory(self, session_id: str) -> _Memory:
        """The session's memory, moved to the end: the ones used longest ago are forgotten."""
        memory = self._memories.pop(session_id, None) or _Memory()
        self._memories[session_id] = memory
        if len(self._memories) > _SESSIONS:
            del self._memories[next(iter(self._memories))]
        return memory


def _in_force(memory: _Memory) -> list[RuleFile]:
    return [*memory.entered.in_force, *[file for file in memory.given if file.active]]


def _is_kept_back(file: RuleFile, known: Sequence[RuleFile]) -> bool:
    """It is not in force, and nobody has said so."""
    return not file.active and all(file.path != other.path for other in known)


def _spent(files: Sequence[RuleFile]) -> int:
    return sum([file.tokens for file in files if file.active])


def _problems(rules: Sequence[RuleFile], skills: Sequence[Skill]) -> list[str]:
    """What the author of a file should know: hidden characters, no room, a broken skill. Not what is as intended."""
    quiet = (
        "its folder is not trusted",
        "is about ",
        "is given only",
        "has the same text",
        "is empty",
        "is switched off",
    )
    found = [f"{file.name}: {file.problem}." for file in rules if file.problem and not file.problem.startswith(quiet)]
    found += [f"skill {skill.name}: {skill.problem}." for skill in skills if _is_worth_telling(skill, quiet)]
    waiting = [file.name for file in rules if file.problem.startswith(quiet[0])]
    if waiting:
        found.insert(0, f"Not obeyed until you trust this folder: {', '.join(waiting[:5])}.")
    return found[:20]


def _is_worth_telling(skill: Skill, quiet: tuple[str, ...]) -> bool:
    return bool(skill.problem) and not skill.problem.startswith((*quiet, "is hidden by"))


def _result(name: str, task: "asyncio.Future[T]", problems: list[str]) -> T | None:
    if not task.done() or task.cancelled():
        problems.append(f"The {name} were not read in time." if name != "git" else "git did not answer in time.")
        return None
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, TimeoutError):
        problems.append("git did not answer in time.")
    else:
        _log.error("%s could not be read: %s", name, type(error).__name__, exc_info=error)
        problems.append(f"The {name} could not be read.")
    return None
