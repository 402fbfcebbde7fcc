"""Every method of PROTOCOL 3–7 with params that do not fit: −32602 with the path, or the kind of section 12."""

import pytest

from tests.guarantees.world import Shared, refused, turn

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAD = [
    ("agent/run", {}, "prompt"),
    ("agent/run", {"prompt": 5}, "prompt"),
    ("agent/run", {"prompt": None}, "prompt"),
    ("agent/run", {"prompt": ""}, "prompt"),
    ("agent/run", {"prompt": "  \n"}, "prompt"),
    ("agent/run", {"prompt": []}, "prompt"),
    ("agent/run", {"prompt": [{"type": "text"}]}, "prompt[0].text"),
    ("agent/run", {"prompt": [{"type": "nothing"}]}, "prompt[0].type"),
    ("agent/run", {"prompt": "x", "runId": ""}, "runId"),
    ("agent/run", {"prompt": "x", "runId": "r" * 129}, "runId"),
    ("agent/run", {"prompt": "x", "runId": 5}, "runId"),
    ("agent/run", {"prompt": "x", "sessionId": 5}, "sessionId"),
    ("agent/run", {"prompt": "x", "whenBusy": 5}, "whenBusy"),
    ("agent/run", {"prompt": "x", "attachments": {}}, "attachments"),
    ("agent/run", {"prompt": "x", "attachments": [{"type": "file"}]}, "attachments[0].uri"),
    (
        "agent/run",
        {"prompt": "x", "attachments": [{"type": "text", "text": "a"}, {"type": "hologram"}]},
        "attachments[1].type",
    ),
    ("agent/run", {"prompt": "x", "attachments": [{"type": "image"}]}, "attachments[0]"),
    (
        "agent/run",
        {"prompt": "x", "attachments": [{"type": "image", "data": "!!", "mimeType": "image/png"}]},
        "attachments[0].data",
    ),
    ("agent/run", {"prompt": "x", "options": 5}, "options"),
    ("agent/run", {"prompt": "x", "options": {"temperature": "hot"}}, "options.temperature"),
    ("agent/run", {"prompt": "x", "options": {"maxSteps": -1}}, "options.maxSteps"),
    ("agent/steer", {"sessionId": "s", "prompt": "x"}, "expectedRunId"),
    ("agent/steer", {"expectedRunId": "s", "prompt": "x"}, "sessionId"),
    ("agent/cancel", {}, "sessionId"),
    ("agent/cancel", {"sessionId": []}, "sessionId"),
    ("agent/queue", {}, "sessionId"),
    ("agent/queue", {"sessionId": "s", "op": "explode"}, "op"),
    ("agent/queue", {"sessionId": "s", "op": "edit"}, "runId"),
    ("agent/queue", {"sessionId": "s", "op": "move", "runId": "r"}, "index"),
    ("agent/queue", {"sessionId": "s", "op": "clear", "ifRevision": "x"}, "ifRevision"),
    ("agent/status", {"sessionId": 4}, "sessionId"),
    ("agent/session/new", {"title": 4}, "title"),
    ("agent/session/list", {"limit": "many"}, "limit"),
    ("agent/session/list", {"cursor": "not ours"}, "cursor"),
    ("agent/session/get", {}, "sessionId"),
    ("agent/session/read", {}, "sessionId"),
    ("agent/session/rename", {"sessionId": "s"}, "title"),
    ("agent/session/delete", {}, "sessionId"),
    ("agent/session/fork", {}, "sessionId"),
    ("agent/session/export", {"sessionId": "s"}, "format"),
    ("agent/session/export", {"sessionId": "s", "format": "pdf"}, "format"),
    ("agent/session/compact", {}, "sessionId"),
    ("agent/session/configure", {"sessionId": "s", "value": 1}, "optionId"),
    ("agent/session/attach", {}, "sessionId"),
    ("agent/session/attach", {"sessionId": "s", "afterSeq": "x"}, "afterSeq"),
    ("agent/session/attach", {"sessionId": "s", "afterSeq": -1}, "afterSeq"),
    ("agent/session/detach", {}, "sessionId"),
    ("agent/permission/respond", {"outcome": {"type": "cancelled"}}, "requestId"),
    ("agent/permission/respond", {"requestId": "p"}, "outcome"),
    ("agent/permission/respond", {"requestId": "p", "outcome": {"type": "selected"}}, "outcome.optionId"),
    ("agent/models/list", {"limit": "x"}, "limit"),
    ("agent/models/list", {"cursor": "x"}, "cursor"),
]


