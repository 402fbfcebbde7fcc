"""PROTOCOL 13: a path outside the roots needs permission, which is asked for when the prompt has entered its turn."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.guarantees.world import World, begin, completes, fresh, idle, refused, sent_to_model
from tests.harness.client import Client
from tests.harness.fake_provider import text, tool, usage


@pytest.fixture
def notes(world: World) -> Path:
    path = world.home / "outside" / "notes.txt"
    path.parent.mkdir()
    path.write_text("first line\nsecond line\nthird line\n")
    return path


def attached(path: Path, **more: Any) -> dict[str, Any]:
    return {"type": "buffer", "uri": path.as_uri(), **more}


async def submit(client: Client, *attachments: Any, prompt: str = "look", **params: Any) -> tuple[str, str]:
    """(session, run id) of an accepted run."""
    run_id = params.pop("runId", None) or fresh()
    params = {"prompt": prompt, "runId": run_id, "attachments": list(attachments), **params}
    return str((await client.request("agent/run", params))["sessionId"]), run_id


async def asked(client: Client, session: str, nth: int = 0) -> dict[str, Any]:
    """The session's permission request number `nth`."""

    def there(_message: Any) -> bool:
        return len(client.events(session, "permission_requested")) > nth

    await client.until(there)
    return client.events(session, "permission_requested")[nth]["update"]


async def answer(client: Client, record: dict[str, Any], kind: str, **more: Any) -> None:
    option = next(one["optionId"] for one in record["options"] if one["kind"] == kind)
    outcome = {"type": "selected", "optionId": option, **more}
    done = await client.request("agent/permission/respond", {"requestId": record["requestId"], "outcome": outcome})
    assert done == {"accepted": True}


async def stored(client: Client, session: str, at: int = 0) -> list[dict[str, Any]]:
    """The attachments of the session's user message number `at`."""
    messages = (await client.request("agent/session/read", {"sessionId": session}))["messages"]
    users = [message for message in messages if message["role"] == "user"]
    return [part for part in users[at]["parts"] if part["type"] == "attachment"]


@pytest.mark.parametrize("mode", ["ask", "plan", "accept-edits", "full-auto"])
async def test_FS_01_an_attachment_outside_the_roots_is_asked_for_in_every_mode(world: World, notes: Path, mode: str):
    client = await world.start()
    span = {"start": {"line": 1, "character": 0}, "end": {"line": 2, "character": 0}}
    session, run = await submit(client, attached(notes, range=span), options={"mode": mode})
    record = await asked(client, session)
    assert record["subject"] == {"type": "path", "path": str(notes)}
    assert (record["sessionId"], record["runId"]) == (session, run)
    assert not world.fake.requests  # nothing left the machine yet
    kinds = [event["update"]["sessionUpdate"] for event in client.events(session)]
    assert kinds.index("user_message") < kinds.index("permission_requested")
    assert "second line" not in repr(client.messages)
    await answer(client, record, "allow_once")
    assert (await client.until_complete(run))["stopReason"] == "end_turn"
    request = sent_to_model(world.fake)
    assert "second line" in request
    assert "first line" not in request
    assert str(notes) in request
    (part,) = await stored(client, session)
    assert (part["text"], part["startLine"], part["endLine"]) == ("second line\n", 1, 1)


async def test_FS_01_a_link_out_of_the_project_is_asked_for_where_it_leads(world: World, notes: Path):
    (world.project / "link.txt").symlink_to(notes)
    client = await world.start()
    for path in (world.project / "link.txt", world.project / ".." / "outside" / "notes.txt"):
        session, run = await submit(client, {"type": "file", "uri": f"file://{path}"})
        record = await asked(client, session)
        assert record["subject"]["path"] == str(notes)
        await answer(client, record, "reject_once")
        await client.until_complete(run)
    assert "first line" not in "".join(sent_to_model(world.fake, at) for at in range(2))


@pytest.mark.parametrize("message", [None, "it is private"])
async def test_a_refused_attachment_is_told_to_the_model_and_the_run_goes_on(
    world: World, notes: Path, message: str | None
):
    client = await world.start()
    session, run = await submit(client, attached(notes), {"type": "text", "text": "other words"})
    more = {"message": message} if message else {}
    await answer(client, await asked(client, session), "reject_once", **more)
    assert (await client.until_complete(run))["stopReason"] == "end_turn"
    request = sent_to_model(world.fake)
    assert "first line" not in request
    assert "other words" in request
    assert "did not allow" in request
    assert (message or "Not attached") in request
    assert "Not attached" in client.events(session, "notice")[0]["update"]["message"]
    first, _ = await stored(client, session)
    assert "did not allow" in first["text"]
    assert first["path"] == str(notes)
    following = fresh()
    await client.request("agent/run", {"sessionId": session, "runId": following, "prompt": "again"})
    await client.until_complete(following)
    assert len(client.events(session, "permission_requested")) == 1


