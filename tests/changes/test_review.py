"""Accept, reject, undo and redo of hunks, with the user typing meanwhile."""

import asyncio

import pytest

from lsp_agent.domain.errors import RequestRejected
from lsp_agent.store.sqlite import SqliteStore
from tests.changes.world import SESSION, World

TEXT = "".join(f"line {number}\n" for number in range(12))


def reasons(resolved):
    return [one.reason for one in resolved.conflicts]


@pytest.mark.parametrize("opened", [True, False])
async def test_a_rejected_hunk_is_gone_and_undo_and_redo_walk_its_trail(world, opened):
    world.file("a.py", TEXT, opened=opened)
    [hunk] = await world.edits("a.py", "line 3", "LINE THREE\nand more")
    changed = await world.text("a.py")
    assert (await world.resolve("reject", hunk)).done == [hunk]
    assert await world.text("a.py") == TEXT
    assert await world.states() == {hunk: "rejected"}
    for action, text, state in [
        ("undo", changed, "pending"),
        ("undo", TEXT, "rejected"),
        ("undo", TEXT, "rejected"),
        ("redo", changed, "pending"),
        ("redo", TEXT, "rejected"),
        ("redo", TEXT, "rejected"),
    ]:
        assert reasons(await world.resolve(action, hunk)) == []
        assert (await world.text("a.py"), await world.states()) == (text, {hunk: state})
    assert (world.path("a.py").read_text() == TEXT) is True
    assert len(world.editor.labels) == (6 if opened else 0), "the agent's edit and every step are the editor's own"


async def test_accepting_changes_no_text_and_says_so_in_an_event(world):
    world.file("a.py", TEXT, opened=True)
    [hunk] = await world.edits("a.py", "line 3", "three")
    before, edits = await world.text("a.py"), len(world.editor.labels)
    assert (await world.resolve("accept")).done == [hunk]
    assert await world.text("a.py") == before
    assert len(world.editor.labels) == edits
    [file] = world.events.updates[-1]["files"]
    assert world.events.updates[-1]["sessionUpdate"] == "changes_update"
    assert [(one["hunkId"], one["state"]) for one in file["hunks"]] == [(hunk, "accepted")]
    assert (await world.resolve("accept")).done == []
    assert (await world.resolve("accept", hunk)).done == [hunk], "repeating a decision is no conflict"
    await world.resolve("undo")
    assert await world.states() == {hunk: "pending"}


async def test_what_the_user_typed_above_and_below_and_right_beside_stays(world):
    world.file("a.py", TEXT, opened=True)
    first, second = await world.multi("a.py", [("line 3\n", "three\nthree b\n"), ("line 8", "eight")])
    text = await world.text("a.py")
    text = "typed above\n" + text.replace("three\n", "typed right above\nthree\n").replace(
        "three b\n", "three b\ntyped right below\n"
    )
    world.types("a.py", text + "typed at the end")
    [file] = await world.changes.review.files(SESSION)
    assert [one["newRange"]["start"]["line"] for one in file["hunks"]] == [5, 12]
    assert (await world.resolve("reject", first)).conflicts == []
    assert await world.text("a.py") == (
        "typed above\nline 0\nline 1\nline 2\ntyped right above\nline 3\ntyped right below\nline 4\nline 5\nline 6\n"
        "line 7\neight\nline 9\nline 10\nline 11\ntyped at the end"
    )
    assert await world.states() == {first: "rejected", second: "pending"}


async def test_what_the_user_typed_inside_is_a_conflict_that_shows_it(world):
    world.file("a.py", TEXT, opened=True)
    first, second = await world.multi("a.py", [("line 3\n", "three\nthree b\n"), ("line 8", "eight")])
    world.types("a.py", (await world.text("a.py")).replace("three b", "three b, said the user"))
    before = await world.text("a.py")
    resolved = await world.resolve("reject")
    assert resolved.done == [second]
    [conflict] = resolved.conflicts
    assert (conflict.hunk_id, conflict.current) == (first, "three\nthree b, said the user\n")
    assert await world.text("a.py") == before.replace("eight", "line 8")
    assert await world.states() == {first: "pending", second: "rejected"}
    assert await world.text("a.py") == before.replace("eight", "line 8")


async def test_a_hunk_under_a_later_change_of_the_same_lines_waits_for_it(world):
    world.file("a.py", TEXT)
    [first] = await world.edits("a.py", "line 3", "three")
    [second] = await world.edits("a.py", "three", "3")
    assert reasons(await world.resolve("reject", first)) == ["these lines were changed since"]
    assert (await world.resolve("reject", first, second)).conflicts == []
    assert await world.text("a.py") == TEXT


