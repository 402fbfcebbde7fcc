import base64

import pytest

from lsp_agent.domain.errors import RequestRejected, WorkspaceError
from lsp_agent.domain.message import part_from_json, part_to_json
from lsp_agent.domain.text import Position, Range
from lsp_agent.workspace.attachments import AttachmentContext, AttachmentLimits, resolve_attachments
from lsp_agent.workspace.lines import LineIndex
from lsp_agent.workspace.outside import OutsideFiles
from lsp_agent.workspace.pushed import PushedDiagnostics, PushedSelection

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


class ScriptedSource:
    """One connection whose columns are code points."""

    encoding = "utf-32"

    def __init__(self, editor):
        self.editor = editor
        self.pushed = None
        self.reported = []

    async def document_at(self, uri, version):
        document = self.editor.document_by_uri(uri)
        if version is not None and (document is None or document.version != version):
            have = document.version if document is not None else None
            raise RequestRejected("StaleDocument", "stale", uri=uri, wanted=version, have=have)
        return document

    def range_in(self, text, value):
        if not isinstance(value, dict):
            raise ValueError("a range is an object")
        return Range(self.position_in(text, value["start"]), self.position_in(text, value["end"]))

    def position_in(self, text, value):
        if not isinstance(value, dict):
            raise ValueError("a position is an object")
        index = LineIndex(text)
        return index.position(index.offset(Position(value["line"], value["character"])))

    def selection(self, uri):
        return self.pushed if self.pushed is not None and uri in (None, self.pushed.uri) else None

    def diagnostics(self, uri=None):
        return [one for one in self.reported if uri in (None, one.uri)]


@pytest.fixture
def source(editor):
    return ScriptedSource(editor)


@pytest.fixture
def resolve(source, workspace):
    async def run(*items, **options):
        return await resolve_attachments(items, AttachmentContext(source, workspace, **options))

    return run


def span(first, start, last, end):
    return {"start": {"line": first, "character": start}, "end": {"line": last, "character": end}}


def uri(path):
    return f"file://{path}"


async def test_a_buffer_is_the_live_text_with_path_and_version(resolve, editor, root):
    (root / "a.py").write_text("saved")
    editor.put(root / "a.py", "one\ntwo\nthree\n", version=4)
    whole, part = await resolve(
        {"type": "buffer", "uri": uri(root / "a.py"), "version": 4},
        {"type": "buffer", "uri": uri(root / "a.py"), "range": span(1, 0, 2, 0)},
    )
    assert (whole.text, whole.path, whole.version, whole.start_line) == ("one\ntwo\nthree\n", "a.py", 4, None)
    assert (part.text, part.start_line, part.end_line, part.kind) == ("two\n", 1, 1, "buffer")
    assert part.is_text
    assert part.mime_type.startswith("text/")


async def test_a_closed_buffer_is_read_from_disk(resolve, root):
    (root / "a b.py").write_text("saved\n")
    (part,) = await resolve({"type": "buffer", "uri": f"file://{root}/a%20b.py"})
    assert (part.text, part.version, part.path, part.name) == ("saved\n", None, "a b.py", "a b.py")


async def test_a_part_of_a_file_over_the_limit_can_be_attached(resolve, root):
    (root / "long").write_text("line\n" * 1_000)
    item = {"type": "buffer", "uri": uri(root / "long"), "range": span(990, 0, 991, 0)}
    assert (await resolve(item, limits=AttachmentLimits(text_bytes=100)))[0].text == "line\n"


async def test_a_version_is_honoured_or_refused(resolve, editor, root):
    editor.put(root / "a.py", "x", version=4)
    for wanted in (3, 5):
        with pytest.raises(RequestRejected) as caught:
            await resolve({"type": "buffer", "uri": uri(root / "a.py"), "version": wanted})
        assert caught.value.kind == "StaleDocument"


async def test_a_document_without_a_file_can_be_attached(resolve, editor, root):
    editor.put(root / "x", "new", uri="untitled:one")
    (part,) = await resolve({"type": "buffer", "uri": "untitled:one"})
    assert (part.text, part.path, part.uri) == ("new", None, "untitled:one")


async def test_the_selection_last_pushed_is_attached_each_range_as_a_part(resolve, source, editor, root):
    editor.put(root / "a.py", "one\ntwo\n", version=4)
    source.pushed = PushedSelection(uri(root / "a.py"), 4, (span(0, 1, 0, 2), span(1, 0, 1, 3)))
    parts = await resolve({"type": "selection"})
    assert [(part.text, part.start_line, part.end_line, part.version) for part in parts] == [
        ("n", 0, 0, 4),
        ("two", 1, 1, 4),
    ]
    (given,) = await resolve({"type": "selection", "uri": uri(root / "a.py"), "range": span(0, 0, 0, 3)})
    assert given.text == "one"
    assert given.kind == "selection"


