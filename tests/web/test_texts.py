# ruff: noqa: E501  # tables read better in few lines
"""Answers that would load something by themselves, and secrets cut in two by a stream."""

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_agent.log import HIDDEN, Redactor
from lsp_agent.web.holdback import MAX_BLOCK_CHARS, HoldBack
from lsp_agent.web.remote_images import defuse

LOADING = [
    "![x](https://evil.example/?q=1)", "![](http://evil.example/a.png)", "![a b](<https://evil.example/x y>)", '![a](https://evil.example/a "title")',
    "![a](//evil.example/a)", "[![badge](https://evil.example/b)](https://ok.example)", "![a][r]\n\n[r]: https://evil.example/x", "![r]\n\n[r]: <https://evil.example/x>",
    "![r][]\n\n[R]:\n  https://evil.example/x", "<img src=https://evil.example/a>", "<IMG SRC='//evil.example/a'>", '<img\nsrcset="https://evil.example/a 1x">', "![a\nb](https://evil.example/)",
    "<picture><source srcset=https://evil.example/a></picture>", "<video poster=https://evil.example/a>", "<link rel=stylesheet href=https://evil.example/a>", "<td background=//evil.example/x>",
    "<iframe src=https://evil.example/></iframe>", "<svg><image href=https://evil.example/a /></svg>", "<style>@import 'https://evil.example/'</style>", "![a](  https://evil.example/a  )",
    "![a](HTTPS://EVIL.example/a)", "![a](https:/\\evil.example/a)", "![a](https&colon;//evil.example/)", "![a](\\\\evil.example\\a)", "![a [b] c](https://evil.example/a)",
    "![a `](x.png)` b](https://evil.example/a)", "![a](https://evil.example/`) ![b](https://evil.example/) `", "\\` ![a](https://evil.example/a) `", "| ` | ![a](https://evil.example/a) ` |",
    "para\n    ```\n![a](https://evil.example/a)", "- a\n  ```\nb\n![a](https://evil.example/a)", "<div>\n```\n\n![a](https://evil.example/a)", "<!--\n```\n-->\n![a](https://evil.example/a)",
    "\\\\![a](https://evil.example/a)", "\\<img src=https://evil.example/a>", "<p title='<' style='background:url(https://evil.example/a)'>", "[x](`) ![a](https://evil.example/a) `", "> ```\n![a](https://evil.example/a)",
    "![a](https://good.example@evil.example/a)", "![a](https://good.example.evil.example/a)", "![![a](https://evil.example/a)](x.png)", "> [r]: https://evil.example/a\n\n![r]", "```a`\n![a](https://evil.example/a)",
    "![a](https://user@evil.example/a)", "![a](ftp://evil.example/a)", "![a](https://evil.example/(x)y)", "- ![a](https://evil.example/a)", "> ![a](https://evil.example/a)",
]  # fmt: skip
STILL = [
    "plain text", "[a link](https://evil.example/x)", "```\n![a](https://evil.example/a)\n```", "~~~md\n<img src=https://evil.example/a>\n~~~\n",
    "![local](docs/images/a.png)", "![local](./a.png)", "![data](data:image/png;base64,AAAA)", "![ok](https://good.example/a.png)", "a < b and c > d", "x![0] = y",
    "```\nnever closed ![a](https://evil.example/a)", "<b>bold</b>", "<https://evil.example/>", "![a][nowhere]", "if a![b](c)",
]  # fmt: skip


@pytest.mark.parametrize("text", LOADING)
def test_EX_03_nothing_is_loaded_from_a_host_nobody_named(text):
    safe = defuse(text, ["good.example"])
    assert safe.hosts, text
    assert "evil.example" in safe.text.lower() or "evil.example" in text.lower()
    again = defuse(safe.text, ["good.example"])
    assert again.hosts == (), (safe.text, again)
    assert again.text == safe.text


@pytest.mark.parametrize("text", STILL)
def test_EX_03_what_loads_nothing_stays_as_it_is(text):
    assert defuse(text, ["good.example"]).text == text


