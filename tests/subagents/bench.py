"""The real agent with sub-agents and questions, in this process: SQLite, hub, policy, tools; a scripted model."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from lsp_agent.agent.agent import Agent
from lsp_agent.agent.approvals import Approvals
from lsp_agent.agent.attention import Attention
from lsp_agent.agent.hub import Hub
from lsp_agent.agent.questions import Questions
from lsp_agent.agent.services import TurnLimits, TurnServices
from lsp_agent.agent.submission import Submission
from lsp_agent.agent.turn import TurnRunner
from lsp_agent.clock import SystemClock
from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import RunOptions
from lsp_agent.policy.rules import Policy
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import ToolResult
from lsp_agent.providers.script import parse_script
from lsp_agent.providers.scripted import ScriptedProvider
from lsp_agent.store.sqlite import SqliteStore
from lsp_agent.subagents.desk import Subagents
from lsp_agent.subagents.fetch_tool import AgenticFetch
from lsp_agent.subagents.library import Library
from lsp_agent.subagents.running import ChildLimits, Runner
from lsp_agent.tools.arguments import object_schema
from lsp_agent.tools.question import AskUser
from lsp_agent.tools.registry import BuiltinTools
from lsp_agent.workspace.overlay import OverlayWorkspace
from lsp_agent.workspace.roots import Roots

LARGE = Model("local", "large", context_window=100_000, input_usd_per_mtok=1.0, output_usd_per_mtok=1.0)
SMALL = Model("local", "small", context_window=100_000, input_usd_per_mtok=1.0, output_usd_per_mtok=1.0)
USD = 1e-3
"""What `paid()` costs."""


def paid(times: int = 1) -> dict[str, Any]:
    return {"usage": {"input": 1000 * times, "output": 0}}


def turn(*steps: dict[str, Any], when: str = "", after: str = "", times: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = {"do": list(steps), "times": times}
    if when:
        found["when"] = when
    if after:
        found["after"] = after
    return found


def say(text: str) -> dict[str, Any]:
    return {"text": text}


def call(name: str, call_id: str = "", **arguments: Any) -> dict[str, Any]:
    step: dict[str, Any] = {"tool": name, "input": arguments}
    return {**step, "id": call_id} if call_id else step


class Providers:
    """Two models and a third with a name of its own; requests are kept by session."""

    def __init__(self, provider: ScriptedProvider) -> None:
        self.provider = provider
        self.requests: list[Any] = []
        self.media_in_tool_results = True
        self.provider_id = "local"

    async def prepare(self) -> None:
        return None

    def resolve(self, ref: str | None, *, role: str = "large") -> Model:
        table = {"local/large": LARGE, "local/small": SMALL, None: LARGE if role == "large" else SMALL}
        if ref not in table:
            raise ProviderError("Provider", "Unknown model", f"There is no model {ref}.")
        return table[ref]

    async def provider_for(self, model: Model) -> "Providers":
        return self

    async def stream(self, request: Any) -> Any:
        self.requests.append(request)
        async for batch in self.provider.stream(request):
            yield batch

    async def close(self) -> None:
        return None

    async def refresh_credentials(self, model: Model) -> bool:
        return False

    def models(self) -> list[Model]:
        return [LARGE, SMALL]


class NoEditor:
    """No document is open."""

    def document(self, path: Path) -> None:
        return None

    def documents(self) -> list[Any]:
        return []


class Screen:
    """A connection: every event as a dict, in order."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.chunks: list[dict[str, Any]] = []

    def notify(self, method: str, params: bytes, *, kind: str, key: str, session_id: str) -> None:
        self.events.append({"method": method, "kind": kind, **orjson.loads(params)})

    def chunk(
        self, session_id: str, run_id: Any, update_kind: str, key: str, text: str, seq: int, parent: Any = None
    ) -> None:
        self.chunks.append({"sessionId": session_id, "kind": update_kind, "key": key, "text": text, "parent": parent})

    def updates(self, name: str, session_id: str | None = None) -> list[dict[str, Any]]:
        return [
            {**event, **event["update"]}
            for event in self.events
            if event.get("update", {}).get("sessionUpdate") == name and session_id in (None, event["sessionId"])
        ]

    def completes(self, session_id: str | None = None) -> list[dict[str, Any]]:
        return [
            event
            for event in self.events
            if event["method"] == "agent/runComplete" and session_id in (None, event["sessionId"])
        ]

    @property
    def said(self) -> list[dict[str, Any]]:
        """Text of answers, as it streamed."""
        return [chunk for chunk in self.chunks if chunk["kind"] == "agent_message_chunk"]

    @property
    def children(self) -> list[str]:
        return list(dict.fromkeys(event["sessionId"] for event in self.events if "$$" in event["sessionId"]))


class AlwaysThere:
    """A person sits there: everything can be answered, nothing is shown."""

    def can_answer(self, session_id: str) -> bool:
        return True

    def asked(self, record: Any) -> None:
        return None

    def closed(self, request_id: str) -> None:
        return None


