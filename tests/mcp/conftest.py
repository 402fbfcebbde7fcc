"""A room with real servers in it: the real spawner, sandbox and files; the user is a function."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from lsp_agent.mcp.confine import Confinement
from lsp_agent.mcp.connect import Connector
from lsp_agent.mcp.pins import Pins
from lsp_agent.mcp.server import Timing
from lsp_agent.mcp.servers import McpServers
from lsp_agent.policy.protected import is_protected, is_secret
from lsp_agent.policy.rules import Policy
from lsp_agent.ports.approver import Decision, PermissionAsk
from lsp_agent.providers import keys
from lsp_agent.shell.sandbox import Sandbox
from lsp_agent.shell.spawner import Spawner
from tests.tools.doubles import World, make_world

HERE = Path(__file__).parent
PYTHON = str(Path(sys.executable).resolve())
"""The interpreter below the virtual environment, which may lie where a sandbox shows nothing."""
QUICK = Timing(backoff_s=(0.05, 0.1, 0.1), breaker_rest_s=30.0)


class Room:
    """One workspace with its servers. `answer` decides permissions, `approve_servers` changed entries."""

    def __init__(self, base: Path, *, tiers=("none",), timing: Timing = QUICK) -> None:
        self.base = base
        for name in ("w", "data", "home", "kept"):
            (base / name).mkdir(exist_ok=True)
        self.world: World = make_world(base / "w")
        self.root = self.world.root
        self.environ = {**os.environ, "HOME": str(base / "home"), "CANARY_KEY": "sk-canary-in-the-environment"}
        self.spawner = Spawner()
        self.sandbox = Sandbox(
            self.spawner,
            roots=lambda: [self.root],
            is_protected=is_protected,
            is_secret=is_secret,
            environ=self.environ,
            hide=(base / "data",),
            tiers=tiers,
        )
        self.trusted = False
        self.updates: list[dict[str, Any]] = []
        self.asked: list[PermissionAsk] = []
        self.answer: Callable[[PermissionAsk], Decision] = lambda ask: Decision(True, asked=True)
        self.server_questions: list[tuple[str, str, Any]] = []
        self.approve_servers = False
        self.timing = timing
        self.world.approver.decide = self._decide
        self.servers = self.make()

    def make(self) -> McpServers:
        """New ones over the same data directory, as after a restart."""
        confinement = Confinement(
            self.sandbox,
            lambda: [self.root],
            self.environ,
            self.base / "kept",
            is_protected,
            is_secret,
            hide=(self.base / "data",),
            trusted=lambda root: self.trusted,
        )
        resolve = lambda template, owner: keys.resolve(template, self.environ, owner=owner)  # noqa: E731
        connector = Connector(self.spawner, confinement, resolve, self.base / "data" / "oauth", time.monotonic)
        self.pins = Pins(self.base / "data")
        self.servers = McpServers(
            connector=connector,
            pins=self.pins,
            approve=self._approve,
            announce=lambda update: self.updates.append(dict(update)),
            timing=self.timing,
        )
        return self.servers

    async def _approve(self, title: str, description: str, subject: Any) -> bool:
        self.server_questions.append((title, description, subject))
        return self.approve_servers

    def _decide(self, ask: PermissionAsk) -> Decision:
        verdict = Policy().decide_ask(ask, self.world.mode, None, None)
        if verdict.effect == "ask":
            self.asked.append(ask)
            return self.answer(ask)
        return Decision(verdict.effect == "allow", verdict.reason)

    def state(self, name: str) -> str:
        return next((one["state"] for one in self.servers.entries() if one["name"] == name), "")

    def entry(self, name: str) -> dict[str, Any]:
        return next(one for one in self.servers.entries() if one["name"] == name)

    async def start(self, *, wait_for: str = "connected", within: float = 20.0, **blocks: Any) -> None:
        await self.servers.reconcile(blocks)
        await until(
            lambda: all(self.state(name) == wait_for for name in blocks), lambda: self.servers.entries(), within
        )

    def tool(self, name: str) -> Any:
        return next(tool for tool in self.servers.tools() if tool.spec.name == name)

    async def call(self, name: str, **arguments: Any) -> Any:
        return await self.world.call(self.tool(name), **arguments)


def chaos(*words: str, **more: Any) -> dict[str, Any]:
    """A block for the chaos server. Its text goes along: a clone below /tmp is not seen in a sandbox."""
    source = (HERE / "chaos_server.py").read_text()
    return {"command": [PYTHON, "-I", "-c", source, *words], **more}


async def until(condition: Callable[[], Any], tell: Callable[[], Any] = lambda: "", within: float = 10.0) -> None:
    try:
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {within} s: {tell()}") from None


@pytest.fixture
async def make_room(tmp_path) -> AsyncIterator[Callable[..., Room]]:
    made: list[Room] = []

    def make(*tiers: str, timing: Timing = QUICK) -> Room:
        made.append(Room(tmp_path, tiers=tiers or ("none",), timing=timing))
        return made[-1]

    yield make
    for room in made:
        await room.servers.close()


@pytest.fixture
async def room(make_room) -> Room:
    return make_room()
