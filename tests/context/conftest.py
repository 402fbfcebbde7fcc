import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lsp_agent.clock import SystemClock
from lsp_agent.context.assembly import ContextSettings, ContextWorld, WorkspaceContext
from lsp_agent.domain.run import Run
from lsp_agent.policy.protected import is_protected, is_secret
from lsp_agent.ports.workspace import Document
from lsp_agent.shell.sandbox import Sandbox
from lsp_agent.shell.spawner import Spawner
from lsp_agent.workspace.overlay import OverlayWorkspace
from lsp_agent.workspace.roots import Roots


class OpenEditor:
    """Open documents; implements what of `ports.workspace.Editor` is used here."""

    def __init__(self) -> None:
        self.open: dict[str, Document] = {}

    def put(self, path: Path, text: str, version: int = 1) -> Document:
        real = path.resolve()
        document = Document(real.as_uri(), real, version, "", text)
        self.open[document.uri] = document
        return document

    def document(self, path: Path) -> Document | None:
        return next((each for each in self.open.values() if each.path == path), None)

    def document_by_uri(self, uri: str) -> Document | None:
        return self.open.get(uri)

    def documents(self) -> list[Document]:
        return list(self.open.values())

    async def apply_edit(self, document: Document, edits: Any, label: str) -> None:
        raise AssertionError("nothing here edits")


class Heard:
    """The events that were announced."""

    def __init__(self) -> None:
        self.updates: list[dict[str, Any]] = []

    def durable(self, session_id: str, run: Run | None, update: Any, *, writes: Any = ()) -> int:
        self.updates.append(dict(update))
        return len(self.updates)

    def chunk(self, *_: Any) -> None:
        raise AssertionError("no text is announced here")

    ephemeral = complete = chunk


class Time(SystemClock):
    """The real clock, which can be put forward."""

    later = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.later


@dataclass
class Place:
    """A home, a root in it, and the context of that workspace."""

    home: Path
    root: Path
    editor: OpenEditor = field(default_factory=OpenEditor)
    heard: Heard = field(default_factory=Heard)
    clock: Time = field(default_factory=Time)
    trusted: set[Path] = field(default_factory=set)
    refused: set[Path] = field(default_factory=set)
    focus: list[Path] = field(default_factory=list)
    instructions: list[tuple[str, str]] = field(default_factory=list)
    settings: ContextSettings = field(default_factory=ContextSettings)
    prompts: Any = None
    tiers: tuple[str, ...] = ("bubblewrap", "landlock", "none")
    run_of: dict[str, str] = field(default_factory=dict)
    terminals: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.trusted.add(self.root)
        self.roots = Roots([self.root])
        self.workspace = OverlayWorkspace(self.roots, self.editor)
        self.environ = {**os.environ, "HOME": str(self.home), "RULES": "notes"}
        self.environ.pop("XDG_CONFIG_HOME", None)

    @property
    def config(self) -> Path:
        return self.home / ".config" / "lsp-agent"

    def write(self, name: str, content: str | bytes, *, base: Path | None = None) -> Path:
        path = (base or self.root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def own(self, name: str, content: str) -> Path:
        return self.write(name, content, base=self.home)

    def admits(self, path: Path) -> bool:
        return path not in self.refused and any(path.is_relative_to(root) for root in self.trusted)

    def context(self) -> WorkspaceContext:
        spawner = Spawner()
        sandbox = Sandbox(
            spawner,
            roots=lambda: self.workspace.roots,
            is_protected=is_protected,
            is_secret=is_secret,
            environ=self.environ,
            tiers=self.tiers,
        )
        return WorkspaceContext(
            ContextWorld(
                workspace=self.workspace,
                documents=self.editor.documents,
                focus=lambda: self.focus,
                admits=self.admits,
                trusted=lambda root: root in self.trusted,
                spawner=spawner,
                sandbox=sandbox,
                events=self.heard,
                clock=self.clock,
                environ=self.environ,
                config_dir=self.config,
                settings=lambda: self.settings,
                instructions=lambda: self.instructions,
                prompts=self.prompts,
                last_run=self.run_of.get,
                terminals=lambda session_id: self.terminals,
            )
        )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    home = tmp_path.resolve() / "home"
    root = home / "work" / "app"
    root.mkdir(parents=True)
    made = Place(home, root)
    yield made
    made.workspace.close()


def a_run(session_id: str = "s1", **more: Any) -> Run:
    return Run("key", session_id, "r1", "m1", "prompt", **more)
