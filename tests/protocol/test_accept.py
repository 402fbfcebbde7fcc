import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.domain.errors import RequestRejected
from lsp_agent.domain.run import RunOptions
from lsp_agent.protocol.accept import content_hash, submitted
from lsp_agent.protocol.decode import decode
from lsp_agent.protocol.runs import RunParams, SteerParams


def run(**fields):
    return decode(RunParams, fields)


def test_a_string_prompt_stays_as_it_is():
    assert submitted(run(prompt="fix it")).prompt == "fix it"
    assert submitted(run(prompt="fix it")).options == RunOptions()


def test_blocks_become_text_and_attachments_behind_those_of_the_caller():
    image = base64.b64encode(b"png").decode()
    done = submitted(
        run(
            prompt=[
                {"type": "text", "text": "look"},
                {"type": "image", "data": image, "mimeType": "image/png"},
                {"type": "resource_link", "uri": "file:///w/a.py", "name": "a.py"},
                {"type": "resource", "resource": {"uri": "mem://b", "text": "body"}},
                {"type": "text", "text": "and answer"},
            ],
            attachments=[{"type": "diagnostics", "severity": 1, "uri": None}],
        )
    )
    assert done.prompt == "look\nand answer"
    assert done.attachments == (
        {"type": "diagnostics", "severity": 1},
        {"type": "image", "data": image, "mimeType": "image/png"},
        {"type": "buffer", "uri": "file:///w/a.py"},
        {"type": "text", "text": "body", "name": "mem://b"},
    )


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        ({"uri": "u", "blob": "AAAA", "mimeType": "application/zip"}, "prompt[0].resource.mimeType"),
        ({"uri": "u", "blob": "!", "mimeType": "text/plain"}, "prompt[0].resource.blob"),
    ],
)
def test_a_resource_nobody_can_read_is_refused_by_its_place(resource, path):
    with pytest.raises(RequestRejected) as caught:
        submitted(run(prompt=[{"type": "resource", "resource": resource}]))
    assert caught.value.data["path"] == path


def test_options_reach_the_domain():
    options = submitted(
        run(
            prompt="x",
            options={
                "model": "a/b",
                "mode": "plan",
                "maxOutputTokens": 9,
                "topP": 0.5,
                "providerOptions": {"a": 1},
                "maxSteps": 4,
                "maxCostUsd": 1,
                "nonInteractive": True,
                "title": "t",
            },
        )
    ).options
    assert (options.model, options.mode, options.max_steps, options.max_cost_usd) == ("a/b", "plan", 4, 1.0)
    assert (options.sampling.max_output_tokens, options.sampling.top_p, options.sampling.temperature) == (9, 0.5, None)
    assert (options.provider_options, options.non_interactive, options.title) == ({"a": 1}, True, "t")


def test_the_hash_sees_content_only():
    plain = run(prompt="x", runId="r1")
    assert content_hash(plain) == content_hash(run(prompt="x", runId="r1", attachments=[], options={}, later=1))
    assert content_hash(plain) == content_hash(run(prompt="x", runId="other", sessionId="s", whenBusy="queue"))
    others = [
        run(prompt="y"),
        run(prompt="x", attachments=[{"type": "file", "uri": "u"}]),
        run(prompt="x", options={"model": "a/b"}),
        run(prompt=[{"type": "text", "text": "x"}]),
    ]
    assert len({content_hash(item) for item in (plain, *others)}) == 5


@given(st.text(max_size=40), st.dictionaries(st.text(max_size=4), st.integers(-5, 5), max_size=4))
def test_the_hash_does_not_depend_on_the_order_of_fields(prompt, provider_options):
    there = run(prompt=prompt, options={"providerOptions": provider_options})
    back = run(options={"providerOptions": dict(reversed(provider_options.items()))}, prompt=prompt)
    assert content_hash(there) == content_hash(back)


def test_steering_is_flattened_the_same_way():
    params = decode(SteerParams, {"sessionId": "s", "expectedRunId": "r", "prompt": [{"type": "text", "text": "x"}]})
    assert submitted(params).prompt == "x"
