import pytest

from lsp_agent.domain.errors import DocumentChanged
from lsp_agent.ports.workspace import Document
from lsp_agent.workspace.lines import apply_edits
from lsp_agent.workspace.overlay import FileLimits, OverlayWorkspace
from lsp_agent.workspace.roots import Roots


class ScriptedEditor:
    """Open documents in a dict; an edit is applied at once unless `before_edit` interferes."""

    def __init__(self):
        self.open = {}
        self.edits = []
        self.before_edit = None

    def put(self, path, text, version=1, uri=None):
        path = path.resolve()
        self.open[path] = Document(uri or f"file://{path}", path, version, "", text)

    def document(self, path):
        return self.open.get(path)

    def document_by_uri(self, uri):
        return next((document for document in self.open.values() if document.uri == uri), None)

    def documents(self):
        return list(self.open.values())

    async def apply_edit(self, document, edits, label):
        if self.before_edit is not None:
            self.before_edit(document)
        current = self.open[document.path]
        if current.version != document.version:
            raise DocumentChanged("moved")
        self.edits.append((label, list(edits)))
        self.put(document.path, apply_edits(document.text, edits), document.version + 1)


@pytest.fixture
def editor():
    return ScriptedEditor()


@pytest.fixture
def root(tmp_path):
    path = tmp_path.resolve() / "app"
    path.mkdir()
    return path


@pytest.fixture
def workspace(root, editor):
    made = OverlayWorkspace(Roots([root]), editor, FileLimits(io_s=20))
    yield made
    made.close()
