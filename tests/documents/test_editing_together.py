import asyncio

import pytest

from lsp_agent.domain.errors import EditRefused
from lsp_agent.server.documents import OpenDocuments
from lsp_agent.server.editor import ConnectedEditors
from lsp_agent.workspace.attachments import AttachmentContext, resolve_attachments
from lsp_agent.workspace.overlay import OverlayWorkspace
from lsp_agent.workspace.roots import Roots


class TypingEditor:
    """Applies edits only to the version they name, as real editors do; `typing` happens just before."""

    def __init__(self):
        self.capabilities = {"workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}}}
        self.documents = OpenDocuments("utf-16")
        self.typing = []

    def change(self, uri, *changes):
        version = self.documents.version(uri) + 1
        self.documents.did_change({"textDocument": {"uri": uri, "version": version}, "contentChanges": list(changes)})

    async def request(self, method, params, timeout_s):
        (change,) = params["edit"]["documentChanges"]
        uri = change["textDocument"]["uri"]
        if self.typing:
            self.change(uri, {"text": self.typing.pop(0)})
        if self.documents.version(uri) != change["textDocument"]["version"]:
            return {"applied": False, "failureReason": "wrong version"}
        changes = [{"range": edit["range"], "text": edit["newText"]} for edit in reversed(change["edits"])]
        asyncio.get_running_loop().call_soon(self.change, uri, *changes)
        return {"applied": True}


@pytest.fixture
def editor():
    return TypingEditor()


@pytest.fixture
def workspace(tmp_path, editor):
    editors = ConnectedEditors(catch_up_s=0.01, settle_s=0.01)
    editors.add(editor)
    made = OverlayWorkspace(Roots([tmp_path]), editors)
    yield made
    made.close()


@pytest.fixture
def uri(tmp_path, editor):
    made = f"file://{tmp_path}/a%20b.py"
    editor.documents.did_open(
        {"textDocument": {"uri": made, "languageId": "python", "version": 1, "text": "😀 = 1\r\ntwo = 1\r\n"}}
    )
    return made


async def test_a_change_reaches_the_open_document_although_the_user_typed_meanwhile(workspace, editor, uri):
    editor.typing = ["# typed\r\n😀 = 1\r\ntwo = 1\r\n"]
    before, after = await workspace.change(
        workspace.place("a b.py"), lambda file: file.text.replace("1", "22"), "Edit a b.py"
    )
    assert before.text == "# typed\r\n😀 = 1\r\ntwo = 1\r\n"
    assert after.text == editor.documents.get(uri).text == "# typed\r\n😀 = 22\r\ntwo = 22\r\n"
    assert (before.version, after.version, after.uri) == (2, 3, uri)


async def test_an_editor_that_refuses_keeps_its_text_and_the_disk_is_left_alone(workspace, editor, uri, tmp_path):
    async def refuse(method, params, timeout_s):
        return {"applied": False, "failureReason": "the user said no"}

    editor.request = refuse
    with pytest.raises(EditRefused, match="the user said no"):
        await workspace.change(workspace.place(uri), lambda file: "gone", "x")
    assert editor.documents.get(uri).version == 1
    assert list(tmp_path.iterdir()) == []


async def test_what_was_sent_before_the_request_is_what_is_attached(workspace, editor, uri):
    editor.change(uri, {"text": "😀b\n"})
    spans = [{"start": {"line": 0, "character": 2}, "end": {"line": 0, "character": 3}}]
    editor.documents.did_change_selection({"uri": uri, "version": 2, "selections": spans})
    context = AttachmentContext(editor.documents, workspace)
    buffer, selection = await resolve_attachments(
        [{"type": "buffer", "uri": uri, "version": 2}, {"type": "selection"}], context
    )
    assert (buffer.text, buffer.version, buffer.path) == ("😀b\n", 2, "a b.py")
    assert (selection.text, selection.start_line, selection.end_line) == ("b", 0, 0)