async def test_a_selection_of_an_earlier_text_is_stale(resolve, source, editor, root):
    editor.put(root / "a.py", "one\ntwo\n", version=5)
    source.pushed = PushedSelection(uri(root / "a.py"), 4, (span(0, 1, 0, 2),))
    for item in ({"type": "selection"}, {"type": "selection", "version": 5}):
        with pytest.raises(RequestRejected) as caught:
            await resolve(item)
        assert caught.value.kind == "StaleDocument"


async def test_a_file_is_attached_as_it_is_in_the_editor_or_on_disk(resolve, editor, root):
    (root / "a.py").write_text("saved")
    assert (await resolve({"type": "file", "uri": uri(root / "a.py")}))[0].text == "saved"
    editor.put(root / "a.py", "unsaved", version=2)
    part = (await resolve({"type": "file", "uri": uri(root / "a.py")}))[0]
    assert (part.text, part.version, part.kind) == ("unsaved", 2, "file")


async def test_text_and_images_are_attached(resolve, root):
    (root / "a.png").write_bytes(PNG)
    encoded = base64.b64encode(b"\xff\xd8\xff\xe0").decode()
    text, file, data = await resolve(
        {"type": "text", "text": "note", "name": "n"},
        {"type": "image", "uri": uri(root / "a.png")},
        {"type": "image", "data": encoded, "mimeType": "image/png"},
    )
    assert (text.text, text.name, text.is_text) == ("note", "n", True)
    assert (file.data, file.mime_type, file.path, file.is_text) == (PNG, "image/png", "a.png", False)
    assert (data.data, data.mime_type) == (b"\xff\xd8\xff\xe0", "image/jpeg")


async def test_diagnostics_are_attached_as_text_errors_first(resolve, source, root):
    place = {"range": span(2, 6, 2, 7)}
    items = (
        {**place, "severity": 2, "message": "unused", "source": "ruff", "code": "F401", "tags": [1]},
        {**place, "severity": 1, "message": "not\n defined"},
    )
    source.reported = [PushedDiagnostics(uri(root / "a.py"), "pyright", 3, items)]
    (part,) = await resolve({"type": "diagnostics", "uri": uri(root / "a.py")})
    assert part.text.splitlines() == [
        "error a.py:3:7 pyright not defined",
        "warning a.py:3:7 ruff [F401] (unnecessary) unused",
    ]
    assert (part.path, part.version) == ("a.py", 3)
    assert "unused" not in (await resolve({"type": "diagnostics", "severity": "error"}))[0].text
    assert (await resolve({"type": "diagnostics", "uri": "file:///x"}))[0].text == "No diagnostics are known."


CODE = """import os

@cached
def one(x):
    if x:
        return 1

    return 2


class Two:
    def method(self):
        pass
"""


@pytest.mark.parametrize(
    ("line", "first", "last"), [(5, 2, 7), (3, 2, 7), (2, 2, 7), (12, 11, 12), (10, 10, 12), (0, 0, 0)]
)
async def test_a_symbol_is_the_definition_around_the_position(resolve, editor, root, line, first, last):
    editor.put(root / "a.py", CODE)
    (part,) = await resolve({"type": "symbol", "uri": uri(root / "a.py"), "position": {"line": line, "character": 4}})
    assert (part.start_line, part.end_line) == (first, last)
    assert part.text.splitlines() == CODE.splitlines()[first : last + 1]


BRACES = """int main(int argc)
{
    for (;;) {
        work();
    }
}

export function two() {
  if (x) {
    a();
  } else {
    b();
  }
}
"""


@pytest.mark.parametrize(("line", "first", "last"), [(11, 7, 13), (10, 7, 13), (13, 7, 13)])
async def test_a_symbol_in_a_language_of_braces(resolve, editor, root, line, first, last):
    editor.put(root / "a.js", BRACES)
    (part,) = await resolve({"type": "symbol", "uri": uri(root / "a.js"), "position": {"line": line, "character": 4}})
    assert (part.start_line, part.end_line) == (first, last)