@pytest.mark.parametrize(("method", "params", "path"), BAD)
async def test_bad_params_name_the_field(shared: Shared, method, params, path):
    error = await refused(shared.client, method, params)
    assert error.code == -32602
    assert error.data["path"] == path
    assert error.kind in ("InvalidParams", "EmptyPrompt")


NOBODY = [
    ("agent/run", {"sessionId": "nobody", "prompt": "x"}),
    ("agent/session/get", {"sessionId": "nobody"}),
    ("agent/session/read", {"sessionId": "nobody"}),
    ("agent/session/rename", {"sessionId": "nobody", "title": "t"}),
    ("agent/session/delete", {"sessionId": "nobody"}),
    ("agent/session/fork", {"sessionId": "nobody"}),
    ("agent/session/export", {"sessionId": "nobody", "format": "json"}),
    ("agent/session/compact", {"sessionId": "nobody"}),
    ("agent/session/configure", {"sessionId": "nobody", "optionId": "mode", "value": "ask"}),
    ("agent/session/attach", {"sessionId": "nobody"}),
]


@pytest.mark.parametrize(("method", "params"), NOBODY)
async def test_a_session_that_does_not_exist(shared: Shared, method, params):
    error = await refused(shared.client, method, params)
    assert (error.code, error.kind, error.data["id"]) == (-31003, "SessionNotFound", "nobody")


async def test_an_empty_prompt_says_so(shared: Shared):
    error = await refused(shared.client, "agent/run", {"prompt": " "})
    assert (error.kind, error.data["retryable"]) == ("EmptyPrompt", False)
    png = {"type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/png"}
    error = await refused(shared.client, "agent/run", {"prompt": "", "attachments": [png]})
    assert error.kind == "EmptyPrompt"


async def test_an_empty_prompt_with_a_text_attachment_is_enough(shared: Shared):
    _, done = await turn(shared.client, "", attachments=[{"type": "text", "text": "words"}])
    assert done["stopReason"] == "end_turn"


async def test_answers_to_questions_nobody_asked_are_results(shared: Shared):
    answer = await shared.client.request(
        "agent/permission/respond", {"requestId": "p", "outcome": {"type": "selected", "optionId": "allow_once"}}
    )
    assert answer["accepted"] is False
    assert set(answer) >= {"resolvedBy", "outcome"}
    answer = await shared.client.request(
        "agent/permission/respond", {"requestId": "p", "outcome": {"type": "whatever"}}
    )
    assert answer["accepted"] is False
    answer = await shared.client.request("agent/question/respond", {"requestId": "q", "action": "decline"})
    assert answer["accepted"] is False


async def test_unknown_enum_values_are_tolerated(shared: Shared):
    result, done = await turn(shared.client, whenBusy="telepathy", options={"mode": None})
    assert done["stopReason"] == "end_turn"
    assert result["state"] == "running"


@pytest.mark.parametrize(
    "method", ["agent/models/list", "agent/tools/list", "agent/commands/list", "agent/rules/list", "agent/mcp/list"]
)
async def test_every_list_answers_and_pages(shared: Shared, method):
    whole = await shared.client.request(method)
    name = next(key for key in whole if isinstance(whole[key], list))
    assert whole.get("nextCursor") is None
    if len(whole[name]) > 1:
        first = await shared.client.request(method, {"limit": 1})
        assert first[name] == whole[name][:1]
        second = await shared.client.request(method, {"limit": 1, "cursor": first["nextCursor"]})
        assert second[name] == whole[name][1:2]


async def test_the_model_that_would_be_used_is_listed(shared: Shared):
    models = (await shared.client.request("agent/models/list"))["models"]
    mine = next(m for m in models if m["id"] == "fake/large")
    assert mine["contextWindow"] == 200000
    assert mine["name"] == "Large"


async def test_07_methods_of_the_protocol_are_never_silent(shared: Shared):
    for method, params in (
        ("agent/changes/list", {"sessionId": "s"}),
        ("agent/changes/resolve", {"sessionId": "s", "action": "accept", "targets": [{"all": True}]}),
        ("agent/checkpoint/list", {"sessionId": "s"}),
        ("agent/trust/get", {"root": "file:///x"}),
        ("agent/terminal/kill", {"sessionId": "s", "terminalId": "001"}),
    ):
        error = await refused(shared.client, method, params)
        assert error.code in (-32601, -32602, -31013, -31003)
