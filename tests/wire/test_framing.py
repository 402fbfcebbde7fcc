"""The parser alone: every input leaves it able to read the next frame."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.wire.framing import Frame, FrameError, FrameParser

GOOD = b'Content-Length: 8\r\n\r\n{"id":1}'


def bodies(items: list[Frame | FrameError]) -> list[bytes]:
    return [item.body for item in items if isinstance(item, Frame)]


def errors(items: list[Frame | FrameError]) -> list[str]:
    return [item.reason for item in items if isinstance(item, FrameError)]


def frame(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    "header",
    [
        b"content-length: 8\r\n\r\n",
        b"CONTENT-LENGTH:8\r\n\r\n",
        b"Content-Length : 8 \r\n\r\n",
        b"Content-Length: 8\n\n",
        b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nContent-Length: 8\r\n\r\n",
        b"Content-Length: 8\r\nContent-Type: application/vscode-jsonrpc\r\n\r\n",
    ],
)
def test_PR_07_headers_are_read_in_any_case_and_with_bare_line_feeds(header: bytes) -> None:
    parser = FrameParser()
    assert bodies(parser.feed(header + b'{"id":1}' + GOOD)) == [b'{"id":1}', b'{"id":1}']
    assert parser.resyncs == 0


@pytest.mark.parametrize("cut", [1, 7, 64, 100_000])
@pytest.mark.parametrize(
    "length", [b"99999999999", b"99999999999999999999999", b"-5", b"abc", b"", b"1e3", b"0x10", b"9" * 5000]
)
def test_PR_01_and_PR_02_a_length_nobody_can_mean_is_refused_and_the_next_frame_is_read(
    length: bytes, cut: int
) -> None:
    parser = FrameParser()
    data = b"Content-Length: " + length + b"\r\n\r\n" + GOOD
    items = [item for at in range(0, len(data), cut) for item in parser.feed(data[at : at + cut])]
    assert len(errors(items)) == 1
    assert bodies(items) == [b'{"id":1}']


@pytest.mark.parametrize("cut", [1, 3, 50, 10_000])
def test_PR_21_a_body_that_is_too_long_is_skipped_without_being_kept(cut: int) -> None:
    parser = FrameParser(max_body=100)
    data = frame(b"x" * 5000) + GOOD
    items = []
    for at in range(0, len(data), cut):
        items += parser.feed(data[at : at + cut])
        assert len(parser._head) <= 200
    assert (len(errors(items)), bodies(items)) == (1, [b'{"id":1}'])


def test_PR_21_when_the_announced_long_body_never_comes_the_next_frame_is_found() -> None:
    parser = FrameParser(max_body=100)
    items = parser.feed(b"Content-Length: 5000\r\n\r\n" + GOOD * 3)
    assert (len(errors(items)), bodies(items)) == (1, [b'{"id":1}'] * 3)


def test_PR_21_text_about_http_inside_a_skipped_body_is_not_taken_for_a_frame() -> None:
    parser = FrameParser(max_body=100)
    items = parser.feed(frame(b'{"text":"Content-Length: 5\\r\\n\\r\\n{}' + b"x" * 200 + b'"}') + GOOD)
    assert (len(errors(items)), bodies(items)) == (1, [b'{"id":1}'])


@pytest.mark.parametrize(
    "garbage",
    [
        b"hello world\r\n",
        b"\r\n\r\n",
        b'{"a":1}',
        b"print output\nmore\n\n",
        b'{"text":"Content-Length: 5"}',
        b"x" * 20_000,
        b"\x00\xff" * 50,
        b"Content-Length\r\n",
        b"Foo: content-length\r\n",
    ],
)
def test_PR_08_garbage_between_frames_is_skipped_and_counted_once(garbage: bytes) -> None:
    parser = FrameParser()
    assert bodies(parser.feed(GOOD + garbage + GOOD)) == [b'{"id":1}'] * 2
    assert parser.resyncs <= 1
    if garbage.strip() and b": " not in garbage[:20]:
        assert parser.resyncs == 1


def test_PR_08_a_length_that_is_too_short_costs_one_message() -> None:
    parser = FrameParser()
    assert bodies(parser.feed(b'Content-Length: 4\r\n\r\n{"id":1}' + GOOD)) == [b'{"id', b'{"id":1}']
    assert parser.resyncs == 1


def test_a_header_beyond_its_limit_is_thrown_away() -> None:
    parser = FrameParser()
    huge = b"".join(b"X-%d: %s\r\n" % (n, b"v" * 100) for n in range(200))
    assert bodies(parser.feed(huge + b"Content-Length: 8\r\n\r\n" + b'{"id":1}' + GOOD))[-1] == b'{"id":1}'
    assert parser.resyncs >= 1


def test_an_empty_body_is_a_frame() -> None:
    assert bodies(FrameParser().feed(b"Content-Length: 0\r\n\r\n" + GOOD)) == [b"", b'{"id":1}']


def test_a_large_message_in_small_pieces_takes_linear_time() -> None:
    body = b"x" * (32 * 1024 * 1024)
    data = frame(body)
    parser, items = FrameParser(), []
    start = time.perf_counter()
    for at in range(0, len(data), 65536):
        items += parser.feed(data[at : at + 65536])
    assert bodies(items) == [body]
    assert time.perf_counter() - start < 2.0


@given(
    st.lists(st.binary(max_size=200), max_size=8),
    st.lists(st.integers(1, 60), min_size=1, max_size=30),
)
def test_any_split_of_the_bytes_gives_the_same_frames(contents: list[bytes], cuts: list[int]) -> None:
    data = b"".join(map(frame, contents))
    parser, items, at, turn = FrameParser(), [], 0, 0
    while at < len(data):
        items += parser.feed(data[at : at + cuts[turn % len(cuts)]])
        at += cuts[turn % len(cuts)]
        turn += 1
    assert bodies(items) == contents
    assert parser.resyncs == 0


PIECES = st.sampled_from(
    [
        GOOD,
        b"Content-Length: ",
        b"Content-Length: 99999\r\n\r\n",
        b"\r\n",
        b"\n",
        b"{",
        b"7",
        b"-1",
        b"\r\n\r\n",
        b"\xff",
    ]
)


@given(st.lists(PIECES | st.binary(max_size=20), max_size=30), st.integers(1, 40))
def test_after_any_bytes_at_all_a_good_frame_is_heard(noise: list[bytes], cut: int) -> None:
    parser = FrameParser(max_body=1000)
    data = b"".join(noise)
    for at in range(0, len(data), cut):
        parser.feed(data[at : at + cut])
    heard: list[bytes] = []
    for _ in range(3):  # an unfinished body may swallow some
        heard += bodies(parser.feed(b" " * 1100 + b"\n" + GOOD))
    assert b'{"id":1}' in heard
