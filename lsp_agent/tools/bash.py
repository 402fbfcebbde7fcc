"""`bash`: run a shell command in the workspace, inside the best sandbox this machine has."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from lsp_agent.domain.errors import ToolError, WorkspaceError
from lsp_agent.ports.approver import PermissionAsk
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import ToolContext, ToolResult
from lsp_agent.ports.workspace import Place
from lsp_agent.shell import display
from lsp_agent.shell.jobs import Job, Jobs
from lsp_agent.shell.output import clean
from lsp_agent.tools.arguments import number_argument, object_schema, text_argument
from lsp_agent.tools.gate import refusal
from lsp_agent.tools.job_text import job_metadata, job_text
from lsp_agent.tools.reaching import Allows, CommandHosts

DEFAULT_BACKGROUND_S = 60
_MAX_BACKGROUND_S = 3600
_FAST_FAILURE_S = 1.0
_MAX_DESCRIPTION_CHARS = 200
_MAX_NAMED_FILE_BYTES = 10 << 20


class Judgement(Protocol):
    """What the policy thinks of a command (`policy.shell.Judgement`)."""

    @property
    def effect(self) -> str: ...
    @property
    def pattern(self) -> str | None: ...
    @property
    def broad(self) -> bool: ...
    @property
    def paths(self) -> Sequence[str]: ...
    @property
    def words(self) -> Sequence[Sequence[str]]: ...


class Bash:
    """One command, a fresh shell each: nothing of it stays for the next but what it wrote.

    `allows`: whether a host may be reached without a question; for commands in the background, which ask nothing.
    """

    kind = "execute"
    parallel = False
    read_only = False

    def __init__(
        self, jobs: Jobs, judge: Callable[[str], Judgement], *, allows: Allows = lambda run, mode, ask: False
    ) -> None:
        self._jobs = jobs
        self._allows = allows
        self._judge = judge
        self.spec = ToolSpec(name="bash", description=_DESCRIPTION, input_schema=_SCHEMA)

    def title(self, arguments: Mapping[str, Any]) -> str:
        return f"Run {display.one_line(text_argument(arguments, 'command', '…'), 80)}"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        command = _checked(text_argument(arguments, "command"))
        cwd = _directory(context, text_argument(arguments, "working_dir"))
        description = clean(text_argument(arguments, "description"))[:_MAX_DESCRIPTION_CHARS]
        judgement = self._judge(command)
        before = await asyncio.to_thread(_fingerprint, judgement, cwd.path)
        ask = await self._ask(command, cwd, description, judgement, before, context)
        decision = await context.approver.ask(context.run, context.call.tool_call_id, context.mode, ask)
        if not decision.allowed:
            return refusal(decision)
        if await asyncio.to_thread(_fingerprint, judgement, cwd.path) != before:
            raise ToolError("A file that this command names changed while permission was asked. Run it again.")
        job = await self._jobs.start(
            command,
            cwd=cwd.path,
            run=context.run,
            tool_call_id=context.call.tool_call_id,
            description=description,
            reading=judgement.effect == "allow" and not decision.asked,
            asker=CommandHosts(self.spec.name, command, context, self._allows),
        )
        return await self._wait(job, arguments)

    async def _ask(
        self, command: str, cwd: Place, description: str, judgement: Judgement, files: str, context: ToolContext
    ) -> PermissionAsk:
        tier = await self._jobs.sandbox.tier()
        if judgement.broad and tier == "bubblewrap" and not await self._jobs.sandbox.cover():
            tier = "landlock"  # some secrets may not be hidden: what reads widely asks, as it does there
        shown, hidden = display.visible(command)
        subject: dict[str, Any] = {"type": "command", "command": command, "cwd": str(cwd.path), "sandbox": tier}
        if shown != command:
            subject |= {"shown": shown, "bytes": len(command.encode("utf-8")), "hiddenCharacters": hidden}
        return PermissionAsk(
            tool=self.spec.name,
            action="execute",
            title=f"Run {display.one_line(command)}{' (contains hidden characters)' if hidden else ''}",
            subject=subject,
            path=str(cwd.path),
            inside_workspace=cwd.inside and _all_inside(judgement.paths, cwd, context),
            description=f"The model says: {description}" if description else None,
            pattern=_pattern(judgement, cwd, files),
        )

    async def _wait(self, job: Job, arguments: Mapping[str, Any]) -> ToolResult:
        """Until it ends, or until it is time to let it go on in the background. A cancel ends its whole tree.

        While it waits for the user's answer about a host, its time does not run.
        """
        in_background = arguments.get("run_in_background") is True
        limit = number_argument(arguments, "auto_background_after", DEFAULT_BACKGROUND_S)
        patience = _FAST_FAILURE_S if in_background else float(min(max(limit, 1), _MAX_BACKGROUND_S))
        try:
            while not await _ends_within(job, patience) and job.asking:
                await job.answered()
            if job.ended is not None:
                return ToolResult(job_text(job), metadata=job_metadata(job))
            self._jobs.to_background(job)
            return ToolResult(
                f"The command goes on in the background as {job.job_id}. Read it with job_output, end it with job_kill."
                f"\n\nOutput so far:\n{job_text(job)}",
                metadata=job_metadata(job),
            )
        except asyncio.CancelledError:
            self._jobs.abandon(job)
            await job.done.wait()
            raise


_SCHEMA = object_schema(
    {
        "command": {"type": "string", "description": "The command, for bash."},
        "description": {"type": "string", "description": "What it does, in a few words (30 characters), for the user."},
        "working_dir": {"type": "string", "description": "Where to run it; the first workspace root by default."},
        "run_in_background": {
            "type": "boolean",
            "description": "Return after a second and let it go on: servers, watchers.",
        },
        "auto_background_after": {
            "type": "integer",
            "description": f"Seconds until it goes on in the background if it still runs ({DEFAULT_BACKGROUND_S}).",
        },
    },
    ["command", "description"],
)
_DESCRIPTION = (
    "Run a command with bash. Every call is a fresh shell in `working_dir`: variables, functions and `cd` do not last. "
    "Nothing can be typed into it; pagers, editors and prompts are off. Plain commands that only read (ls, git status, "
    "git diff, rg, cat) run at once, others ask the user; keep those short and free of variables and substitutions. "
    "There is no network but the proxy of the environment (git, pip, npm, cargo use it), for domains the user "
    "grants: the command waits while the user is asked, and its output names what was refused. Protected files "
    "(.git/hooks, editor and agent settings) cannot be changed, and files that hold secrets (.env, keys) look empty. "
    "Use view, grep, glob, edit and write for files rather than cat, sed and echo. Of long output the first and last "
    "15,000 characters are kept. What a command leaves running ends with it; for a server use `run_in_background`. "
    f"What takes longer than `auto_background_after` seconds ({DEFAULT_BACKGROUND_S}) goes on in the background."
)


def _checked(command: str) -> str:
    if not command.strip():
        raise ToolError("command is empty.")
    if "\0" in command:
        raise ToolError("command holds a NUL character.")
    try:
        command.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ToolError("command is not valid text.") from error
    if len(command) > 100_000:
        raise ToolError("command is too long; write a script and run that.")
    return command


async def _ends_within(job: Job, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await job.done.wait()
    except TimeoutError:
        return False
    return True


def _directory(context: ToolContext, text: str) -> Place:
    place = context.workspace.place(text or str(context.workspace.roots[0]))
    if not place.path.is_dir():
        raise ToolError(f"{place.shown} is not a directory.")
    return place


def _all_inside(paths: Sequence[str], cwd: Place, context: ToolContext) -> bool:
    """Whether every path the command reads really lies below a root, symlinks followed."""
    try:
        return all(context.workspace.place(str(cwd.path / path)).inside for path in paths if path)
    except WorkspaceError:
        return False


def _pattern(judgement: Judgement, cwd: Place, files: str) -> str | None:
    """What a grant covers: this command, in this directory, with the files it names as they are now."""
    if judgement.pattern is None:
        return None
    where = "" if cwd.root is not None and cwd.path == cwd.root else f" (in {cwd.shown})"
    return f"{judgement.pattern}{where}{f' (files {files})' if files else ''}"


def _fingerprint(judgement: Judgement, cwd: Path) -> str:
    """A short hash of the files a command that does more than read names: a script must be the one that was shown."""
    if judgement.effect == "allow":
        return ""
    digest = hashlib.sha256()
    found = False
    for argv in judgement.words:
        for word in argv:
            path = cwd / word
            try:
                if not word or not path.is_file() or path.stat().st_size > _MAX_NAMED_FILE_BYTES:
                    continue
                digest.update(word.encode("utf-8") + b"\0" + hashlib.sha256(path.read_bytes()).digest())
            except (OSError, ValueError):
                continue
            found = True
    return digest.hexdigest()[:12] if found else ""