async def test_a_path_is_asked_about_once_and_a_grant_lasts_for_the_session(world: World, notes: Path):
    client = await world.start()
    session, run = await submit(client, attached(notes), {"type": "file", "uri": notes.as_uri()})
    await answer(client, await asked(client, session), "allow_session")
    await client.until_complete(run)
    assert sent_to_model(world.fake).count("first line") == 2
    _, run = await submit(client, attached(notes), sessionId=session)
    await client.until_complete(run)
    assert sent_to_model(world.fake).count("first line") == 3
    assert len(client.events(session, "permission_requested")) == 1


async def test_what_can_be_seen_without_reading_is_refused_at_once_and_the_rest_is_told(world: World, notes: Path):
    client = await world.start()
    large, binary, gone = (notes.with_name(name) for name in ("large", "binary", "gone"))
    large.write_bytes(b"x" * 12_000_000)
    for path in (notes.parent, large, notes.with_name("never")):
        params = {"prompt": "x", "attachments": [{"type": "text", "text": "t"}, {"type": "file", "uri": path.as_uri()}]}
        error = await refused(client, "agent/run", params)
        assert (error.code, error.data["path"]) == (-32602, "attachments[1].uri")
    binary.write_bytes(b"\0\1\2\3" * 100)
    gone.write_text("was here")
    session, run = await submit(client, attached(binary), attached(gone))
    first = await asked(client, session)
    gone.unlink()
    await answer(client, first, "allow_once")
    await answer(client, await asked(client, session, 1), "allow_once")
    assert (await client.until_complete(run))["stopReason"] == "end_turn"
    told = [event["update"]["message"] for event in client.events(session, "notice")]
    assert ["binary" in told[0], "missing" in told[1]] == [True, True]
    assert "missing" in sent_to_model(world.fake)


async def test_an_image_outside_is_asked_for_like_a_text(world: World, notes: Path):
    from tests.guarantees.test_13_attachments import PNG

    world.configure(model="supports_images = true")
    picture = notes.with_name("dot.png")
    picture.write_bytes(PNG)
    client = await world.start()
    session, run = await submit(client, {"type": "image", "uri": picture.as_uri()})
    await answer(client, await asked(client, session), "allow_once")
    await client.until_complete(run)
    assert "image/png" in sent_to_model(world.fake)


async def test_10_12_an_open_document_outside_is_asked_for_and_is_what_it_was_when_accepted(world: World, notes: Path):
    client = await world.start()
    client.open_document(notes.as_uri(), "unsaved words\n")
    error = await refused(client, "agent/run", {"prompt": "x", "attachments": [attached(notes, version=7)]})
    assert error.kind == "StaleDocument"
    session, run = await submit(client, attached(notes, version=1))
    record = await asked(client, session)
    client.change_document(notes.as_uri(), "typed while asked\n")
    await answer(client, record, "allow_once")
    await client.until_complete(run)
    request = sent_to_model(world.fake)
    assert "unsaved words" in request
    assert "typed while asked" not in request
    (part,) = await stored(client, session)
    assert (part["text"], part["version"]) == ("unsaved words\n", 1)


async def test_a_folded_prompt_asks_at_its_step_boundary(world: World, notes: Path):
    client = await world.start()
    hold = fresh("hold")
    world.write("a.txt", "inside")
    world.fake.push([{"hold": hold}, tool("view", {"file_path": "a.txt"}), usage(1, 1)], [text("done")])
    first = fresh()
    session = (await client.request("agent/run", {"prompt": "begin", "runId": first}))["sessionId"]
    await client.until(lambda _: world.fake.requests)
    params = {"sessionId": session, "prompt": "and this", "attachments": [attached(notes)]}
    assert (await client.request("agent/run", params))["runId"] is None
    assert not client.events(session, "permission_requested")
    world.fake.release(hold)
    record = await asked(client, session)
    assert record["runId"] == first  # the run that it has joined
    assert len([item for item in world.fake.requests if (item.body or {}).get("tools")]) == 1
    await answer(client, record, "allow_once")
    await client.until_complete(first)
    assert "second line" in sent_to_model(world.fake)
    (part,) = await stored(client, session, 1)
    assert "second line" in part["text"]


