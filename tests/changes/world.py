"""A workspace with real files, open documents in a dictionary, a real store and the real tools, without a server."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lsp_agent.changes.choosing import Target
from lsp_agent.changes.service import Changes
from lsp_agent.changes.snapshot import SnapshotLimits
from lsp_agent.domain.errors import DocumentChanged, EditRefused, ToolError
from lsp_agent.domain.ids import UlidFactory
from lsp_agent.domain.message import Message, Role, TextPart, ToolCallPart
from lsp_agent.domain.model import Model
from lsp_agent.domain.run import Run
from lsp_agent.domain.session import Session
from lsp_agent.policy.protected import is_secret
from lsp_agent.ports.approver import Decision
from lsp_agent.ports.store import PutMessage, PutSession
from lsp_agent.ports.tools import Tool, ToolContext, ToolResult
from lsp_agent.ports.workspace import Document
from lsp_agent.tools.edit import Edit
from lsp_agent.tools.multiedit import MultiEdit
from lsp_agent.tools.view import View
from lsp_agent.tools.write import Write
from lsp_agent.workspace.lines import apply_edits
from lsp_agent.workspace.overlay import OverlayWorkspace
from lsp_agent.workspace.roots import Roots

SESSION = "s1"


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000_000
        self._ids = UlidFactory()

    def now_ms(self) -> int:
        self.now += 1
        return self.now

    def monotonic_s(self) -> float:
        return self.now / 1000

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nothing here sleeps ({seconds})")

    def new_id(self) -> str:
        return self._ids.new(self.now)


class Events:
    def __init__(self) -> None:
        self.updates: list[Mapping[str, Any]] = []

    def durable(
        self, session_id: str, run: Run | None, update: Mapping[str, Any], *, writes: Sequence[Any] = ()
    ) -> int:
        self.updates.append(update)
        return len(self.updates)


class OpenDocuments:
    """Implements `ports.workspace.Editor`; `refuses` makes it say no."""

    def __init__(self) -> None:
        self.open: dict[Path, Document] = {}
        self.labels: list[str] = []
        self.refuses = False

    def put(self, path: Path, text: str) -> None:
        version = self.open[path].version + 1 if path in self.open else 1
        self.open[path] = Document(path.as_uri(), path, version, "", text)

    def document(self, path: Path) -> Document | None:
        return self.open.get(path)

    def document_by_uri(self, uri: str) -> Document | None:
        return next((one for one in self.open.values() if one.uri == uri), None)

    def documents(self) -> Sequence[Document]:
        return list(self.open.values())

    async def apply_edit(self, document: Document, edits: Any, label: str) -> None:
        if self.refuses:
            raise EditRefused("the user said no")
        assert document.path is not None
        if self.open[document.path].version != document.version:
            raise DocumentChanged("moved")
        self.labels.append(label)
        self.put(document.path, apply_edits(document.text, edits))


class AllowAll:
    async def ask(self, *_: Any) -> Decision:
        return Decision(True)


class World:
    """Call `begin`, then let the agent and the user work."""

    def __init__(self, root: Path, store: Any, limits: SnapshotLimits | None = None) -> None:
        self.root = root.resolve()
        self.root.mkdir(parents=True, exist_ok=True)
        self.store = store
        self.clock = Clock()
        self.events = Events()
        self.editor = OpenDocuments()
        self.workspace = OverlayWorkspace(Roots([self.root]), self.editor)
        self.busy = False
        self.approver: Any = AllowAll()
        self.calls = 0
        self.changes = self.service(limits)

    def service(self, limits: SnapshotLimits | None = None) -> Changes:
        """A new one over the same store: a restart."""
        made = Changes(
            store=self.store,
            events=self.events,  # type: ignore[arg-type]
            clock=self.clock,
            workspace=self.workspace,
            is_secret=is_secret,
            limits=limits,
        )
        made.is_busy = lambda _: self.busy
        return made

    async def begin(self) -> "World":
        await self.store.write([PutSession(Session(SESSION))])
        return self

    def close(self) -> None:
        self.workspace.close()

    # ------------------------------------------------------------------------------------------------- the agent

    def run(self, name: str = "r1") -> Run:
        return Run(f"key-{name}", SESSION, name, f"m-{name}", f"prompt of {name}")

    def context(self, run: str = "r1", tool: str = "edit") -> ToolContext:
        self.calls += 1
        return ToolContext(
            run=self.run(run),
            call=ToolCallPart(f"t{self.calls}", tool),
            message_id="m",
            model=Model("fake", "m"),
            mode="ask",
            workspace=self.workspace,
            approver=self.approver,
            store=self.store,
            events=self.events,  # type: ignore[arg-type]
            clock=self.clock,
            progress=lambda _: None,
            todos=tuple,
        )

    async def call(self, tool: Tool, run: str = "r1", **arguments: Any) -> ToolResult:
        return await tool.run(arguments, self.context(run, tool.spec.name))

    async def edits(self, name: str, old: str, new: str, run: str = "r1") -> list[str]:
        """The agent views and edits; the hunks' ids."""
        await self.call(View(), run, file_path=name)
        return hunk_ids(await self.call(Edit(), run, file_path=name, old_string=old, new_string=new))

    async def rewrites(self, name: str, text: str, run: str = "r1") -> list[str]:
        """The agent gives the file a whole new text, or creates it; `[]` when it could not."""
        try:
            if await self.text(name) is not None:
                await self.call(View(), run, file_path=name)
            return hunk_ids(await self.call(Write(), run, file_path=name, content=text))
        except ToolError:
            return []

    async def multi(self, name: str, pairs: Sequence[tuple[str, str]], run: str = "r1") -> list[str]:
        await self.call(View(), run, file_path=name)
        edits = [{"old_string": old, "new_string": new} for old, new in pairs]
        return hunk_ids(await self.call(MultiEdit(), run, file_path=name, edits=edits))

    # -------------------------------------------------------------------------------------------------- the user

    def path(self, name: str) -> Path:
        return self.root / name

    def file(self, name: str, text: str, *, opened: bool = False) -> Path:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        if opened:
            self.editor.put(path, text)
        return path

    def types(self, name: str, text: str) -> None:
        """The user makes this of the file, where it is open there, else on disk."""
        if self.path(name) in self.editor.open:
            self.editor.put(self.path(name), text)
        else:
            self.path(name).write_bytes(text.encode())

    async def text(self, name: str) -> str | None:
        """What the file holds; None when there is none."""
        return await self.changes.review.live.read(str(self.path(name)))

    async def says(self, text: str, message_id: str) -> None:
        await self.store.write([PutMessage(Message(message_id, SESSION, Role.USER, [TextPart(text)]))])

    async def resolve(self, action: str, *hunk_ids_: str, **how: Any) -> Any:
        """On hunks, or with `path`, `run_id` or nothing (everything)."""
        comment = how.pop("comment", None)
        targets = [Target(one) for one in hunk_ids_] or [Target(**how) if how else Target(everything=True)]
        return await self.changes.review.resolve(SESSION, action, targets, comment)

    async def states(self) -> dict[str, str]:
        ledger = await self.changes.review.ledger(SESSION)
        return {hunk.hunk_id: hunk.wire_state for hunk in ledger.hunks.values()}


def hunk_ids(result: ToolResult) -> list[str]:
    return [hunk["hunkId"] for change in result.changes for hunk in change["hunks"]]
