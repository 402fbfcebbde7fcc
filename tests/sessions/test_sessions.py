import asyncio
import json

import pytest

from lsp_agent.domain.errors import RequestRejected
from lsp_agent.domain.message import Role
from lsp_agent.domain.session import Session
from lsp_agent.ports.store import PatchSession, PutSession
from lsp_agent.protocol import sessions as wire
from lsp_agent.protocol.decode import decode


async def rejected(awaitable) -> RequestRejected:
    with pytest.raises(RequestRejected) as caught:
        await awaitable
    return caught.value


async def test_a_new_session_exists_with_title_and_root(world):
    named = await world.new(title="  Fix\nthe   thing ", root="file:///other")
    plain = await world.new()
    info = await world.sessions.get(named)
    assert (info["title"], info["root"], info["model"], info["seq"]) == (
        "Fix the thing",
        "file:///other",
        "mine/big",
        0,
    )
    assert decode(wire.SessionInfo, info)
    other = await world.sessions.get(plain)
    assert (other["title"], other["root"]) == ("Untitled Session", "file:///w")
    assert (await world.store.session(named)).title_is_users
    assert not (await world.store.session(plain)).title_is_users


async def test_listing_goes_newest_first_in_pages_without_children(world):
    ids = [await world.new(title=f"number {index}") for index in range(5)]
    await world.store.write([PutSession(Session("child", "number c", parent_session_id=ids[0]))])
    world.busy[ids[4]] = (True, 3)
    first = await world.sessions.list(limit=2)
    assert [item["sessionId"] for item in first["sessions"]] == [ids[4], ids[3]]
    assert (first["sessions"][0]["isBusy"], first["sessions"][0]["queued"]) == (True, 3)
    rest = await world.sessions.list(limit=50, cursor=first["nextCursor"])
    assert [item["sessionId"] for item in rest["sessions"]] == [ids[2], ids[1], ids[0]]
    assert "nextCursor" not in rest
    found = await world.sessions.list(query="NUMBER 3")
    assert [item["sessionId"] for item in found["sessions"]] == [ids[3]]
    assert (await world.sessions.list(root="file:///nowhere"))["sessions"] == []
    assert (await rejected(world.sessions.list(cursor="of mine"))).kind == "InvalidParams"


async def test_an_unknown_session_is_said_to_be_unknown(world):
    for call in (
        world.sessions.get("nope"),
        world.sessions.read("nope"),
        world.sessions.rename("nope", "x"),
        world.sessions.fork("nope"),
        world.sessions.export("nope", "json"),
        world.sessions.configure("nope", "mode", "ask"),
    ):
        error = await rejected(call)
        assert (error.kind, error.data["id"]) == ("SessionNotFound", "nope")
    assert world.events.updates == []


async def test_reading_goes_oldest_first_in_pages_and_sees_what_was_not_stored_yet(world):
    session_id = await world.new()
    for text in ("one", "two"):
        await world.say(session_id, text)
    world.pending.append(world.message(session_id, "being writ"))
    first = await world.sessions.read(session_id, limit=2)
    assert [message["parts"][0]["text"] for message in first["messages"]] == ["one", "two"]
    rest = await world.sessions.read(session_id, cursor=first["nextCursor"])
    assert [message["parts"][0]["text"] for message in rest["messages"]] == ["being writ"]
    assert "finish" not in rest["messages"][0]
    assert decode(wire.SessionReadResult, rest)


async def test_a_rename_is_stored_announced_and_stays_the_users(world):
    session_id = await world.new()
    assert await world.sessions.rename(session_id, " My\tname ") == {}
    assert world.events.updates == [(session_id, {"sessionUpdate": "session_info_update", "title": "My name"})]
    await world.store.write([PatchSession(session_id, 9, {"title": "generated"}, {}, unless_titled=True)])
    assert (await world.sessions.get(session_id))["title"] == "My name"
    assert (await rejected(world.sessions.rename(session_id, " \n "))).data["path"] == "title"


async def test_a_very_long_title_is_cut(world):
    session_id = await world.new()
    await world.sessions.rename(session_id, "x" * 5000)
    assert len((await world.sessions.get(session_id))["title"]) == 200


async def test_a_fork_copies_up_to_a_message_and_leaves_the_original_alone(world):
    session_id = await world.new(title="Work")
    ids = [await world.say(session_id, text) for text in ("one", "two", "three")]
    fork = (await world.sessions.fork(session_id, ids[1]))["sessionId"]
    assert await world.texts(fork) == ["one", "two"]
    assert await world.texts(session_id) == ["one", "two", "three"]
    info = await world.sessions.get(fork)
    assert (info["title"], info["messageCount"], info["costUsd"]) == ("Work (fork)", 2, 0.0)
    copied = await world.sessions.read(fork)
    assert not {message["messageId"] for message in copied["messages"]} & set(ids)
    await world.say(fork, "four")
    assert await world.texts(session_id) == ["one", "two", "three"]


async def test_a_whole_fork_keeps_the_summary_and_leaves_out_what_is_being_written(world):
    session_id = await world.new()
    await world.say(session_id, "old")
    summary = await world.say(session_id, "summary", Role.ASSISTANT, is_summary=True)
    await world.store.write(
        [PatchSession(session_id, 5, {"summary_message_id": summary, "prompt_tokens": 7, "cost_usd": 2.0}, {})]
    )
    world.pending.append(world.message(session_id, "half a sen"))
    fork = (await world.sessions.fork(session_id))["sessionId"]
    assert await world.texts(fork) == ["old", "summary"]
    stored = await world.store.session(fork)
    messages, _ = await world.store.messages(fork, from_message=stored.summary_message_id)
    assert [message.text for message in messages] == ["summary"]
    assert (stored.prompt_tokens, stored.cost_usd, stored.title) == (7, 0.0, "Untitled Session")


