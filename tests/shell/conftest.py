import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lsp_agent.policy.protected import is_protected, is_secret
from lsp_agent.policy.rules import Policy
from lsp_agent.policy.shell import judge
from lsp_agent.ports.approver import Decision, PermissionAsk
from lsp_agent.shell.jobs import Jobs
from lsp_agent.shell.sandbox import Sandbox
from lsp_agent.shell.spawner import Spawner
from lsp_agent.tools.bash import Bash
from lsp_agent.web.command_outlet import CommandOutlets
from lsp_agent.web.guard import Guard
from tests.tools.doubles import World, make_world


class Shell:
    """A workspace with a real sandbox and real processes; permission is decided by the real policy, the user allows."""

    def __init__(self, root: Path, tiers, home: Path, outlets=None, allows=lambda run, mode, ask: False) -> None:
        self.world: World = make_world(root)
        self.root = self.world.root
        self.chunks: list[tuple[str, str]] = []
        self.world.events.chunk = lambda session, run, kind, key, text: self.chunks.append((key, text))
        self.asked: list[PermissionAsk] = []
        self.answer = True
        self.policy = Policy()
        self.world.approver.decide = self._decide
        self.home = home
        self.spawner = Spawner()
        self.sandbox = Sandbox(
            self.spawner,
            roots=lambda: [self.root],
            is_protected=is_protected,
            is_secret=is_secret,
            environ={**os.environ, "HOME": str(home), "CANARY_KEY": "sk-canary"},
            tiers=tiers,
        )
        self.jobs = Jobs(
            spawner=self.spawner,
            sandbox=self.sandbox,
            events=self.world.events,
            clock=self.world.clock,
            outlets=outlets,
        )
        self.bash = Bash(self.jobs, judge, allows=allows)

    def _decide(self, ask: PermissionAsk) -> Decision:
        verdict = self.policy.decide_ask(ask, self.world.mode, None, None)
        if verdict.effect == "ask":
            self.asked.append(ask)
            return Decision(self.answer, None if self.answer else "no", asked=True)
        return Decision(verdict.effect == "allow", verdict.reason)

    async def run(self, command: str, **more):
        return await self.world.call(self.bash, command=command, description="a test", **more)

    def updates(self):
        return [u for u in self.world.events.updates if u["sessionUpdate"] == "terminal_update"]


def git(root: Path, *words: str) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null"}
    who = ["-c", "user.email=a@b.c", "-c", "user.name=n"]
    subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True, env=env, timeout=20)


async def until(condition, *, within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def processes_with(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
                state = (entry / "stat").read_bytes().rpartition(b")")[2].split()[0]
            except OSError:
                continue
            if mark.encode() in line and state not in (b"Z", b"X"):
                found.append(int(entry.name))
    return found


@pytest.fixture
async def make_shell(tmp_path) -> AsyncIterator:
    made = []

    def make(*tiers: str, **more) -> Shell:
        root, home = tmp_path / "w", tmp_path / "home"
        root.mkdir(exist_ok=True)
        home.mkdir(exist_ok=True)
        made.append(Shell(root, tiers or ("bubblewrap", "landlock", "none"), home, **more))
        return made[-1]

    yield make
    for shell in made:
        await shell.jobs.close()


@pytest.fixture
async def shell(make_shell) -> Shell:
    return make_shell()


@pytest.fixture
async def make_net(make_shell) -> AsyncIterator:
    """A shell whose commands may reach out to a site on loopback; skips where the tier is not to be had."""
    from tests.shell.net import Net
    from tests.web.site import Names, Site, answer

    sites: list[Site] = []

    async def make(*, domains=(), tiers=("bubblewrap", "none"), ssl=None, **more):
        site, evil = await Site().start(ssl), await Site().start()
        sites.extend((site, evil))
        site.routes["/"] = answer("from outside\n")
        evil.routes["/"] = answer("evil\n")
        names = Names(site_example="127.0.0.1", evil_example="127.0.0.1")
        # only so that a test can be the Internet: the guard itself is the one of a fetch
        guard = Guard(resolve=names, allow_private=[("site.example", site.port), ("evil.example", evil.port)])
        outlets = CommandOutlets(
            guard, domains=lambda: domains, asks=more.pop("asks", True), ask_s=more.pop("ask_s", 60)
        )
        net = Net(make_shell(*tiers, outlets=outlets, **more), site, evil, names)
        if await net.shell.sandbox.tier() != tiers[0]:
            pytest.skip(f"no {tiers[0]} here")
        return net

    yield make
    for site in sites:
        await site.stop()
