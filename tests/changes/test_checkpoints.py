"""Going back: to before a run, a command or a restore; and what a command did to files."""

import asyncio
import shutil
import time

import pytest

from lsp_agent.changes.snapshot import SnapshotLimits
from lsp_agent.domain.errors import RequestRejected, StoreError, ToolError
from lsp_agent.ports.approver import Decision, PermissionAsk
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.ports.tools import ToolResult
from lsp_agent.store.sqlite import SqliteStore
from tests.changes.world import SESSION, World

TEXT = "".join(f"line {number}\n" for number in range(12))


class Command:
    """A tool that asks and then does something to the disk."""

    kind = "execute"
    parallel = False
    read_only = False
    spec = ToolSpec("bash", "run", {"type": "object"})

    def __init__(self, work, fails: BaseException | None = None) -> None:
        self.work = work
        self.fails = fails

    def title(self, _arguments):
        return "rm -rf ."

    async def run(self, _arguments, context):
        ask = PermissionAsk("bash", "execute", "rm -rf .", {"type": "command", "command": "rm -rf .", "cwd": "/"})
        decision = await context.approver.ask(context.run, context.call.tool_call_id, context.mode, ask)
        if not decision.allowed:
            return ToolResult("no", is_error=True)
        await asyncio.to_thread(self.work)
        if self.fails is not None:
            raise self.fails
        return ToolResult("done")


async def command(world: World, work, run: str = "r1", fails=None):
    tool = world.changes.guard(Command(work, fails), lambda _: True)
    return await world.call(tool, run)


async def until(is_so) -> None:
    deadline_s = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.01)


async def newest(world: World, kind: str):
    return next(one for one in await world.changes.checkpoints.list(SESSION) if one.kind == kind)


async def restore(world: World, checkpoint_id: str, **how):
    return await world.changes.checkpoints.restore(checkpoint_id, **{"files": True, "conversation": False, **how})


