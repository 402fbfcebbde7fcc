"""One server and the task that owns it: started in the background, kept alive, its calls made (CORE 27).

The owner task enters and leaves every connection. Everybody else looks at `state` and `tools`, which never wait, or
makes a request, which waits only for itself. Three failures in a minute break the circuit: the server is ended and left
alone for a while, then tried once (RELIABILITY MC-09).
"""

import asyncio
import logging
import shlex
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from lsp_agent.mcp.confine import Program
from lsp_agent.mcp.connect import Connected, ConnectFailed, Connector
from lsp_agent.mcp.entry import Entry, EntryProblem, fingerprint
from lsp_agent.mcp.link import CallFailed, Link
from lsp_agent.mcp.names import tool_names
from lsp_agent.mcp.oauth import Login, NeedsLogin
from lsp_agent.mcp.pins import Pins
from lsp_agent.mcp.schemas import SchemaRefused, ToolInfo, affordable, describe, digest, usable_schema, what_changed

_log = logging.getLogger(__name__)

MAX_INSTRUCTIONS_CHARS = 4_000
_SETTLE_S = 0.05
"""Several changes of lists are one."""
_STOP_S = 4.7


class State(StrEnum):
    """What a server is doing (CORE 27)."""

    DISABLED = "disabled"
    STARTING = "starting"
    CONNECTED = "connected"
    ERROR = "error"
    NEEDS_AUTH = "needs_auth"


class Unapproved(EntryProblem):
    """The entry is not what was approved, and nobody has approved the new one."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds."""

    idle_ping_s: float = 30.0
    """A server that was silent for so long is asked whether it lives before it is called."""
    backoff_s: tuple[float, ...] = (0.5, 2.0, 8.0)
    breaker_failures: int = 3
    breaker_window_s: float = 60.0
    breaker_rest_s: float = 60.0
    breaker_rest_max_s: float = 960.0


Approve = Callable[[str, str, Mapping[str, Any]], Awaitable[bool]]
"""(title, description, PROTOCOL 5 subject) → whether a person said yes. False when nobody can be asked."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all servers of a workspace share."""

    connector: Connector
    pins: Pins
    approve: Approve
    now_s: Callable[[], float]
    changed: Callable[["McpServer"], None]
    timing: Timing = Timing()


