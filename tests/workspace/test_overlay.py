import asyncio
import codecs
import os
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsp_agent.domain.errors import DocumentChanged, EditRefused, FileUnreadable, WorkspaceError
from lsp_agent.workspace import files
from lsp_agent.workspace.overlay import FileLimits, OverlayWorkspace, content_hash
from lsp_agent.workspace.roots import Roots


async def test_an_open_document_wins_over_the_disk(workspace, editor, root):
    (root / "a.py").write_text("saved")
    closed = await workspace.read_text(workspace.place("a.py"))
    assert (closed.text, closed.version) == ("saved", None)
    editor.put(root / "a.py", "unsaved", version=7)
    live = await workspace.read_text(workspace.place("a.py"))
    assert (live.text, live.version) == ("unsaved", 7)
    assert live.content_hash != closed.content_hash


async def test_equal_text_has_equal_hash_open_or_closed(workspace, editor, root):
    (root / "a.py").write_bytes(codecs.BOM_UTF8 + b"text\r\n")
    closed = await workspace.read_text(workspace.place("a.py"))
    editor.put(root / "a.py", "text\r\n")
    live = await workspace.read_text(workspace.place("a.py"))
    assert live.content_hash == closed.content_hash == content_hash("text\r\n")
    assert len(live.content_hash) == 32


async def test_an_unsaved_new_document_can_be_read_and_is_walked(workspace, editor, root):
    editor.put(root / "new.py", "only here")
    assert (await workspace.read_text(workspace.place("new.py"))).text == "only here"
    assert await workspace.walk(workspace.place(".")) == [root / "new.py"]
    assert [document.path for document in workspace.open_documents_below(root)] == [root / "new.py"]
    assert workspace.open_documents_below(root.parent / "ap") == []


@pytest.mark.parametrize("name", ["none", ".", "bytes", "large"])
async def test_what_cannot_be_read_is_refused(workspace, root, name):
    (root / "bytes").write_bytes(b"\0\1")
    (root / "large").write_bytes(b"x" * 101)
    with pytest.raises(FileUnreadable):
        await workspace.read_text(workspace.place(name), max_bytes=100)


async def test_an_open_document_over_the_limit_is_too_large(workspace, editor, root):
    editor.put(root / "a", "é" * 60)
    with pytest.raises(FileUnreadable, match="too large"):
        await workspace.read_text(workspace.place("a"), max_bytes=100)


async def test_a_closed_file_is_changed_on_disk(workspace, editor, root):
    (root / "a.py").write_text("one\n")
    before, after = await workspace.change(workspace.place("a.py"), lambda file: file.text + "two\n", "x")
    assert (before.text, after.text, after.version) == ("one\n", "one\ntwo\n", None)
    assert (root / "a.py").read_text() == "one\ntwo\n"
    assert editor.edits == []


async def test_an_open_document_is_changed_in_the_editor_and_not_on_disk(workspace, editor, root):
    (root / "a.py").write_text("saved\n")
    editor.put(root / "a.py", "unsaved\n", version=3)
    before, after = await workspace.change(workspace.place("a.py"), lambda file: file.text.upper(), "Edit a.py")
    assert (before.text, before.version, after.text, after.version) == ("unsaved\n", 3, "UNSAVED\n", 4)
    assert (root / "a.py").read_text() == "saved\n"
    assert editor.edits[0][0] == "Edit a.py"


async def test_no_change_touches_nothing(workspace, editor, root):
    (root / "a.py").write_text("same")
    state = (root / "a.py").stat()
    before, after = await workspace.change(workspace.place("a.py"), lambda file: file.text, "x")
    assert before == after
    assert (root / "a.py").stat().st_ino == state.st_ino


async def test_FS_15_when_the_document_moved_on_the_change_is_made_to_the_fresh_text(workspace, editor, root):
    editor.put(root / "a.py", "one\n", version=1)

    def user_types(document):
        editor.before_edit = None
        editor.put(document.path, "typed\none\n", version=2)

    editor.before_edit = user_types
    before, after = await workspace.change(workspace.place("a.py"), lambda file: file.text.replace("one", "1"), "x")
    assert (before.text, after.text) == ("typed\none\n", "typed\n1\n")


async def test_FS_15_a_document_that_never_rests_is_given_up_after_the_second_try(workspace, editor, root):
    editor.put(root / "a.py", "one\n", version=1)
    editor.before_edit = lambda document: editor.put(document.path, document.text + "x", document.version + 1)
    with pytest.raises(DocumentChanged):
        await workspace.change(workspace.place("a.py"), lambda file: file.text.replace("one", "1"), "x")
    assert editor.open[root / "a.py"].text == "one\nxx"


async def test_F48_a_file_that_changes_on_disk_between_reading_and_writing_keeps_both_changes(workspace, root):
    path = root / "a.py"
    path.write_text("one\n")
    calls = []

    def transform(file):
        if not calls:
            path.write_text("other\none\n")
        calls.append(file.text)
        return file.text.replace("one", "1")

    await workspace.change(workspace.place("a.py"), transform, "x")
    assert calls == ["one\n", "other\none\n"]
    assert path.read_text() == "other\n1\n"