def tree(world: World):
    return {
        path.relative_to(world.root).as_posix(): path.read_bytes()
        for path in sorted(world.root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


async def test_SH_22_a_checkpoint_stands_before_the_first_write_of_a_run(world):
    world.file("a.py", TEXT)
    seen = []

    class Looking:
        async def ask(self, *_):
            seen.append(len(await world.store.journal(SESSION)))
            return Decision(True)

    world.approver = Looking()
    await world.edits("a.py", "line 3", "three")
    assert seen == [0, 0], "nothing is written before the answer"
    entries = await world.store.journal(SESSION)
    assert [one.kind for one in entries] == ["checkpoint", "change", "applied"]
    await world.edits("a.py", "line 4", "four")
    await world.edits("a.py", "line 5", "five", run="r2")
    found = await world.changes.checkpoints.list(SESSION)
    assert [(one.kind, one.run_id, one.title) for one in found] == [
        ("run", "r2", "prompt of r2"),
        ("run", "r1", "prompt of r1"),
    ]


async def test_SH_22_nothing_is_written_when_the_checkpoint_cannot_be_stored(world):
    path = world.file("a.py", TEXT)
    await world.store.close()
    with pytest.raises((ToolError, StoreError)):
        await world.edits("a.py", "line 3", "three")
    assert path.read_text() == TEXT


async def test_SH_22_a_destructive_command_is_taken_back_whole_and_with_it_goes_nothing_of_the_user(world):
    world.file("src/a.py", TEXT)
    world.file("src/deep/b.py", "b = 1\n", opened=True)
    world.file("notes.md", "notes\n")
    world.file(".github/ci.yml", "on: push\n")
    before = tree(world)

    def destroy():
        shutil.rmtree(world.root / "src")
        (world.root / "notes.md").write_text("wiped\n")
        (world.root / "junk.txt").write_text("junk\n")

    result = await command(world, destroy)
    assert sorted((one["uri"].rpartition("/")[2], one["kind"]) for one in result.changes) == [
        ("a.py", "delete"),
        ("b.py", "delete"),
        ("junk.txt", "create"),
        ("notes.md", "edit"),
    ]
    world.types("notes.md", "wiped\nmine\n")
    wrecked = tree(world)
    checkpoint = await newest(world, "command")
    assert (checkpoint.title, checkpoint.partial) == ("Before: rm -rf .", False)
    done = await restore(world, checkpoint.checkpoint_id)
    assert done.conflicts == []
    assert tree(world) == {**before, "notes.md": b"notes\nmine\n"}
    back = await restore(world, done.undo_checkpoint_id)
    assert back.conflicts == []
    assert tree(world) == wrecked


async def test_SH_22_a_command_that_was_cut_off_by_a_crash_is_taken_back_after_the_restart(world, tmp_path):
    world.file("a.py", TEXT)
    begun = await world.changes.commands.before_command(world.run(), "t1", "git reset --hard")
    world.path("a.py").unlink()
    await world.store.close()
    world.store = await SqliteStore.open(tmp_path / "data", clock_ms=lambda: 1_800_000_000_000)
    world.changes = world.service()
    assert (await restore(world, begun.checkpoint_id)).conflicts == []
    assert world.path("a.py").read_text() == TEXT
    await world.store.close()


async def test_a_command_that_fails_or_is_cancelled_is_written_down_too(world):
    world.file("a.py", TEXT)

    def wipe():
        world.path("a.py").write_text("wiped\n")

    with pytest.raises(ToolError):
        await command(world, wipe, fails=ToolError("exit 1"))
    [file] = await world.changes.review.files(SESSION)
    assert file["hunks"][0]["newText"] == "wiped\n"
    await world.resolve("reject")
    with pytest.raises(asyncio.CancelledError):
        await command(world, wipe, fails=asyncio.CancelledError())
    await until(lambda: world.events.updates[-1]["files"][0]["hunks"][0]["state"] == "pending")
    assert "changes_update" in [one["sessionUpdate"] for one in world.events.updates]
    await world.resolve("reject")
    assert world.path("a.py").read_text() == TEXT


async def test_a_command_that_is_refused_or_only_reads_costs_no_snapshot(world):
    class Deny:
        async def ask(self, *_):
            return Decision(False)

    world.approver = Deny()
    world.file("a.py", TEXT)
    await command(world, lambda: None)
    tool = world.changes.guard(Command(lambda: None), lambda _: False)
    await world.call(tool)
    assert await world.changes.checkpoints.list(SESSION) == []


async def test_what_the_user_does_while_being_asked_is_not_the_commands(world):
    world.file("a.py", TEXT)

    class Slow:
        async def ask(self, *_):
            world.types("a.py", TEXT + "mine\n")
            return Decision(True)

    world.approver = Slow()
    result = await command(world, lambda: None)
    assert result.changes == ()


async def test_what_the_user_saves_meanwhile_is_not_the_commands(world):
    path = world.file("a.py", TEXT, opened=True)
    world.editor.put(path, TEXT + "unsaved\n")
    result = await command(world, lambda: path.write_text(TEXT + "unsaved\n"))
    assert result.changes == ()


async def test_secrets_ignored_files_and_binaries_are_in_no_snapshot(world):
    world.file(".gitignore", "build/\n")
    world.file("build/out.txt", "built\n")
    world.file(".env", "KEY=canary-5511\n")
    world.path("image.bin").write_bytes(b"\0\1\2canary-5512")
    world.file("a.py", "a = 1\n")
    begun = await world.changes.commands.before_command(world.run(), "t1", "x")
    assert sorted(path.name for path in begun.scan.files) == [".gitignore", "a.py"]
    await world.changes.commands.after_command(begun)
    texts = await world.store.texts([name for _, name in begun.scan.files.values()])
    assert sorted(texts.values()) == ["a = 1\n", "build/\n"]


@pytest.mark.parametrize(
    "limits", [SnapshotLimits(files=3), SnapshotLimits(bytes=40), SnapshotLimits(seconds=0.0)], ids=str
)
async def test_a_snapshot_that_meets_a_bound_says_so_and_takes_nothing_for_new(world, limits):
    world.changes = world.service(limits)
    for number in range(9):
        world.file(f"f{number}.txt", f"text {number} text\n")
    result = await command(world, lambda: (world.root / "f0.txt").touch())
    assert (await newest(world, "command")).partial
    assert [one for one in result.changes if one["kind"] == "create"] == []


async def test_an_unchanged_tree_is_read_once_and_kept_once(world):
    for number in range(50):
        world.file(f"d/f{number}.txt", f"text {number}\n")
    first = await world.changes.commands.before_command(world.run(), "t1", "x")
    await world.changes.commands.after_command(first)
    second = await world.changes.commands.before_command(world.run(), "t2", "x")
    assert (len(first.scan.texts), len(second.scan.texts)) == (50, 0)
    manifests = {one.manifest for one in await world.changes.checkpoints.list(SESSION)}
    assert len(manifests) == 1


async def test_going_back_to_before_a_run_keeps_what_the_user_typed_since(world):
    world.file("a.py", TEXT, opened=True)
    world.file("b.py", TEXT)
    await world.edits("a.py", "line 3", "three", run="r1")
    await world.edits("b.py", "line 3", "three", run="r2")
    await world.edits("a.py", "line 8", "eight", run="r2")
    world.types("a.py", "mine\n" + await world.text("a.py"))
    await world.resolve("accept")
    before = (await world.text("a.py"), await world.text("b.py"), await world.states())
    [r2, r1] = await world.changes.checkpoints.list(SESSION)
    done = await restore(world, r2.checkpoint_id)
    assert await world.text("a.py") == "mine\n" + TEXT.replace("line 3", "three")
    assert await world.text("b.py") == TEXT
    assert sorted((await world.states()).values()) == ["pending", "rejected", "rejected"]
    again = await restore(world, r1.checkpoint_id)
    assert await world.text("a.py") == "mine\n" + TEXT
    await restore(world, again.undo_checkpoint_id)
    await restore(world, done.undo_checkpoint_id)
    assert (await world.text("a.py"), await world.text("b.py"), await world.states()) == before


async def test_several_roots_are_one_checkpoint(world, tmp_path):
    other = World(tmp_path / "other", world.store)
    both = [*world.workspace.roots, *other.workspace.roots]
    world.workspace._roots.replace(both)
    other.file("o.py", "o = 1\n")
    world.file("a.py", TEXT)

    def destroy():
        other.path("o.py").unlink()
        world.path("a.py").unlink()

    await command(world, destroy)
    await restore(world, (await newest(world, "command")).checkpoint_id)
    assert (other.path("o.py").read_text(), world.path("a.py").read_text()) == ("o = 1\n", TEXT)
    other.close()


async def test_the_conversation_goes_back_and_comes_again(world):
    world.file("a.py", TEXT)
    for name in ("m-r1", "after-1"):
        await world.says(name, name)
    await world.edits("a.py", "line 3", "three", run="r1")
    for name in ("m-r2", "after-2"):
        await world.says(name, name)
    await world.edits("a.py", "line 4", "four", run="r2")
    await world.says("later", "later")

    async def conversation():
        return [message.text for message in (await world.store.messages(SESSION))[0]]

    whole = await conversation()
    [r2, r1] = await world.changes.checkpoints.list(SESSION)
    first = await restore(world, r2.checkpoint_id, files=False, conversation=True)
    assert await conversation() == ["m-r1", "after-1"]
    assert (await world.store.session(SESSION)).message_count == 2
    assert "four" in await world.text("a.py")
    await world.says("another way", "x1")
    second = await restore(world, first.undo_checkpoint_id, files=False, conversation=True)
    assert await conversation() == whole
    await restore(world, second.undo_checkpoint_id, files=False, conversation=True)
    assert await conversation() == ["m-r1", "after-1", "another way"]
    await restore(world, r1.checkpoint_id, files=True, conversation=True)
    assert await conversation() == []
    assert await world.text("a.py") == TEXT


async def test_a_busy_session_and_an_unknown_checkpoint_are_refused(world):
    world.file("a.py", TEXT)
    await world.edits("a.py", "line 3", "three")
    [checkpoint] = await world.changes.checkpoints.list(SESSION)
    world.busy = True
    with pytest.raises(RequestRejected) as caught:
        await restore(world, checkpoint.checkpoint_id)
    assert caught.value.kind == "SessionBusy"
    assert (await restore(world, checkpoint.checkpoint_id, dry_run=True)).undo_checkpoint_id is None
    with pytest.raises(RequestRejected) as caught:
        await restore(world, "nothing")
    assert (caught.value.kind, caught.value.data["path"]) == ("InvalidParams", "checkpointId")
    assert "three" in await world.text("a.py")


async def test_what_cannot_be_taken_back_is_told_and_the_rest_is(world):
    world.file("a.py", TEXT)
    first, second = await world.multi("a.py", [("line 3\n", "three\n"), ("line 8", "eight")])
    world.types("a.py", (await world.text("a.py")).replace("three", "three, mine"))
    [checkpoint] = await world.changes.checkpoints.list(SESSION)
    dry = await restore(world, checkpoint.checkpoint_id, dry_run=True)
    done = await restore(world, checkpoint.checkpoint_id)
    assert [(one.hunk_id, one.current) for one in done.conflicts] == [(first, "three, mine\n")]
    assert dry.conflicts == done.conflicts
    assert await world.text("a.py") == TEXT.replace("line 3", "three, mine")
    assert (await world.states())[second] == "rejected"
