import dataclasses

import pytest

from lsp_agent.domain.errors import StoreError
from lsp_agent.domain.message import AttachmentPart
from lsp_agent.domain.model import Sampling
from lsp_agent.domain.run import Run, RunOptions, RunState
from lsp_agent.domain.session import Session
from lsp_agent.ports.store import (
    Accepted,
    AcceptRun,
    AppendEvent,
    Grant,
    PatchSession,
    PutFileVersion,
    PutGrant,
    PutSession,
    RecordRead,
    SeenFile,
    SetQueueOrder,
    SetRunPrompt,
    SetRunState,
)
from lsp_agent.store import rules


def run(key: str, owner: str = "s1", run_id: str | None = None, **fields) -> Run:
    return Run(key, owner, run_id, f"m-{key}", f"do {key}", **fields)


async def put_session(store, *names: str) -> None:
    await store.write([PutSession(Session(name)) for name in names or ("s1",)])


async def unfinished(store):
    return [(one.run.run_key, one.state) for one in await store.unfinished_runs()]


async def test_an_accepted_run_comes_back_whole(store):
    image = AttachmentPart("image/png", data=b"\x89PNG\xff\x00", kind="image")
    options = RunOptions("p/m", "plan", Sampling(9, 0.5), {"a": {"b": 1}}, 3, 0.5, True, "title")
    whole = Run("k1", "s1", "r1", "m1", "prompt", (image,), options, 7, "hash", True, "k0", 99)
    await put_session(store)
    (accepted,) = await store.write([AcceptRun(whole)])
    assert accepted == Accepted(await store.session("s1"), None)
    stored = await store.run("r1")
    assert stored.run == dataclasses.replace(whole, accept_seq=0)
    assert (stored.state, stored.stop_reason) == (RunState.QUEUED, None)
    assert await store.run("r2") is None


async def test_accepting_makes_the_session_in_the_same_transaction(store):
    (accepted,) = await store.write([AcceptRun(run("k1", run_id="r1"), Session("s1", title="new"))])
    assert accepted.session == Session("s1", title="new")
    assert (await store.session("s1")).title == "new"


async def test_a_run_id_that_was_seen_writes_nothing_and_says_what_is_known(store):
    await put_session(store)
    await store.write([AcceptRun(run("k1", run_id="r1", content_hash="one"))])
    writes = [
        PatchSession("s1", 9, {"title": "no"}, {}),
        AcceptRun(run("k2", "s2", run_id="r1", content_hash="two"), Session("s2")),
        AppendEvent("s1", 1, b"{}"),
    ]
    before, accepted, after = await store.write(writes)
    assert (before, after, accepted.session) == (None, None, None)
    assert accepted.duplicate.run.content_hash == "one"
    assert await store.session("s2") is None
    assert (await store.session("s1")).title != "no"
    assert (await store.session("s1")).seq == 0


async def test_a_run_for_a_session_that_is_not_there_writes_nothing(store):
    assert await store.write([AcceptRun(run("k1", "none", run_id="r1"))]) == [Accepted(None, None)]
    assert await store.run("r1") is None
    assert await unfinished(store) == []


async def test_runs_without_an_id_are_never_duplicates(store):
    await put_session(store)
    results = await store.write([AcceptRun(run("k1")), AcceptRun(run("k2"))])
    assert all(one.session is not None for one in results)
    assert await unfinished(store) == [("k1", RunState.QUEUED), ("k2", RunState.QUEUED)]


async def test_runs_move_along_their_life_and_no_other_way(store):
    await put_session(store)
    await store.write([AcceptRun(run("k1", run_id="r1")), AcceptRun(run("k2"))])
    await store.write([SetRunState("k1", RunState.RUNNING), SetRunState("k1", RunState.RUNNING)])
    for key, state in (("k1", RunState.QUEUED), ("k1", RunState.FOLDED), ("none", RunState.RUNNING)):
        with pytest.raises(StoreError):
            await store.write([SetRunState(key, state)])
    assert await unfinished(store) == [("k1", RunState.RUNNING), ("k2", RunState.QUEUED)]
    await store.write([SetRunState("k2", RunState.FOLDED, into="k1")])
    assert await unfinished(store) == [("k1", RunState.RUNNING), ("k2", RunState.FOLDED)]
    assert (await store.unfinished_runs())[1].run.fold_into == "k1"
    await store.write([AppendEvent("s1", 1, b"{}", terminal_of="k1", stop_reason="end_turn")])
    assert await unfinished(store) == []
    assert (await store.run("r1")).stop_reason == "end_turn"
    assert (await store.run("r1")).state is RunState.DONE


async def test_a_second_terminal_event_is_refused_with_its_whole_group(store):
    await put_session(store)
    await store.write([AcceptRun(run("k1", run_id="r1")), AcceptRun(run("k2"))])
    await store.write([AppendEvent("s1", 1, b"first", terminal_of="k1", stop_reason="cancelled")])
    await store.write([SetRunState("k2", RunState.FOLDED, into="k1")])
    for ended in ("k1", "k2", "none"):
        with pytest.raises(StoreError):
            await store.write(
                [AppendEvent("s1", 2, b"x"), AppendEvent("s1", 3, b"y", terminal_of=ended, stop_reason="error")]
            )
    events, oldest = await store.events("s1", after_seq=0, limit=9)
    assert [(one.seq, one.payload, one.terminal) for one in events] == [(1, b"first", True)]
    assert oldest == 1
    assert (await store.run("r1")).stop_reason == "cancelled"