async def test_a_hunk_the_user_took_back_in_the_editor_is_simply_done(world):
    world.file("a.py", TEXT, opened=True)
    [hunk] = await world.edits("a.py", "line 3", "three")
    world.types("a.py", TEXT)
    assert (await world.resolve("reject", hunk)).done == [hunk]
    assert await world.text("a.py") == TEXT


async def test_undo_of_everything_takes_back_the_newest_thing_and_then_the_one_before(world):
    world.file("a.py", TEXT)
    [first] = await world.edits("a.py", "line 3", "three", run="r1")
    after_first = await world.text("a.py")
    [second] = await world.edits("a.py", "line 8", "eight", run="r2")
    after_second = await world.text("a.py")
    await world.resolve("accept", first)
    await world.resolve("undo")
    assert await world.states() == {first: "pending", second: "pending"}
    await world.resolve("undo")
    assert await world.text("a.py") == after_first
    await world.resolve("undo")
    assert await world.text("a.py") == TEXT
    await world.resolve("redo")
    assert await world.text("a.py") == after_first
    await world.resolve("redo")
    assert await world.text("a.py") == after_second
    await world.resolve("redo")
    assert await world.states() == {first: "accepted", second: "pending"}


async def test_a_run_and_a_file_can_be_meant(world):
    for name in ("a.py", "b.py"):
        world.file(name, TEXT)
        await world.edits(name, "line 3", "three", run="r1")
        await world.edits(name, "line 8", "eight", run="r2")
    await world.resolve("reject", run_id="r2")
    assert await world.text("a.py") == await world.text("b.py") == TEXT.replace("line 3", "three")
    await world.resolve("reject", path=str(world.path("b.py")))
    assert (await world.text("a.py"), await world.text("b.py")) == (TEXT.replace("line 3", "three"), TEXT)
    found = await world.changes.review.files(SESSION, run_id="r1", uri=world.path("b.py").as_uri())
    assert [(one["uri"], [hunk["state"] for hunk in one["hunks"]]) for one in found] == [
        (world.path("b.py").as_uri(), ["rejected"])
    ]
    assert [len(one["hunks"]) for one in await world.changes.review.files(SESSION, state="pending")] == [1]


async def test_a_created_file_is_removed_and_made_again(world):
    [hunk] = await world.rewrites("new/deep.py", "x = 1\n")
    await world.resolve("reject", hunk)
    assert not world.path("new/deep.py").exists()
    await world.resolve("undo", hunk)
    assert world.path("new/deep.py").read_text() == "x = 1\n"
    [more] = await world.edits("new/deep.py", "1", "2")
    assert reasons(await world.resolve("reject", hunk)) == ["the file was changed since it was created"]
    assert sorted((await world.resolve("reject")).done) == sorted([hunk, more])
    assert not world.path("new/deep.py").exists()


async def test_an_empty_file_that_was_created_can_be_rejected(world):
    [hunk] = await world.rewrites("empty.py", "")
    assert world.path("empty.py").exists()
    await world.resolve("reject", hunk)
    assert not world.path("empty.py").exists()


async def test_a_created_file_with_the_users_text_in_it_is_never_deleted(world):
    [hunk] = await world.rewrites("new.py", "x = 1\n")
    world.types("new.py", "x = 1\n# mine\n")
    resolved = await world.resolve("reject", hunk)
    assert [one.current for one in resolved.conflicts] == ["x = 1\n# mine\n"]
    world.types("new.py", "x = 1\n")
    world.editor.put(world.path("new.py"), "x = 1\n# not saved\n")
    assert [one.current for one in (await world.resolve("reject", hunk)).conflicts] == ["x = 1\n# not saved\n"]
    world.editor.put(world.path("new.py"), "x = 1\n")
    world.path("new.py").write_text("x = 1\n# on disk only\n")
    assert "not saved" in reasons(await world.resolve("reject", hunk))[0]
    assert world.path("new.py").read_text() == "x = 1\n# on disk only\n"


async def test_line_ends_of_the_file_and_of_its_last_line_do_not_matter(world):
    world.file("a.txt", "a\r\nb\r\nc", opened=True)
    [hunk] = await world.edits("a.txt", "c", "see")
    world.types("a.txt", "a\r\nb\r\nsee\r\nand mine")
    await world.resolve("reject", hunk)
    assert await world.text("a.txt") == "a\r\nb\r\nc\r\nand mine"


