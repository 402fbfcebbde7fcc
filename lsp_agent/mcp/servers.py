"""The MCP servers of one workspace: what is configured, what is connected, what it offers (CORE 27).

Nothing here makes a prompt wait: `tools`, `instructions` and `prompts` say what is there now. Servers start in the
background, all at once. They come from the user's configuration only.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lsp_agent.domain.errors import RequestRejected, ToolError
from lsp_agent.mcp.connect import Connector
from lsp_agent.mcp.entry import Entry, EntryProblem, read_entry
from lsp_agent.mcp.link import CallFailed
from lsp_agent.mcp.oauth import Login
from lsp_agent.mcp.pins import Pins
from lsp_agent.mcp.results import cut, prompt_text
from lsp_agent.mcp.server import Approve, McpServer, State, Surroundings, Timing
from lsp_agent.mcp.tools import ListMcpResources, McpTool, ReadMcpResource
from lsp_agent.ports.tools import Tool
from lsp_agent.untrusted import clean

_log = logging.getLogger(__name__)

PROMPT_S = 30.0
READ_S = 60.0
LOGIN_URL_S = 5.0
"""How long `login` waits for the address before it leaves the rest to events."""
MAX_SERVERS = 64
Announce = Callable[[Mapping[str, Any]], None]
"""Tells clients a `mcp_update` (PROTOCOL 8). Must not wait."""


@dataclass(frozen=True, slots=True)
class McpPrompt:
    """A prompt of a server, as a command for the user."""

    name: str
    """`mcp:<server>:<prompt>`."""
    description: str
    arguments: tuple[tuple[str, str, bool], ...] = ()
    """(name, description, required)."""


class McpServers:
    """Belongs to one workspace. `reconcile` with the configuration starts everything; `close` ends it."""

    def __init__(
        self,
        *,
        connector: Connector,
        pins: Pins,
        approve: Approve,
        announce: Announce,
        timing: Timing | None = None,
    ) -> None:
        self._around = Surroundings(connector, pins, approve, connector.now_s, self._changed, timing or Timing())
        self._announce = announce
        self._said: dict[str, Mapping[str, Any]] = {}
        self._servers: dict[str, McpServer] = {}
        self._broken: dict[str, tuple[str, str]] = {}
        """Entries that cannot be read: (type, what is wrong)."""
        self._generation = 0
        self._turn = asyncio.Lock()
        self._is_loaded = False
        self._is_closed = False

    # ------------------------------------------------------------------------------------------------ life

    async def reconcile(self, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        """Make what runs be what `wanted` (the `[mcp]` blocks) says. Connecting goes on in the background.

        Unchanged servers are left alone, those in error are tried again. Of several calls at once the last one counts.
        """
        self._generation += 1
        mine = self._generation
        async with self._turn:
            if mine != self._generation or self._is_closed:
                return
            if not self._is_loaded:
                await self._around.pins.load()
                self._is_loaded = True
            entries, self._broken = _read_all(wanted)
            gone = [server for name, server in self._servers.items() if entries.get(name) != server.entry]
            await asyncio.gather(*[server.stop() for server in gone])
            for server in gone:
                del self._servers[server.entry.name]
            for name in self._said.keys() - entries.keys() - self._broken.keys():
                self._say(name, {"name": name, "state": "removed"})
                del self._said[name]
            if self._is_closed:
                return
            for name, entry in entries.items():
                self._begin(name, entry)
            for name in self._broken:
                self._say(name, self._describe(name))

    async def leave_untrusted(self) -> None:
        """End servers whose program or directory lies in a folder that is trusted no longer; they wait for trust."""
        find = self._around.connector.confinement.find
        for server in list(self._servers.values()):
            if server.entry.type == "stdio" and server.state is State.CONNECTED:
                try:
                    await asyncio.to_thread(find, server.entry)
                except EntryProblem:
                    server.retry()

    def _begin(self, name: str, entry: Entry) -> None:
        known = self._servers.get(name)
        if known is None:
            self._servers[name] = server = McpServer(entry, self._around)
            self._changed(server)
            server.start()
        elif known.state is State.ERROR:
            known.retry()

    async def close(self) -> None:
        """End every server and its tree. Bounded; may be called twice."""
        self._is_closed = True
        await asyncio.gather(*[server.stop() for server in self._servers.values()])
        self._servers = {}

    # ------------------------------------------------------------------------------------------------ what there is

    def tools(self) -> Sequence[Tool]:
        """What connected servers offer now, and the tools for resources where there are any. Never waits."""
        found: list[Tool] = []
        for server in self._connected():
            timeout_s = server.entry.call_timeout_s
            found += [McpTool(info, server, timeout_s=timeout_s) for info in server.tools]
        if any(server.resources for server in self._connected()):
            found += [ListMcpResources(self), ReadMcpResource(self)]
        return found

    def instructions(self) -> list[tuple[str, str]]:
        """(server, what it says of itself), cleaned and cut, of connected servers. Untrusted: to be fenced."""
        return [(server.entry.name, server.instructions) for server in self._connected() if server.instructions]

    def prompts(self) -> list[McpPrompt]:
        """Prompts of connected servers, by name."""
        found = []
        for server in self._connected():
            for one in server.prompts:
                name = one.get("name")
                if isinstance(name, str) and name.isascii() and name.isprintable() and 0 < len(name) <= 128:
                    found.append(_prompt(server.entry.name, name, one))
        return sorted(found, key=lambda prompt: prompt.name)

    async def get_prompt(self, name: str, arguments: Mapping[str, str] | None = None) -> str:
        """The text of a prompt by the name `prompts` gives it. Raises: ToolError."""
        _, _, rest = name.partition(":")
        server_name, _, prompt = rest.partition(":")
        server = self._require(server_name)
        params = {"name": prompt, "arguments": dict(arguments or {})}
        try:
            answer = await server.request("prompts/get", params, PROMPT_S)
        except CallFailed as error:
            raise ToolError(f"The prompt {name} could not be read: {error}") from error
        return cut(prompt_text(answer.get("messages") or []))

    def resources(self, server: str | None) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """See `tools.ResourceSource`."""
        servers = [self._require(server)] if server else self._connected()
        return [(one.entry.name, resource) for one in servers for resource in one.resources]

    async def read_resource(self, server: str, uri: str) -> list[dict[str, Any]]:
        """See `tools.ResourceSource`."""
        try:
            answer = await self._require(server).request("resources/read", {"uri": uri}, READ_S)
        except CallFailed as error:
            raise ToolError(f"The resource could not be read: {error}") from error
        return [one for one in answer.get("contents") or () if isinstance(one, dict)]

    # ------------------------------------------------------------------------------------------------ agent/mcp/*

    def entries(self) -> list[dict[str, Any]]:
        """`agent/mcp/list`: McpEntry objects by name, with what else is known of them."""
        return [dict(self._describe(name)) for name in sorted({*self._servers, *self._broken})]

    async def restart(self, name: str) -> dict[str, Any]:
        """`agent/mcp/restart`: `{"state"}`; the rest is told by events. Raises: RequestRejected."""
        server = self._known(name)
        server.retry()
        return {"state": "starting" if server.state is not State.DISABLED else str(server.state)}

    async def login(self, name: str) -> dict[str, Any]:
        """`agent/mcp/login`: `{"state", "url"?}`. The address may also come later, by an event.

        Raises: RequestRejected for an unknown server, or one that has no login.
        """
        server = self._known(name)
        if server.entry.type == "stdio" or server.entry.oauth is False or server.entry.disabled:
            raise RequestRejected("InvalidParams", "this server has no login", path="name")
        if server.login is None:
            server.login = Login()
            server.retry()
        login = server.login
        await asyncio.wait([login.url], timeout=LOGIN_URL_S)
        self._offer_login(server, login)
        return {"state": str(server.state), **({"url": server.login_url} if server.login_url else {})}

    # ------------------------------------------------------------------------------------------------ inside

    def _offer_login(self, server: McpServer, login: Login) -> None:
        """Tell the address, now or when it comes."""
        if not login.url.done():
            login.url.add_done_callback(lambda _: self._offer_login(server, login))
        elif not login.url.cancelled() and server.login is login:
            server.login_url = login.url.result()
            self._changed(server)

    def _connected(self) -> list[McpServer]:
        return [server for _, server in sorted(self._servers.items()) if server.state is State.CONNECTED]

    def _require(self, name: str) -> McpServer:
        server = self._servers.get(name)
        if server is None or server.state is not State.CONNECTED:
            raise ToolError(f"mcp '{clean(name)[:64]}' not available")
        return server

    def _known(self, name: str) -> McpServer:
        server = self._servers.get(name)
        if server is None:
            raise RequestRejected("InvalidParams", "there is no such MCP server", path="name")
        return server

    def _changed(self, server: McpServer) -> None:
        if self._servers.get(server.entry.name) is server and not self._is_closed:
            self._say(server.entry.name, self._describe(server.entry.name))

    def _say(self, name: str, what: Mapping[str, Any]) -> None:
        if self._said.get(name) == what:
            return
        self._said[name] = what
        _log.info("MCP server %s: %s", name, what["state"])
        self._announce({"sessionUpdate": "mcp_update", **what})

    def _describe(self, name: str) -> Mapping[str, Any]:
        if name in self._broken:
            kind, error = self._broken[name]
            return {"name": name, "type": kind, "state": "error", "error": error, "tools": 0}
        server = self._servers[name]
        tools = server.tools if server.state is State.CONNECTED else ()
        found: dict[str, Any] = {
            "name": name,
            "type": server.entry.type,
            "state": str(server.state),
            "error": server.error or None,
            "tools": len(tools),
            "resources": len(server.resources),
            "prompts": len(server.prompts),
        }
        if changed := [info.name for info in tools if info.change]:
            found["changedTools"] = changed
        if server.refused:
            found["refusedTools"] = {clean(tool)[:80]: why for tool, why in list(server.refused.items())[:50]}
        if server.tier:
            found["sandbox"] = server.tier
        if server.login_url:
            found["url"] = server.login_url
        return found


def _read_all(wanted: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Entry], dict[str, tuple[str, str]]]:
    """(entries by name, unreadable ones: (type, what is wrong))."""
    entries: dict[str, Entry] = {}
    broken: dict[str, tuple[str, str]] = {}
    taken: dict[str, str] = {}
    for name, raw in wanted.items():
        kind = str(raw.get("type", "stdio"))[:16]
        try:
            entry = read_entry(name, raw)
            if len(entries) >= MAX_SERVERS:
                raise EntryProblem(f"more than {MAX_SERVERS} servers")
            if name.casefold() in taken:
                raise EntryProblem(f"name: looks like {taken[name.casefold()]}")
        except EntryProblem as error:
            broken[name] = (kind, str(error))
            continue
        taken[name.casefold()] = name
        entries[name] = entry
    return entries, broken


def _prompt(server: str, name: str, raw: Mapping[str, Any]) -> McpPrompt:
    arguments = [
        (str(one.get("name", "")), clean(str(one.get("description") or ""))[:300], one.get("required") is True)
        for one in raw.get("arguments") or ()
        if isinstance(one, Mapping)
    ]
    return McpPrompt(f"mcp:{server}:{name}", clean(str(raw.get("description") or ""))[:600], tuple(arguments))
