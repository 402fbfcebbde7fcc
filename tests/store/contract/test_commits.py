import asyncio
import itertools
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsp_agent.domain.errors import StoreError
from lsp_agent.domain.message import Message, Role, TextPart, ToolResultPart
from lsp_agent.domain.run import Run
from lsp_agent.domain.session import Session, Todo
from lsp_agent.ports.store import (
    AcceptRun,
    AppendEvent,
    DropMessage,
    DropSession,
    PatchSession,
    PutGrant,
    PutMessage,
    PutSession,
    RecordRead,
)
from lsp_agent.store.memory import MemoryStore

_EXAMPLES = itertools.count()
HOSTILE = ["lone \ud800 surrogate", "pair \ud83d\ude42", "nul \0 nul", "plain"]


def note(name: str, text: str, owner: str = "s1") -> PutMessage:
    return PutMessage(Message(name, owner, Role.USER, [TextPart(text)]))


async def test_callbacks_run_in_order_and_before_the_waiters_wake(store):
    seen = []

    async def waiter(number: int) -> None:
        await store.write([PutSession(Session(f"s{number}"))], lambda _: seen.append(("committed", number)))
        seen.append(("woke", number))

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(waiter(number))
    assert [number for kind, number in seen if kind == "committed"] == list(range(20))
    assert all(seen.index(("committed", number)) < seen.index(("woke", number)) for number in range(20))


async def test_a_failing_group_fails_alone(store, caplog):
    committed = []
    groups = [
        [PutSession(Session("a"))],
        [PutSession(Session("b")), PutSession(Session("a"))],
        [PutSession(Session("c"))],
    ]
    futures = [
        store.write(group, lambda _, number=number: committed.append(number)) for number, group in enumerate(groups)
    ]
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert [isinstance(one, StoreError) for one in outcomes] == [False, True, False]
    assert committed == [0, 2]
    assert [one.session_id for one in (await store.sessions(limit=9))[0]] == ["c", "a"]


async def test_an_unobserved_failure_is_logged_and_not_raised(store, caplog):
    caplog.set_level(logging.WARNING)
    store.write([note("m1", "x", "none")])
    await store.flush()
    assert "write failed" in caplog.text


async def test_a_cancelled_future_cancels_nothing(store):
    seen = []
    future = store.write([PutSession(Session("s1"))], seen.append)
    future.cancel()
    assert await store.session("s1") is not None
    assert seen == [[None]]


async def test_a_callback_that_raises_keeps_nobody_from_an_answer(store, caplog):
    def broken(_):
        raise RuntimeError("a bug")

    first = store.write([PutSession(Session("a"))], broken)
    second = store.write([PutSession(Session("b"))])
    await asyncio.gather(first, second)
    assert "a commit callback failed" in caplog.text


async def test_a_callback_may_write(store):
    results = []
    store.write([PutSession(Session("a"))], lambda _: results.append(store.write([PutSession(Session("b"))])))
    await store.flush()
    await results[0]
    assert await store.session("b") is not None


async def test_reads_see_everything_submitted_before_them(store):
    store.write([PutSession(Session("s1"))])
    for number in range(50):
        store.write([note("m1", str(number))])
        if number % 10 == 0:
            assert (await store.messages("s1"))[0][0].text == str(number)
    assert (await store.messages("s1"))[0][0].text == "49"


async def test_an_empty_group_is_answered_in_its_turn(store):
    order = []
    store.write([PutSession(Session("s1"))], lambda _: order.append(1))
    store.write([], lambda _: order.append(2))
    await store.flush()
    assert order == [1, 2]


async def test_a_closed_store_refuses_and_closes_twice(store):
    store.write([PutSession(Session("s1"))])
    await asyncio.gather(store.close(), store.close())
    await store.close()
    with pytest.raises(StoreError):
        await store.write([PutSession(Session("s2"))])