async def test_a_file_that_is_opened_between_reading_and_writing_is_changed_in_the_editor(workspace, editor, root):
    path = root / "a.py"
    path.write_text("one\n")

    def transform(file):
        if file.version is None:
            editor.put(path, "one\nunsaved\n")
        return file.text.replace("one", "1")

    _, after = await workspace.change(workspace.place("a.py"), transform, "x")
    assert after.text == editor.open[path].text == "1\nunsaved\n"
    assert path.read_text() == "one\n"


async def test_what_the_transformation_raises_passes_through_and_nothing_is_written(workspace, root):
    (root / "a.py").write_text("one\n")
    with pytest.raises(ZeroDivisionError):
        await workspace.change(workspace.place("a.py"), lambda file: str(1 / 0), "x")
    assert (root / "a.py").read_text() == "one\n"


async def test_many_changes_at_once_of_one_file_are_all_made(workspace, root):
    (root / "a").write_text("")
    place = workspace.place("a")
    async with asyncio.TaskGroup() as group:
        for letter in "abcdefghij":
            group.create_task(workspace.change(place, lambda file, letter=letter: file.text + letter, "x"))
    assert sorted((root / "a").read_text()) == list("abcdefghij")


async def test_the_editor_closing_the_document_during_the_edit_is_an_error(workspace, editor, root):
    editor.put(root / "a.py", "one")

    async def apply_edit(document, edits, label):
        del editor.open[document.path]

    editor.apply_edit = apply_edit
    with pytest.raises(EditRefused):
        await workspace.change(workspace.place("a.py"), lambda file: "two", "x")


async def test_a_new_file_is_made_with_its_folders_and_never_over_another(workspace, editor, root):
    made = await workspace.create(workspace.place("a/b.py"), "text\n", "x")
    assert (made.text, made.path, (root / "a" / "b.py").read_text()) == ("text\n", root / "a" / "b.py", "text\n")
    with pytest.raises(WorkspaceError, match="exists"):
        await workspace.create(workspace.place("a/b.py"), "other", "x")
    editor.put(root / "open.py", "unsaved")
    with pytest.raises(WorkspaceError, match="exists"):
        await workspace.create(workspace.place("open.py"), "other", "x")
    editor.put(root / "empty.py", "")
    filled = await workspace.create(workspace.place("empty.py"), "text", "x")
    assert filled.version == 2
    assert not (root / "empty.py").exists()


async def test_FS_18_a_text_over_the_limit_is_not_written(root, editor):
    workspace = OverlayWorkspace(Roots([root]), editor, FileLimits(write_bytes=100))
    (root / "a").write_text("x")
    with pytest.raises(WorkspaceError, match="larger than 100 bytes"):
        await workspace.create(workspace.place("b"), "é" * 60, "x")
    with pytest.raises(WorkspaceError, match="larger than 100 bytes"):
        await workspace.change(workspace.place("a"), lambda file: "x" * 101, "x")
    assert os.listdir(root) == ["a"]  # noqa: PTH208
    workspace.close()


async def test_cancelling_a_change_never_leaves_half_of_it(workspace, root):
    path = root / "a"
    path.write_text("old" * 100_000)
    task = asyncio.create_task(workspace.change(workspace.place("a"), lambda file: "new" * 100_000, "x"))
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert path.read_text() in ("old" * 100_000, "new" * 100_000)
    assert [name for name in os.listdir(root) if name != "a"] == []  # noqa: PTH208


async def test_F47_a_root_that_is_gone_is_an_error_and_no_more(workspace, root):
    root.rmdir()
    for attempt in (
        workspace.read_text(workspace.place("a")),
        workspace.walk(workspace.place(".")),
        workspace.read_bytes(workspace.place("a"), max_bytes=1),
    ):
        with pytest.raises(FileUnreadable):
            await attempt


async def test_a_disk_that_does_not_answer_is_an_error_after_the_deadline(root, editor, monkeypatch):
    workspace = OverlayWorkspace(Roots([root]), editor, FileLimits(io_s=0.02))
    answer = threading.Event()
    monkeypatch.setattr(files, "read", lambda *_: answer.wait(20))
    monkeypatch.setattr(files, "create", lambda *_: answer.wait(20))
    try:
        with pytest.raises(FileUnreadable, match="did not answer"):
            await workspace.read_bytes(workspace.place("a"), max_bytes=1)
        with pytest.raises(WorkspaceError, match="did not answer"):
            await workspace.create(workspace.place("a"), "x", "x")
    finally:
        answer.set()
        workspace.close()


LINE = st.text(st.characters(exclude_characters="\0\ufeff\r\n", exclude_categories=["Cs"]), max_size=8)
MARK = st.sampled_from([(b"", "utf-8"), (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le")])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.lists(st.tuples(LINE, st.sampled_from(["\n", "\r\n", "\r"])), max_size=8), MARK, st.data())
async def test_FS_16_changing_one_line_leaves_every_other_byte_alone(root, editor, lines, form, data):
    workspace = OverlayWorkspace(Roots([root]), editor)
    mark, codec = form
    path = root / "a"
    path.write_bytes(mark + "".join(line + end for line, end in lines).encode(codec))
    at = data.draw(st.integers(0, len(lines)))
    head = "".join(line + end for line, end in lines[:at])
    tail = "".join(line + end for line, end in lines[at:])
    await workspace.change(
        workspace.place("a"), lambda file: file.text[: len(head)] + "new" + file.text[len(head) :], "x"
    )
    workspace.close()
    assert path.read_bytes() == mark + (head + "new" + tail).encode(codec)
