import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.domain.errors import FileUnreadable, WorkspaceError
from lsp_agent.workspace.encoding import TextFormat, decode, encode

FORMS = st.sampled_from(
    [
        TextFormat(),
        TextFormat("utf-8", codecs.BOM_UTF8),
        TextFormat("utf-16-le", codecs.BOM_UTF16_LE),
        TextFormat("utf-16-be", codecs.BOM_UTF16_BE),
    ]
)
TEXT = st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"]), max_size=50)


@given(TEXT, FORMS)
def test_FS_16_every_supported_encoding_makes_a_round_trip_byte_for_byte(text, form):
    data = encode(text, form, "a")
    assert decode(data, "a") == (text, form)
    assert encode(*decode(data, "a"), "a") == data


@given(st.binary(max_size=60))
def test_FS_16_bytes_are_either_refused_or_come_back_the_same(data):
    try:
        text, form = decode(data, "a")
    except FileUnreadable:
        return
    assert encode(text, form, "a") == data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00\x01\x02", "binary"),
        (b"\x7fELF\x02\x01\x01\x03\xff\xfe\x05\x06", "binary"),
        ("naïve text in another code\n".encode("latin-1") * 3, "not decodable"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8", "not decodable"),
        (codecs.BOM_UTF16_LE + b"a", "not decodable"),
        ("text".encode("utf-32"), "not decodable"),
        (b"\xed\xa0\x80", "not decodable"),
    ],
)
def test_FS_16_what_is_no_text_is_refused_with_the_reason(data, reason):
    with pytest.raises(FileUnreadable) as caught:
        decode(data, "a")
    assert caught.value.reason == reason


def test_half_a_surrogate_pair_cannot_be_written():
    with pytest.raises(WorkspaceError):
        encode("\ud800", TextFormat(), "a")