def test_EX_03_the_address_stays_readable():
    assert (
        defuse("see ![a `cat`](https://evil.example/?q=`x`) here").text
        == "see !\\[a `cat`](https://evil.example/?q=`x`) here"
    )


def test_EX_03_long_answers_take_no_time():
    for text in (
        "![" * 200_000,
        "![a](" * 100_000,
        "`" * 300_000,
        "<img " * 100_000,
        "[a]: " * 100_000,
        "```\n" * 100_000,
        "![a](https://x.example/) " * 20_000,
        "~" * 300_000,
        "![[" * 100_000,
    ):
        started = time.monotonic()
        defuse(text)
        assert time.monotonic() - started < 3, text[:10]


SECRETS = ["sk-canary-4711-do-not-show", "correct horse battery staple", "пароль-секрет-очень"]
REDACTOR = Redactor(SECRETS)
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc def\nxyz==\n-----END RSA PRIVATE KEY-----"
TEXT = (
    f"The key is {SECRETS[0]}, and «{SECRETS[1]}» or {SECRETS[2]}! Authorization: Bearer abcdefgh12345678 x-api-key: 0123456789ab\n{PEM}\n"
    "ghp_abcdefghijklmnopqrstuvwxyz0123 https://user:hunter2hunter@host/x AKIAIOSFODNN7EXAMPLE eyJhbGciOiJI.eyJzdWIiOiIx.c2ln 日本語 end. correct horse is fine"
)
FRAGMENTS = [
    *SECRETS,
    "MIIEabc def",
    "abcdefgh12345678",
    "0123456789ab",
    "ghp_abcdefghijkl",
    "hunter2hunter",
    "AKIAIOSFODNN7",
    "eyJzdWIiOiIx",
]


def streamed(pieces, redact=REDACTOR.redact):
    hold = HoldBack(redact, lambda: SECRETS)
    return [*[hold.feed(piece) for piece in pieces], hold.finish()]


def test_EX_15_no_split_in_two_lets_a_secret_through():
    whole = REDACTOR.redact(TEXT)
    for at in range(len(TEXT) + 1):
        assert "".join(streamed([TEXT[:at], TEXT[at:]])) == whole, at
    assert not [part for part in FRAGMENTS if part in whole]


def test_EX_15_no_size_of_pieces_lets_a_secret_through():
    whole = REDACTOR.redact(TEXT)
    for size in range(1, len(TEXT)):
        assert "".join(streamed([TEXT[at : at + size] for at in range(0, len(TEXT), size)])) == whole, size


@given(st.lists(st.integers(0, len(TEXT)), max_size=30))
@settings(max_examples=300, deadline=None)
def test_EX_15_any_pieces_give_the_same_text(cuts):
    edges = [0, *sorted(cuts), len(TEXT)]
    out = streamed([TEXT[a:b] for a, b in itertools.pairwise(edges)])
    assert "".join(out) == REDACTOR.redact(TEXT)


@given(st.lists(st.text(max_size=40), max_size=20))
@settings(max_examples=200, deadline=None)
def test_text_without_secrets_arrives_whole(pieces):
    assert "".join(streamed(pieces, lambda text: text)) == "".join(pieces)


def test_only_the_last_word_waits():
    hold = HoldBack(REDACTOR.redact)
    assert hold.feed("Hello wor") == "Hello "
    assert hold.feed("ld and more ") == "world and more "
    assert hold.feed("日本語の文") == "日本語の文"
    assert hold.waiting_chars == 0
    assert hold.feed("x" * 10_000) != ""


def test_a_private_key_that_never_ends_is_never_shown():
    hold = HoldBack(REDACTOR.redact)
    out = [hold.feed("a -----BEGIN PRIVATE KEY-----\n"), *[hold.feed("MIIsecret line\n") for _ in range(20_000)]]
    assert hold.waiting_chars < 2 * MAX_BLOCK_CHARS
    out += [hold.feed("-----END PRIVATE KEY-----\nafter "), hold.finish()]
    text = "".join(out)
    assert "MIIsecret" not in text
    assert text.startswith(f"a {HIDDEN}")
    assert text.endswith("after ")
