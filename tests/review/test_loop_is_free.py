"""What is decided on the event loop must not take long, whatever a model writes."""

import time

import pytest

from lsp_agent.trust.remote_references import new_remote_references


@pytest.mark.parametrize(
    "text",
    ["# see [x](http://a.example/c) there\n" * 20_000, "](http://x" * 40_000, "![" + "a](http://x" * 20_000],
    ids=["links", "targets", "images"],
)
def test_a_long_document_full_of_links_is_looked_through_quickly(text):
    began_s = time.process_time()
    new_remote_references("", text, "a.md")
    assert time.process_time() - began_s < 1.0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("![a](http://x.example/1)", True),
        ("[a](http://x.example/1)", False),
        ("![a\n](http://x.example/1)", True),
        ("![a](y)\n\n[b](http://x.example/1)", False),
        ("![a](y)\n\n\n[b](http://x.example/1) ![c](http://z.example/1)", True),
        ("![" + "a" * 9_000 + "](http://x.example/1)", True),
        ("![" + "a" * 11_000 + "](http://x.example/1)", False),
        ("![a](y) [b](http://x.example/1)", True),
    ],
)
def test_a_target_counts_when_an_image_may_begin_before_it_in_the_paragraph(text, found):
    assert bool(new_remote_references("", text, "a.md")) is found
