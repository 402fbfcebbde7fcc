"""A plain `agent/run` read by hand is what the types read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.domain.errors import RequestRejected
from lsp_agent.protocol.accept import typed_run
from lsp_agent.protocol.run_request import plain_run, read_run

ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.just([]), st.just({}), st.just([{}])
)
IDS = st.one_of(
    ODD, st.text(st.characters(codec=None), max_size=3), st.just("r1"), st.just("x" * 128), st.just("x" * 129)
)
RAW = st.one_of(
    ODD,
    st.fixed_dictionaries(
        {"prompt": st.one_of(st.text(st.characters(codec=None), max_size=20), ODD)},
        optional={
            "sessionId": IDS,
            "runId": IDS,
            "whenBusy": st.one_of(ODD, st.sampled_from(["queue", "fold", "reject", "interrupt", "later"])),
            "attachments": ODD,
            "options": st.one_of(ODD, st.just({"mode": "plan"}), st.just({"title": "t"})),
            "extra": ODD,
        },
    ),
)


@given(RAW)
def test_what_is_read_by_hand_reads_the_same_by_the_types(raw):
    plain = plain_run(raw)
    if plain is not None:
        assert plain == typed_run(raw)


@pytest.mark.parametrize(
    "raw",
    [
        {"prompt": "hello"},
        {"prompt": "", "sessionId": None, "attachments": [], "options": {}},
        {"prompt": "ü\n😀", "sessionId": "s1", "runId": "r1", "whenBusy": "fold", "attachments": None, "options": None},
    ],
)
def test_a_plain_prompt_needs_no_types(raw):
    assert plain_run(raw) == typed_run(raw)


@pytest.mark.parametrize(
    "raw",
    [
        {"prompt": [{"type": "text", "text": "hello"}]},
        {"prompt": "hello", "options": {"title": "t"}},
        {"prompt": "hello", "attachments": [{"type": "file", "uri": "file:///a"}]},
        {"prompt": "hello", "whenBusy": "some day"},
        {"prompt": "x" * 100_001},
    ],
)
def test_what_is_more_than_a_plain_prompt_is_left_to_the_types(raw):
    assert plain_run(raw) is None
    assert read_run(raw) == typed_run(raw)


@pytest.mark.parametrize("raw", [None, [], {}, {"prompt": 1}, {"prompt": "\ud800"}, {"prompt": "a", "runId": ""}])
def test_what_is_wrong_is_refused_by_the_types(raw):
    assert plain_run(raw) is None
    with pytest.raises(RequestRejected):
        read_run(raw)