async def test_a_run_may_be_done_before_its_terminal_event_but_ends_once(store):
    await put_session(store)
    await store.write([AcceptRun(run("k1"))])
    await store.write([SetRunState("k1", RunState.DONE), AppendEvent("s1", 1, b"{}", "k1", "end_turn")])
    with pytest.raises(StoreError):
        await store.write([AppendEvent("s1", 2, b"{}", "k1", "end_turn")])


async def test_a_terminal_event_stays_the_only_one_after_the_log_forgot_it(store, monkeypatch):
    monkeypatch.setattr(rules, "EVENTS_KEPT", 4)
    monkeypatch.setattr(rules, "PRUNE_EVERY", 5)
    await put_session(store)
    await store.write([AcceptRun(run("k1")), AppendEvent("s1", 1, b"{}", "k1", "end_turn")])
    await store.write([AppendEvent("s1", seq, b"{}") for seq in range(2, 12)])
    assert (await store.events("s1", after_seq=0, limit=1))[1] == 7
    with pytest.raises(StoreError):
        await store.write([AppendEvent("s1", 12, b"{}", "k1", "end_turn")])


async def test_the_log_keeps_at_least_its_last_events(store, monkeypatch):
    monkeypatch.setattr(rules, "EVENTS_KEPT", 20)
    monkeypatch.setattr(rules, "PRUNE_EVERY", 8)
    await put_session(store, "s1", "s2")
    await store.write([AppendEvent("s2", 1, b"kept")])
    for seq in range(1, 101):
        store.write([AppendEvent("s1", seq, str(seq).encode())])
    events, oldest = await store.events("s1", after_seq=0, limit=1000)
    assert [one.seq for one in events] == list(range(oldest, 101))
    assert 20 <= len(events) < 20 + 8
    assert (await store.session("s1")).seq == 100
    assert (await store.events("s2", after_seq=0, limit=9))[1] == 1


async def test_events_come_after_a_seq_in_pages(store):
    await put_session(store)
    await store.write([AppendEvent("s1", seq, b"\xff\x00%d" % seq) for seq in range(1, 6)])
    page, oldest = await store.events("s1", after_seq=2, limit=2)
    assert [(one.seq, one.payload, one.terminal) for one in page] == [
        (3, b"\xff\x003", False),
        (4, b"\xff\x004", False),
    ]
    assert oldest == 1
    assert await store.events("s1", after_seq=2**70, limit=2) == ([], 1)
    assert await store.events("none", after_seq=0, limit=2) == ([], 0)


async def test_an_event_needs_its_session_and_a_new_number(store):
    await put_session(store)
    await store.write([AppendEvent("s1", 1, b"{}")])
    for owner, seq in (("none", 1), ("s1", 1)):
        with pytest.raises(StoreError):
            await store.write([AppendEvent(owner, seq, b"{}")])


async def test_the_queue_keeps_its_order_and_can_be_dealt_again(store):
    await put_session(store, "s1", "s2")
    for number, owner in enumerate(("s1", "s2", "s1", "s1")):
        await store.write([AcceptRun(run(f"k{number}", owner))])
    await store.write([SetQueueOrder("s1", ("k3", "k0", "gone", "k1", "k2", "k3"))])
    assert [key for key, _ in await unfinished(store)] == ["k3", "k1", "k0", "k2"]
    await store.write([AcceptRun(run("k4"))])
    await store.write([SetRunState("k0", RunState.RUNNING), SetQueueOrder("s1", ("k4", "k0"))])
    assert [key for key, _ in await unfinished(store)] == ["k0", "k3", "k1", "k2", "k4"]


async def test_a_queued_prompt_can_be_edited_and_no_other(store):
    await put_session(store)
    await store.write([AcceptRun(run("k1", run_id="r1"))])
    await store.write([SetRunPrompt("k1", "better")])
    assert (await store.run("r1")).run.prompt == "better"
    await store.write([SetRunState("k1", RunState.RUNNING)])
    for key in ("k1", "none"):
        with pytest.raises(StoreError):
            await store.write([SetRunPrompt(key, "late")])
    assert (await store.run("r1")).run.prompt == "better"


async def test_reads_and_versions_of_files_belong_to_session_and_path(store):
    await put_session(store, "s1", "s2")
    await store.write([RecordRead("s1", "/a", "h1", 4, 10)])
    await store.write([RecordRead("s1", "/a", "h2", None, 11)])
    assert await store.seen_file("s1", "/a") == SeenFile("h2", None, 11)
    assert await store.seen_file("s2", "/a") is None
    for text in ("zero", "", "lone \ud800 and \0"):
        await store.write([PutFileVersion("s1", "/a", text, "k1", "t1", 1)])
    await store.write([PutFileVersion("s1", "/b", "other", None, None, 1)])
    assert await store.file_versions("s1", "/a") == ["zero", "", "lone \ud800 and \0"]
    assert await store.file_versions("s2", "/a") == []


async def test_a_grant_given_again_replaces_the_older_one(store):
    await put_session(store)
    await store.write(
        [PutGrant(None, "file:///w", "bash", "git *", True, 1), PutGrant("s1", None, "edit", "*", True, 2)]
    )
    await store.write([PutGrant(None, "file:///w", "bash", "git *", False, 3)])
    assert await store.grants() == [
        Grant("s1", None, "edit", "*", True),
        Grant(None, "file:///w", "bash", "git *", False),
    ]
    with pytest.raises(StoreError):
        await store.write([PutGrant("none", None, "edit", "*", True, 2)])
