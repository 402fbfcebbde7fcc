"""PROTOCOL 13 and 10.12: attachments of every type, and versions that are honoured or refused."""

import base64
import json
import time

import pytest

from tests.guarantees.world import Shared, World, fresh, refused, sent_to_model, turn
from tests.harness.frames import frame

pytestmark = pytest.mark.asyncio(loop_scope="module")

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def configure(world: World) -> None:
    world.configure(model="supports_images = true")


async def sent(shared: Shared, *attachments, prompt="look"):
    """What the model was sent for a run with these attachments, and the stored user message."""
    result, done = await turn(shared.client, prompt, attachments=list(attachments))
    assert done["stopReason"] == "end_turn"
    messages = (await shared.client.request("agent/session/read", {"sessionId": result["sessionId"]}))["messages"]
    return sent_to_model(shared.fake, -1), messages[0], result


def opened(shared: Shared, name: str, saved: str, live: str):
    uri = shared.world.write(name, saved).as_uri()
    return uri, shared.client.open_document(uri, live)


async def test_a_buffer_is_the_live_text_with_path_and_version(shared: Shared):
    uri, _ = opened(shared, "live.py", "saved words\n", "unsaved words\n")
    request, message, _ = await sent(shared, {"type": "buffer", "uri": uri, "version": 1})
    assert "unsaved words" in request
    assert "saved words\\n" not in request.replace("unsaved words\\n", "")
    assert "live.py" in request
    attachment = next(p for p in message["parts"] if p["type"] == "attachment")
    assert attachment["uri"] == uri
    assert attachment["version"] == 1


async def test_a_closed_buffer_is_read_from_disk(shared: Shared):
    uri = shared.world.write("closed.py", "from the disk\n").as_uri()
    request, _, _ = await sent(shared, {"type": "buffer", "uri": uri})
    assert "from the disk" in request


async def test_a_range_is_cut_and_named(shared: Shared):
    uri, _ = opened(shared, "range.py", "", "".join(f"line number {n}\n" for n in range(10)))
    span = {"start": {"line": 3, "character": 0}, "end": {"line": 5, "character": 0}}
    request, _, _ = await sent(shared, {"type": "buffer", "uri": uri, "range": span})
    assert "line number 3" in request
    assert "line number 4" in request
    assert "line number 7" not in request
    assert "4" in request.split("range.py", 1)[1][:40]


