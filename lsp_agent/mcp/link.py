"""One connection to one server: the handshake, what it offers, and requests with a deadline.

Knows the SDK's session, nothing of transports, states or permission. Requests are made over the session's lowest call:
its own `call_tool` would check answers against a schema the server wrote, with patterns that can hang us and references
that are fetched. What a server asks of us is declined by the SDK: no sampling, no elicitation, no roots.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lsp_agent.untrusted import clean

if TYPE_CHECKING:
    from mcp.client.session import ClientSession

_log = logging.getLogger(__name__)

MAX_PAGES = 50
MAX_ITEMS = 1_000
"""Tools, prompts or resources of one server."""


class CallFailed(Exception):
    """A request had no result; the text is for the model. `lost`: the connection is no good any more."""

    def __init__(self, message: str, *, lost: bool = False, timed_out: bool = False) -> None:
        super().__init__(message)
        self.lost = lost
        self.timed_out = timed_out


@dataclass(slots=True)
class Offer:
    """What a server offers, as the JSON it sent."""

    tools: list[dict[str, Any]] = field(default_factory=list)
    prompts: list[dict[str, Any]] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    instructions: str = ""


class Link:
    """A session that has shaken hands. `lost` is set when the transport has ended."""

    def __init__(self, name: str, session: "ClientSession", now_s: Callable[[], float]) -> None:
        self._name = name
        self._session = session
        self._now_s = now_s
        self._running: set[asyncio.Task[Any]] = set()
        self._modern = False
        self.last_s = now_s()
        """When something was last heard from it."""
        self.lost = asyncio.Event()

    async def handshake(self) -> str:
        """Introduce ourselves, the old way first: every server knows it. Its instructions. Raises: MCPError."""
        from mcp.shared.exceptions import MCPError

        try:
            result = await self._session.initialize()
            return result.instructions or ""
        except MCPError:
            found = await self._session.discover()
            self._modern = True
            return found.instructions or ""

    async def offer(self, *, tools: bool = True, prompts: bool = True, resources: bool = True) -> Offer:
        """What it offers now. Lists a server does not know are empty; tools are always asked for (CORE 27)."""
        offer = Offer()
        can = self._session.server_capabilities
        if tools:
            offer.tools = await self._pages("tools/list", "tools", wanted=can is not None and can.tools is not None)
        if prompts and can is not None and can.prompts is not None:
            offer.prompts = await self._pages("prompts/list", "prompts", wanted=False)
        if resources and can is not None and can.resources is not None:
            offer.resources = await self._pages("resources/list", "resources", wanted=False)
        return offer

    async def ping(self, timeout_s: float) -> bool:
        """Whether it still answers. A server that knows no ping has answered too."""
        if self._modern:
            return not self.lost.is_set()
        try:
            await self.request("ping", {}, timeout_s)
        except CallFailed as error:
            return not (error.lost or error.timed_out)
        return True

    async def request(self, method: str, params: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """One request; its result as JSON. A cancellation returns at once and tells the server later.

        Raises: CallFailed.
        """
        work = asyncio.create_task(self._send(method, params), name=f"mcp {self._name} {method}")
        gone = asyncio.create_task(self.lost.wait())
        self._running.add(work)
        work.add_done_callback(self._forget)
        try:
            await asyncio.wait({work, gone}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not work.done():
                work.cancel()  # the SDK sends `notifications/cancelled` from there
        if work.done() and not work.cancelled():
            result = self._outcome(work, method)
            self.last_s = self._now_s()
            return result
        if self.lost.is_set():
            raise CallFailed("the connection ended", lost=True)
        raise CallFailed(f"it did not answer within {timeout_s:g} s", timed_out=True)

    async def end(self) -> None:
        """Drop what still runs; bounded."""
        self.lost.set()
        if self._running:
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running, timeout=1.0)

    def _outcome(self, work: "asyncio.Task[dict[str, Any]]", method: str) -> dict[str, Any]:
        from mcp.shared.exceptions import MCPError
        from mcp_types import CONNECTION_CLOSED

        error = work.exception()
        if error is None:
            return work.result()
        if isinstance(error, MCPError):
            if error.code == CONNECTION_CLOSED:
                raise CallFailed("the connection ended", lost=True) from error
            raise CallFailed(clean(error.message)[:2_000] or f"error {error.code}") from error
        _log.warning("MCP server %s: %s failed: %s", self._name, method, type(error).__name__)
        if isinstance(error, ValueError):
            raise CallFailed("its answer does not fit the protocol") from error
        raise CallFailed("the connection is broken", lost=True) from error

    async def _send(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        import mcp_types
        from pydantic import TypeAdapter

        kinds: dict[str, type[Any]] = {
            "ping": mcp_types.PingRequest,
            "tools/list": mcp_types.ListToolsRequest,
            "tools/call": mcp_types.CallToolRequest,
            "prompts/list": mcp_types.ListPromptsRequest,
            "prompts/get": mcp_types.GetPromptRequest,
            "resources/list": mcp_types.ListResourcesRequest,
            "resources/read": mcp_types.ReadResourceRequest,
        }
        request = kinds[method].model_validate({"method": method, **({"params": dict(params)} if params else {})})
        anything: Any = TypeAdapter(
            dict[str, Any]
        )  # the SDK has checked it; its models would drop what they do not know
        result: dict[str, Any] = await self._session.send_request(request, anything)
        return result

    async def _pages(self, method: str, key: str, *, wanted: bool) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            try:
                page = await self.request(method, {"cursor": cursor} if cursor else {}, 60.0)
            except CallFailed as error:
                if wanted or error.lost or error.timed_out:
                    raise
                return found  # method not found: it has none
            found += [one for one in page.get(key) or () if isinstance(one, dict)]
            cursor = page.get("nextCursor")
            if not isinstance(cursor, str) or not cursor or len(found) >= MAX_ITEMS:
                break
        return found[:MAX_ITEMS]

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen: nobody may wait for it any more
