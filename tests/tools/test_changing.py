import pytest

from lsp_agent.domain.errors import DocumentChanged, EditRefused, ToolError
from lsp_agent.ports.approver import Decision
from lsp_agent.ports.store import PutFileVersion, RecordRead
from lsp_agent.tools.edit import Edit
from lsp_agent.tools.multiedit import MultiEdit
from lsp_agent.tools.view import View
from lsp_agent.tools.write import Write


async def error_of(world, tool, **arguments):
    with pytest.raises(ToolError) as caught:
        await world.call(tool, **arguments)
    return caught.value


async def seen(world, name, content):
    path = world.file(name, content)
    await world.call(View(), file_path=name)
    world.approver.asks.clear()
    return path


def versions(world):
    return [write.content for write in world.store.of(PutFileVersion)]


async def test_an_edit_changes_the_file_and_tells_everything_about_it(world):
    path = await seen(world, "src/a.py", "a = 1\nb = 2\n")
    result = await world.call(Edit(), file_path="src/a.py", old_string="b = 2", new_string="b = 3\nc = 4")
    assert path.read_text() == "a = 1\nb = 3\nc = 4\n"
    assert result.content == "Edited src/a.py in one place."
    assert result.metadata == {
        "additions": 2,
        "removals": 1,
        "old_content": "a = 1\nb = 2\n",
        "new_content": "a = 1\nb = 3\nc = 4\n",
        "file_path": "src/a.py",
    }
    assert result.locations == ({"uri": path.as_uri(), "line": 1},)
    [change] = result.changes
    assert (change["uri"], change["kind"]) == (path.as_uri(), "edit")
    assert [(h["oldText"], h["newText"], h["state"], h["runId"], h["toolCallId"]) for h in change["hunks"]] == [
        ("b = 2\n", "b = 3\nc = 4\n", "pending", "r1", "t1")
    ]


async def test_the_user_is_asked_with_the_hunks_before_anything_is_written(world):
    path = await seen(world, "a.txt", "one\n")
    world.approver.meanwhile = lambda ask: asks.append(path.read_text())
    asks: list[str] = []
    result = await world.call(Edit(), file_path="a.txt", old_string="one", new_string="two")
    [ask] = world.approver.asks
    assert asks == ["one\n"]
    assert (ask.tool, ask.action, ask.title, ask.pattern, ask.path) == (
        "edit",
        "write",
        "Edit a.txt (+1 −1)",
        "a.txt",
        str(path),
    )
    assert ask.subject == {"type": "edit", "changes": [dict(result.changes[0])]}


async def test_a_file_that_was_not_viewed_is_not_even_opened(world):
    world.file("a.txt", "one")
    for tool, more in [(Edit(), {"old_string": "one", "new_string": "x"}), (Write(), {"content": "x"})]:
        assert "must view a.txt" in str(await error_of(world, tool, file_path="a.txt", **more))
    assert world.workspace.opened == []
    assert world.approver.asks == []


async def test_F48_a_file_changed_since_it_was_read_is_refused(world):
    path = await seen(world, "a.txt", "one\ntwo\n")
    path.write_text("one\nTWO\n")
    assert "has changed since" in str(
        await error_of(world, Edit(), file_path="a.txt", old_string="one", new_string="1")
    )


async def test_F48_a_buffer_changed_since_it_was_read_is_refused_and_fine_after_another_view(world):
    path = await seen(world, "a.txt", "one\ntwo\n")
    world.workspace.open(path, "one\ntyping", 2)
    assert "has changed since" in str(
        await error_of(world, Edit(), file_path="a.txt", old_string="one", new_string="1")
    )
    await world.call(View(), file_path="a.txt")
    await world.call(Edit(), file_path="a.txt", old_string="one", new_string="1")
    assert world.workspace.documents[path].text == "1\ntyping"
    assert path.read_text() == "one\ntwo\n"


async def test_opening_or_saving_without_a_change_does_not_count_as_a_change(world):
    path = await seen(world, "a.txt", "one\n")
    world.workspace.open(path, "one\n", 1)
    result = await world.call(Edit(), file_path="a.txt", old_string="one", new_string="1")
    assert world.workspace.documents[path].text == "1\n"
    assert result.changes[0]["baseVersion"] == 1


