"""An endpoint with a few demo handlers, and a recording client at the other end of a socket pair or of two pipes."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from lsp_agent.wire.limits import Limits
from lsp_agent.wire.request import Notification, Request, RpcError
from lsp_agent.wire.rpc import Endpoint
from lsp_agent.wire.stdio import Pipes, from_socket
from tests.harness.client import Client


@dataclass
class Demo:
    """A server of eight methods."""

    seen: list[str] = field(default_factory=list)
    held: list[Request] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    endpoint: Endpoint | None = None

    def requests(self) -> dict[str, Any]:
        return {
            "initialize": lambda request: request.answer({"capabilities": {}}),
            "shutdown": lambda request: request.answer(None),
            "demo/echo": self.echo,
            "demo/hold": self.held.append,
            "demo/raise": self.explode,
            "demo/refuse": self.refuse,
            "demo/slow": self.slow,
            "demo/silent": lambda request: request.spawn(asyncio.sleep(0)),
            "demo/twice": self.twice,
            "agent/cancel": lambda request: request.answer({"cancelled": []}),
            "agent/permission/respond": lambda request: request.answer({"accepted": True}),
            "agent/question/respond": lambda request: request.answer({"accepted": True}),
        }

    def notifications(self) -> dict[str, Any]:
        return {"initialized": self.note, "demo/note": self.note, "demo/raise": self.explode}

    def note(self, notification: Notification) -> None:
        self.seen.append(notification.method)

    def echo(self, request: Request) -> None:
        self.seen.append(str(request.params.get("n")))
        request.answer(request.params)

    def explode(self, _: Request | Notification) -> None:
        raise ValueError("secret /home/someone/.ssh/id_rsa")

    def refuse(self, request: Request) -> None:
        raise RpcError(-31005, "busy", {"kind": "SessionBusy", "activeRunId": request.params.get("run")})

    def twice(self, request: Request) -> None:
        request.answer(1)
        request.answer(2)

    def slow(self, request: Request) -> None:
        request.spawn(self._slow(request))

    async def _slow(self, request: Request) -> None:
        while len(self.held) == 0 or not self.held[0].answered:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        self.finished.append("slow")
        request.answer("done")


@asynccontextmanager
async def serving(
    demo: Demo | None = None,
    *,
    limits: Limits | None = None,
    over_pipes: bool = False,
    initialized: bool = True,
    **kwargs: Any,
) -> AsyncIterator[tuple[Endpoint, Client, Demo]]:
    """An endpoint that runs, its client, and what the demo server saw."""
    demo = demo or Demo()
    if over_pipes:
        to_server, from_client = os.pipe()
        to_client, from_server = os.pipe()
        pipes, client = Pipes(to_server, from_server), Client(to_client, from_client, None, None)
    else:
        ours, theirs = socket.socketpair()
        pipes, client = from_socket(ours), Client.over(theirs)
    endpoint = Endpoint(
        asyncio.get_running_loop(),
        pipes,
        demo.requests(),
        demo.notifications(),
        limits=limits,
        on_closed=lambda _, reason: demo.closed.append(reason),
        on_exit=lambda _, code: demo.exits.append(code),
        **kwargs,
    )
    demo.endpoint = endpoint
    endpoint.start()
    try:
        if initialized:
            await client.initialize()
        yield endpoint, client, demo
    finally:
        endpoint.close()
        await client.aclose()
        assert await endpoint.wait_closed(), "a thread or a task of the connection did not end"


async def eventually(condition: Any, timeout_s: float = 10.0) -> None:
    """Wait for a condition of this process."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0.001)
