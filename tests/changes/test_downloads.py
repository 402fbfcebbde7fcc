"""Files that were downloaded are in the journal like any other change."""

from typing import Any

import pytest

from lsp_agent.domain.errors import ToolError, WorkspaceError
from lsp_agent.tools.changing import journaled_creation
from lsp_agent.workspace import files
from lsp_agent.workspace.kept import MAX_KEPT_BYTES, is_line, kept
from tests.changes.world import World

BYTES = bytes(range(256)) * 10
LONG = "ä line of text\n" * 100_000


async def downloads(world: World, name: str, data: bytes) -> list[str]:
    """What the tool does once the bytes have arrived and the user has allowed it; the hunks' ids."""
    place = world.workspace.place(name)

    async def make() -> None:
        files.create(place.path, data, place.shown)

    change, _ = await journaled_creation(world.context(tool="download"), place, kept(data, place.shown), make)
    return [hunk["hunkId"] for hunk in change["hunks"]]


@pytest.mark.parametrize("data", [b"a,b\n1,2\n", BYTES, LONG.encode(), b"", "\ufeffmark".encode("utf-16-le")])
async def test_a_download_is_listed_and_taken_back(world: World, data: bytes):
    [hunk] = await downloads(world, "new/f", data)
    [file] = await world.changes.review.files("s1")
    assert (file["kind"], file["hunks"][0]["hunkId"], file["hunks"][0]["state"]) == ("create", hunk, "pending")
    assert len(file["hunks"][0]["newText"]) <= MAX_KEPT_BYTES
    done = await world.resolve("reject", hunk)
    assert (done.done, done.conflicts) == ([hunk], [])
    assert not world.path("new/f").exists()
    assert await world.states() == {hunk: "rejected"}


async def test_a_text_comes_back_and_what_was_not_kept_does_not(world: World):
    [text] = await downloads(world, "text", b"a,b\n1,2\n")
    [binary] = await downloads(world, "binary", BYTES)
    [long] = await downloads(world, "long", LONG.encode())
    await world.resolve("undo", text, binary, long)
    assert (await world.resolve("redo", text)).done == [text]
    assert world.path("text").read_bytes() == b"a,b\n1,2\n"
    refused = await world.resolve("redo", binary)
    assert (refused.done, [one.hunk_id for one in refused.conflicts]) == ([], [binary])
    assert not world.path("binary").exists()
    assert (await world.resolve("redo", long)).done == [long]  # its text was kept when it was taken back
    assert world.path("long").read_text() == LONG


@pytest.mark.parametrize("data", [b"a,b\n1,2\n", BYTES, LONG.encode()])
async def test_a_download_that_was_changed_since_is_left_alone(world: World, data: bytes):
    [hunk] = await downloads(world, "f", data)
    world.path("f").write_bytes(data + b"more")
    refused = await world.resolve("reject", hunk)
    assert (refused.done, len(refused.conflicts)) == ([], 1)
    assert world.path("f").read_bytes() == data + b"more"


async def test_what_could_not_be_made_is_not_in_the_journal(world: World):
    world.file("there", "the user's")
    with pytest.raises(WorkspaceError):
        await downloads(world, "there", BYTES)
    assert await world.changes.review.files("s1") == []
    assert world.path("there").read_text() == "the user's"


async def test_nothing_is_made_that_cannot_be_journaled(world: World):
    class Full:
        def write(self, *_: Any) -> Any:
            from lsp_agent.domain.errors import StoreError

            raise StoreError("the disk is full")

    context = world.context(tool="download")
    object.__setattr__(context, "store", Full())
    made: list[int] = []

    async def make() -> None:
        made.append(1)

    with pytest.raises(ToolError, match="checkpoint"):
        await journaled_creation(context, world.workspace.place("f"), "text", make)
    assert made == []


def test_a_line_names_bytes_and_is_told_from_text():
    assert is_line(kept(BYTES, "f"))
    assert not is_line(kept(b"text", "f"))
    assert kept(b"x" * (MAX_KEPT_BYTES + 1), "f") != kept(b"y" * (MAX_KEPT_BYTES + 1), "f")
