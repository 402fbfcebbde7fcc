from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.shell.output import Cleaner, Kept, clean


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=6))
def test_any_bytes_in_any_pieces_become_the_same_clean_valid_text(data, cuts):
    cleaner, text, last = Cleaner(), "", 0
    for cut in sorted(cut for cut in cuts if cut < len(data)):
        text += cleaner.feed(data[last:cut])
        last = cut
    text += cleaner.feed(data[last:], last=True)
    assert text.encode("utf-8").decode("utf-8") == text
    assert not set(text) & {"\x1b", "\r", "\0", "\x07", "\u202e"}


def test_SH_23_escape_sequences_are_taken_out_also_when_cut_in_two():
    cleaner = Cleaner()
    assert (
        cleaner.feed(b"a\x1b[3")
        + cleaner.feed(b"1mb\x1b]0;t")
        + cleaner.feed(b"itle\x07c\r")
        + cleaner.feed(b"\nd\re", last=True)
        == "abc\nd\ne"
    )
    assert clean("\x1b[2J\x1b(Bx\x9b1my") == "xy"


def test_short_output_is_kept_whole_and_long_output_at_both_ends():
    kept = Kept(10)
    for piece in ("abc", "defghij", "0123456789"):
        kept.add(piece)
    assert (kept.text(), kept.cut) == ("abcdefghij0123456789", False)
    kept.add("\nlast line")
    assert kept.cut
    assert kept.text().startswith("abcdefghij\n… [")
    assert kept.text().endswith("last line")


@given(st.lists(st.text(max_size=50), max_size=30))
def test_kept_text_is_bounded_and_knows_how_much_there_was(pieces):
    kept = Kept(40)
    for piece in pieces:
        kept.add(piece)
    whole = "".join(pieces)
    assert kept.chars == len(whole)
    assert len(kept.text()) <= 160
    if not kept.cut:
        assert kept.text() == whole
    text, start = kept.since(len(whole) - 10)
    assert text == whole[start:]


def test_a_cut_leaves_no_half_picture():
    kept = Kept(4)
    kept.add("abc👩")
    kept.add("\u200d👩\u200d👧x" + "y" * 20 + "e\u0301zzz")
    head, tail = kept.text().split("\n… [")[0], kept.text().split("] …\n")[1]
    assert head == "abc"
    assert not tail.startswith("\u0301")


def test_reading_from_an_offset_gives_what_is_new():
    kept = Kept(100)
    kept.add("hello ")
    assert kept.since(0) == ("hello ", 0)
    kept.add("world")
    assert kept.since(6) == ("world", 6)
    assert kept.since(11) == ("", 11)
    assert kept.since(99) == ("", 11)
