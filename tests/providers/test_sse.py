import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.sse import SseDecoder

STREAM = (
    'event: a\ndata: één\n\n: comment\ndata:x\ndata: y\n\nid: 7\nretry: 3\ndata: {"emoji": "😀"}\n\nevent: empty\n\n'
)
EXPECTED = [("a", "één".encode()), ("", b"x\ny"), ("", '{"emoji": "😀"}'.encode())]


def decode(*chunks: bytes) -> list[tuple[str, bytes]]:
    decoder = SseDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_events_are_read_with_every_kind_of_line_end(newline: str):
    assert decode(STREAM.replace("\n", newline).encode()) == EXPECTED


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_F21_F49_a_stream_split_at_every_byte_reads_the_same(newline: str):
    data = STREAM.replace("\n", newline).encode()
    for at in range(len(data)):
        assert decode(data[:at], data[at:]) == EXPECTED
    assert decode(*[data[at : at + 1] for at in range(len(data))]) == EXPECTED


@given(st.data())
def test_any_split_of_any_mixture_of_line_ends_reads_the_same(data: st.DataObject):
    ends = st.sampled_from(["\n", "\r\n", "\r"])
    text = "".join([line + data.draw(ends) for line in STREAM.split("\n")]).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert decode(*pieces) == decode(text)


def test_an_empty_read_between_carriage_return_and_line_feed_changes_nothing():
    assert decode(b"data: a\r", b"", b"\ndata: b\r\n\r\n") == [("", b"a\nb")]


def test_a_byte_order_mark_is_skipped():
    assert decode(b"\xef\xbb\xbfdata: a\n\n") == [("", b"a")]


def test_an_event_without_its_closing_blank_line_comes_out_at_the_end():
    decoder = SseDecoder()
    assert decoder.feed(b"data: [DONE]") == []
    assert decoder.finish() == [("", b"[DONE]")]
    assert decoder.finish() == []


def test_F21_a_line_of_ten_megabytes_in_small_chunks_is_read_in_linear_time():
    line = b"data: " + b"x" * 10_000_000 + b"\n\n"
    start = time.perf_counter()
    events = decode(*[line[at : at + 4096] for at in range(0, len(line), 4096)])
    assert len(events[0][1]) == 10_000_000
    assert time.perf_counter() - start < 2.0


def test_an_event_over_the_cap_is_an_error_and_not_retried():
    decoder = SseDecoder(max_event_bytes=1000)
    decoder.feed(b"data: " + b"x" * 500 + b"\n")
    with pytest.raises(ProviderError, match="larger than 1000") as caught:
        decoder.feed(b"data: " + b"x" * 501 + b"\n")
    assert not caught.value.retryable
    with pytest.raises(ProviderError):
        SseDecoder(max_event_bytes=1000).feed(b"x" * 1001)
