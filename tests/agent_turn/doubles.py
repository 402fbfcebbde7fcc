"""Fakes of the ports, each suspending at every await, and a world that puts a turn together."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lsp_agent.agent.compaction import CompactRunner
from lsp_agent.agent.services import TurnLimits, TurnServices
from lsp_agent.agent.turn import TurnRunner
from lsp_agent.domain.errors import ProviderError, StoreError
from lsp_agent.domain.ids import UlidFactory
from lsp_agent.domain.message import FinishReason, Message
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import Outcome, Run, RunOptions, StopReason
from lsp_agent.domain.session import Session
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
from lsp_agent.ports.provider import Request, ToolSpec
from lsp_agent.ports.store import DropMessage, PatchSession, PutMessage, PutSession, SetRunState, Write
from lsp_agent.ports.tools import ToolContext, ToolResult

LARGE = Model(
    "local", "large", context_window=200_000, max_output_tokens=4096, input_usd_per_mtok=3.0, output_usd_per_mtok=15.0
)
SMALL = Model("local", "small", context_window=100_000)


# ---------------------------------------------------------------------------------------------------------- scripts


@dataclass(frozen=True)
class Stall:
    """Silence until cancelled."""


Item = StreamEvent | ProviderError | Stall | Sequence[StreamEvent]


def say(*texts: str, usage: Usage | None = None) -> list[Item]:
    report: list[Item] = [UsageReport(usage)] if usage else []
    return [*[TextDelta(text) for text in texts], *report, Finished(FinishReason.END_TURN)]


def call(call_id: str, name: str, arguments: str = "{}") -> list[Item]:
    return [ToolCallStart(call_id, name), ToolCallDelta(call_id, arguments), ToolCallEnd(call_id, name, arguments)]


def calls(*items: list[Item], text: str = "", usage: Usage | None = None) -> list[Item]:
    said: list[Item] = [TextDelta(text)] if text else []
    report: list[Item] = [UsageReport(usage)] if usage else []
    return [*said, *[part for item in items for part in item], *report, Finished(FinishReason.TOOL_USE)]


def think(*texts: str, data: dict[str, Any] | None = None) -> list[Item]:
    return [*[ReasoningDelta(text) for text in texts], ReasoningEnd(data or {})]


def broken(kind: str = "Overloaded", *, retryable: bool = True, **more: Any) -> ProviderError:
    return ProviderError(kind, "overloaded", "The service is busy.", retryable=retryable, **more)


class ScriptedProvider:
    """Plays one script a request; titles and summaries have scripts of their own."""

    provider_id = "local"
    media_in_tool_results = False

    def __init__(self) -> None:
        self.scripts: deque[list[Item]] = deque()
        self.titles: deque[list[Item]] = deque()
        self.summaries: deque[list[Item]] = deque()
        self.requests: list[Request] = []
        self.title_requests: list[Request] = []
        self.summary_requests: list[Request] = []
        self.open = 0
        self.on_request: Callable[[Request], None] | None = None
        self.suspends = True

    def _script_for(self, request: Request) -> list[Item]:
        system = request.system[-1]
        if system.startswith("Give the conversation"):
            self.title_requests.append(request)
            return self.titles.popleft() if self.titles else say("A title")
        if system.startswith("You write the hand-over"):
            self.summary_requests.append(request)
            return self.summaries.popleft() if self.summaries else say("the hand-over")
        self.requests.append(request)
        if self.on_request:
            self.on_request(request)
        return self.scripts.popleft() if self.scripts else say("done")

    async def stream(self, request: Request) -> AsyncIterator[Sequence[StreamEvent]]:
        script = self._script_for(request)
        self.open += 1
        try:
            for item in script:
                if self.suspends:
                    await asyncio.sleep(0)
                if isinstance(item, ProviderError):
                    raise item
                if isinstance(item, Stall):
                    await asyncio.Event().wait()
                elif isinstance(item, Sequence):
                    yield item
                else:
                    yield [item]
        finally:
            self.open -= 1

    async def close(self) -> None:
        return None


class FakeProviders:
    def __init__(self, provider: ScriptedProvider) -> None:
        self.provider = provider
        self.large, self.small = LARGE, SMALL
        self.refused: ProviderError | None = None
        self.refreshes = 0
        self.refresh_works = False

    def resolve(self, ref: str | None, *, role: str = "large") -> Model:
        if self.refused:
            raise self.refused
        return self.small if role == "small" else self.large

    async def provider_for(self, model: Model) -> ScriptedProvider:
        await asyncio.sleep(0)
        return self.provider

    async def refresh_credentials(self, model: Model) -> bool:
        await asyncio.sleep(0)
        self.refreshes += 1
        return self.refresh_works

    def models(self) -> Sequence[Model]:
        return [self.large, self.small]


# ------------------------------------------------------------------------------------------------------- the store


class FakeStore:
    """Commits on the next loop turn, in order. Only what a turn uses."""

    def __init__(self) -> None:
        self.sessions_by_id: dict[str, Session] = {}
        self.rows: dict[str, Message] = {}
        self.dropped: set[str] = set()
        self.states: list[tuple[str, str]] = []
        self.patches: list[PatchSession] = []
        self.puts = 0
        self.fail_reads = 0
        self.fail_writes = 0
        self.committed: asyncio.Event | None = None

    def write(self, writes: Sequence[Write], on_commit: Any = None) -> "asyncio.Future[Sequence[Any]]":
        future: asyncio.Future[Sequence[Any]] = asyncio.get_running_loop().create_future()
        if self.fail_writes:
            self.fail_writes -= 1
            future.set_exception(StoreError("disk full"))
            future.exception()
            return future
        for write in writes:
            self._apply(write)
        if on_commit:
            on_commit([None] * len(writes))
        future.set_result([None] * len(writes))
        return future

    def _apply(self, write: Write) -> None:
        match write:
            case PutSession(session):
                self.sessions_by_id[session.session_id] = session
            case PutMessage(message):
                self.puts += 1
                if message.message_id not in self.dropped:
                    self.rows[message.message_id] = message
            case DropMessage(message_id):
                self.dropped.add(message_id)
                self.rows.pop(message_id, None)
            case SetRunState(run_key, state):
                self.states.append((run_key, state.value))
            case PatchSession():
                self.patches.append(write)
                session = self.sessions_by_id[write.session_id]
                for name, value in write.changes.items():
                    if not (name == "title" and write.unless_titled and session.title_is_users):
                        setattr(session, name, value)
                for name, amount in write.add.items():
                    setattr(session, name, getattr(session, name) + amount)
            case _:
                raise AssertionError(f"a turn does not write {write!r}")

    async def session(self, session_id: str) -> Session | None:
        await self._read()
        session = self.sessions_by_id.get(session_id)
        return replace(session, options=dict(session.options)) if session else None

    async def messages(
        self, session_id: str, *, limit: int | None = None, cursor: str | None = None, from_message: str | None = None
    ) -> tuple[list[Message], str | None]:
        await self._read()
        return self.all(session_id, from_message), None

    def all(self, session_id: str = "s", from_message: str | None = None) -> list[Message]:
        rows = sorted((row for row in self.rows.values() if row.session_id == session_id), key=lambda m: m.message_id)
        return [row.copy() for row in rows if from_message is None or row.message_id >= from_message]

    async def _read(self) -> None:
        await asyncio.sleep(0)
        if self.fail_reads:
            self.fail_reads -= 1
            raise StoreError("cannot read")


class FakeEvents:
    """Every event in order, chunks and ephemeral ones included, with what the store held when it was announced."""

    def __init__(self, store: FakeStore) -> None:
        self.store = store
        self.all: list[dict[str, Any]] = []
        self.runs: list[Run | None] = []
        self.seq = 0

    def durable(self, session_id: str, run: Run | None, update: Mapping[str, Any], *, writes: Any = ()) -> int:
        if writes:
            self.store.write(writes)
        self._add(run, dict(update))
        self.seq += 1
        return self.seq

    def chunk(self, session_id: str, run: Run | None, kind: str, key: str, text: str) -> None:
        self._add(run, {"sessionUpdate": kind, "key": key, "text": text})

    def ephemeral(self, session_id: str, run: Run | None, update: Mapping[str, Any]) -> None:
        self._add(run, dict(update))

    def complete(self, run: Run, outcome: Outcome, *, writes: Any = ()) -> int:
        raise AssertionError("the conductor completes runs")

    def _add(self, run: Run | None, update: dict[str, Any]) -> None:
        self.all.append(update)
        self.runs.append(run)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [update for update in self.all if update["sessionUpdate"] == kind]

    def statuses(self, call_id: str) -> list[str]:
        return [update["status"] for update in self.of("tool_call_update") if update["toolCallId"] == call_id]

    def notices(self) -> list[str]:
        return [update["code"] for update in self.of("notice")]


class FakeClock:
    """Time that passes only in `sleep`, which still gives the loop a turn."""

    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0
        self.slept: list[float] = []
        self._ids = UlidFactory(lambda size: bytes(size))

    def now_ms(self) -> int:
        return int(self.now_s * 1000)

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)
        self.now_s += seconds

    def new_id(self) -> str:
        self.now_s += 0.001
        return self._ids.new(self.now_ms())


# ----------------------------------------------------------------------------------------------------------- tools

Body = Callable[[Mapping[str, Any], ToolContext], Awaitable[ToolResult]]


async def echo(arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
    await asyncio.sleep(0)
    context.progress("working")
    await asyncio.sleep(0)
    return ToolResult(f"echo {arguments.get('text', '')}")


@dataclass
class FakeTool:
    spec: ToolSpec
    body: Body = echo
    kind: str = "read"
    parallel: bool = False
    read_only: bool = True

    def title(self, arguments: Mapping[str, Any]) -> str:
        return f"{self.spec.name} {arguments.get('text', '')}"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        return await self.body(arguments, context)


def tool(name: str, body: Body = echo, **more: Any) -> FakeTool:
    schema = more.pop("schema", {"type": "object", "properties": {"text": {"type": "string"}}})
    return FakeTool(ToolSpec(name, name, schema), body, **more)


class FakeTools:
    def __init__(self, tools: Sequence[FakeTool]) -> None:
        self.tools = list(tools)

    def for_turn(self, *, mode: str, interactive: bool) -> Sequence[FakeTool]:
        return sorted(self.tools, key=lambda one: one.spec.name)


class FakeControl:
    def __init__(self) -> None:
        self.folds: list[Run] = []
        self.on_cancel = StopReason.CANCELLED

    def take_folds(self) -> list[Run]:
        taken, self.folds = self.folds, []
        return taken

    def stop_reason_on_cancel(self) -> StopReason:
        return self.on_cancel


class FakeWorkspace:
    roots = (Path("/work/project"),)


# ----------------------------------------------------------------------------------------------------------- world


@dataclass
class World:
    limits: TurnLimits = field(default_factory=lambda: TurnLimits(update_interval_ms=0))
    tools: list[FakeTool] = field(default_factory=lambda: [tool("echo")])
    titled: bool = True

    def __post_init__(self) -> None:
        self.store, self.clock, self.provider = FakeStore(), FakeClock(), ScriptedProvider()
        self.providers = FakeProviders(self.provider)
        self.events, self.control = FakeEvents(self.store), FakeControl()
        self.store.sessions_by_id["s"] = Session("s", title_is_users=self.titled, title="named")
        self.services = TurnServices(
            store=self.store,  # type: ignore[arg-type]
            events=self.events,
            providers=self.providers,  # type: ignore[arg-type]
            tools=FakeTools(self.tools),
            workspace=FakeWorkspace(),  # type: ignore[arg-type]
            approver=None,  # type: ignore[arg-type]
            clock=self.clock,
            limits=lambda: self.limits,
        )
        self.runner = TurnRunner(self.services)
        self.compact = CompactRunner(self.services)
        self.number = 0

    @property
    def session(self) -> Session:
        return self.store.sessions_by_id["s"]

    def script(self, *scripts: list[Item]) -> "World":
        self.provider.scripts.extend(scripts)
        return self

    def run(self, prompt: str = "hello", **options: Any) -> Run:
        self.number += 1
        attachments = options.pop("attachments", ())
        return Run(
            f"key{self.number}",
            "s",
            f"r{self.number}",
            self.clock.new_id(),
            prompt,
            attachments,
            RunOptions(**options),
        )

    async def play(self, prompt: str = "hello", **options: Any) -> Outcome:
        return await self.runner(self.run(prompt, **options), self.control)

    def last(self) -> Message:
        return [row for row in self.store.all() if row.role.value == "assistant"][-1]


async def until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  # a condition of fakes, with a deadline
            await asyncio.sleep(0)