class McpServer:
    """One entry at work. `start` once; `stop` ends it and its tree."""

    def __init__(self, entry: Entry, around: Surroundings) -> None:
        self.entry = entry
        self.state = State.DISABLED if entry.disabled else State.STARTING
        self.error = ""
        self.tier = ""
        self.login_url = ""
        self.tools: tuple[ToolInfo, ...] = ()
        self.refused: dict[str, str] = {}
        """Tools that are not offered, and why."""
        self.prompts: tuple[Mapping[str, Any], ...] = ()
        self.resources: tuple[Mapping[str, Any], ...] = ()
        self.instructions = ""
        self.login: Login | None = None
        self._around = around
        self._link: Link | None = None
        self._wake = asyncio.Event()
        self._stir = asyncio.Event()
        self._stale: set[str] = set()
        self._failures: deque[float] = deque(maxlen=max(around.timing.breaker_failures, 1))
        self._attempts = 0
        self._trips = 0
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # --------------------------------------------------------------------------------------------------- the owner

    def start(self) -> None:
        """Begin in the background; a no-op for a disabled entry."""
        if self._task is None and not self.entry.disabled:
            self._task = asyncio.create_task(self._own(), name=f"mcp {self.entry.name}")

    async def stop(self) -> None:
        """End it. Bounded; may be called twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=_STOP_S)
            if not done:
                _log.error("MCP server %s did not end in time", self.entry.name)
        if self.login is not None:
            self.login.close()

    def retry(self) -> None:
        """Connect now, whatever it is doing: the user asked, so earlier failures do not count."""
        self._failures.clear()
        self._attempts = self._trips = 0
        if self.entry.disabled:
            return
        self._wake.set()
        if self._link is not None:
            self._link.lost.set()
        self._move(State.STARTING)

    async def _own(self) -> None:
        while True:
            self._wake.clear()
            self._move(State.STARTING)
            wait_s: float | None = None
            try:
                await self._live()
                self._note_failure()
                wait_s = self._move_on("the connection ended")
            except (EntryProblem, Unapproved) as error:
                self._move(State.ERROR, str(error))
            except NeedsLogin as error:
                self._move(State.NEEDS_AUTH, str(error))
            except ConnectFailed as error:
                self._note_failure()
                wait_s = self._move_on(str(error))
            except Exception as error:  # noqa: BLE001  # a bug of ours or the SDK's must not take the server away for good
                _log.exception("MCP server %s", self.entry.name)
                self._note_failure()
                wait_s = self._move_on(f"{type(error).__name__}")
            finally:
                self._forget_offer()
            await _first(self._wake, wait_s)

    async def _live(self) -> None:
        """One connection, from its start to its end. Raises: what `Connector` raises, Unapproved."""
        program = None
        if self.entry.type == "stdio":
            program = await asyncio.to_thread(self._around.connector.confinement.find, self.entry)
        await self._require_approval(program)
        login = self.login
        try:
            async with self._around.connector(self.entry, program, login, self._list_changed) as connected:
                async with asyncio.timeout(self.entry.timeout_s):
                    await self._take_offer(connected)
                self._link = connected.link
                self._attempts = 0
                self._move(State.CONNECTED)
                since_s = self._around.now_s()
                self._logged_in(login)
                login = None
                await self._keep(connected.link)
                if self._around.now_s() - since_s > self._around.timing.breaker_window_s:
                    self._trips = 0
        except ConnectFailed as error:
            if login is not None:
                raise NeedsLogin(f"the login failed: {error}") from error
            raise
        finally:
            self._link = None
            self._logged_in(login)

    def _logged_in(self, login: Login | None) -> None:
        """The login is over, one way or the other."""
        if login is not None:
            login.close()
            self.login, self.login_url = None, ""

    async def _keep(self, link: Link) -> None:
        """Until the connection ends; lists that changed are read again."""
        while not link.lost.is_set():
            self._stir.clear()
            if self._stale:
                await asyncio.sleep(_SETTLE_S)
                stale, self._stale = self._stale, set()
                await self._read_again(link, stale)
                continue
            waiting = [asyncio.create_task(event.wait()) for event in (link.lost, self._stir)]
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in waiting:
                    task.cancel()

    async def _read_again(self, link: Link, stale: set[str]) -> None:
        try:
            async with asyncio.timeout(self.entry.timeout_s):
                offer = await link.offer(
                    tools="tools" in stale, prompts="prompts" in stale, resources="resources" in stale
                )
        except (CallFailed, TimeoutError) as error:
            _log.warning("MCP server %s: its lists could not be read again: %s", self.entry.name, error)
            return
        if "tools" in stale:
            self._take_tools(offer.tools, first=False)
        if "prompts" in stale:
            self.prompts = tuple(offer.prompts)
        if "resources" in stale:
            self.resources = tuple(offer.resources)
        self._around.changed(self)

    def _list_changed(self, which: str) -> None:
        self._stale.add(which)
        self._stir.set()

    # ------------------------------------------------------------------------------------------------- what it offers

    async def _take_offer(self, connected: Connected) -> None:
        try:
            offer = await connected.link.offer()
        except CallFailed as error:
            raise ConnectFailed(f"its lists could not be read: {error}") from error
        self.tier = connected.tier
        self._take_tools(offer.tools, first=not self._around.pins.knows_tools(self.entry.name))
        self.prompts, self.resources = tuple(offer.prompts), tuple(offer.resources)
        self.instructions = describe(connected.instructions)[:MAX_INSTRUCTIONS_CHARS] if self.entry.instructions else ""
        await self._around.pins.save()

    def _take_tools(self, raw: list[dict[str, Any]], *, first: bool) -> None:
        """`first`: the first look at this server; what it shows now is what later looks are compared with."""
        by_name = {str(one.get("name")): one for one in raw if self._is_wanted(str(one.get("name")))}
        listed = [str(one.get("name")) for one in raw if self._is_wanted(str(one.get("name")))]
        names, self.refused = tool_names(self.entry.name, listed)
        found = []
        for tool, name in names.items():
            one = by_name[tool]
            try:
                info = ToolInfo(
                    self.entry.name,
                    tool,
                    name,
                    describe(one.get("description") if isinstance(one.get("description"), str) else ""),
                    usable_schema(one.get("inputSchema")),
                    digest(one),
                )
            except SchemaRefused as error:
                self.refused[tool] = str(error)
                continue
            if first:
                self._around.pins.approve_tool(info)
            is_same, before = self._around.pins.tool(info)
            found.append(info if is_same else replace(info, change=what_changed(before, info.description, info.schema)))
        kept, left_out = affordable(sorted(found, key=lambda info: info.name))
        self.tools = tuple(kept)
        self.refused |= dict.fromkeys(left_out, "there is no room for so many tools; choose some with `enabled_tools`")
        for tool, why in self.refused.items():
            _log.warning("MCP server %s: the tool %.80r is not offered: %s", self.entry.name, tool, why)

    def approve(self, info: ToolInfo) -> None:
        """A person has seen this tool as it is now and allowed it."""
        self._around.pins.approve_tool(info)
        self.tools = tuple([replace(one, change="") if one.digest == info.digest else one for one in self.tools])

    async def save_approvals(self) -> None:
        """Write what `approve` changed."""
        await self._around.pins.save()

    def _is_wanted(self, tool: str) -> bool:
        allowed = self.entry.enabled_tools
        return (not allowed or tool in allowed) and tool not in self.entry.disabled_tools

    def _forget_offer(self) -> None:
        self.tools, self.prompts, self.resources, self.instructions = (), (), (), ""

    async def _require_approval(self, program: Program | None) -> None:
        entry, pins = self.entry, self._around.pins
        mark = fingerprint(entry, program.real_path if program is not None else "")
        shown = shlex.join(program.argv) if program is not None else entry.url
        known = pins.server(entry.name, mark)
        if known == "same":
            return
        if known == "changed":
            subject: Mapping[str, Any] = {"type": "url", "url": entry.url}
            if program is not None:
                subject = {"type": "command", "command": shown, "cwd": str(program.cwd)}
            before = pins.shown(entry.name)
            description = f"Before: {before}" if before else "What was approved before is not known."
            if not await self._around.approve(f"Start the changed MCP server {entry.name}", description, subject):
                raise Unapproved("it is not what was approved before; restart it to be asked again")
        pins.approve_server(entry.name, mark, shown)
        await pins.save()

    # --------------------------------------------------------------------------------------------------- requests

    async def request(self, method: str, params: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """One request of a connected server. Raises: CallFailed. Never repeated once it was sent."""
        link = await self._alive()
        try:
            return await link.request(method, params, timeout_s)
        except CallFailed as error:
            if error.lost:  # the owner counts it
                link.lost.set()
            if error.timed_out:
                self._note_failure()
                link.last_s = float("-inf")  # so that the next call asks first
                if self._is_tripped():
                    link.lost.set()
            raise

    async def _alive(self) -> Link:
        """A connection that answers: rebuilt once when it does not. Callers that come meanwhile share it."""
        link = self._link
        is_idle = link is not None and self._around.now_s() - link.last_s > self._around.timing.idle_ping_s
        if link is not None and is_idle and not await link.ping(self.entry.timeout_s):
            link.lost.set()
        if link is None or link.lost.is_set():
            link = await self._rebuilt(link)
        return link

    async def _rebuilt(self, old: Link | None) -> Link:
        try:
            async with asyncio.timeout(2 * self.entry.timeout_s):
                while self._link is None or self._link is old or self._link.lost.is_set():
                    if self.state in (State.ERROR, State.DISABLED, State.NEEDS_AUTH) and not self._is_retrying():
                        raise CallFailed(self.error or f"it is {self.state}")
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError as error:
            raise CallFailed(self.error or "it does not come back") from error
        return self._link

    def _is_retrying(self) -> bool:
        return (
            self.state is State.ERROR
            and 0 < self._attempts <= len(self._around.timing.backoff_s)
            and (not self._is_tripped())
        )

    # ----------------------------------------------------------------------------------------------------- failures

    def _note_failure(self) -> None:
        self._failures.append(self._around.now_s())

    def _is_tripped(self) -> bool:
        timing = self._around.timing
        return (
            len(self._failures) >= timing.breaker_failures
            and self._around.now_s() - self._failures[0] <= timing.breaker_window_s
        )

    def _move_on(self, why: str) -> float:
        """Say what is wrong; the seconds until the next try."""
        timing = self._around.timing
        if self._is_tripped() or self._trips:
            rest_s = min(timing.breaker_rest_s * 2.0**self._trips, timing.breaker_rest_max_s)
            self._trips += 1
            self._failures.clear()
            self._attempts = len(timing.backoff_s) + 1
            self._move(State.ERROR, f"{why}; it failed several times and rests for {rest_s:g} s")
            return rest_s
        wait_s = timing.backoff_s[min(self._attempts, len(timing.backoff_s) - 1)]
        self._attempts += 1
        self._move(State.ERROR, why)
        return wait_s

    def _move(self, state: State, error: str = "") -> None:
        if state is not State.CONNECTED:
            self._forget_offer()
        self.state, self.error = state, error
        self._moved.set()
        self._around.changed(self)


async def _first(event: asyncio.Event, timeout_s: float | None) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
