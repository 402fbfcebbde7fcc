"""The queue alone: what is merged, what is dropped, what never is, and in which order things leave."""

import json
import threading
from collections import defaultdict
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.wire.limits import Limits
from lsp_agent.wire.outbox import Chunk, Entry, Outbox, Ready, event_pieces
from lsp_agent.wire.writer import ChunkEncoder


class Sink:
    """Takes like the writer does and decodes the params."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.encoder = ChunkEncoder()
        self.params: list[dict[str, Any]] = []

    def take(self) -> list[Entry]:
        batch = self.outbox.take()
        assert batch is not None
        for entry in batch:
            if isinstance(entry, Chunk):
                self.params.append(json.loads(self.encoder.encode(entry)))
            elif isinstance(entry, Ready):
                self.params.append(json.loads(b"".join(entry.pieces))["params"])
        return batch

    def take_all(self) -> list[dict[str, Any]]:
        while self.outbox._entries:
            self.take()
        return self.params

    def texts(self) -> list[str]:
        return [text_of(params) for params in self.take_all()]


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def text_of(params: dict[str, Any]) -> str:
    return str(params["update"].get("content", {}).get("text", params["update"]["sessionUpdate"]))


def chunk(
    outbox: Outbox, text: str, *, session: str = "s", key: str = "m", kind: str = "agent_message_chunk", seq: int = 1
) -> None:
    outbox.put_chunk(session, "r", kind, key, text, seq)


def durable(outbox: Outbox, seq: int, *, session: str = "s", size: int = 0) -> None:
    update = {"sessionUpdate": f"d{seq}", "pad": "x" * size}
    params = orjson.dumps({"sessionId": session, "seq": seq, "update": update})
    outbox.put(event_pieces(params), session, params)


def ephemeral(outbox: Outbox, name: str, *, session: str = "s", key: str = "usage") -> None:
    params = orjson.dumps({"sessionId": session, "seq": 1, "update": {"sessionUpdate": name}})
    outbox.put_ephemeral(event_pieces(params), session, key)


def test_text_that_piled_up_goes_as_one_chunk_with_the_envelope_of_the_protocol() -> None:
    outbox = Outbox(Limits())
    for text in ("a", "é", "\U0001f600"):
        chunk(outbox, text, seq=7)
    assert Sink(outbox).take_all() == [
        {
            "sessionId": "s",
            "runId": "r",
            "seq": 7,
            "chunk": 1,
            "update": {
                "sessionUpdate": "agent_message_chunk",
                "messageId": "m",
                "content": {"type": "text", "text": "aé\U0001f600"},
            },
        }
    ]


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("agent_thought_chunk", "messageId"),
        ("tool_input_chunk", "toolCallId"),
        ("tool_call_content_chunk", "toolCallId"),
        ("terminal_output_chunk", "terminalId"),
    ],
)
def test_the_key_of_a_chunk_has_the_name_its_kind_wants(kind: str, field: str) -> None:
    outbox = Outbox(Limits())
    chunk(outbox, "x", kind=kind, key="k1")
    assert Sink(outbox).take_all()[0]["update"][field] == "k1"


def test_chunks_are_counted_per_message_as_they_leave() -> None:
    outbox = Outbox(Limits())
    sink = Sink(outbox)
    for _ in range(3):
        chunk(outbox, "a", key="m1")
        chunk(outbox, "b", key="m1")
        chunk(outbox, "c", key="m2")
        sink.take_all()
    assert [(p["update"]["messageId"], p["chunk"]) for p in sink.params] == [
        ("m1", 1),
        ("m2", 1),
        ("m1", 2),
        ("m2", 2),
        ("m1", 3),
        ("m2", 3),
    ]


def test_a_chunk_grows_only_while_nothing_of_its_session_follows_it() -> None:
    outbox = Outbox(Limits())
    chunk(outbox, "1")
    durable(outbox, 2)
    chunk(outbox, "2", seq=2)
    chunk(outbox, "other", session="t")
    chunk(outbox, "3", seq=2)
    chunk(outbox, "key", key="n", seq=2)
    chunk(outbox, "4", seq=2)
    ephemeral(outbox, "e")
    chunk(outbox, "5", seq=2)
    outbox.put((b'{"params":{"update":{"sessionUpdate":"answer"}}}',))
    chunk(outbox, "6", seq=2)
    assert Sink(outbox).texts() == ["1", "d2", "23", "other", "key", "4", "e", "56", "answer"]


def test_a_chunk_of_another_kind_run_seq_or_parent_is_another_chunk() -> None:
    outbox = Outbox(Limits())
    outbox.put_chunk("s", "r", "agent_message_chunk", "m", "1", 1)
    outbox.put_chunk("s", "r", "agent_thought_chunk", "m", "2", 1)
    outbox.put_chunk("s", "q", "agent_thought_chunk", "m", "3", 1)
    outbox.put_chunk("s", "q", "agent_thought_chunk", "m", "4", 2)
    outbox.put_chunk("s", "q", "agent_thought_chunk", "m", "5", 2, {"sessionId": "p", "toolCallId": "t"})
    outbox.put_chunk("s", None, "agent_thought_chunk", "m", "6", 2, {"sessionId": "p", "toolCallId": "t"})
    sink = Sink(outbox)
    assert sink.texts() == ["1", "2", "3", "4", "5", "6"]
    assert sink.params[4]["parent"] == {"sessionId": "p", "toolCallId": "t"}
    assert sink.params[5]["runId"] is None


def test_an_ephemeral_value_replaces_an_older_one_in_its_place_unless_a_durable_event_came_between() -> None:
    outbox = Outbox(Limits())
    ephemeral(outbox, "old")
    chunk(outbox, "text")
    ephemeral(outbox, "new")
    ephemeral(outbox, "elsewhere", key="k")
    ephemeral(outbox, "session", session="t")
    durable(outbox, 2)
    ephemeral(outbox, "later")
    ephemeral(outbox, "latest")
    assert Sink(outbox).texts() == ["new", "text", "elsewhere", "session", "d2", "latest"]


def test_nothing_is_replaced_that_has_left() -> None:
    outbox = Outbox(Limits())
    sink = Sink(outbox)
    ephemeral(outbox, "1")
    chunk(outbox, "a")
    sink.take_all()
    ephemeral(outbox, "2")
    chunk(outbox, "b")
    assert sink.texts() == ["1", "a", "2", "b"]


def test_a_lone_surrogate_of_a_model_does_not_stop_the_writer() -> None:
    outbox = Outbox(Limits())
    chunk(outbox, "a\ud83d")
    chunk(outbox, "\ude00b\ud800")
    assert Sink(outbox).texts() == ["a\U0001f600b\ufffd"]


SMALL = Limits(
    coalesce_bytes=1000, drop_bytes=8000, lag_bytes=16000, batch_bytes=500, lag_s=30.0, abandon_bytes=100_000
)


def fill(outbox: Outbox, count_bytes: int) -> None:
    seq = 1
    while outbox.waiting_bytes <= count_bytes:
        durable(outbox, seq, session="filler", size=400)
        seq += 1


def test_too_far_behind_only_chunks_and_ephemerals_are_dropped_and_a_resync_tells_from_where() -> None:
    outbox = Outbox(SMALL, Clock())
    sink = Sink(outbox)
    durable(outbox, 4)
    chunk(outbox, "kept", seq=4)
    fill(outbox, 8000)
    chunk(outbox, "lost", seq=4)
    ephemeral(outbox, "lost too")
    durable(outbox, 5)
    chunk(outbox, "lost", seq=5)
    durable(outbox, 6)
    assert outbox.dropped_chunks == 3
    while not any(text_of(p) == "resync" for p in sink.params):
        sink.take()
    chunk(outbox, "again", seq=6)
    sink.take_all()
    mine = [p for p in sink.params if p["sessionId"] == "s"]
    assert [text_of(p) for p in mine] == ["d4", "kept", "d5", "d6", "resync", "again"]
    assert mine[-2] == {"sessionId": "s", "seq": 6, "update": {"sessionUpdate": "resync", "afterSeq": 4}}


def test_a_session_with_a_gap_gets_no_chunk_before_its_resync() -> None:
    outbox = Outbox(SMALL, Clock())
    sink = Sink(outbox)
    fill(outbox, 8000)
    chunk(outbox, "lost")
    while outbox.waiting_bytes > 5000:
        sink.take()
    chunk(outbox, "lost as well")
    chunk(outbox, "whole", session="t")
    sink.take_all()
    assert [text_of(p) for p in sink.params if p["sessionId"] in "st"] == ["whole", "resync"]


def test_a_client_without_progress_for_30_s_lags_until_it_reads_again() -> None:
    clock = Clock()
    outbox = Outbox(SMALL, clock)
    sink = Sink(outbox)
    chunk(outbox, "1")
    sink.take()  # the writer is now stuck in this one
    clock.now_s += 29
    chunk(outbox, "2")
    assert not outbox.check_lag()
    clock.now_s += 2
    chunk(outbox, "3")
    assert outbox.lagging
    durable(outbox, 2)
    assert sink.texts() == ["1", "2", "d2", "resync"]
    assert not outbox.lagging


def test_an_idle_connection_does_not_lag() -> None:
    clock = Clock()
    outbox = Outbox(Limits(), clock)
    got: list[list[Entry] | None] = []
    thread = threading.Thread(target=lambda: got.append(outbox.take()))
    thread.start()
    while not outbox._sleeping:
        pass
    clock.now_s += 3600
    chunk(outbox, "1")
    chunk(outbox, "2")
    thread.join(5)
    assert got
    assert not outbox.check_lag()
    assert outbox.dropped_chunks == 0


def test_more_than_16_mib_waiting_is_lagging_and_a_hopeless_client_is_given_up() -> None:
    outbox = Outbox(SMALL, Clock())
    fill(outbox, 16_000)
    assert outbox.lagging
    assert outbox.put((b"x" * 10,))
    assert not outbox.put((b"x" * 100_000,))


def test_with_a_latency_chunks_wait_to_be_merged_but_everything_else_takes_them_along() -> None:
    clock = Clock()
    outbox = Outbox(Limits(), clock)
    outbox.max_latency_s = 0.05
    chunk(outbox, "a")
    with outbox._lock:
        assert outbox._time_to_wait() == pytest.approx(0.05)
    chunk(outbox, "b")
    clock.now_s += 0.06
    sink = Sink(outbox)
    assert sink.texts() == ["ab"]
    chunk(outbox, "c")
    outbox.put((b'{"params":{"update":{"sessionUpdate":"answer"}}}',))
    assert sink.texts() == ["ab", "c", "answer"]


def test_with_more_than_1_mib_waiting_chunks_are_held_for_250_ms() -> None:
    clock = Clock()
    outbox = Outbox(SMALL, clock)
    fill(outbox, 1000)
    chunk(outbox, "held")
    sink = Sink(outbox)
    while any(isinstance(entry, Ready) for entry in outbox._entries):
        sink.take()
    with outbox._lock:
        wait_s = outbox._time_to_wait()
    assert wait_s in (None, pytest.approx(0.25))


def test_closing_wakes_the_writer_and_reaches_every_marker() -> None:
    outbox = Outbox(Limits())
    reached: list[int] = []
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(outbox.take()))
    thread.start()
    while not outbox._sleeping:
        pass
    outbox.close()
    thread.join(5)
    outbox.mark(lambda: reached.append(1))
    outbox.close()
    chunk(outbox, "late")
    assert (got, reached, outbox.waiting_bytes) == ([None], [1], 0)


@pytest.mark.parametrize("latency_s", [0.0, 0.0005])
def test_no_wake_up_is_missed_between_two_threads(latency_s: float) -> None:
    outbox = Outbox(Limits(batch_bytes=2000))
    outbox.max_latency_s = latency_s
    sink = Sink(outbox)
    total = 20_000

    def drain() -> None:
        length = 0
        while length < total:
            before = len(sink.params)
            sink.take()
            length += sum(len(text_of(p)) for p in sink.params[before:])

    thread = threading.Thread(target=drain)
    thread.start()
    for n in range(total):
        chunk(outbox, chr(97 + n % 26))
    thread.join(20)
    assert not thread.is_alive(), "the writer sleeps although text waits"
    assert "".join(map(text_of, sink.params)) == "".join(chr(97 + n % 26) for n in range(total))


SESSIONS = st.sampled_from("st")
OPERATIONS = st.one_of(
    st.tuples(st.just("chunk"), SESSIONS, st.sampled_from("mn"), st.text(min_size=1, max_size=3)),
    st.tuples(st.just("durable"), SESSIONS, st.none(), st.none()),
    st.tuples(st.just("ephemeral"), SESSIONS, st.sampled_from("uv"), st.none()),
    st.tuples(st.just("take"), st.none(), st.none(), st.none()),
)


@given(st.lists(OPERATIONS, max_size=60), st.integers(100, 3000))
def test_any_interleaving_keeps_order_and_text(operations: list[tuple[Any, ...]], batch_bytes: int) -> None:
    outbox = Outbox(Limits(batch_bytes=batch_bytes))
    sink = Sink(outbox)
    seqs: dict[str, int] = defaultdict(int)
    texts: dict[tuple[str, str], str] = defaultdict(str)
    trace: dict[str, list[str]] = defaultdict(list)
    values: dict[tuple[str, str], str] = {}
    for number, (what, session, key, text) in enumerate(operations):
        if what == "chunk":
            chunk(outbox, text, session=session, key=key, seq=seqs[session])
            texts[session, key] += text
            trace[session].append(f"{key}{text}")
        elif what == "durable":
            seqs[session] += 1
            durable(outbox, seqs[session], session=session)
            trace[session].append(f"d{seqs[session]}")
        elif what == "ephemeral":
            values[session, key] = f"e{key}{number}"
            ephemeral(outbox, values[session, key], session=session, key=key)
        elif outbox._entries:
            sink.take()
    sink.take_all()
    assert outbox.waiting_bytes <= outbox._in_flight_bytes
    assert outbox._urgent == 0
    for session in "st":
        mine = [p for p in sink.params if p["sessionId"] == session]
        lasting = [p for p in mine if not p["update"]["sessionUpdate"].startswith("e")]
        # durable events in order, each chunk after the durable event whose seq it names
        last = 0
        for params in lasting:
            is_chunk = "chunk" in params
            last = params["seq"] if not is_chunk else last
            assert params["seq"] == last if is_chunk else True
        assert [p["seq"] for p in lasting if "chunk" not in p] == list(range(1, seqs[session] + 1))
        flat = "".join(p["update"]["messageId"] + text_of(p) if "chunk" in p else text_of(p) for p in lasting)
        # merging only removes the repeated key in front of each piece
        assert [p["chunk"] for p in lasting if p["update"].get("messageId") == "m"] == list(
            range(1, 1 + sum(p["update"].get("messageId") == "m" for p in lasting))
        )
        for key in "mn":
            joined = "".join(text_of(p) for p in lasting if p["update"].get("messageId") == key)
            assert joined == texts[session, key]
        assert len(flat) <= sum(map(len, trace[session]))
        for key in "uv":
            kept = [text_of(p) for p in mine if p["update"]["sessionUpdate"].startswith("e" + key)]
            assert (kept[-1] if kept else None) == values.get((session, key))
