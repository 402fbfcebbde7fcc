"""A provider that plays a script instead of asking a model: for demonstrations, tests and bug reports.

The language is described in `script` (and docs/scripted.md); without a script it plays `demo`. Everything happens in
this process; nothing leaves the machine.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.message import FinishReason
from lsp_agent.domain.stream import (
    Finished,
    ReasoningDelta,
    ReasoningEnd,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from lsp_agent.domain.usage import Usage
from lsp_agent.ports.provider import Request
from lsp_agent.providers.content import CallIds, body_bytes, call_ids_of, count, money
from lsp_agent.providers.demo import demo_turn
from lsp_agent.providers.errors import broken_stream
from lsp_agent.providers.script import Scene, ScriptTurn, Step, choose, load_script, scene_of

_HOLD_POLL_S = 0.02
_SESSIONS_KEPT = 1000
_RUN_OUT = "The script has nothing to say to this."


@dataclass(slots=True)
class _Session:
    """How far one session has come: turns used, requests seen."""

    used: dict[int, int] = field(default_factory=dict)
    step: int = 0


class ScriptedProvider:
    """Plays `script` (a path, turns, or None for the demonstration). Every session plays it from the start.

    `hold_dir`: where `hold` looks for the releasing file; when a hold begins, `<name>.held` is written there.
    """

    def __init__(
        self,
        provider_id: str = "scripted",
        *,
        script: Path | Sequence[ScriptTurn] | None = None,
        hold_dir: Path | None = None,
    ) -> None:
        self.provider_id = provider_id
        self.media_in_tool_results = True
        self._path = script if isinstance(script, Path) else None
        self._turns = tuple(script) if script is not None and not isinstance(script, Path) else None
        self._hold_dir = hold_dir
        self._released: dict[str, asyncio.Event] = {}
        self._sessions: dict[str, _Session] = {}

    async def preload(self) -> None:
        """Nothing to load."""

    def release(self, name: str) -> None:
        """Let every `hold` of that name go on, now and later."""
        self._released.setdefault(name, asyncio.Event()).set()

    async def stream(self, request: Request) -> AsyncIterator[Sequence[StreamEvent]]:
        turn, scene = self._turn_for(request)
        ids = CallIds(call_ids_of(request.messages))
        finish = Finished(FinishReason.END_TURN)
        for step in turn.steps:
            if "finish" in step:
                finish = Finished(FinishReason(step["finish"]))
                continue
            if "refusal" in step:
                finish = Finished(FinishReason.CONTENT_FILTER, scene.fill(step["refusal"]))
                continue
            if "tool" in step:
                finish = Finished(FinishReason.TOOL_USE) if finish.reason is FinishReason.END_TURN else finish
            if "hold" in step:
                await self._hold(str(step["hold"]))
                continue
            async for batch in _play(step, scene, ids, self.provider_id):
                yield batch
        yield [finish]

    async def close(self) -> None:
        """Nothing to release."""

    def _turn_for(self, request: Request) -> tuple[ScriptTurn, Scene]:
        if len(self._sessions) > _SESSIONS_KEPT:
            self._sessions.pop(next(iter(self._sessions)))
        session = self._sessions.setdefault(request.session_hash, _Session())
        if request.tools:
            session.step += 1
        scene = scene_of(request, session.step)
        if self._path is not None and self._turns is None:
            self._turns = load_script(self._path)
        if self._turns is None:
            return demo_turn(request, scene), scene
        turn = choose(self._turns, scene, session.used)
        if turn is None:
            text = " ".join(scene.last_user.split())[:50] if scene.aside else ""
            turn = ScriptTurn(({"text": text or _RUN_OUT},))
        return turn, scene

    async def _hold(self, name: str) -> None:
        event = self._released.setdefault(name, asyncio.Event())
        if self._hold_dir is None:
            await event.wait()
            return
        released = self._hold_dir / name
        self._hold_dir.mkdir(parents=True, exist_ok=True)
        (self._hold_dir / f"{name}.held").touch()
        while not released.exists():
            try:
                async with asyncio.timeout(_HOLD_POLL_S):
                    await event.wait()
                return
            except TimeoutError:
                continue  # look at the file again


async def _play(step: Step, scene: Scene, ids: CallIds, service: str) -> AsyncIterator[Sequence[StreamEvent]]:
    """The batches of one step. Raises: ProviderError for `error` and `disconnect`."""
    delay_s = float(step.get("delay_s", 0))
    if "text" in step or "think" in step:
        thinking = "think" in step
        text = scene.fill(str(step["think"] if thinking else step["text"])) * int(step.get("repeat", 1))
        for piece in _pieces(text, int(step.get("deltas", 1)) * int(step.get("repeat", 1))):
            yield [ReasoningDelta(piece) if thinking else TextDelta(piece)]
            # also with no delay: other sessions get their turn between two deltas
            await asyncio.sleep(delay_s)
        if thinking:
            yield [ReasoningEnd()]
    elif "tool" in step:
        call_id, name = ids.claim(step.get("id")), str(step["tool"])
        value = scene.fill_all(step.get("input", {}))
        text = value if isinstance(value, str) else body_bytes(value).decode()
        yield [ToolCallStart(call_id, name)]
        for piece in _pieces(text, int(step.get("deltas", 1))):
            yield [ToolCallDelta(call_id, piece)]
            await asyncio.sleep(delay_s)
        yield [ToolCallEnd(call_id, name, text)]
    elif "usage" in step:
        yield [UsageReport(_usage(step["usage"]))]
    elif "ping" in step:
        for _ in range(int(step["ping"])):
            yield []
            await asyncio.sleep(delay_s)
    elif "stall" in step:
        await asyncio.sleep(float(step["stall"]))
    elif "error" in step:
        raise _error(step["error"], scene)
    elif step.get("disconnect"):
        raise broken_stream(service)


def _pieces(text: str, deltas: int) -> list[str]:
    size = max(1, -(-len(text) // max(deltas, 1)))
    return [text[at : at + size] for at in range(0, len(text), size)]


def _usage(value: Mapping[str, Any]) -> Usage:
    return Usage(
        input=count(value.get("input")),
        output=count(value.get("output")),
        cache_read=count(value.get("cache_read")),
        cache_write=count(value.get("cache_write")),
        reasoning=count(value.get("reasoning")),
        reported_cost_usd=money(value.get("cost_usd")),
    )


def _error(value: Mapping[str, Any], scene: Scene) -> ProviderError:
    kind = str(value.get("kind", "Provider"))
    return ProviderError(
        kind,
        str(value.get("title", "Scripted error")),
        scene.fill(str(value.get("message", "The script asked for this error."))),
        status=value.get("status"),
        retryable=bool(value.get("retryable", kind in {"RateLimited", "Overloaded", "Timeout"})),
        retry_after_s=money(value.get("retry_after_s")),
    )