@dataclass
class Page:
    """Stands in for `web_fetch`: pages from a dictionary; asks permission as the real one does."""

    pages: dict[str, str]
    fetched: list[str] = field(default_factory=list)
    kind = "fetch"
    parallel = True
    read_only = True
    spec = ToolSpec("web_fetch", "read a page", object_schema({"url": {"type": "string"}}, ["url"]))

    def title(self, arguments: Any) -> str:
        return "page"

    async def run(self, arguments: Any, context: Any) -> ToolResult:
        from lsp_agent.ports.approver import PermissionAsk

        url = arguments["url"]
        ask = PermissionAsk("web_fetch", "fetch", url, {"type": "url", "url": url})
        decision = await context.approver.ask(context.run, context.call.tool_call_id, context.mode, ask)
        if not decision.allowed:
            return ToolResult(decision.message or "denied", is_error=True)
        self.fetched.append(url)
        return ToolResult(self.pages.get(url, "no such page"), is_error=url not in self.pages)


@dataclass
class Bench:
    """Made by `open_bench`."""

    root: Path
    data: Path
    store: SqliteStore
    hub: Hub
    agent: Agent
    approvals: Approvals
    questions: Questions
    subagents: Subagents
    provider: ScriptedProvider
    providers: Providers
    screen: Screen
    library: Library
    web: Page
    mode: dict[str, str]
    ended: list[str]
    answers: list[Any] = field(default_factory=list)
    refusals: list[Any] = field(default_factory=list)

    def run(self, prompt: str, session_id: str | None = None, run_id: str = "r1", **options: Any) -> None:
        submission = Submission(
            prompt, session_id, run_id, options=RunOptions(title="named", **options), subscriber=self.screen
        )
        self.agent.run(submission, self.answers.append, self.refusals.append)

    async def complete(self, run_id: str = "r1") -> dict[str, Any]:
        await self.until(lambda: any(event["runId"] == run_id for event in self.screen.completes()))
        return next(event for event in self.screen.completes() if event["runId"] == run_id)

    async def until(self, condition: Any, timeout_s: float = 10.0) -> Any:
        end_s = time.monotonic() + timeout_s
        while not (found := condition()):
            assert time.monotonic() < end_s, "it did not happen in time"
            await asyncio.sleep(0.005)
        return found

    @property
    def session_id(self) -> str:
        return str(self.answers[0].session_id)

    async def results(self, session_id: str | None = None) -> dict[str, Any]:
        """Tool results of a session by call id."""
        await self.store.flush()
        messages, _ = await self.store.messages(session_id or self.session_id)
        return {part.tool_call_id: part for message in messages for part in message.tool_results}

    async def cost(self, session_id: str | None = None) -> float:
        await self.store.flush()
        session = await self.store.session(session_id or self.session_id)
        assert session is not None
        return session.cost_usd

    async def close(self) -> None:
        await self.agent.shutdown(2.0)
        await self.store.close()


async def open_bench(
    tmp_path: Path,
    *script: dict[str, Any],
    policy: Policy | None = None,
    limits: TurnLimits | None = None,
    child_limits: ChildLimits | None = None,
    pages: dict[str, str] | None = None,
    admits: Any = lambda _path: False,
    more: Any = (),
    answer_timeout_s: float = 30.0,
) -> Bench:
    root, data = tmp_path / "project", tmp_path / "data"
    root.mkdir(exist_ok=True)
    data.mkdir(exist_ok=True)
    clock = SystemClock()
    store = await SqliteStore.open(data, clock_ms=clock.now_ms, workspace=str(root))
    hub = Hub(store, clock)
    provider = ScriptedProvider("local", script=parse_script(list(script)))
    providers = Providers(provider)
    roots = Roots([root])
    attention = Attention(hub)
    rules = policy or Policy()
    approvals = Approvals(
        store=store,
        events=hub,
        clock=clock,
        decide=rules.decide_ask,
        roots=lambda: roots.paths,
        attention=attention,
        answer_timeout_s=answer_timeout_s,
    )
    questions = Questions(events=hub, clock=clock, attention=attention, answer_timeout_s=answer_timeout_s)
    for asks in (approvals, questions):
        asks.add_surface(AlwaysThere())
    mode: dict[str, str] = {}
    ended: list[str] = []

    async def end_session(session_id: str) -> None:
        ended.append(session_id)

    library = Library([tmp_path / "agents"], roots=lambda: roots.paths, admits=admits)
    runner = Runner(limits=child_limits, live_mode=mode.get, end_session=end_session)
    subagents = Subagents(runner, library)
    web = Page(pages or {})
    editor: Any = NoEditor()
    subagents.offer_research(
        AgenticFetch(
            runner,
            research_tools=lambda _directory: [web],
            workspace_at=lambda path: OverlayWorkspace(Roots([path]), editor),
            directory=data / "research",
            forbids=approvals.forbids,
        )
    )
    services = TurnServices(
        store=store,
        events=hub,
        providers=providers,
        tools=BuiltinTools(withhold=lambda _path: False, more=[AskUser(questions), *more], changing=subagents.tools),
        workspace=OverlayWorkspace(roots, editor),
        approver=approvals,
        clock=clock,
        limits=lambda: limits or TurnLimits(retries=0),
    )

    async def no_compaction(_session_id: str) -> None:
        return None

    agent = Agent(
        store,
        hub,
        clock,
        TurnRunner(services),
        no_compaction,
        pending=lambda session_id: {
            "permissions": approvals.pending(session_id),
            "questions": questions.pending(session_id),
        },
    )
    subagents.bind(services, agent.children)
    await library.refresh()
    await agent.recover()
    screen = Screen()
    return Bench(
        root,
        data,
        store,
        hub,
        agent,
        approvals,
        questions,
        subagents,
        provider,
        providers,
        screen,
        library,
        web,
        mode,
        ended,
    )
