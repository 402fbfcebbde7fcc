import asyncio

import pytest

from lsp_agent.domain.errors import RequestRejected
from lsp_agent.domain.text import Position, Range
from lsp_agent.server.documents import OpenDocuments

URI = "untitled:one"


def opened(text="ab\ncd\n", *, uri=URI, version=1, encoding="utf-16"):
    documents = OpenDocuments(encoding)
    documents.did_open({"textDocument": {"uri": uri, "languageId": "python", "version": version, "text": text}})
    return documents


def change(documents, version, *changes, uri=URI):
    documents.did_change({"textDocument": {"uri": uri, "version": version}, "contentChanges": list(changes)})


def at(line, start, end, text):
    span = {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}
    return {"range": span, "text": text}


def test_an_opened_document_is_handed_out_as_it_is():
    document = opened().get(URI)
    assert (document.text, document.version, document.language_id, document.path) == ("ab\ncd\n", 1, "python", None)


def test_several_changes_of_one_notification_apply_one_after_the_other():
    documents = opened("😀b\n")
    change(documents, 2, at(0, 2, 3, "XY"), at(0, 4, 4, "!"), at(1, 0, 0, "end"))
    assert documents.get(URI).text == "😀XY!\nend"
    assert documents.version(URI) == 2


def test_a_change_without_a_range_replaces_everything():
    documents = opened()
    change(documents, 2, at(0, 0, 0, "lost"), {"text": "new"}, at(0, 3, 3, "er"))
    assert documents.get(URI).text == "newer"


def test_a_snapshot_is_made_once_a_version():
    documents = opened()
    first = documents.get(URI)
    assert documents.get(URI) is first
    change(documents, 2, at(0, 0, 0, "x"))
    assert documents.get(URI) is not first
    assert first.text == "ab\ncd\n"


@pytest.mark.parametrize(
    "params",
    [
        None,
        3,
        [],
        {},
        {"textDocument": None},
        {"textDocument": {"uri": 4}},
        {"textDocument": {"uri": "file:///a%00b", "text": ""}},
        {"textDocument": {"uri": "unknown:1", "version": 2}, "contentChanges": [{"text": ""}]},
        {"uri": URI, "selections": [{"start": 1}]},
        {"uri": URI, "items": {"a": 1}},
    ],
)
def test_what_nobody_can_understand_is_ignored(params):
    documents = opened()
    for take in (
        documents.did_open,
        documents.did_change,
        documents.did_close,
        documents.did_save,
        documents.did_focus,
        documents.did_change_selection,
        documents.did_publish_diagnostics,
    ):
        take(params)
    assert documents.get(URI).text == "ab\ncd\n"
    assert documents.diagnostics() == []


async def test_after_a_change_that_could_not_be_understood_no_version_is_promised_until_the_next_full_text():
    documents = opened()
    change(documents, 2, at(0, 0, 0, "x"), {"range": {"start": 1}, "text": "y"})
    assert documents.get(URI).text == "ab\ncd\n"
    assert not documents.is_in_sync(URI)
    with pytest.raises(RequestRejected):
        await documents.wait_for_version(URI, 1)
    change(documents, 3, {"text": "whole"})
    assert (await documents.wait_for_version(URI, 3)).text == "whole"


