"""The tools on `OverlayWorkspace` and `MemoryStore`: what the fakes promise, the real things keep."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from lsp_agent.domain.session import Session
from lsp_agent.domain.text import TextEdit
from lsp_agent.ports.store import PutSession
from lsp_agent.ports.workspace import Document
from lsp_agent.store.memory import MemoryStore
from lsp_agent.tools.edit import Edit
from lsp_agent.tools.glob import Glob
from lsp_agent.tools.grep import Grep
from lsp_agent.tools.ls import Ls
from lsp_agent.tools.ripgrep import find_ripgrep
from lsp_agent.tools.view import View
from lsp_agent.tools.write import Write
from lsp_agent.workspace.overlay import OverlayWorkspace
from lsp_agent.workspace.roots import Roots

RG = find_ripgrep()


class FakeEditor:
    def __init__(self) -> None:
        self.open: dict[str, Document] = {}

    def document(self, path):
        return next((document for document in self.open.values() if document.path == path), None)

    def document_by_uri(self, uri):
        return self.open.get(uri)

    def documents(self):
        return list(self.open.values())

    async def apply_edit(self, document: Document, edits: Sequence[TextEdit], label: str) -> None:
        lines = document.text.splitlines(keepends=True)
        starts = [sum(map(len, lines[:at])) for at in range(len(lines) + 1)]
        text = document.text
        for edit in sorted(edits, key=lambda edit: edit.range.start, reverse=True):
            start, end = (starts[min(p.line, len(lines))] + p.column for p in (edit.range.start, edit.range.end))
            text = text[:start] + edit.new_text + text[end:]
        self.open[document.uri] = replace(document, text=text, version=document.version + 1)


@pytest.fixture
async def real(world):
    world.editor = FakeEditor()
    world.workspace = OverlayWorkspace(Roots([world.root]), world.editor)
    world.store = MemoryStore()
    await world.store.write([PutSession(Session("s1"))])
    yield world
    world.workspace.close()


async def test_a_closed_file_is_viewed_edited_and_remembered(real):
    path = real.file("a.py", b"\xef\xbb\xbfx = 1\r\ny = 2\r\n")
    assert (await real.call(View(), file_path="a.py")).content == "<file>\n     1|x = 1\n     2|y = 2\n</file>"
    await real.call(Edit(), file_path="a.py", old_string="y = 2\n", new_string="y = 3\nz = 4\n")
    assert path.read_bytes() == b"\xef\xbb\xbfx = 1\r\ny = 3\r\nz = 4\r\n"
    await real.call(Edit(), file_path="a.py", old_string="z = 4", new_string="z = 5")
    assert len(await real.store.file_versions("s1", str(path))) == 3


async def test_an_open_document_is_changed_in_the_editor(real):
    path = real.file("a.py", "x = 1\n")
    real.editor.open[path.as_uri()] = Document(path.as_uri(), path, 3, "python", "x = 1\nunsaved = 2\n")
    await real.call(View(), file_path="a.py")
    result = await real.call(Edit(), file_path="a.py", old_string="unsaved = 2", new_string="unsaved = 3")
    assert real.editor.open[path.as_uri()].text == "x = 1\nunsaved = 3\n"
    assert path.read_text() == "x = 1\n"
    assert result.changes[0]["baseVersion"] == 3
    assert "unsaved = 3" in (await real.call(Grep(RG, lambda path: False), pattern="unsaved")).content


@pytest.mark.parametrize("rg", [RG, None])
async def test_new_files_are_found_by_every_search(real, rg):
    await real.call(Write(), file_path="src/new/a.txt", content="needle\n")
    assert (await real.call(Glob(rg), pattern="**/*.txt")).content == "src/new/a.txt"
    assert "a.txt" in (await real.call(Ls(rg), path="src", depth=0)).content
    assert (await real.call(Grep(rg, lambda path: False), pattern="needle")).content.startswith("Found 1 match")