async def test_10_04_a_cancel_while_asked_closes_the_record_and_ends_the_run(world: World, notes: Path):
    client = await world.start()
    session, run = await submit(client, attached(notes))
    record = await asked(client, session)
    await client.request("agent/cancel", {"sessionId": session})
    assert (await client.until_complete(run))["stopReason"] == "cancelled"
    (resolved,) = client.events(session, "permission_resolved")
    assert resolved["update"]["outcome"] == "cancelled"
    late = await client.request(
        "agent/permission/respond",
        {"requestId": record["requestId"], "outcome": {"type": "selected", "optionId": "allow_once"}},
    )
    assert late["accepted"] is False
    await idle(client, session)
    following = fresh()
    await client.request("agent/run", {"sessionId": session, "runId": following, "prompt": "go on"})
    assert (await client.until_complete(following))["stopReason"] == "end_turn"
    assert "was not read" in sent_to_model(world.fake)
    assert len(client.events(session, "permission_requested")) == 1
    assert not [item for item in world.fake.requests if "third line" in repr(item.body)]


async def test_10_03_after_a_kill_while_asked_the_run_is_interrupted_and_nothing_is_asked_again(
    world: World, notes: Path
):
    client = await world.start()
    session, run = await submit(client, attached(notes))
    queued = fresh()
    await submit(client, attached(notes), sessionId=session, runId=queued, prompt="second")
    await asked(client, session)
    assert client.process is not None
    client.process.send_signal(signal.SIGKILL)
    await client.eof.wait()
    again = await world.start()
    attach = await again.request("agent/session/attach", {"sessionId": session, "afterSeq": 0})
    assert [record["runId"] for record in attach["pending"]["permissions"]] in ([], [queued])
    assert (await again.until_complete(run))["stopReason"] == "interrupted"
    resolved = [event["update"] for event in again.events(session, "permission_resolved")]
    assert [one["outcome"] for one in resolved][:1] == ["cancelled"]
    # the one that was still queued had not been asked for: it asks in its own turn
    nudge = fresh()
    await again.request("agent/run", {"sessionId": session, "runId": nudge, "prompt": "third"})
    record = await asked(again, session, 1)
    assert record["runId"] == queued
    await answer(again, record, "allow_once")
    await again.until_complete(nudge)
    assert completes(again, session) == [(run, "interrupted"), (queued, "end_turn"), (nudge, "end_turn")]
    assert "was not read" in (await stored(again, session, 0))[0]["text"]
    assert "second line" in (await stored(again, session, 1))[0]["text"]


async def test_a_retry_a_fork_and_an_attach_do_not_ask_again(world: World, notes: Path):
    client = await world.start()
    session, run = await submit(client, attached(notes))
    await answer(client, await asked(client, session), "allow_once")
    await client.until_complete(run)
    await submit(client, attached(notes), runId=run)  # the same request again
    fork = (await client.request("agent/session/fork", {"sessionId": session}))["sessionId"]
    following = fresh()
    await client.request("agent/run", {"sessionId": fork, "runId": following, "prompt": "go on"})
    await client.until_complete(following)
    assert "second line" in sent_to_model(world.fake)
    assert not client.events(fork, "permission_requested")
    assert len(client.events(session, "permission_requested")) == 1
    seq = (await client.request("agent/session/get", {"sessionId": session}))["seq"]
    attach = await client.request("agent/session/attach", {"sessionId": session, "afterSeq": seq})
    assert attach["pending"]["permissions"] == []


async def test_where_nobody_can_be_asked_the_run_goes_on_without_the_file(world: World, notes: Path):
    client = await world.start(
        agent={"protocolVersions": [1], "events": {"enabled": True}, "ui": {"permission": "none"}}
    )
    session, run = await submit(client, attached(notes), options={"nonInteractive": True})
    assert (await client.until_complete(run))["stopReason"] == "end_turn"
    assert not client.events(session, "permission_requested")
    assert "Not attached" in sent_to_model(world.fake)
    assert "first line" not in sent_to_model(world.fake)


async def test_a_deny_rule_is_not_asked_about(world: World, notes: Path):
    world.configure(permissions=f'mode = "full-auto"\ndeny = ["view:{notes.parent}/**"]')
    client = await world.start()
    session, run = await submit(client, attached(notes))
    assert (await client.until_complete(run))["stopReason"] == "end_turn"
    assert not client.events(session, "permission_requested")
    assert "forbids" in client.events(session, "notice")[0]["update"]["message"]


async def test_a_busy_session_asks_when_the_turn_of_the_prompt_comes(world: World, notes: Path):
    client = await world.start()
    session, first, hold = await begin(client, world.fake)
    _, second = await submit(client, attached(notes), sessionId=session)
    assert not client.events(session, "permission_requested")
    world.fake.release(hold)
    await client.until_complete(first)
    await answer(client, await asked(client, session), "allow_once")
    await client.until_complete(second)
    assert "second line" in sent_to_model(world.fake)