@pytest.mark.parametrize("text", HOSTILE)
async def test_F16_hostile_text_never_stops_the_writer(store, text):
    owner = Session(text, title=text, root=text, todos=(Todo(text, "pending"),), options={text: text})
    result = ToolResultPart("t", text, text, metadata={text: [text, 2**64, 10**400, -(2**63) - 1, float("nan"), b"x"]})
    await store.write([PutSession(owner), PutMessage(Message(text, text, Role.TOOL, [TextPart(text), result]))])
    await store.write([AcceptRun(Run(text, text, text, text, text, content_hash=text))])
    await store.write([RecordRead(text, text, text, 2**70, 2**70), PutGrant(text, text, text, text, True, 2**70)])
    await store.write(
        [PatchSession(text, 2**70, {"title": text, "prompt_tokens": 2**70}, {"completion_tokens": 2**70})]
    )
    assert await store.session(text) is not None
    assert (await store.run(text)) is not None
    assert (await store.seen_file(text, text)).version == 2**63 - 1
    assert len((await store.messages(text))[0]) == 1
    assert len((await store.sessions(limit=3, query=text))[0]) == 1
    await store.write([DropMessage(text), DropSession(text)])
    assert await store.session(text) is None


async def test_a_value_of_the_wrong_type_fails_its_group_alone(store):
    await store.write([PutSession(Session("s1"))])
    with pytest.raises(StoreError):
        await store.write([AppendEvent("s1", 1, None)])
    with pytest.raises(StoreError):
        await store.write([PatchSession("s1", 1, {"prompt_tokens": "many"}, {})])
    await store.write([AppendEvent("s1", 1, b"{}")])


_WRITES = st.one_of(
    st.builds(lambda name, text: note(name, text), st.sampled_from("abc"), st.text(max_size=3)),
    st.builds(lambda name, text: note(name, text, "none"), st.sampled_from("abc"), st.text(max_size=3)),
    st.builds(DropMessage, st.sampled_from("abc")),
    st.builds(lambda owner: DropSession(owner), st.just("s1")),
    st.builds(lambda: PutSession(Session("s1"))),
    st.builds(lambda seq: AppendEvent("s1", seq, b"{}"), st.integers(1, 5)),
    st.builds(lambda run_id: AcceptRun(Run(f"k-{run_id}", "s1", run_id, "m", "p")), st.sampled_from("xy")),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    groups=st.lists(st.lists(_WRITES, min_size=1, max_size=4), min_size=1, max_size=12),
    pauses=st.sets(st.integers(0, 11)),
)
async def test_grouping_changes_nothing_but_speed(sqlite, groups, pauses):
    """The same groups, one by one in memory and many at a time on SQLite: same answers, same order, same content."""
    await sqlite.write([DropSession("s1"), DropSession("s2"), PutSession(Session("s1"))])
    base = len((await sqlite.messages("s1"))[0])
    assert base == 0
    reference = MemoryStore()
    await reference.write([PutSession(Session("s1"))])
    prefix = f"{next(_EXAMPLES)}-"
    order, futures, expected = [], [], []
    for number, group in enumerate(groups):
        named = [_named(write, prefix) for write in group]
        futures.append(sqlite.write(named, lambda _, number=number: order.append(number)))
        if number in pauses:
            await asyncio.sleep(0)
        (outcome,) = await asyncio.gather(reference.write(named), return_exceptions=True)
        expected.append(outcome)
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert [_shape(one) for one in outcomes] == [_shape(one) for one in expected]
    assert order == [number for number, one in enumerate(expected) if not isinstance(one, StoreError)]
    assert (await sqlite.messages("s1"))[0] == (await reference.messages("s1"))[0]
    assert await sqlite.session("s1") == await reference.session("s1")
    assert await sqlite.events("s1", after_seq=0, limit=99) == await reference.events("s1", after_seq=0, limit=99)
    assert await sqlite.unfinished_runs() == await reference.unfinished_runs()


def _named(write, prefix):
    """Ids that no earlier example used, since dropped ids are remembered."""
    if isinstance(write, PutMessage):
        one = write.message
        return PutMessage(Message(prefix + one.message_id, one.session_id, one.role, one.parts))
    if isinstance(write, DropMessage):
        return DropMessage(prefix + write.message_id)
    return write


def _shape(outcome):
    return "failed" if isinstance(outcome, Exception) else [repr(one) for one in outcome]


async def test_a_save_beside_a_refused_run_does_not_take_a_later_save_with_it(store):
    await store.write([PutSession(Session("s1")), AcceptRun(Run("k1", "s1", "r1", "m", "p"))])
    refused = store.write([note("m1", "one"), AcceptRun(Run("k2", "s1", "r1", "m", "p"))])
    later = store.write([note("m1", "two")])
    assert (await refused)[1].duplicate.run.run_key == "k1"
    await later
    assert [one.text for one in (await store.messages("s1"))[0]] == ["two"]
