import pytest

from lsp_agent.domain.errors import RequestRejected, StoreError
from lsp_agent.domain.message import (
    AttachmentPart,
    FinishPart,
    FinishReason,
    Message,
    ReasoningPart,
    Role,
    ShellPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from lsp_agent.domain.run import Run
from lsp_agent.domain.session import UNTITLED, Session, Todo
from lsp_agent.ports.store import (
    AcceptRun,
    DropMessage,
    DropSession,
    PatchSession,
    PutFileVersion,
    PutGrant,
    PutMessage,
    PutSession,
    RecordRead,
)


def session(name: str = "s1", **fields) -> Session:
    return Session(name, **fields)


def message(name: str, owner: str = "s1", text: str = "hello", **fields) -> Message:
    return Message(name, owner, Role.USER, [TextPart(text)], **fields)


def patch(changes=None, add=None, *, now_ms=50, owner="s1", **flags) -> PatchSession:
    return PatchSession(owner, now_ms, changes or {}, add or {}, **flags)


async def ids(store, owner="s1", **where):
    page, cursor = await store.messages(owner, **where)
    return [one.message_id for one in page], cursor


async def test_a_session_comes_back_as_it_was_put(store):
    whole = session(
        title="Fix ünïcode 🙂",
        title_is_users=True,
        root="file:///w",
        prompt_tokens=5,
        completion_tokens=7,
        cost_usd=0.25,
        estimated_usage=True,
        summary_message_id="m9",
        todos=(Todo("one", "pending"), Todo("two", "completed", "doing two")),
        options={"mode": "plan", "nested": {"a": [1, None]}},
        created_at_ms=11,
        updated_at_ms=12,
    )
    await store.write([PutSession(whole)])
    assert await store.session("s1") == whole
    assert await store.session("other") is None


async def test_a_session_id_is_used_once(store):
    await store.write([PutSession(session(title="first"))])
    with pytest.raises(StoreError):
        await store.write([PutSession(session(title="second"))])
    assert (await store.session("s1")).title == "first"


async def test_what_is_read_or_put_is_nobody_elses(store):
    mine = session(options={"mode": "ask"})
    note = message("m1")
    await store.write([PutSession(mine), PutMessage(note)])
    (await store.session("s1")).options["mode"] = "changed"
    (await store.messages("s1"))[0][0].parts.clear()
    assert (await store.session("s1")).options == {"mode": "ask"}
    assert (await store.messages("s1"))[0][0].text == "hello"


async def test_a_message_is_stored_as_it_was_when_it_was_submitted(store):
    growing = message("m1", text="a")
    growing.created_at_ms = 1
    done = store.write([PutSession(session()), PutMessage(growing)])
    growing.parts.append(TextPart("later"))
    growing.parts[0].text = "changed"
    growing.created_at_ms = 2
    await done
    (stored,), _ = await store.messages("s1")
    assert (stored.text, stored.created_at_ms) == ("a", 1)


async def test_a_patch_leaves_the_other_columns_alone(store):
    await store.write([PutSession(session(title="t", cost_usd=1.0, prompt_tokens=3))])
    await store.write([patch({"todos": (Todo("x", "pending"),)}, {"cost_usd": 0.5, "prompt_tokens": 4})])
    got = await store.session("s1")
    assert (got.title, got.cost_usd, got.prompt_tokens, got.updated_at_ms) == ("t", 1.5, 7, 50)
    assert got.todos == (Todo("x", "pending"),)


async def test_a_generated_title_never_overwrites_a_users_name(store):
    await store.write([PutSession(session())])
    await store.write([patch({"title": "generated"}, unless_titled=True)])
    assert (await store.session("s1")).title == "generated"
    await store.write([patch({"title": "mine", "title_is_users": True})])
    await store.write([patch({"title": "late"}, {"cost_usd": 2.0}, unless_titled=True, now_ms=60)])
    got = await store.session("s1")
    assert (got.title, got.title_is_users, got.cost_usd, got.updated_at_ms) == ("mine", True, 2.0, 60)


@pytest.mark.parametrize(
    "wrong",
    [
        patch({"message_count": 3}),
        patch({"session_id": "x"}),
        patch({"title; DROP TABLE runs": 1}),
        patch(add={"title": 1}),
        patch({"title": "x"}, owner="none"),
    ],
)
async def test_a_patch_of_something_else_is_refused_whole(store, wrong):
    await store.write([PutSession(session())])
    with pytest.raises(StoreError):
        await store.write([patch({"title": "not kept"}), wrong])
    assert (await store.session("s1")).title == UNTITLED


async def test_every_kind_of_part_survives_storage_byte_for_byte(store):
    parts = [
        TextPart("tëxt\r\n\t"),
        ReasoningPart(
            "think", {"anthropic": [{"type": "thinking", "signature": "EqQB+/=="}], "openai": {"id": 1}}, 3, 4
        ),
        AttachmentPart(
            "text/plain", text="body", uri="file:///a", path="a", name="a", start_line=0, end_line=3, version=0
        ),
        AttachmentPart("image/png", data=bytes(range(256)), kind="image"),
        ToolCallPart("t1", "edit", '{"a": 1}', finished=True, provider_executed=True),
        ToolResultPart("t1", "edit", "", is_error=True, data=b"", mime_type="image/png", metadata={"n": {"m": [1.5]}}),
        ShellPart("ls", "out\0put", 1),
        FinishPart(FinishReason.TOOL_USE, "m", "d", 5),
    ]
    whole = Message("m1", "s1", Role.ASSISTANT, parts, "model", "provider", True, 1, 2, "k1")
    await store.write([PutSession(session()), PutMessage(whole)])
    assert (await store.messages("s1"))[0] == [whole]


async def test_messages_keep_the_order_of_their_arrival_not_of_their_ids(store):
    await store.write([PutSession(session())])
    await store.write([PutMessage(message("m5")), PutMessage(message("m1"))])
    await store.write([PutMessage(message("m5", text="again")), PutMessage(message("m3"))])
    assert (await ids(store))[0] == ["m5", "m1", "m3"]
    assert (await store.messages("s1"))[0][0].text == "again"


async def test_messages_come_in_pages_and_from_a_message(store):
    await store.write([PutSession(session()), *[PutMessage(message(f"m{n}")) for n in range(5)]])
    first, cursor = await ids(store, limit=2)
    second, cursor = await ids(store, limit=2, cursor=cursor)
    third, end = await ids(store, limit=2, cursor=cursor)
    assert (first, second, third, end) == (["m0", "m1"], ["m2", "m3"], ["m4"], None)
    assert await ids(store, from_message="m3") == (["m3", "m4"], None)
    assert (await ids(store, from_message="m1", limit=2))[0] == ["m1", "m2"]
    assert len((await ids(store, from_message="gone"))[0]) == 5
    assert await ids(store, "none") == ([], None)


@pytest.mark.parametrize("cursor", ["", "x", "1.5x", "-1", "9" * 30, "٣", "\ud800"])
async def test_a_broken_cursor_is_the_callers_fault(store, cursor):
    for call in (store.messages("s1", cursor=cursor), store.sessions(limit=1, cursor=cursor)):
        if cursor == "1.5x" and "sessions" in call.__qualname__:
            await call  # any id may follow the dot
            continue
        with pytest.raises(RequestRejected) as refused:
            await call
        assert refused.value.kind == "InvalidParams"


async def test_a_dropped_message_never_comes_back(store):
    await store.write([PutSession(session()), PutMessage(message("m1"))])
    late = [store.write([DropMessage("m1")]), store.write([PutMessage(message("m1", text="late"))])]
    for one in late:
        await one
    await store.write([PutMessage(message("m1", text="later"))])
    assert (await store.messages("s1"))[0] == []
    assert (await store.session("s1")).message_count == 0


async def test_messages_are_counted_and_make_their_session_recent(store):
    await store.write([PutSession(session(updated_at_ms=10))])
    await store.write([PutMessage(message("m1", created_at_ms=70)), PutMessage(message("m2", created_at_ms=20))])
    await store.write([PutMessage(message("m1", text="x", created_at_ms=70))])
    got = await store.session("s1")
    assert (got.message_count, got.updated_at_ms) == (2, 70)


async def test_a_message_needs_its_session(store):
    with pytest.raises(StoreError):
        await store.write([PutMessage(message("m1"))])


async def test_sessions_come_newest_first_without_children(store):
    await store.write([PutSession(session("a", updated_at_ms=1)), PutSession(session("b", updated_at_ms=3))])
    await store.write([PutSession(session("c", updated_at_ms=3)), PutSession(session("k", parent_session_id="a"))])
    page, cursor = await store.sessions(limit=2)
    assert [one.session_id for one in page] == ["c", "b"]
    await store.write([PutSession(session("d", updated_at_ms=9))])
    page, cursor = await store.sessions(limit=2, cursor=cursor)
    assert ([one.session_id for one in page], cursor) == (["a"], None)


async def test_sessions_are_found_by_title_in_any_case_and_by_root(store):
    await store.write([PutSession(session("a", title="Straße 100%", root="file:///w"))])
    await store.write([PutSession(session("b", title="other", root="file:///v"))])

    async def found(**where):
        return [one.session_id for one in (await store.sessions(limit=9, **where))[0]]

    assert await found(query="STRASSE") == ["a"]
    assert await found(query="100%") == ["a"]
    assert await found(query="_") == []
    assert await found(query="") == ["b", "a"]
    assert await found(root="file:///v") == ["b"]
    assert await found(root="file:///v", query="str") == []


async def test_dropping_a_session_takes_everything_of_it_and_its_children(store):
    await store.write([PutSession(session()), PutSession(session("k", parent_session_id="s1"))])
    await store.write([PutSession(session("g", parent_session_id="k")), PutSession(session("other"))])
    await store.write([AcceptRun(Run("k1", "s1", "r1", "m1", "hi"))])
    for owner in ("s1", "g", "other"):
        await store.write(
            [
                PutMessage(message(f"m-{owner}", owner)),
                RecordRead(owner, "/a", "h", None, 1),
                PutFileVersion(owner, "/a", "text", None, None, 1),
                PutGrant(owner, None, "bash", "ls", True, 1),
            ]
        )
    await store.write([DropSession("s1")])
    await store.write([DropSession("s1"), DropSession("never")])
    for owner in ("s1", "k", "g"):
        assert await store.session(owner) is None
        assert await store.messages(owner) == ([], None)
        assert await store.seen_file(owner, "/a") is None
        assert await store.file_versions(owner, "/a") == []
    assert await store.run("r1") is None
    assert [grant.session_id for grant in await store.grants()] == ["other"]
    assert (await store.session("other")).message_count == 1


async def test_a_child_needs_its_parent(store):
    with pytest.raises(StoreError):
        await store.write([PutSession(session("k", parent_session_id="none"))])


async def test_a_fork_has_copies_with_new_ids_in_order(store):
    await store.write([PutSession(session()), *[PutMessage(message(f"m{n}", text=str(n))) for n in (3, 1, 2)]])
    await store.write([RecordRead("s1", "/a", "h", 4, 1)])
    fork = await store.copy_session("s1", session("f", title="Fork", summary_message_id="m1"))
    copies, _ = await store.messages("f")
    names = [one.message_id for one in copies]
    assert [one.text for one in copies] == ["3", "1", "2"]
    assert names == sorted(names)
    assert not set(names) & {"m1", "m2", "m3"}
    assert (fork.message_count, fork.summary_message_id, fork.title) == (3, names[1], "Fork")
    assert (await store.seen_file("f", "/a")).version == 4
    assert fork == await store.session("f")
    assert (await ids(store))[0] == ["m3", "m1", "m2"]


async def test_a_fork_at_a_message_ends_with_it(store):
    await store.write([PutSession(session()), *[PutMessage(message(f"m{n}", text=str(n))) for n in range(3)]])
    await store.write([RecordRead("s1", "/a", "h", 4, 1)])
    fork = await store.copy_session("s1", session("f", summary_message_id="m2"), "m1")
    assert [one.text for one in (await store.messages("f"))[0]] == ["0", "1"]
    assert fork.summary_message_id is None
    assert await store.seen_file("f", "/a") is None
    for source, at in (("none", None), ("s1", "gone")):
        with pytest.raises(StoreError):
            await store.copy_session(source, session("g"), at)
    assert await store.session("g") is None
