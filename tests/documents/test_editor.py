import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.domain.errors import DocumentChanged, EditRefused
from lsp_agent.domain.text import Position, Range, TextEdit
from lsp_agent.server.documents import OpenDocuments
from lsp_agent.server.editor import ConnectedEditors
from lsp_agent.wire.outgoing import ConnectionClosed, RemoteError
from lsp_agent.workspace.edits import text_edits

URI = "untitled:one"
FULL = {
    "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True, "changeAnnotationSupport": {}}},
}
EDIT = [TextEdit(Range(Position(0, 0), Position(0, 1)), "X")]


class ScriptedEditor:
    """An editor that answers `workspace/applyEdit` as told and reports the change as told."""

    def __init__(self, text="ab\n", *, capabilities=FULL, answer=None, report=True, encoding="utf-16", uri=URI):
        self.capabilities = capabilities
        self.documents = OpenDocuments(encoding, clock_s=iter(range(10**6)).__next__)
        self.documents.did_open({"textDocument": {"uri": uri, "languageId": "", "version": 1, "text": text}})
        self.uri = uri
        self.answer = answer if answer is not None else {"applied": True}
        self.report = report
        self.asked = []

    async def request(self, method, params, timeout_s):
        self.asked.append((method, params, timeout_s))
        if isinstance(self.answer, BaseException):
            raise self.answer
        if callable(self.answer):
            return self.answer()
        if self.report and self.answer.get("applied"):
            asyncio.get_running_loop().call_soon(self.apply, params["edit"])
        return self.answer

    def apply(self, edit):
        edits = edit["documentChanges"][0]["edits"] if "documentChanges" in edit else edit["changes"][self.uri]
        changes = [{"range": one["range"], "text": one["newText"]} for one in reversed(edits)]
        self.change(*changes)

    def change(self, *changes):
        version = self.documents.version(self.uri) + 1
        self.documents.did_change(
            {"textDocument": {"uri": self.uri, "version": version}, "contentChanges": list(changes)}
        )

    @property
    def text(self):
        return self.documents.get(self.uri).text


def connected(*editors, **timeouts):
    both = ConnectedEditors(**{"catch_up_s": 0.01, "report_timeout_s": 5, "settle_s": 0.01, **timeouts})
    for editor in editors:
        both.add(editor)
    return both


async def apply(editor, edits=EDIT, **timeouts):
    editors = connected(editor, **timeouts)
    await editors.apply_edit(editors.document_by_uri(editor.uri), edits, "Edit one")


async def test_an_edit_is_versioned_labelled_and_annotated_and_done_when_the_editor_reports_it():
    editor = ScriptedEditor()
    await apply(editor)
    assert editor.text == "Xb\n"
    method, params, timeout_s = editor.asked[0]
    assert (method, timeout_s, params["label"]) == ("workspace/applyEdit", 10.0, "Edit one")
    change = params["edit"]["documentChanges"][0]
    assert change["textDocument"] == {"uri": URI, "version": 1}
    assert params["edit"]["changeAnnotations"][change["edits"][0]["annotationId"]] == {
        "label": "Edit one",
        "needsConfirmation": False,
    }


async def test_a_client_without_versions_gets_plain_changes():
    editor = ScriptedEditor(capabilities={"workspace": {"applyEdit": True}})
    await apply(editor)
    assert editor.text == "Xb\n"
    assert list(editor.asked[0][1]["edit"]) == ["changes"]
    assert "annotationId" not in editor.asked[0][1]["edit"]["changes"][URI][0]


@pytest.mark.parametrize("capabilities", [{}, {"workspace": None}, {"workspace": {"applyEdit": False}}])
async def test_a_client_that_cannot_apply_edits_is_not_asked(capabilities):
    editor = ScriptedEditor(capabilities=capabilities)
    with pytest.raises(EditRefused, match="cannot apply edits"):
        await apply(editor)
    assert editor.asked == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"applied": False, "failureReason": "no!"}, "no!"),
        ({"applied": False}, "refused"),
        ({}, "refused"),
        (RemoteError(-32603, "Edits on 'a.txt' require version 0, you have 1"), "require version 0"),
        (TimeoutError(), "did not answer"),
        (ConnectionClosed(), "went away"),
    ],
)
async def test_every_way_to_refuse_an_edit_is_told_in_a_sentence(answer, words):
    editor = ScriptedEditor(answer=answer)
    with pytest.raises(EditRefused, match=words):
        await apply(editor)
    assert editor.text == "ab\n"


