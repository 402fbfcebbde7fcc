"""Real commands around real turns: the user's hooks as they will run, over the turn's own doubles for the rest."""

import asyncio
import json
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lsp_agent.agent.compaction import CompactRunner
from lsp_agent.agent.turn import TurnRunner
from lsp_agent.clock import SystemClock
from lsp_agent.domain.run import Run
from lsp_agent.hooks.config import HookSet, read_hooks
from lsp_agent.hooks.process import HookProcesses
from lsp_agent.hooks.runner import UserHooks
from lsp_agent.policy.rules import Policy
from lsp_agent.ports.approver import Decision, PermissionAsk
from lsp_agent.shell.spawner import Spawner
from tests.agent_turn.doubles import World

RUN = Run("key", "s", "r", "m", "hello")


@dataclass
class Bench:
    """A project, a place for scripts, and hooks made of a table like the user's."""

    root: Path
    scripts: Path
    active: bool = True
    made: HookSet = HookSet()
    environ: dict[str, str] = field(default_factory=lambda: {**os.environ, "CANARY_KEY": "sk-canary"})

    def __post_init__(self) -> None:
        self.processes = HookProcesses(Spawner(), SystemClock())
        self.hooks = UserHooks(
            processes=self.processes,
            hooks=lambda: self.made.hooks,
            roots=lambda: [self.root],
            environ=self.environ,
            active=lambda: self.active,
        )

    def configure(self, **table: Any) -> "Bench":
        self.made = read_hooks(table)
        assert not self.made.problems
        return self

    def script(self, name: str, text: str) -> str:
        """A command that runs `text` with bash."""
        path = self.scripts / name
        path.write_text(text)
        return f"bash {shlex.quote(str(path))}"

    def says(self, answer: Any, name: str = "says") -> str:
        """A command that prints `answer` as JSON."""
        path = self.scripts / f"{name}.json"
        path.write_text(json.dumps(answer))
        return f"cat {shlex.quote(str(path))}"

    def keeps(self, name: str) -> tuple[str, Callable[[], list[dict[str, Any]]]]:
        """A command that keeps what it is told, and the way to read that."""
        path = self.scripts / f"{name}.jsonl"
        return (
            f"cat >> {shlex.quote(str(path))}",
            lambda: [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else [],
        )

    async def run(self, event: str = "PreToolUse", tool: str = "bash", **payload: Any):
        payload.setdefault("tool_input", {"command": "ls"})
        return await self.hooks.run(event, RUN, tool=tool, tool_call_id="c1", payload=payload)

    def turn(self, world: World, **more: Any) -> World:
        """The world's turns go through these hooks."""
        world.services = replace(world.services, hooks=self.hooks, **more)
        world.runner, world.compact = TurnRunner(world.services), CompactRunner(world.services)
        return world


class PolicyApprover:
    """Asks the real policy; keeps what a person would have been asked, and refuses it."""

    def __init__(self, **rules: Any) -> None:
        self.policy = Policy(**rules)
        self.asked: list[PermissionAsk] = []

    async def ask(self, run: Run, tool_call_id: str, mode: str, ask: PermissionAsk) -> Decision:
        verdict = self.policy.decide_ask(ask, mode, ask.path, None)
        if verdict.effect == "ask":
            self.asked.append(ask)
            return Decision(False, "no", asked=True)
        return Decision(verdict.effect == "allow", verdict.reason)


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # another process's doing, with a deadline
            await asyncio.sleep(0.01)
