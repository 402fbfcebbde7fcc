import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lsp_agent.clock import SystemClock
from lsp_agent.domain.session import Session
from lsp_agent.domain.text import TextEdit
from lsp_agent.language.catalog import CATALOG, ServerSpec
from lsp_agent.language.own import OwnServers
from lsp_agent.language.port import EditorLanguage, NoEditor
from lsp_agent.language.service import LanguageService
from lsp_agent.language.tools import language_tools
from lsp_agent.language.watch import DiagnosticsWatch, Patience
from lsp_agent.language.wrapping import with_diagnostics
from lsp_agent.policy.rules import Policy
from lsp_agent.ports.store import PutSession
from lsp_agent.ports.workspace import Document
from lsp_agent.shell.spawner import Spawner
from lsp_agent.store.memory import MemoryStore
from lsp_agent.tools.edit import Edit
from lsp_agent.tools.view import View
from lsp_agent.tools.write import Write
from lsp_agent.workspace.lines import apply_edits
from lsp_agent.workspace.overlay import OverlayWorkspace
from lsp_agent.workspace.roots import Roots
from tests.tools.doubles import World, make_world

BIN = str(Path(sys.executable).parent)


async def until(condition, timeout: float = 10):
    """The first true value of `condition`."""
    async with asyncio.timeout(timeout):
        while not (value := condition()):  # noqa: ASYNC110 - what is waited for is another process
            await asyncio.sleep(0.02)
    return value


class OpenFiles:
    """`ports.workspace.Editor`: documents in a dictionary."""

    def __init__(self) -> None:
        self.open: dict[str, Document] = {}

    def document(self, path):
        return next((document for document in self.open.values() if document.path == path), None)

    def document_by_uri(self, uri):
        return self.open.get(uri)

    def documents(self):
        return list(self.open.values())

    def show(self, path: Path, text: str) -> None:
        self.open[path.as_uri()] = Document(path.as_uri(), path, 1, "python", text)

    async def apply_edit(self, document, edits: list[TextEdit], label: str) -> None:
        text = apply_edits(document.text, edits)
        self.open[document.uri] = replace(document, text=text, version=document.version + 1)


class Desk:
    """A workspace with real language servers of our own, and every tool that knows of them."""

    def __init__(
        self,
        world: World,
        editor: EditorLanguage | None,
        path: str,
        trusted: Callable[[Path], bool],
        catalog: Sequence[ServerSpec],
    ) -> None:
        self.world = world
        self.policy = Policy()
        self.editor = world.editor = OpenFiles()
        world.workspace = OverlayWorkspace(Roots([world.root]), self.editor)
        world.store = MemoryStore()
        self.own = OwnServers(
            spawner=Spawner(),
            clock=SystemClock(),
            environ={**os.environ, "PATH": path},
            roots=lambda: [world.root],
            trusted=trusted,
            catalog=catalog,
        )
        self.service = LanguageService(editor or NoEditor(), self.own, world.workspace)
        self.watch = DiagnosticsWatch(
            self.service, patience=Patience(before_s=20, first_s=5, own_first_s=5, total_s=15)
        )
        offered = [
            *language_tools(self.service, self.watch, self.policy.decide_ask),
            with_diagnostics(Edit(), self.watch),
            with_diagnostics(Write(), self.watch),
            View(),
        ]
        self.tools = {tool.spec.name: tool for tool in offered}

    async def call(self, tool: str, **arguments):
        return await self.world.call(self.tools[tool], **arguments)

    async def close(self) -> None:
        await self.watch.close()
        await self.service.close()
        self.world.workspace.close()


@pytest.fixture
async def make_desk(tmp_path):
    desks: list[Desk] = []

    async def make(
        files: dict[str, str], *, editor=None, path: str = "/nonexistent", trusted=lambda root: True, catalog=CATALOG
    ) -> Desk:
        root = tmp_path / f"w{len(desks)}"
        root.mkdir()
        world = make_world(root)
        for name, text in files.items():
            world.file(name, text)
        desk = Desk(world, editor, path, trusted, catalog)
        await world.store.write([PutSession(Session("s1"))])
        desks.append(desk)
        return desk

    yield make
    for desk in desks:
        async with asyncio.timeout(10):
            await desk.close()
