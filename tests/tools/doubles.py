"""The world of a tool as plain objects: files in a temporary directory, open documents in a dictionary."""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from lsp_agent.domain.errors import FileUnreadable, WorkspaceError
from lsp_agent.domain.message import ToolCallPart
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import Run
from lsp_agent.domain.session import Todo
from lsp_agent.ports.approver import Decision, PermissionAsk
from lsp_agent.ports.store import Grant, PutFileVersion, PutGrant, RecordRead, SeenFile, Write
from lsp_agent.ports.tools import Tool, ToolContext, ToolResult
from lsp_agent.ports.workspace import Document, Place, TextFile


class FakeClock:
    def __init__(self) -> None:
        self.now = 1_700_000_000_123
        self._ids = 0

    def now_ms(self) -> int:
        return self.now

    def monotonic_s(self) -> float:
        return self.now / 1000

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nothing here sleeps ({seconds})")

    def new_id(self) -> str:
        self._ids += 1
        return f"id{self._ids:05}"


class FakeStore:
    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.lasting: list[Grant] = []

    def write(self, writes: Sequence[Write], on_commit: Any = None) -> "asyncio.Future[Sequence[Any]]":
        self.writes += writes
        future: asyncio.Future[Sequence[Any]] = asyncio.get_running_loop().create_future()
        future.set_result([None] * len(writes))
        return future

    async def seen_file(self, session_id: str, path: str) -> SeenFile | None:
        for write in reversed(self.of(RecordRead)):
            if (write.session_id, write.path) == (session_id, path):
                return SeenFile(write.content_hash, write.version, write.read_at_ms)
        return None

    async def file_versions(self, session_id: str, path: str) -> list[str]:
        return [w.content for w in self.of(PutFileVersion) if (w.session_id, w.path) == (session_id, path)]

    async def grants(self) -> list[Grant]:
        return self.lasting + [Grant(w.session_id, w.root, w.tool, w.pattern, w.allow) for w in self.of(PutGrant)]

    def of(self, kind: type) -> list[Any]:
        return [write for write in self.writes if isinstance(write, kind)]


class FakeEvents:
    def __init__(self, store: FakeStore) -> None:
        self.updates: list[Mapping[str, Any]] = []
        self.sessions: list[str] = []
        self._store = store

    def durable(
        self, session_id: str, run: Run | None, update: Mapping[str, Any], *, writes: Sequence[Write] = ()
    ) -> int:
        self.updates.append(update)
        self.sessions.append(session_id)
        if writes:
            self._store.write(writes)
        return len(self.updates)

    def names(self) -> list[str]:
        return [update["sessionUpdate"] for update in self.updates]


class FakeApprover:
    """Allows everything unless told otherwise; `meanwhile` runs while the question is open."""

    def __init__(self) -> None:
        self.asks: list[PermissionAsk] = []
        self.decide: Callable[[PermissionAsk], Decision] = lambda ask: Decision(True)
        self.meanwhile: Callable[[PermissionAsk], None] = lambda ask: None

    async def ask(self, run: Run, tool_call_id: str, mode: str, ask: PermissionAsk) -> Decision:
        self.asks.append(ask)
        self.meanwhile(ask)
        return self.decide(ask)


