"""The commands of one workspace as jobs: started, watched, read, ended. Also what `agent/terminal/*` answers from.

A job belongs to the session whose model started it. It says what happens by events: `terminal_update` when it starts
and when it ends, `terminal_output_chunk` in between. Knows nothing of permission: whoever starts one has asked.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import RequestRejected, ToolError
from lsp_agent.domain.run import Run
from lsp_agent.ports.clock import Clock
from lsp_agent.ports.events import Events
from lsp_agent.shell.outlet import HostAsker, Outlet, Outlets, receive_listener
from lsp_agent.shell.output import Kept
from lsp_agent.shell.sandbox import Confined, Sandbox
from lsp_agent.shell.spawner import Ended, Running, Spawner

_log = logging.getLogger(__name__)

MAX_JOBS = 50
KEEP_S = 8 * 3600.0
LIVE_CHARS = 200_000
"""Sent as live output of one job; the rest is read with `agent/terminal/read`."""
_LAST_ID = 0xFFF
_CLOSE_S = 2.7


@dataclass(slots=True, eq=False)
class Job:
    """One command, running or ended."""

    job_id: str
    """Three upper-case hexadecimal digits; also the `terminalId`."""
    session_id: str
    tool_call_id: str
    command: str
    description: str
    cwd: Path
    started_at_ms: int
    run: Run | None
    """The run its events belong to; None once it is in the background."""
    out: Kept = field(default_factory=Kept)
    err: Kept = field(default_factory=Kept)
    both: Kept = field(default_factory=Kept)
    """Both, in the order they came."""
    ended_at_ms: int = 0
    ended_at_s: float = 0.0
    ended: Ended | None = None
    set_aside: list[str] = field(default_factory=list)
    """Protected places it made, by the names they have now."""
    done: asyncio.Event = field(default_factory=asyncio.Event)
    background: bool = False
    _live_left: int = LIVE_CHARS
    _running: Running | None = None
    _task: "asyncio.Task[None] | None" = None
    _outlet: Outlet | None = None

    @property
    def asking(self) -> bool:
        """Whether it waits for the user's answer about a host it wants to reach."""
        return self._outlet is not None and self._outlet.asking

    async def answered(self) -> None:
        """Wait until it asks nothing; bounded."""
        if self._outlet is not None:
            await self._outlet.answered()

    @property
    def status(self) -> str:
        """`running`, `completed` or `killed`."""
        if self.ended is None:
            return "running"
        return "killed" if self.ended.why else "completed"

    def ask_to_stop(self) -> None:
        """End its whole tree: TERM now, KILL within two seconds. Returns at once."""
        if self._running is not None:
            self._running.ask_to_stop()