def test_another_spelling_of_a_file_uri_names_the_same_document(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    documents = opened(uri=f"file://{tmp_path}/link/a%20b.py")
    assert documents.get(f"file://{tmp_path}/real/a b.py").uri.endswith("link/a%20b.py")
    assert documents.at_path((tmp_path / "real" / "a b.py").resolve()) is documents.all()[0]
    change(documents, 2, at(0, 0, 0, "x"), uri=f"file://{tmp_path}/real/a%20b.py")
    assert documents.all()[0].text == "xab\ncd\n"
    documents.did_close({"textDocument": {"uri": f"file://{tmp_path}/link/a%20b.py"}})
    assert documents.all() == []
    assert documents.at_path((tmp_path / "real" / "a b.py").resolve()) is None


async def test_the_current_version_is_honoured_at_once():
    assert (await opened(version=7).wait_for_version(URI, 7, timeout_s=0)).version == 7


async def test_a_version_that_is_past_is_stale_at_once():
    documents = opened(version=7)
    started = asyncio.get_running_loop().time()
    with pytest.raises(RequestRejected) as caught:
        await documents.wait_for_version(URI, 6, timeout_s=30)
    assert asyncio.get_running_loop().time() - started < 5
    assert caught.value.kind == "StaleDocument"
    assert caught.value.data == {"uri": URI, "wanted": 6, "have": 7}


async def test_a_version_to_come_is_waited_for():
    documents = opened(version=7)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(documents.wait_for_version(URI, 9, timeout_s=30))
        await asyncio.sleep(0)
        change(documents, 8, at(0, 0, 0, "x"))
        await asyncio.sleep(0)
        change(documents, 9, at(0, 0, 0, "y"))
    assert waiting.result().text == "yxab\ncd\n"


async def test_a_version_that_does_not_come_or_is_jumped_over_is_stale():
    documents = opened(version=7)
    with pytest.raises(RequestRejected):
        await documents.wait_for_version(URI, 8, timeout_s=0.01)
    with pytest.raises(RequestRejected) as caught:
        await documents.wait_for_version("untitled:closed", 8, timeout_s=0.01)
    assert caught.value.data["have"] is None
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(never_raising(documents.wait_for_version(URI, 8, timeout_s=30)))
        await asyncio.sleep(0)
        change(documents, 9, at(0, 0, 0, "x"))
    assert waiting.result().data == {"uri": URI, "wanted": 8, "have": 9}


async def never_raising(waiting):
    try:
        return await waiting
    except RequestRejected as error:
        return error


def test_the_selection_last_pushed_is_kept_and_goes_with_the_document():
    documents = opened()
    span = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 2}}
    documents.did_change_selection({"uri": URI, "version": 1, "selections": [span]})
    assert documents.selection(None) == documents.selection(URI)
    assert documents.selection(URI).ranges == (span,)
    documents.did_close({"textDocument": {"uri": URI}})
    assert documents.selection(None) is None


def test_focus_is_remembered():
    documents = opened()
    documents.did_focus({"uri": URI})
    assert documents.focused_uri == URI
    documents.did_focus({})
    assert documents.focused_uri is None


def item(message, line=0):
    place = {"line": line, "character": 0}
    return {"message": message, "range": {"start": place, "end": place}}


def test_diagnostics_are_kept_by_file_and_server():
    documents = opened()
    documents.did_publish_diagnostics({"uri": URI, "version": 1, "server": "one", "items": [item("a")]})
    documents.did_publish_diagnostics({"uri": URI, "server": "two", "items": [item("b")]})
    documents.did_publish_diagnostics({"uri": "file:///other", "server": "one", "items": [item("c")]})
    assert [(d.server, d.version, d.items[0]["message"]) for d in documents.diagnostics(URI)] == [
        ("one", 1, "a"),
        ("two", None, "b"),
    ]
    documents.did_publish_diagnostics({"uri": URI, "server": "one", "items": []})
    assert [d.server for d in documents.diagnostics()] == ["two", "one"]


def test_context_diagnostics_add_up_within_a_version_and_are_not_shown_twice():
    documents = opened()
    documents.keep_context_diagnostics(URI, [item("a"), item("b")])
    documents.keep_context_diagnostics(URI, [item("b"), item("c", 1)])
    assert [one["message"] for one in documents.diagnostics(URI)[0].items] == ["a", "b", "c"]
    documents.did_publish_diagnostics({"uri": URI, "server": "one", "items": [item("b")]})
    shown = [one["message"] for pushed in documents.diagnostics(URI) for one in pushed.items]
    assert sorted(shown) == ["a", "b", "c"]
    change(documents, 2, at(0, 0, 0, "x"))
    documents.keep_context_diagnostics(URI, [item("d")])
    assert [one["message"] for one in documents.diagnostics(URI)[0].items] == ["d"]


def test_ranges_are_read_in_the_connections_encoding():
    documents = opened("😀bc\n", encoding="utf-8")
    span = {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 5}}
    assert documents.range_in("😀bc\n", span) == Range(Position(0, 1), Position(0, 2))
    assert documents.position_in("😀bc\n", span["end"]) == Position(0, 2)


def test_a_saved_text_that_differs_is_taken():
    documents = opened()
    documents.did_save({"textDocument": {"uri": URI}, "text": "formatted\n"})
    assert documents.get(URI).text == "formatted\n"