class FakeWorkspace:
    """`ports.workspace.Workspace` over real directories; `open` documents win over the disk."""

    def __init__(self, *roots: Path) -> None:
        self.roots: Sequence[Path] = [root.resolve() for root in roots]
        self.documents: dict[Path, Document] = {}
        self.refusal: WorkspaceError | None = None
        self.opened: list[Path] = []

    def open(self, path: Path, text: str, version: int = 1) -> None:
        real = path.resolve()
        self.documents[real] = Document(real.as_uri(), real, version, "plaintext", text)

    def place(self, path: str) -> Place:
        if not path or "\0" in path:
            raise WorkspaceError("not a path")
        real = (self.roots[0] / Path(path).expanduser()).resolve()
        for root in self.roots:
            if real.is_relative_to(root):
                return Place(real, real.as_uri(), real.relative_to(root).as_posix(), True, root)
        return Place(real, real.as_uri(), real.as_posix(), False, None)

    async def read_text(self, place: Place, *, max_bytes: int | None = None) -> TextFile:
        self.opened.append(place.path)
        document = self.documents.get(place.path)
        if document is not None:
            return text_file(place, document.text, document.version)
        data = await self.read_bytes(place, max_bytes=max_bytes or 10**9)
        if b"\0" in data:
            raise FileUnreadable(place.shown, "binary")
        try:
            return text_file(place, data.decode("utf-8"), None)
        except UnicodeDecodeError as error:
            raise FileUnreadable(place.shown, "not decodable") from error

    async def read_bytes(self, place: Place, *, max_bytes: int) -> bytes:
        if not place.path.is_file():
            raise FileUnreadable(place.shown, "missing" if not place.path.exists() else "a directory")
        if place.path.stat().st_size > max_bytes:
            raise FileUnreadable(place.shown, "too large")
        return place.path.read_bytes()

    async def change(self, place: Place, transform: Callable[[TextFile], str], label: str) -> tuple[TextFile, TextFile]:
        before = await self.read_text(place)
        text = transform(before)
        if self.refusal is not None:
            raise self.refusal
        if place.path in self.documents:
            self.open(place.path, text, (before.version or 0) + 1)
        else:
            place.path.write_bytes(text.encode("utf-8"))
        return before, await self.read_text(place)

    async def create(self, place: Place, text: str, label: str) -> TextFile:
        if self.refusal is not None:
            raise self.refusal
        if place.path.exists():
            raise WorkspaceError(f"{place.shown} exists")
        place.path.parent.mkdir(parents=True, exist_ok=True)
        place.path.write_bytes(text.encode("utf-8"))
        return await self.read_text(place)

    async def walk(
        self, place: Place, *, pattern: str | None = None, hidden: bool = False, limit: int = 100_000
    ) -> list[Path]:
        found = [
            Path(directory) / name
            for directory, _, names in os.walk(place.path)
            for name in names
            if not any(part.startswith(".") for part in (Path(directory) / name).relative_to(place.path).parts)
        ]
        return sorted({*found, *[d.path for d in self.open_documents_below(place.path) if d.path]})[:limit]

    def open_documents_below(self, path: Path) -> Iterable[Document]:
        return [document for real, document in self.documents.items() if real.is_relative_to(path)]


def text_file(place: Place, text: str, version: int | None) -> TextFile:
    return TextFile(place.path, place.uri, text, xxhash.xxh3_128_hexdigest(text.encode("utf-8")), version)


@dataclass
class World:
    """Everything a tool touches, and a short way to call one."""

    root: Path
    workspace: FakeWorkspace
    approver: FakeApprover = field(default_factory=FakeApprover)
    store: FakeStore = field(default_factory=FakeStore)
    clock: FakeClock = field(default_factory=FakeClock)
    model: Model = field(default_factory=lambda: Model("fake", "m"))
    todos: Sequence[Todo] = ()
    mode: str = "ask"

    def __post_init__(self) -> None:
        self.events = FakeEvents(self.store)

    def file(self, name: str, content: str | bytes = "") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    def context(self, tool: str = "tool") -> ToolContext:
        return ToolContext(
            run=Run("key1", "s1", "r1", "m1", "prompt"),
            call=ToolCallPart("t1", tool),
            message_id="m2",
            model=self.model,
            mode=self.mode,
            workspace=self.workspace,
            approver=self.approver,
            store=self.store,  # type: ignore[arg-type]
            events=self.events,  # type: ignore[arg-type]
            clock=self.clock,
            progress=lambda text: None,
            todos=lambda: self.todos,
        )

    async def call(self, tool: Tool, **arguments: Any) -> ToolResult:
        return await tool.run(arguments, self.context(tool.spec.name))


def make_world(root: Path) -> World:
    root = root.resolve()
    return World(root, FakeWorkspace(root))