async def test_null_for_an_answer_is_a_refusal():
    with pytest.raises(EditRefused):
        await apply(ScriptedEditor(answer=lambda: None))


@pytest.mark.parametrize("refusal", [{"applied": False}, RemoteError(-1, "require version 2")])
async def test_a_refusal_because_the_user_typed_is_a_changed_document(refusal):
    editor = ScriptedEditor()

    def refuse():
        asyncio.get_running_loop().call_soon(editor.change, {"text": "typed\n"})
        if isinstance(refusal, Exception):
            raise refusal
        return refusal

    editor.answer = refuse
    with pytest.raises(DocumentChanged):
        await apply(editor, catch_up_s=5)


async def test_an_edit_for_a_text_that_has_moved_on_is_not_sent():
    editor = ScriptedEditor()
    editors = connected(editor)
    old = editors.document_by_uri(URI)
    editor.change({"text": "typed\n"})
    with pytest.raises(DocumentChanged):
        await editors.apply_edit(old, EDIT, "late")
    assert editor.asked == []


async def test_applied_but_never_reported_is_refused():
    with pytest.raises(EditRefused, match="reported no change"):
        await apply(ScriptedEditor(report=False), report_timeout_s=0.01)


async def test_when_the_editor_reports_another_text_the_editor_is_right():
    editor = ScriptedEditor(report=False)

    def answer():
        asyncio.get_running_loop().call_soon(editor.change, {"text": "Xb formatted\n"})
        return {"applied": True}

    editor.answer = answer
    await apply(editor)
    assert editor.text == "Xb formatted\n"


async def test_a_change_reported_in_pieces_is_waited_for_to_the_end():
    editor = ScriptedEditor(report=False)

    def answer():
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: (editor.change({"text": "X"}), loop.call_soon(editor.change, {"text": "Xb\n"})))
        return {"applied": True}

    editor.answer = answer
    await apply(editor, settle_s=5)
    assert editor.documents.version(URI) == 3


async def test_a_change_reported_before_the_answer_counts():
    editor = ScriptedEditor(report=False)

    def answer():
        editor.change({"text": "Xb\n"})
        return {"applied": True}

    editor.answer = answer
    await apply(editor)


async def test_a_document_closed_while_it_is_edited_is_refused():
    editor = ScriptedEditor(report=False)

    def answer():
        editor.documents.did_close({"textDocument": {"uri": URI}})
        return {"applied": True}

    editor.answer = answer
    with pytest.raises(EditRefused, match="closed"):
        await apply(editor)


async def test_a_document_we_lost_track_of_is_not_edited():
    editor = ScriptedEditor()
    editor.change({"range": 4, "text": ""})
    with pytest.raises(EditRefused, match="reopen"):
        await apply(editor)


def test_of_two_editors_with_one_file_the_last_used_one_counts(tmp_path):
    uri = f"file://{tmp_path}/a.py"
    clock = iter(range(100)).__next__
    one, two = ScriptedEditor("one", uri=uri), ScriptedEditor("two", uri=uri)
    one.documents._clock_s = two.documents._clock_s = clock
    for editor in (one, two):
        editor.documents.did_focus({"uri": uri})
    editors = connected(one, two)
    path = (tmp_path / "a.py").resolve()
    assert editors.document(path).text == "two"
    assert [document.text for document in editors.documents()] == ["two"]
    one.documents.did_focus({"uri": uri})
    assert editors.document(path).text == "one"
    assert editors.document_by_uri(uri).text == "one"
    editors.remove(one)
    assert editors.document(path).text == "two"


TEXT = st.text(st.sampled_from("ab\r\né😀"), max_size=20)


@given(TEXT, TEXT, st.sampled_from(["utf-8", "utf-16", "utf-32"]))
async def test_minimal_edits_lead_to_the_new_text_in_every_encoding(old, new, encoding):
    editor = ScriptedEditor(old, encoding=encoding)
    await apply(editor, text_edits(old, new))
    assert editor.text == new
