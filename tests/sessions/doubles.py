"""A world for `Sessions`: the in-memory store, events that store and remember, two models, a clock that ticks."""

from collections.abc import Sequence
from typing import Any

from lsp_agent.agent.sessions import Sessions, SessionWorld
from lsp_agent.domain.errors import ProviderError, RequestRejected
from lsp_agent.domain.ids import UlidFactory
from lsp_agent.domain.message import FinishPart, FinishReason, Message, Role, TextPart
from lsp_agent.domain.model import Model
from lsp_agent.ports.store import PutMessage, Write
from lsp_agent.protocol import convert
from lsp_agent.store.memory import MemoryStore

BIG = Model("mine", "big", can_reason=True, reasoning_efforts=("low", "high"))
SMALL = Model("mine", "small")


class TickingClock:
    def __init__(self) -> None:
        self._now = 1_700_000_000_000
        self._ids = UlidFactory(lambda size: bytes(size))

    def now_ms(self) -> int:
        self._now += 1
        return self._now

    def monotonic_s(self) -> float:
        return self._now / 1000

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody waits here")

    def new_id(self) -> str:
        return self._ids.new(self.now_ms())


class StoringEvents:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.updates: list[tuple[str, dict[str, Any]]] = []

    def durable(self, session_id: str, run: Any, update: Any, *, writes: Sequence[Write] = ()) -> int:
        assert run is None
        _ = self._store.write(writes, lambda _results: self.updates.append((session_id, dict(update))))
        return len(self.updates) + 1

    def chunk(self, *arguments: Any) -> None:
        raise AssertionError("no chunks here")

    ephemeral = complete = chunk


class TwoModels:
    def __init__(self) -> None:
        self.is_broken = False

    def resolve(self, ref: str | None, *, role: str = "large") -> Model:
        if self.is_broken:
            raise ProviderError("ProviderAuth", "No model", "Nothing is configured")
        if ref is None:
            return BIG if role == "large" else SMALL
        for model in (BIG, SMALL):
            if model.ref == ref:
                return model
        raise ProviderError("Provider", "No model", "No such model; see the models section")

    def models(self) -> Sequence[Model]:
        return () if self.is_broken else (BIG, SMALL)

    async def provider_for(self, model: Model) -> Any:
        raise AssertionError("nobody is asked here")

    async def refresh_credentials(self, model: Model) -> bool:
        return False


class World:
    def __init__(self) -> None:
        self.store = MemoryStore()
        self.events = StoringEvents(self.store)
        self.clock = TickingClock()
        self.providers = TwoModels()
        self.busy: dict[str, tuple[bool, int]] = {}
        self.pending: list[Message] = []
        """What a running turn would still have to store."""
        self.sessions = self.start()

    def start(self) -> Sessions:
        """As a process that has just started on the same store."""
        return Sessions(
            SessionWorld(
                store=self.store,
                events=self.events,
                clock=self.clock,
                providers=self.providers,
                wire=convert,
                open_session=self.open,
                flush=self.flush,
                activity=lambda session_id: self.busy.get(session_id, (False, 0)),
                default_mode=lambda: "ask",
                default_root=lambda: "file:///w",
            )
        )

    async def open(self, session_id: str) -> None:
        if await self.store.session(session_id) is None:
            raise RequestRejected("SessionNotFound", "No such session", id=session_id)

    def flush(self, session_id: str) -> None:
        for message in self.pending:
            _ = self.store.write([PutMessage(message)])
        self.pending.clear()

    async def say(self, session_id: str, text: str, role: Role = Role.USER, *, is_summary: bool = False) -> str:
        message = self.message(session_id, text, role)
        message.is_summary = is_summary
        message.set_finish(FinishPart(FinishReason.STOP))
        await self.store.write([PutMessage(message)])
        return message.message_id

    def message(self, session_id: str, text: str, role: Role = Role.ASSISTANT) -> Message:
        now = self.clock.now_ms()
        return Message(self.clock.new_id(), session_id, role, [TextPart(text)], created_at_ms=now, updated_at_ms=now)

    async def new(self, **fields: Any) -> str:
        return str((await self.sessions.new(**fields))["sessionId"])

    async def texts(self, session_id: str) -> list[str]:
        page = await self.sessions.read(session_id)
        return [part["text"] for message in page["messages"] for part in message["parts"]]
