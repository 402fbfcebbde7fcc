"""The journal of changes and the messages set aside, on both stores."""

import pytest

from lsp_agent.domain.errors import StoreError
from lsp_agent.domain.message import Message, Role, TextPart
from lsp_agent.domain.session import Session
from lsp_agent.ports.changes import PutJournal, SetVisibleMessages, text_id
from lsp_agent.ports.store import DropSession, PutMessage, PutSession


def note(name: str, *, owner: str = "s1", is_summary: bool = False) -> PutMessage:
    return PutMessage(Message(name, owner, Role.USER, [TextPart(name)], is_summary=is_summary))


def entry(name: str, *texts: str, owner: str = "s1", **more) -> PutJournal:
    return PutJournal(owner, name, "change", {"n": name, "deep": {"list": [1, None]}}, 5, texts, **more)


async def shown(store, owner: str = "s1") -> list[str]:
    return [message.message_id for message in (await store.messages(owner))[0]]


async def test_entries_come_back_in_order_and_each_once(store):
    await store.write([PutSession(Session("s1")), PutSession(Session("s2"))])
    await store.write([entry("a"), entry("b", owner="s2"), entry("c")])
    await store.write([PutJournal("s1", "a", "other", {}, 9)])
    found = await store.journal("s1")
    assert [(one.entry_id, one.kind, one.body["deep"]) for one in found] == [
        ("a", "change", {"list": [1, None]}),
        ("c", "change", {"list": [1, None]}),
    ]
    assert found[0].position < found[1].position
    assert (await store.journal_entry("b")).session_id == "s2"
    assert await store.journal_entry("z") is None
    assert await store.journal("s3") == []


async def test_texts_are_kept_exactly_and_go_with_the_last_session_that_names_them(store):
    odd = "a\r\n\ud800\0ß👋" + "x" * 5000
    await store.write([PutSession(Session("s1")), PutSession(Session("s2"))])
    await store.write([entry("a", odd, "only one"), entry("b", odd, "", owner="s2")])
    names = [text_id(text) for text in (odd, "only one", "", "nobody")]
    assert await store.texts(names) == dict(zip(names[:3], [odd, "only one", ""], strict=True))
    await store.write([DropSession("s1")])
    assert sorted(await store.texts(names)) == sorted([names[0], names[2]])
    await store.write([DropSession("s2")])
    assert await store.texts(names) == {}
    assert await store.journal_entry("a") is None


async def test_an_entry_of_no_session_is_refused_and_leaves_nothing(store):
    with pytest.raises(StoreError):
        await store.write([entry("a", "text", owner="nobody")])
    assert await store.texts([text_id("text")]) == {}


async def test_the_conversation_is_noted_where_asked_for(store):
    await store.write([PutSession(Session("s1")), note("m1"), note("m2"), entry("a", keeps_conversation=True)])
    await store.write([note("m3"), entry("b", keeps_conversation=True), entry("c")])
    assert [one.message_ids for one in await store.journal("s1")] == [("m1", "m2"), ("m1", "m2", "m3"), ()]


async def test_messages_are_set_aside_whole_and_come_back_in_their_places(store):
    await store.write([PutSession(Session("s1")), PutSession(Session("s2")), note("other", owner="s2")])
    await store.write([note("m1"), note("m2", is_summary=True), note("m3"), note("m4", is_summary=True)])
    await store.write([SetVisibleMessages("s1", ("m1", "m2", "nobody", "other"))])
    session = await store.session("s1")
    assert (await shown(store), session.message_count, session.summary_message_id) == (["m1", "m2"], 2, "m2")
    await store.write([note("m3"), note("m5")])
    assert await shown(store) == ["m1", "m2", "m5"], "a late save brings nothing back"
    await store.write([SetVisibleMessages("s1", ("m1", "m2", "m3", "m4"))])
    session = await store.session("s1")
    assert (await shown(store), session.message_count, session.summary_message_id) == (
        ["m1", "m2", "m3", "m4"],
        4,
        "m4",
    )
    await store.write([note("m3")])
    await store.write([SetVisibleMessages("s1", ())])
    session = await store.session("s1")
    assert (await shown(store), session.message_count, session.summary_message_id) == ([], 0, None)
    assert await shown(store, "s2") == ["other"]
    with pytest.raises(StoreError):
        await store.write([SetVisibleMessages("nobody", ())])


async def test_a_save_beside_a_setting_aside_keeps_its_place(store):
    await store.write([PutSession(Session("s1")), note("m1")])
    first = store.write([note("m2")])
    second = store.write([SetVisibleMessages("s1", ("m1",))])
    third = store.write([note("m2")])
    await first
    await second
    await third
    assert await shown(store) == ["m1"]