async def test_an_editor_that_refuses_leaves_the_hunk_pending(world):
    world.file("a.py", TEXT, opened=True)
    [hunk] = await world.edits("a.py", "line 3", "three")
    world.editor.refuses = True
    assert "said no" in reasons(await world.resolve("reject", hunk))[0]
    assert await world.states() == {hunk: "pending"}


async def test_a_file_that_is_gone_is_a_conflict(world):
    path = world.file("a.py", TEXT)
    [hunk] = await world.edits("a.py", "line 3", "three")
    path.unlink()
    assert reasons(await world.resolve("reject", hunk)) == ["the file is not there any more"]


async def test_a_path_that_leads_elsewhere_now_is_not_followed(world):
    path = world.file("a.py", TEXT)
    [hunk] = await world.edits("a.py", "line 3", "three")
    other = world.file("other.py", path.read_text())
    path.unlink()
    path.symlink_to(other)
    assert "leads elsewhere" in reasons(await world.resolve("reject", hunk))[0]
    assert "three" in other.read_text()


async def test_what_nobody_knows_and_what_was_rejected_is_told(world):
    world.file("a.py", TEXT)
    [hunk] = await world.edits("a.py", "line 3", "three")
    assert reasons(await world.resolve("accept", "nobody")) == ["there is no such hunk in this session"]
    await world.resolve("reject", hunk)
    assert reasons(await world.resolve("accept", hunk)) == ["it was rejected; undo that first"]
    with pytest.raises(RequestRejected) as caught:
        await world.changes.review.files("no such session")
    assert caught.value.kind == "SessionNotFound"


async def test_many_at_once_are_decided_one_after_the_other(world):
    world.file("a.py", TEXT)
    hunks = await world.multi("a.py", [(f"line {number}\n", f"L{number}\n") for number in (1, 3, 5, 7)])
    done = await asyncio.gather(
        *(world.resolve(action, one) for one in hunks for action in ("reject", "undo", "reject"))
    )
    assert [one.conflicts for one in done] == [[]] * 12
    assert await world.text("a.py") == TEXT


async def test_a_restart_keeps_the_journal(world, tmp_path):
    world.file("a.py", TEXT)
    first, second = await world.multi("a.py", [("line 3\n", "three\n"), ("line 8", "eight")])
    await world.resolve("reject", first)
    await world.store.close()
    world.store = await SqliteStore.open(tmp_path / "data", clock_ms=lambda: 1_800_000_000_000)
    world.changes = world.service()
    assert await world.states() == {first: "rejected", second: "pending"}
    await world.resolve("undo", first)
    await world.resolve("reject")
    assert await world.text("a.py") == TEXT
    await world.store.close()


async def test_an_edit_that_was_written_down_and_never_made_shows_nowhere(world, tmp_path):
    """A crash between the journal and the file."""
    world.file("a.py", TEXT, opened=True)
    world.editor.refuses = True
    with pytest.raises(Exception, match="was not changed"):
        await world.edits("a.py", "line 3", "three")
    assert await world.states() == {}
    from lsp_agent.ports.changes import change_entry

    entry = change_entry(
        world.run(),
        change_id="c1",
        path=str(world.path("a.py")),
        uri=world.path("a.py").as_uri(),
        kind="edit",
        before=TEXT,
        after=TEXT.replace("line 3", "three"),
        hunks=[("h1", 3, 4, 3, 4)],
        tool_call_id="t",
        created_at_ms=1,
    )
    await world.store.write([entry])
    assert await world.changes.review.files(SESSION) == []
    world.types("a.py", TEXT.replace("line 3", "three"))
    assert [len(one["hunks"]) for one in await world.changes.review.files(SESSION)] == [1]


async def test_the_model_hears_once_what_was_decided_and_said(world):
    world.file("a.py", TEXT)
    [hunk] = await world.edits("a.py", "line 3", "three")
    assert await world.changes.context(world.run("r2")) == ()
    await world.resolve("reject", hunk, comment="use words\x1b[31m, not numbers")
    [block] = await world.changes.context(world.run("r2"))
    assert "rejected 1 change of yours in a.py" in block
    assert "use words, not numbers" in block
    assert await world.changes.context(world.run("r3")) == ()


async def test_dropping_the_session_drops_the_texts(world: World):
    from lsp_agent.ports.store import DropSession

    world.file("a.py", TEXT)
    await world.edits("a.py", "line 3", "a very private line")
    await world.store.write([DropSession(SESSION)])
    await world.store.close()
    raw = b"".join(path.read_bytes() for path in (world.root.parent / "data").glob("lsp-agent.db*"))
    import zlib

    assert zlib.compress(TEXT.replace("line 3", "a very private line").encode(), 6) not in raw