async def test_changes_and_terminals_come_from_whoever_has_them(resolve):
    async def output(item):
        if item["terminalId"] != "t1":
            raise ValueError("there is no such terminal")
        return "hello"

    (part,) = await resolve({"type": "terminal", "terminalId": "t1"}, providers={"terminal": output})
    assert (part.text, part.kind) == ("hello", "terminal")
    with pytest.raises(RequestRejected, match="no such terminal") as caught:
        await resolve({"type": "terminal", "terminalId": "t2"}, providers={"terminal": output})
    assert caught.value.data["path"] == "attachments[0].terminalId"


async def test_FS_01_a_file_outside_the_roots_waits_for_permission_and_is_not_opened(resolve, root):
    secret = root.parent / "secret"
    secret.write_text("canary")
    (root / "link").symlink_to(secret)
    for name in (uri(secret), uri(root / "link"), f"file://{root}/%2e%2e/secret"):
        for kind in ("file", "buffer", "image"):
            (part,) = await resolve({"type": kind, "uri": name})
            assert (part.kind, part.path, part.held, part.data) == (kind, str(secret), None, None)
            assert "not read" in part.text
            assert part.deferred["item"] == {"type": kind, "uri": name}
            assert "canary" not in repr(part)
    asked = {"type": "buffer", "uri": uri(secret), "range": span(3, 0, 5, 2)}
    (part,) = await resolve(asked)
    assert (part.start_line, part.end_line, part.deferred["encoding"]) == (3, 5, "utf-32")


async def test_what_is_seen_without_opening_a_file_outside_is_refused_at_once(resolve, root):
    (root.parent / "folder").mkdir()
    (root.parent / "large").write_bytes(b"x" * 1_000)
    limits = AttachmentLimits(text_bytes=100, image_bytes=100)
    for name in ("none", "folder", "large"):
        for kind in ("file", "buffer", "image"):
            with pytest.raises(RequestRejected) as caught:
                await resolve({"type": kind, "uri": uri(root.parent / name)}, limits=limits)
            assert caught.value.data["path"] == "attachments[0].uri"


async def test_an_open_document_outside_the_roots_waits_with_the_text_it_has_now(resolve, editor, root):
    editor.put(root.parent / "notes", "mine\nyours\n", version=3)
    whole, piece = await resolve(
        {"type": "buffer", "uri": uri(root.parent / "notes"), "version": 3},
        {"type": "selection", "uri": uri(root.parent / "notes"), "range": span(1, 0, 1, 5)},
    )
    assert (whole.held, whole.version) == ("mine\nyours\n", 3)
    assert (piece.held, piece.start_line) == ("yours", 1)
    assert "mine" not in repr(part_to_json(whole))
    with pytest.raises(RequestRejected, match="stale"):
        await resolve({"type": "buffer", "uri": uri(root.parent / "notes"), "version": 2})


@pytest.fixture
def outside(workspace, source):
    return OutsideFiles(
        workspace,
        range_in=lambda text, value, encoding: source.range_in(text, value),
        position_in=lambda text, value, encoding: source.position_in(text, value),
        limits=AttachmentLimits(text_bytes=100, image_bytes=100),
    )


def stored(part):
    """What is left of a part after a restart."""
    return part_from_json(part_to_json(part))


async def test_what_was_allowed_outside_is_read_as_inside(resolve, outside, root):
    notes = root.parent / "notes"
    notes.write_text("one\ntwo\nthree\n")
    (root.parent / "a.png").write_bytes(PNG)
    asked = [
        {"type": "file", "uri": uri(notes)},
        {"type": "buffer", "uri": uri(notes), "range": span(1, 0, 2, 0)},
        {"type": "symbol", "uri": uri(notes), "position": {"line": 2, "character": 0}},
        {"type": "image", "uri": uri(root.parent / "a.png")},
    ]
    parts = [stored(part) for part in await resolve(*asked)]
    file, piece, symbol, image = [await outside.read(part, outside.place(part)) for part in parts]
    assert (file.text, file.path, file.kind, file.deferred) == ("one\ntwo\nthree\n", str(notes), "file", {})
    assert (piece.text, piece.start_line, piece.end_line) == ("two\n", 1, 1)
    assert (symbol.kind, "three" in symbol.text) == ("symbol", True)
    assert (image.data, image.mime_type) == (PNG, "image/png")


async def test_what_cannot_be_read_outside_is_a_sentence(resolve, outside, root):
    files = {name: root.parent / name for name in ("gone", "bytes", "latin", "grown", "fake.png")}
    for path in files.values():
        path.write_text("x")
    items = [{"type": "image" if name == "fake.png" else "file", "uri": uri(path)} for name, path in files.items()]
    parts = [stored(part) for part in await resolve(*items)]
    files["gone"].unlink()
    files["bytes"].write_bytes(b"\0\1\2")
    files["latin"].write_bytes("naïve text".encode("latin-1"))
    files["grown"].write_bytes(b"x" * 101)
    for part in parts:
        with pytest.raises(WorkspaceError):
            await outside.read(part, outside.place(part))