async def test_a_fork_of_a_fork_point_before_the_summary_has_no_summary(world):
    session_id = await world.new()
    first = await world.say(session_id, "old")
    summary = await world.say(session_id, "summary", Role.ASSISTANT, is_summary=True)
    await world.store.write([PatchSession(session_id, 5, {"summary_message_id": summary}, {})])
    fork = (await world.sessions.fork(session_id, first))["sessionId"]
    assert (await world.store.session(fork)).summary_message_id is None


async def test_a_fork_at_a_message_of_another_session_is_refused_and_makes_nothing(world):
    session_id, other = await world.new(), await world.new()
    message = await world.say(other, "there")
    assert (await rejected(world.sessions.fork(session_id, message))).data["path"] == "atMessageId"
    assert len((await world.sessions.list())["sessions"]) == 2


async def test_an_export_holds_the_whole_session(world):
    session_id = await world.new(title="Work")
    for number in range(600):
        await world.say(session_id, f"text {number}")
    text = (await world.sessions.export(session_id, "markdown"))["text"]
    assert text.startswith("# Work\n\n## You\n\ntext 0\n")
    assert "text 599" in text
    document = json.loads((await world.sessions.export(session_id, "json"))["text"])
    assert len(document["messages"]) == 600
    assert document["session"]["sessionId"] == session_id


async def test_configuring_answers_announces_and_stores_every_option(world):
    session_id = await world.new()
    await world.sessions.configure(session_id, "model.large", "mine/small")
    result = await world.sessions.configure(session_id, "mode", "plan")
    assert decode(wire.SessionConfigureResult, result)
    values = {option["optionId"]: option["value"] for option in result["options"]}
    assert values == {"model.large": "mine/small", "model.small": "mine/small", "mode": "plan", "thinking": None}
    assert world.events.updates[-1] == (
        session_id,
        {"sessionUpdate": "config_option_update", "options": result["options"]},
    )
    assert (await world.store.session(session_id)).options == {"model.large": "mine/small", "mode": "plan"}
    assert (await world.sessions.get(session_id))["model"] == "mine/small"
    await world.sessions.configure(session_id, "model.large", None)
    assert (await world.store.session(session_id)).options == {"mode": "plan"}


@pytest.mark.parametrize(
    ("option", "value", "path"),
    [
        ("mood", "good", "optionId"),
        ("mode", "yolo", "value"),
        ("mode", "", "value"),
        ("mode", True, "value"),
        ("model.large", "mine/unknown", "value"),
        ("model.small", False, "value"),
        ("thinking", "enormous", "value"),
    ],
)
async def test_a_value_that_does_not_fit_changes_nothing(world, option, value, path):
    session_id = await world.new()
    assert (await rejected(world.sessions.configure(session_id, option, value))).data["path"] == path
    assert world.events.updates == []
    assert (await world.store.session(session_id)).options == {}


async def test_thinking_follows_the_model(world):
    session_id = await world.new()
    for value, kept in ((True, "on"), (False, "off"), ("high", "high")):
        await world.sessions.configure(session_id, "thinking", value)
        assert (await world.store.session(session_id)).options["thinking"] == kept
    await world.sessions.configure(session_id, "model.large", "mine/small")
    assert (await rejected(world.sessions.configure(session_id, "thinking", "high"))).data["path"] == "value"


async def test_two_choices_at_once_are_both_kept(world):
    session_id = await world.new()
    await asyncio.gather(
        world.sessions.configure(session_id, "mode", "plan"),
        world.sessions.configure(session_id, "thinking", "low"),
        world.sessions.configure(session_id, "model.small", "mine/big"),
    )
    expected = {"mode": "plan", "thinking": "low", "model.small": "mine/big"}
    assert (await world.store.session(session_id)).options == expected


async def test_CF_16_full_auto_is_in_force_but_never_stored_and_gone_after_a_restart(world):
    session_id = await world.new()
    result = await world.sessions.configure(session_id, "mode", "full-auto")
    assert {"mode": "full-auto"}.items() <= {item["optionId"]: item["value"] for item in result["options"]}.items()
    session = await world.store.session(session_id)
    assert session.options == {}
    assert world.sessions.options_of(session)["mode"] == "full-auto"
    fork = await world.store.session((await world.sessions.fork(session_id))["sessionId"])
    assert "mode" not in world.sessions.options_of(fork)
    again = world.start()
    assert "mode" not in again.options_of(session)
    session.options["mode"] = "full-auto"
    assert "mode" not in again.options_of(session)


async def test_everything_can_be_looked_at_without_any_model(world):
    session_id = await world.new()
    world.providers.is_broken = True
    assert (await world.sessions.get(session_id))["model"] is None
    result = await world.sessions.configure(session_id, "mode", "ask")
    assert {item["optionId"]: item["value"] for item in result["options"]}["model.large"] is None


async def test_what_is_forgotten_comes_from_the_store_again(world):
    session_id = await world.new()
    await world.sessions.configure(session_id, "mode", "full-auto")
    world.sessions.forget(session_id)
    assert dict(world.sessions.options_of(await world.store.session(session_id))) == {}