async def test_after_an_edit_the_next_one_needs_no_view(world):
    path = await seen(world, "a.txt", "one\ntwo\n")
    await world.call(Edit(), file_path="a.txt", old_string="one", new_string="1")
    await world.call(Edit(), file_path="a.txt", old_string="two", new_string="2")
    assert path.read_text() == "1\n2\n"
    assert versions(world) == ["one\ntwo\n", "1\ntwo\n", "1\n2\n"]


async def test_history_keeps_an_intermediate_version_when_the_user_edited(world):
    path = await seen(world, "a.txt", "v0\n")
    await world.call(Edit(), file_path="a.txt", old_string="v0", new_string="v1")
    path.write_text("user\n")
    await world.call(View(), file_path="a.txt")
    await world.call(Edit(), file_path="a.txt", old_string="user", new_string="v2")
    assert versions(world) == ["v0\n", "v1\n", "user\n", "v2\n"]


async def test_what_the_user_typed_during_the_question_is_kept_and_the_model_must_look_again(world):
    path = await seen(world, "a.txt", "one\ntwo\n")
    world.workspace.open(path, "one\ntwo\n", 1)
    world.approver.meanwhile = lambda ask: world.workspace.open(path, "typed\none\ntwo\n", 2)
    result = await world.call(Edit(), file_path="a.txt", old_string="two", new_string="2")
    assert world.workspace.documents[path].text == "typed\none\n2\n"
    assert "View it before the next edit" in result.content
    assert result.metadata["old_content"] == "typed\none\ntwo\n"
    assert result.changes[0]["hunks"][0]["range"]["start"]["line"] == 2
    world.approver.meanwhile = lambda ask: None
    assert "has changed since" in str(
        await error_of(world, Edit(), file_path="a.txt", old_string="one", new_string="1")
    )


@pytest.mark.parametrize("typed", ["gone\n", "two\ntwo\n"])
async def test_an_edit_that_no_longer_fits_after_the_question_is_refused(world, typed):
    path = await seen(world, "a.txt", "one\ntwo\n")
    world.approver.meanwhile = lambda ask: path.write_text(typed) and None
    text = str(await error_of(world, Edit(), file_path="a.txt", old_string="two", new_string="2"))
    assert "was not changed" in text
    assert "View it again" in text
    assert path.read_text() == typed


async def test_replace_all_never_replaces_more_places_than_were_approved(world):
    path = await seen(world, "a.txt", "x\n")
    world.approver.meanwhile = lambda ask: path.write_text("x\nx\n") and None
    await error_of(world, Edit(), file_path="a.txt", old_string="x", new_string="y", replace_all=True)
    assert path.read_text() == "x\nx\n"


async def test_write_is_never_rebased(world):
    path = await seen(world, "a.txt", "one\n")
    world.approver.meanwhile = lambda ask: path.write_text("typed\n") and None
    assert "View it again" in str(await error_of(world, Write(), file_path="a.txt", content="new"))
    assert path.read_text() == "typed\n"


async def test_a_denial_stops_the_turn_and_carries_the_diff(world):
    path = await seen(world, "a.txt", "one\n")
    world.approver.decide = lambda ask: Decision(False, asked=True)
    result = await world.call(Edit(), file_path="a.txt", old_string="one", new_string="two")
    assert (result.content, result.is_error, result.stop_turn, result.status) == (
        "User denied permission",
        True,
        True,
        "rejected",
    )
    assert (result.metadata["additions"], result.metadata["old_content"]) == (1, "one\n")
    assert result.metadata["new_content"] == "two\n"
    assert result.changes == ()
    assert path.read_text() == "one\n"


async def test_a_denial_with_a_message_lets_the_turn_go_on(world):
    await seen(world, "a.txt", "one\n")
    world.approver.decide = lambda ask: Decision(False, "use three", asked=True)
    result = await world.call(Edit(), file_path="a.txt", old_string="one", new_string="two")
    assert (result.content, result.is_error, result.stop_turn) == ("use three", True, False)


async def test_a_denied_creation_leaves_no_directory_behind(world):
    world.approver.decide = lambda ask: Decision(False, asked=True)
    await world.call(Write(), file_path="new/deep/a.txt", content="x")
    assert list(world.root.iterdir()) == []


