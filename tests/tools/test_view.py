import base64

import pytest

from lsp_agent.domain.errors import ToolError
from lsp_agent.domain.model import Model
from lsp_agent.ports.approver import Decision
from lsp_agent.ports.store import RecordRead
from lsp_agent.tools.view import View

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg=="
)


async def error_of(world, **arguments):
    with pytest.raises(ToolError) as caught:
        await world.call(View(), **arguments)
    return str(caught.value)


async def test_lines_are_numbered_from_one_in_six_columns(world):
    world.file("a.py", "one\ntwo\n")
    result = await world.call(View(), file_path="a.py")
    assert result.content == "<file>\n     1|one\n     2|two\n</file>"


async def test_offset_counts_from_zero_and_more_lines_are_noted(world):
    world.file("a.txt", "".join(f"l{n}\n" for n in range(10)))
    result = await world.call(View(), file_path="a.txt", offset=3, limit=2)
    assert (
        result.content == "<file>\n     4|l3\n     5|l4\n</file>\n(The file has more lines. Use offset 5 to read on.)"
    )


async def test_two_hundred_lines_are_the_default(world):
    world.file("a.txt", "x\n" * 201)
    assert "   200|x\n</file>\n(The file has more" in (await world.call(View(), file_path="a.txt")).content
    world.file("b.txt", "x\n" * 200)
    assert (await world.call(View(), file_path="b.txt")).content.endswith("   200|x\n</file>")


async def test_an_offset_beyond_the_end_is_empty(world):
    world.file("a.txt", "x\n")
    assert (await world.call(View(), file_path="a.txt", offset=9)).content == "<file>\n\n</file>"


async def test_long_lines_are_cut_at_2000_bytes_without_splitting_a_character(world):
    world.file("a.txt", "é" * 1001 + "\n" + "y" * 2000 + "\n")
    rows = (await world.call(View(), file_path="a.txt")).content.split("\n")
    assert rows[1] == "     1|" + "é" * 1000 + "..."
    assert rows[2] == "     2|" + "y" * 2000


async def test_a_section_that_is_too_large_is_refused_but_a_small_one_of_it_is_not(world):
    world.file("a.txt", ("z" * 1999 + "\n") * 200)
    assert "204800" in await error_of(world, file_path="a.txt")
    assert (await world.call(View(), file_path="a.txt", limit=2)).content.count("\n") == 4


async def test_the_open_document_wins_over_the_disk(world):
    path = world.file("a.txt", "disk\n")
    world.workspace.open(path, "unsaved\n", 7)
    result = await world.call(View(), file_path="a.txt")
    assert "unsaved" in result.content
    assert "disk" not in result.content
    [read] = world.store.of(RecordRead)
    assert (read.path, read.version) == (str(path), 7)


async def test_an_unsaved_new_document_can_be_viewed(world):
    world.workspace.open(world.root / "new.txt", "draft")
    assert "draft" in (await world.call(View(), file_path="new.txt")).content


async def test_a_missing_file_suggests_similar_names(world):
    world.file("src/config.py")
    world.file("src/configs.toml")
    world.workspace.open(world.root / "src/confug.py", "")
    text = await error_of(world, file_path="src/confg.py")
    assert text.startswith("src/confg.py was not found. Did you mean one of these?\n- src/conf")
    assert "src/config.py" in text
    assert "src/confug.py" in text


async def test_a_directory_is_an_error_that_names_ls(world):
    world.file("src/a.py")
    assert "directory" in await error_of(world, file_path="src")


@pytest.mark.parametrize("data", [b"a\0b", b"\xff\xfe\xfa caf\xe9"])
async def test_what_is_not_text_is_an_error_and_not_recorded_as_read(world, data):
    world.file("a.bin", data)
    assert "cannot be read" in await error_of(world, file_path="a.bin")
    assert world.store.of(RecordRead) == []


async def test_outside_the_roots_permission_is_asked_before_anything_is_opened(world, tmp_path):
    secret = tmp_path / "outside.txt"
    secret.write_text("hidden")
    world.approver.decide = lambda ask: Decision(False, asked=True)
    result = await world.call(View(), file_path=str(secret))
    [ask] = world.approver.asks
    assert (ask.action, ask.inside_workspace, ask.subject) == ("read", False, {"type": "path", "path": str(secret)})
    assert (result.is_error, result.stop_turn, result.status) == (True, True, "rejected")
    assert world.workspace.opened == []


async def test_a_rejection_with_a_message_goes_to_the_model_and_the_turn_goes_on(world):
    world.file("a.txt", "x")
    world.approver.decide = lambda ask: Decision(False, "look elsewhere", asked=True)
    result = await world.call(View(), file_path="a.txt")
    assert (result.content, result.is_error, result.stop_turn) == ("look elsewhere", True, False)


async def test_a_link_out_of_the_workspace_is_outside(world, tmp_path):
    (tmp_path / "real.txt").write_text("x")
    (world.root / "link.txt").symlink_to(tmp_path / "real.txt")
    await world.call(View(), file_path="link.txt")
    assert world.approver.asks[0].inside_workspace is False


async def test_images_need_a_model_that_sees_and_their_type_comes_from_the_bytes(world):
    world.file("pic.jpg", PNG)
    assert "cannot see images" in await error_of(world, file_path="pic.jpg")
    world.model = Model("fake", "m", supports_images=True)
    result = await world.call(View(), file_path="pic.jpg")
    assert (result.data, result.mime_type) == (PNG, "image/png")


async def test_unrecognised_image_bytes_take_the_type_of_the_name_and_large_ones_are_refused(world):
    world.model = Model("fake", "m", supports_images=True)
    world.file("a.webp", b"????")
    assert (await world.call(View(), file_path="a.webp")).mime_type == "image/webp"
    world.file("b.png", PNG + b"\0" * 204_800)
    assert "too large" in await error_of(world, file_path="b.png")


def test_a_title_survives_anything_a_model_streams():
    view = View()
    for arguments in ({}, {"file_path": 3}, {"file_path": None}, {"file_path": "a\nb" + "x" * 500}):
        assert "\n" not in view.title(arguments)