class Jobs:
    """The jobs of a workspace. `close` ends them all."""

    def __init__(
        self,
        *,
        spawner: Spawner,
        sandbox: Sandbox,
        events: Events,
        clock: Clock,
        max_jobs: int = MAX_JOBS,
        keep_s: float = KEEP_S,
        outlets: Outlets | None = None,
    ) -> None:
        self.sandbox = sandbox
        self._spawner = spawner
        self._events = events
        self._clock = clock
        self._outlets = outlets
        self._max_jobs = max_jobs
        self._keep_s = keep_s
        self._jobs: dict[str, Job] = {}
        self._last_id = 0
        self._closed = False

    async def start(
        self,
        command: str,
        *,
        cwd: Path,
        run: Run,
        tool_call_id: str,
        description: str = "",
        reading: bool = False,
        asker: HostAsker | None = None,
    ) -> Job:
        """Start a command. Returns when it has been handed to its supervisor.

        `asker`: how to ask for hosts it wants to reach; None = only those the configuration names.
        Raises: ToolError when there are too many, or none can be started.
        """
        self._make_room()
        job = Job(
            self._next_id(), run.session_id, tool_call_id, command, description, cwd, self._clock.now_ms(), run=run
        )
        self._jobs[job.job_id] = job
        try:
            if self._outlets is not None and not reading:
                job._outlet = self._outlets.open(asker, lambda line: self._say(job, "stderr", f"lsp-agent: {line}\n"))
            confined = await self.sandbox.confine(command, cwd=cwd, reading=reading, outlet=job._outlet is not None)
            try:
                job._running = await self._spawner.start(confined.order, lambda name, text: self._say(job, name, text))
            except BaseException:
                await asyncio.shield(self.sandbox.release(confined))
                raise
        except OSError as error:
            del self._jobs[job.job_id]
            raise ToolError(f"The command could not be started: {error}") from error
        except BaseException:
            del self._jobs[job.job_id]
            raise
        self._announce(job)
        job._task = asyncio.create_task(self._follow(job, job._running, confined), name=f"job {job.job_id}")
        if self._closed:
            job.ask_to_stop()
        return job

    def get(self, session_id: str, job_id: str) -> Job | None:
        """The session's job; None for one that is unknown, forgotten, or another session's."""
        self._forget_old()
        job = self._jobs.get(job_id.strip().upper())
        return job if job is not None and job.session_id == session_id else None

    def to_background(self, job: Job) -> None:
        """It goes on by itself; from now on its events belong to no run, and it asks nothing."""
        if job._outlet is not None:
            job._outlet.stop_asking()
        job.background = True
        job.run = None

    def abandon(self, job: Job) -> None:
        """End it for a run that is being cancelled, and may be over before the last process is gone."""
        if job._outlet is not None:
            job._outlet.stop_asking()
        job.run = None
        job.ask_to_stop()

    async def stop(self, job: Job) -> None:
        """End it and wait until its tree is gone. Bounded; a second caller waits for the same end."""
        if job._running is not None and job.ended is None:
            await job._running.stop()
        await job.done.wait()

    async def end_session(self, session_id: str) -> None:
        """End and forget every job of a session that is deleted."""
        mine = [job for job in self._jobs.values() if job.session_id == session_id]
        for job in mine:
            job.ask_to_stop()
        for job in mine:
            await self.stop(job)
            self._jobs.pop(job.job_id, None)

    async def close(self) -> None:
        """End all jobs. Bounded (2.7 s); may be called twice."""
        self._closed = True
        running = [job for job in self._jobs.values() if job.ended is None]
        for job in running:
            job.ask_to_stop()
        tasks = [job._task for job in running if job._task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_S)

    # -------------------------------------------------------------------------------------------- agent/terminal/*

    def terminals(self, session_id: str) -> dict[str, Any]:
        """`agent/terminal/list`: `{"terminals": [TerminalInfo]}`, newest first."""
        self._forget_old()
        mine = [_info(job) for job in self._jobs.values() if job.session_id == session_id]
        return {"terminals": mine[::-1]}

    def read_terminal(self, session_id: str, terminal_id: str, offset: int = 0) -> dict[str, Any]:
        """`agent/terminal/read`: TerminalInfo and `{"text", "offset", "nextOffset", "truncated"}`.

        Offsets count characters of the whole output; `offset` in the answer is where `text` really begins, later
        than asked for when the middle was not kept. Raises: RequestRejected(InvalidParams).
        """
        job = self._known(session_id, terminal_id)
        text, start = job.both.since(offset)
        truncated = start > max(offset, 0) or (start == 0 and job.both.cut)
        more = {"text": text, "offset": start, "nextOffset": job.both.chars, "truncated": truncated}
        return {**_info(job), **more}

    def kill_terminal(self, session_id: str, terminal_id: str) -> dict[str, Any]:
        """`agent/terminal/kill`: `{"killed": bool}`; the end follows as an event. Raises: RequestRejected."""
        job = self._known(session_id, terminal_id)
        was_running = job.ended is None
        job.ask_to_stop()
        return {"killed": was_running}

    def _known(self, session_id: str, terminal_id: str) -> Job:
        job = self.get(session_id, terminal_id)
        if job is None:
            raise RequestRejected("InvalidParams", "There is no such terminal in this session.", path="terminalId")
        return job

    # --------------------------------------------------------------------------------------------------- inside

    def _make_room(self) -> None:
        self._forget_old()
        running = [job for job in self._jobs.values() if job.ended is None]
        if len(running) >= self._max_jobs or self._closed:
            raise ToolError(f"{len(running)} commands are running already. End one with job_kill first.")
        ended = [job for job in self._jobs.values() if job.ended is not None]
        for job in ended[: max(len(self._jobs) - self._max_jobs + 1, 0)]:
            del self._jobs[job.job_id]

    def _forget_old(self) -> None:
        now = self._clock.monotonic_s()
        for job in list(self._jobs.values()):
            if job.ended is not None and now - job.ended_at_s > self._keep_s:
                del self._jobs[job.job_id]

    def _next_id(self) -> str:
        while True:
            self._last_id = self._last_id % _LAST_ID + 1
            name = f"{self._last_id:03X}"
            if name not in self._jobs:
                return name

    def _say(self, job: Job, name: str, text: str) -> None:
        if not text:
            return
        (job.out if name == "stdout" else job.err).add(text)
        job.both.add(text)
        if job._live_left <= 0:
            return
        shown = text[: job._live_left]
        job._live_left -= len(text)
        if job._live_left <= 0:
            shown += "\n… [live output ends here; the rest is kept] …\n"
        self._events.chunk(job.session_id, job.run, "terminal_output_chunk", job.job_id, shown)

    async def _follow(self, job: Job, running: Running, confined: Confined) -> None:
        """Wait for the end, take the sandbox down, tell everybody."""
        opening = asyncio.create_task(_open_outlet(job._outlet, running), name=f"outlet of job {job.job_id}")
        try:
            ended = await running.ended
            await _close_outlet(job._outlet, opening)
            job.set_aside = await self.sandbox.release(confined)
        except OSError as error:
            _log.error("clean-up after a command: %s", type(error).__name__)
            ended = Ended(1, why="lost")
        job.ended, job.ended_at_ms, job.ended_at_s = ended, self._clock.now_ms(), self._clock.monotonic_s()
        self._announce(job)
        job.done.set()

    def _announce(self, job: Job) -> None:
        self._events.durable(job.session_id, job.run, {"sessionUpdate": "terminal_update", **_info(job)})


async def _open_outlet(outlet: Outlet | None, running: Running) -> None:
    """Let `outlet` accept for the command, as soon as its listening socket has come."""
    channel = running.take_outlet()
    if channel is None or outlet is None:
        return
    listener = await receive_listener(channel)
    if listener is not None:
        await outlet.serve(listener)


async def _close_outlet(outlet: Outlet | None, opening: "asyncio.Task[None]") -> None:
    opening.cancel()
    await asyncio.wait([opening])
    if not opening.cancelled() and (error := opening.exception()) is not None:
        _log.warning("the way out of a command could not be opened: %s", type(error).__name__)
    if outlet is not None:
        await outlet.close()


def _info(job: Job) -> Mapping[str, Any]:
    return {
        "terminalId": job.job_id,
        "toolCallId": job.tool_call_id,
        "command": job.command,
        "cwd": job.cwd.as_uri(),
        "status": job.status,
        "exitCode": job.ended.exit_code if job.ended is not None else None,
        "background": job.background,
    }