@pytest.mark.parametrize(
    ("refusal", "word"),
    [(EditRefused("the editor said no"), "tell the user"), (DocumentChanged("it moved on"), "View it again")],
)
async def test_an_editor_that_refuses_is_an_error_result_with_advice(world, refusal, word):
    await seen(world, "a.txt", "one\n")
    world.workspace.refusal = refusal
    error = await error_of(world, Edit(), file_path="a.txt", old_string="one", new_string="two")
    assert str(refusal) in str(error)
    assert word in str(error)
    assert error.metadata["new_content"] == "two\n"
    assert versions(world) == []


async def test_edit_with_an_empty_old_string_creates_but_never_overwrites(world):
    result = await world.call(Edit(), file_path="d/new.txt", old_string="", new_string="hello\n")
    assert (world.root / "d/new.txt").read_text() == "hello\n"
    assert result.changes[0]["kind"] == "create"
    assert versions(world) == ["", "hello\n"]
    assert "exists already" in str(await error_of(world, Edit(), file_path="d/new.txt", old_string="", new_string="x"))
    await world.call(Edit(), file_path="d/new.txt", old_string="hello", new_string="bye")


async def test_editing_a_missing_file_is_an_error(world):
    text = str(await error_of(world, Edit(), file_path="no.txt", old_string="a", new_string="b"))
    assert "does not exist" in text


async def test_write_accepts_an_empty_new_file_and_refuses_identical_content(world):
    await world.call(Write(), file_path="e.txt", content="")
    assert (world.root / "e.txt").read_bytes() == b""
    assert "nothing to change" in str(await error_of(world, Write(), file_path="e.txt", content=""))


async def test_write_replaces_a_file_that_was_read(world):
    path = await seen(world, "a.txt", "one\n")
    result = await world.call(Write(), file_path="a.txt", content="two\n")
    assert path.read_text() == "two\n"
    assert (result.metadata["additions"], result.metadata["removals"]) == (1, 1)
    assert len(world.store.of(RecordRead)) == 2


async def test_FS_18_text_that_no_file_should_get_is_refused(world):
    assert "too long" in str(await error_of(world, Write(), file_path="a", content="x" * 10_000_001))
    assert "surrogate" in str(await error_of(world, Write(), file_path="a", content="\ud800"))
    assert list(world.root.iterdir()) == []


async def test_multiedit_applies_in_order_and_reports_what_failed(world):
    path = await seen(world, "a.txt", "one\ntwo\n")
    result = await world.call(
        MultiEdit(),
        file_path="a.txt",
        edits=[
            {"old_string": "one", "new_string": "1"},
            {"old_string": "absent", "new_string": "x"},
            {"old_string": "1\ntwo", "new_string": "1\n2"},
        ],
    )
    assert path.read_text() == "1\n2\n"
    assert result.content.startswith("Edited a.txt: applied 2 of 3 edits.\nEdit 2 failed: old_string was not found")
    assert result.metadata["edits_applied"] == 2
    assert [failure["index"] for failure in result.metadata["edits_failed"]] == [2]
    assert len(world.approver.asks) == 1


async def test_multiedit_where_all_fail_changes_nothing_and_asks_nobody(world):
    path = await seen(world, "a.txt", "one\n")
    text = str(await error_of(world, MultiEdit(), file_path="a.txt", edits=[{"old_string": "x", "new_string": "y"}]))
    assert "None of the edits" in text
    assert world.approver.asks == []
    assert path.read_text() == "one\n"


async def test_multiedit_creates_with_its_first_edit_only(world):
    edits = [{"old_string": "", "new_string": "a\nb\n"}, {"old_string": "b", "new_string": "c"}]
    result = await world.call(MultiEdit(), file_path="n.txt", edits=edits)
    assert (world.root / "n.txt").read_text() == "a\nc\n"
    assert (result.metadata["edits_applied"], result.metadata["edits_failed"]) == (2, [])
    assert "only the first" in str(await error_of(world, MultiEdit(), file_path="m.txt", edits=edits[::-1]))
    assert "at least one" in str(await error_of(world, MultiEdit(), file_path="m.txt", edits=[]))


async def test_grants_for_outside_files_name_the_whole_path(world, tmp_path):
    outside = tmp_path / "o.txt"
    await world.call(Write(), file_path=str(outside), content="x")
    [ask] = world.approver.asks
    assert (ask.inside_workspace, ask.pattern) == (False, str(outside))