async def test_a_selection_with_a_range_and_without(shared: Shared):
    uri, _ = opened(shared, "sel.py", "", "first 👋 part\nsecond part\n")
    span = {"start": {"line": 0, "character": 9}, "end": {"line": 0, "character": 13}}
    request, _, _ = await sent(shared, {"type": "selection", "uri": uri, "range": span})
    assert "part" in request
    assert "second" not in request
    shared.client.notify(
        "agent/editor/didChangeSelection",
        {
            "uri": uri,
            "version": 1,
            "selections": [{"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 6}}],
        },
    )
    request, _, _ = await sent(shared, {"type": "selection"})
    assert "second" in request
    assert "first" not in request


async def test_a_file_reads_the_disk(shared: Shared):
    uri = shared.world.write("sub dir/fïle.txt", "plain file words\n").as_uri()
    request, _, _ = await sent(shared, {"type": "file", "uri": uri})
    assert "plain file words" in request
    assert "fïle.txt" in request


async def test_text_with_a_name(shared: Shared):
    request, message, _ = await sent(shared, {"type": "text", "text": "pasted words", "name": "clipboard"})
    assert "pasted words" in request
    assert "clipboard" in request
    assert any(p["type"] == "attachment" for p in message["parts"])


async def test_an_image_by_data_and_by_uri(shared: Shared):
    data = base64.b64encode(PNG).decode()
    request, _, _ = await sent(shared, {"type": "image", "data": data, "mimeType": "image/png"})
    assert data in request
    uri = shared.world.write("dot.png", PNG).as_uri()
    request, _, _ = await sent(shared, {"type": "image", "uri": uri})
    assert data in request
    assert "image/png" in request


async def test_diagnostics_pushed_by_the_editor(shared: Shared):
    uri, _ = opened(shared, "diag.py", "", "import nothing\n")
    span = {"start": {"line": 0, "character": 7}, "end": {"line": 0, "character": 14}}
    items = [
        {"range": span, "message": "nothing is unresolved", "severity": 1, "source": "pyright"},
        {"range": span, "message": "a mere hint", "severity": 4},
    ]
    shared.client.notify(
        "agent/editor/didPublishDiagnostics", {"uri": uri, "version": 1, "server": "pyright", "items": items}
    )
    request, _, _ = await sent(shared, {"type": "diagnostics", "uri": uri, "severity": 2})
    assert "nothing is unresolved" in request
    assert "a mere hint" not in request
    request, _, _ = await sent(shared, {"type": "diagnostics"})
    assert "a mere hint" in request


async def test_10_12_a_version_on_its_way_is_waited_for(shared: Shared):
    uri, _document = opened(shared, "wait.py", "", "one\n")
    future = shared.client.begin(
        "agent/run",
        {"prompt": "x", "runId": (run := fresh()), "attachments": [{"type": "buffer", "uri": uri, "version": 2}]},
    )[1]
    await shared.client.request("agent/status")
    assert not future.done()
    shared.client.change_document(uri, "two words\n")
    await future
    await shared.client.until_complete(run)
    assert "two words" in sent_to_model(shared.fake)


async def test_10_12_a_version_that_never_comes_is_stale_after_500_ms(shared: Shared):
    uri, _ = opened(shared, "stale.py", "", "one\n")
    before = time.monotonic()
    error = await refused(
        shared.client, "agent/run", {"prompt": "x", "attachments": [{"type": "buffer", "uri": uri, "version": 7}]}
    )
    assert 0.4 < time.monotonic() - before < 1.5
    assert (error.code, error.kind) == (-31010, "StaleDocument")
    assert (error.data["uri"], error.data["wanted"], error.data["have"]) == (uri, 7, 1)
    assert error.data["retryable"] is True


async def test_10_12_a_version_that_has_passed_is_stale(shared: Shared):
    uri, _ = opened(shared, "past.py", "", "one\n")
    shared.client.change_document(uri, "two\n")
    error = await refused(
        shared.client, "agent/run", {"prompt": "x", "attachments": [{"type": "buffer", "uri": uri, "version": 1}]}
    )
    assert (error.kind, error.data["have"]) == ("StaleDocument", 2)


async def test_10_12_a_change_sent_before_is_seen_and_one_sent_after_is_not(shared: Shared):
    uri, _ = opened(shared, "order.py", "", "old\n")
    run = fresh()
    messages = [
        (
            "textDocument/didChange",
            {"textDocument": {"uri": uri, "version": 2}, "contentChanges": [{"text": "just before\n"}]},
            None,
        ),
        ("agent/run", {"prompt": "x", "runId": run, "attachments": [{"type": "buffer", "uri": uri}]}, 7001),
        (
            "textDocument/didChange",
            {"textDocument": {"uri": uri, "version": 3}, "contentChanges": [{"text": "just after\n"}]},
            None,
        ),
    ]
    data = b""
    for method, params, number in messages:
        data += frame({"jsonrpc": "2.0", "method": method, "params": params, **({"id": number} if number else {})})
    shared.client.raw(data)
    await shared.client.until_complete(run)
    request = sent_to_model(shared.fake)
    assert "just before" in request
    assert "just after" not in request


async def test_10_12_while_a_session_is_busy_attachments_are_read_when_accepted(shared: Shared):
    from tests.guarantees.world import begin

    uri, _ = opened(shared, "busy.py", "", "as accepted\n")
    session, _, hold = await begin(shared.client, shared.fake)
    run = fresh()
    await shared.client.request(
        "agent/run",
        {"sessionId": session, "runId": run, "prompt": "x", "attachments": [{"type": "buffer", "uri": uri}]},
    )
    shared.client.change_document(uri, "changed since\n")
    shared.fake.release(hold)
    await shared.client.until_complete(run)
    request = sent_to_model(shared.fake)
    assert "as accepted" in request
    assert "changed since" not in request


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.txt", None),
        ("binary.bin", b"\0\1\2\3" * 100),
        ("bad.txt", b"caf\xe9 \xff\xfe\x00"),
        ("big.txt", b"x" * 12_000_000),
        ("folder", ""),
    ],
)
async def test_what_cannot_be_read_names_the_attachment(shared: Shared, name: str, content):
    path = shared.world.project / name
    if name == "folder":
        path.mkdir()
    elif content is not None:
        shared.world.write(name, content)
    for kind in ("file", "buffer"):
        error = await refused(
            shared.client,
            "agent/run",
            {"prompt": "x", "attachments": [{"type": "text", "text": "fine"}, {"type": kind, "uri": path.as_uri()}]},
        )
        assert error.code == -32602, kind
        assert error.data["path"].startswith("attachments[1]")


async def test_an_image_that_is_none(shared: Shared):
    uri = shared.world.write("fake.png", "not an image").as_uri()
    error = await refused(shared.client, "agent/run", {"prompt": "x", "attachments": [{"type": "image", "uri": uri}]})
    assert error.code == -32602
    assert error.data["path"].startswith("attachments[0]")


async def test_uris_that_are_no_files(shared: Shared):
    for uri in ("https://example.org/x", "file://elsewhere/share/x", "file:///nul%00l", "garbage", ""):
        error = await refused(
            shared.client, "agent/run", {"prompt": "x", "attachments": [{"type": "file", "uri": uri}]}
        )
        assert error.code == -32602, uri
        assert error.data["path"].startswith("attachments[0]")


async def test_untitled_documents_can_be_attached(shared: Shared):
    shared.client.open_document("untitled:Untitled-1", "never saved words\n")
    request, _, _ = await sent(shared, {"type": "buffer", "uri": "untitled:Untitled-1"})
    assert "never saved words" in request


async def test_attachments_are_announced_and_stored(shared: Shared):
    uri = shared.world.write("said.txt", "told\n").as_uri()
    _, message, result = await sent(shared, {"type": "file", "uri": uri})
    event = shared.client.events(result["sessionId"], "user_message")[0]["update"]
    assert len(event["attachments"]) == 1
    assert event["attachments"][0]["uri"] == uri
    assert event["content"] == [{"type": "text", "text": "look"}]
    assert json.dumps(message["parts"])
