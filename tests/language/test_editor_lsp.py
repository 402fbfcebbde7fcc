"""The editor's servers through `agent/editor/lsp`: which editor is asked, in which encoding, and what when it fails."""

from pathlib import Path

import pytest

from lsp_agent.domain.text import Position
from lsp_agent.server.documents import OpenDocuments
from lsp_agent.server.editor_lsp import ConnectedLanguage
from lsp_agent.server.negotiation import negotiate
from lsp_agent.wire.outgoing import ConnectionClosed, RemoteError


class FakeConnection:
    """An editor with some methods; `reply` is called with the request's params."""

    def __init__(self, root: Path, *methods: str, encoding: str = "utf-16", reply=None) -> None:
        self.clock = 0.0
        self.documents = OpenDocuments(encoding, clock_s=lambda: self.clock)
        self.position_encoding = encoding
        self.roots = (str(root),)
        self.agreed = negotiate({"initializationOptions": {"agent": {"editor": {"lsp": list(methods)}}}})
        self.asked: list[dict] = []
        self.reply = reply or (lambda params: {"results": []})

    def open(self, path: Path, text: str, at: float = 0.0) -> None:
        self.clock = at
        item = {"uri": path.as_uri(), "languageId": "python", "version": 1, "text": text}
        self.documents.did_open({"textDocument": item})

    async def request(self, method, params, timeout_s):
        assert method == "agent/editor/lsp"
        self.asked.append(params)
        result = self.reply(params)
        if isinstance(result, Exception):
            raise result
        return result


DEFINITION = "textDocument/definition"


def question(path: Path, column: int) -> dict:
    return {"textDocument": {"uri": path.as_uri()}, "position": {"line": 0, "character": column}}


def spot(line: int, column: int) -> dict:
    return {"start": {"line": line, "character": column}, "end": {"line": line, "character": column + 1}}


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 7), ("utf-16", 5), ("utf-32", 4)])
async def test_positions_are_counted_as_the_editor_counts_and_come_back_in_characters(tmp_path, encoding, column):
    here, there = tmp_path / "a.py", tmp_path / "b.py"
    there.write_text("# closed\né😀x = 1\n")
    before = {"utf-8": 6, "utf-16": 3, "utf-32": 2}[encoding]
    result = {"results": [{"server": "pyright", "result": [{"uri": there.as_uri(), "range": spot(1, before)}]}]}
    editor = FakeConnection(tmp_path, DEFINITION, encoding=encoding, reply=lambda params: result)
    editor.open(here, "😀 = x\n")
    (answer,) = await ConnectedLanguage(lambda: [editor]).query(DEFINITION, question(here, 4), here, 2.0)
    assert editor.asked[0]["params"]["position"]["character"] == column
    assert editor.asked[0]["timeoutMs"] == 2000
    assert answer.via == "pyright"
    assert answer.result[0]["range"]["start"] == {"line": 1, "character": 2}


async def test_the_editor_last_used_with_the_file_open_is_asked_and_then_the_next(tmp_path):
    here = tmp_path / "a.py"
    full = {"results": [{"server": "s", "result": [1]}]}
    first = FakeConnection(tmp_path, DEFINITION, reply=lambda params: {"results": [{"server": "s", "result": None}]})
    second = FakeConnection(tmp_path, DEFINITION, reply=lambda params: full)
    closed = FakeConnection(tmp_path, DEFINITION, reply=lambda params: full)
    other_method = FakeConnection(tmp_path, "textDocument/hover")
    elsewhere = FakeConnection(tmp_path / "elsewhere", DEFINITION)
    first.open(here, "x\n", at=5.0)
    second.open(here, "x\n", at=1.0)
    language = ConnectedLanguage(lambda: [closed, second, first, other_method, elsewhere])
    assert [answer.result for answer in await language.query(DEFINITION, question(here, 0), here, 1.0)] == [[1]]
    assert [len(one.asked) for one in (first, second, closed, other_method, elsewhere)] == [1, 1, 0, 0, 0]
    assert language.offers(DEFINITION, here)
    assert not language.offers("textDocument/rename", here)
    assert not ConnectedLanguage(list).offers(DEFINITION, here)


