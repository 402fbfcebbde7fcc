"""Bodies that are read, cleaned or refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.wire.json_decode import NotJson, clean, decode, replace_surrogates


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{]", b"\xff", b'"\xff"', b"{'a':1}", b"[1,]", b"\xef\xbb\xbf{}", b"nul", b"{}{}", b'"\x01"'],
)
def test_PR_03_what_is_not_json_in_utf_8_is_refused(body: bytes) -> None:
    with pytest.raises(NotJson):
        decode(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (rb'"\ud800"', "\ufffd"),
        (rb'"a\udc00b"', "a\ufffdb"),
        (rb'{"\ud800":["\udfff"]}', {"\ufffd": ["\ufffd"]}),
        (rb'"\ud83d\ude00\ud83d"', "\U0001f600\ufffd"),
    ],
)
def test_PR_09_a_lone_surrogate_becomes_a_replacement_character(body: bytes, value: object) -> None:
    assert decode(body) == (value, True)


@pytest.mark.parametrize(
    "number",
    [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9223372036854775808", b"-9223372036854775809", b"1" * 5000],
)
def test_PR_10_a_number_that_has_no_place_in_64_bits_is_found(number: bytes) -> None:
    assert decode(b'{"id":1,"params":[' + number + b"]}") == ({"id": 1, "params": [None]}, False)


@pytest.mark.parametrize(
    "number", [b"9223372036854775807", b"-9223372036854775808", b"1e300", b"0.1234567890123456789"]
)
def test_a_number_that_fits_is_exact(number: bytes) -> None:
    assert decode(number) == (json.loads(number), True)


def test_digits_in_a_text_are_not_a_number() -> None:
    text = "9" * 40
    assert decode(json.dumps({"a": text, "b": 1e300}).encode()) == ({"a": text, "b": 1e300}, True)


@pytest.mark.parametrize("depth", [65, 100, 1023, 1025, 100_000])
@pytest.mark.parametrize(("left", "right"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_PR_11_nesting_beyond_64_is_refused(depth: int, left: bytes, right: bytes) -> None:
    with pytest.raises(NotJson):
        decode(left * depth + b"1" + right * depth)


def test_nesting_of_64_and_many_siblings_are_read() -> None:
    assert decode(b"[" * 64 + b"]" * 64)[1]
    assert decode(json.dumps([[]] * 1000).encode()) == ([[]] * 1000, True)


def test_of_a_repeated_key_the_last_value_wins() -> None:
    assert decode(b'{"jsonrpc":"1.0","jsonrpc":"2.0"}') == ({"jsonrpc": "2.0"}, True)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_every_json_value_survives(value: object) -> None:
    assert decode(json.dumps(value).encode()) == (value, True)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20))
def test_cleaned_text_is_always_utf_8_and_pairs_are_joined(text: str) -> None:
    torn = text.encode("utf-16-le").decode("utf-16-le")
    halves = "".join(chr(unit) for unit in memoryview(torn.encode("utf-16-le")).cast("H"))
    assert replace_surrogates(halves) == text
    assert clean([{text: "\ud800"}]) == [{text: "\ufffd"}]