async def test_a_link_that_leads_elsewhere_after_the_question_is_not_followed(resolve, outside, root):
    one, other, link = root.parent / "one", root.parent / "other", root.parent / "link"
    one.write_text("asked about")
    other.write_text("canary")
    link.symlink_to(one)
    (part,) = await resolve({"type": "file", "uri": uri(link)})
    place = outside.place(part)
    link.unlink()
    link.symlink_to(other)
    with pytest.raises(WorkspaceError, match="not what was asked"):
        await outside.read(part, place)


async def test_a_version_is_not_approximated_after_a_restart(resolve, outside, editor, root):
    notes = root.parent / "notes"
    notes.write_text("saved")
    editor.put(notes, "mine", version=3)
    (part,) = await resolve({"type": "buffer", "uri": uri(notes), "version": 3})
    editor.put(notes, "typed since", version=4)
    assert (await outside.read(part, outside.place(part))).text == "mine"
    with pytest.raises(WorkspaceError, match="version 3"):
        await outside.read(stored(part), outside.place(part))


BAD = [
    (3, ""),
    ({}, ".type"),
    ({"type": "sound"}, ".type"),
    ({"type": "file"}, ".uri"),
    ({"type": "file", "uri": "a.py"}, ".uri"),
    ({"type": "file", "uri": "http://x/a"}, ".uri"),
    ({"type": "file", "uri": "file:///a%00"}, ".uri"),
    ({"type": "file", "uri": "file://ROOT/none"}, ".uri"),
    ({"type": "file", "uri": "file://ROOT/bytes"}, ".uri"),
    ({"type": "file", "uri": "file://ROOT/latin"}, ".uri"),
    ({"type": "file", "uri": "file://ROOT"}, ".uri"),
    ({"type": "file", "uri": "file://ROOT/large"}, ""),
    ({"type": "file", "uri": "file://ROOT/huge"}, ".uri"),
    ({"type": "buffer", "uri": "file://ROOT/large", "version": "1"}, ".version"),
    ({"type": "buffer", "uri": "untitled:none"}, ".uri"),
    ({"type": "buffer", "uri": "file://ROOT/latin2", "range": 3}, ".range"),
    ({"type": "selection"}, ""),
    ({"type": "selection", "range": {}}, ".uri"),
    ({"type": "text"}, ".text"),
    ({"type": "text", "text": "x" * 101}, ""),
    ({"type": "image"}, ".data"),
    ({"type": "image", "data": "aGk="}, ".mimeType"),
    ({"type": "image", "data": "aGk=", "mimeType": "image/png"}, ".data"),
    ({"type": "image", "data": "a*k=", "mimeType": "image/png"}, ".data"),
    ({"type": "image", "data": "A" * 400, "mimeType": "image/png"}, ".data"),
    ({"type": "image", "uri": "file://ROOT/bytes"}, ".uri"),
    ({"type": "image", "uri": "file://ROOT/huge"}, ".uri"),
    ({"type": "diagnostics", "severity": 9}, ".severity"),
    ({"type": "symbol", "uri": "file://ROOT/latin2"}, ".position"),
    ({"type": "changes"}, ".runId"),
    ({"type": "terminal", "terminalId": "t1"}, ".type"),
]


@pytest.mark.parametrize(("item", "path"), BAD, ids=[str(item)[:60] for item, _ in BAD])
async def test_what_cannot_be_attached_names_the_attachment(resolve, root, item, path):
    (root / "bytes").write_bytes(b"\0\1\2")
    (root / "latin").write_bytes("naïve text".encode("latin-1"))
    (root / "latin2").write_text("fine")
    (root / "large").write_bytes(b"x" * 101)
    (root / "huge").write_bytes(b"x" * 1_000)
    if isinstance(item, dict) and "uri" in item:
        item = {**item, "uri": item["uri"].replace("ROOT", str(root))}
    with pytest.raises(RequestRejected) as caught:
        await resolve({"type": "text", "text": "fine"}, item, limits=AttachmentLimits(text_bytes=100, image_bytes=100))
    assert caught.value.kind == "InvalidParams"
    assert caught.value.data["path"] == "attachments[1]" + path


async def test_too_many_attachments_are_refused(resolve):
    with pytest.raises(RequestRejected):
        await resolve(*[{"type": "text", "text": ""}] * 3, limits=AttachmentLimits(count=2))