@pytest.mark.parametrize(
    "reply", [TimeoutError(), RemoteError(-32603, "no"), ConnectionClosed("gone"), None, [], {"results": "x"}, {}, 7]
)
async def test_an_editor_that_fails_or_talks_nonsense_has_nothing_to_say(tmp_path, reply):
    here = tmp_path / "a.py"
    editor = FakeConnection(tmp_path, DEFINITION, reply=lambda params: reply)
    editor.open(here, "x\n")
    assert await ConnectedLanguage(lambda: [editor]).query(DEFINITION, question(here, 0), here, 1.0) == []


async def test_edits_by_file_name_are_translated_each_by_its_own_text(tmp_path):
    here, there = tmp_path / "a.py", tmp_path / "b.py"
    there.write_text("😀x\n")
    changes = {here.as_uri(): [{"range": spot(0, 0), "newText": "y"}], there.as_uri(): [{"range": spot(0, 2)}]}
    result = {"results": [{"server": "s", "result": {"changes": changes}}]}
    editor = FakeConnection(tmp_path, "textDocument/rename", reply=lambda params: result)
    editor.open(here, "x\n")
    (answer,) = await ConnectedLanguage(lambda: [editor]).query("textDocument/rename", question(here, 0), here, 1.0)
    assert answer.result["changes"][there.as_uri()][0]["range"]["start"]["character"] == 1
    assert answer.result["changes"][here.as_uri()][0]["range"]["start"]["character"] == 0


async def test_pushed_diagnostics_are_merged_in_characters_and_every_push_is_noticed(tmp_path):
    here = tmp_path / "a.py"
    one, two = FakeConnection(tmp_path), FakeConnection(tmp_path)
    language = ConnectedLanguage(lambda: [one, two])
    for editor in (one, two):
        editor.open(here, "😀 = x\n")
    before = language.reported(here)
    item = {"range": spot(0, 5), "message": "no x", "severity": 1}
    push = {"uri": here.as_uri(), "version": 1, "server": "checker", "items": [item]}
    one.documents.did_publish_diagnostics(push)
    two.documents.did_publish_diagnostics(push)
    after = language.reported(here)
    assert after != before
    (pushed,) = language.diagnostics(here)
    assert pushed.items[0]["range"]["start"]["character"] == 4
    assert language.diagnostics(None) == [pushed]
    one.documents.did_publish_diagnostics({**push, "version": 2, "items": [item]})
    assert language.reported(here) != after
    assert language.reported(here) == language.reported(here)


async def test_the_service_says_which_server_of_the_editor_answered(make_desk, tmp_path):
    editor = FakeConnection(tmp_path, DEFINITION)
    desk = await make_desk({"a.py": "def f(): ...\nf()\n"}, editor=ConnectedLanguage(lambda: [editor]))
    here = desk.world.root / "a.py"
    where = {"uri": here.as_uri(), "range": spot(0, 4)}
    editor.reply = lambda params: {"results": [{"server": "pyright", "result": where}]}
    found = await desk.service.definition(here, Position(1, 0), "f")
    assert found.via == "pyright (editor)"
    editor.reply = lambda params: {"results": [{"server": "pyright", "result": []}]}
    assert (await desk.service.definition(here, Position(1, 0), "f")).via == "syntax"


async def test_where_no_server_reports_nobody_waits_after_an_edit(make_desk, tmp_path):
    editor = FakeConnection(tmp_path, DEFINITION)  # it offers no symbols, and never reported anything
    desk = await make_desk({"a.py": "x = 1\n"}, editor=ConnectedLanguage(lambda: [editor]))
    await desk.call("view", file_path="a.py")
    result = await desk.call("edit", file_path="a.py", old_string="x = 1", new_string="x = 2")
    assert "iagnostics" not in result.content
    assert "diagnostics" not in result.metadata
    assert desk.watch.pending_notes("s1") == ""
