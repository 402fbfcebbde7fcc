import pytest

from lsp_agent.domain.errors import RequestRejected
from lsp_agent.protocol import runs, sessions
from lsp_agent.protocol.changes import ChangesResolveParams
from lsp_agent.protocol.decisions import PermissionRespondParams, QuestionRespondParams
from lsp_agent.protocol.decode import decode, path_of
from lsp_agent.protocol.runs import CancelParams, QueueParams, RunParams, StatusParams

SECRET = "sk-this-must-not-come-back"


def rejected(params_type, raw) -> RequestRejected:
    with pytest.raises(RequestRejected) as caught:
        decode(params_type, raw)
    assert caught.value.kind == "InvalidParams"
    return caught.value


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ({}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": [{"type": "text"}]}, "prompt[0].text"),
        ({"prompt": ["x"]}, "prompt[0]"),
        ({"prompt": [{"type": "hologram"}]}, "prompt[0].type"),
        ({"prompt": "x", "runId": ""}, "runId"),
        ({"prompt": "x", "runId": "r" * 129}, "runId"),
        ({"prompt": "x", "runId": 7}, "runId"),
        ({"prompt": "x" * (8 * 1024 * 1024 + 1)}, "prompt"),
        ({"prompt": "x", "attachments": {}}, "attachments"),
        ({"prompt": "x", "attachments": [{"type": "buffer"}]}, "attachments[0].uri"),
        ({"prompt": "x", "attachments": [{"uri": "file:///a"}]}, "attachments[0].type"),
        ({"prompt": "x", "attachments": [{"type": "file", "uri": "u"}, {"type": "nope"}]}, "attachments[1].type"),
        ({"prompt": "x", "attachments": [{"type": "text", "text": "t", "name": 1}]}, "attachments[0].name"),
        ({"prompt": "x", "attachments": [{"type": "image"}]}, "attachments[0]"),
        (
            {"prompt": "x", "attachments": [{"type": "buffer", "uri": "u", "range": {"start": {"line": -1}}}]},
            "attachments[0].range.start.line",
        ),
        ({"prompt": "x", "options": []}, "options"),
        ({"prompt": "x", "options": {"temperature": "1"}}, "options.temperature"),
        ({"prompt": "x", "options": {"maxSteps": 1.5}}, "options.maxSteps"),
        ({"prompt": "x", "options": {"maxSteps": True}}, "options.maxSteps"),
        ({"prompt": "x", "options": {"maxSteps": 2**53}}, "options.maxSteps"),
        ({"prompt": "x", "options": {"maxSteps": 10**400}}, "options.maxSteps"),
        ({"prompt": "x", "options": {"mode": "yolo"}}, "options.mode"),
        ({"prompt": "x", "options": {"nonInteractive": 1}}, "options.nonInteractive"),
    ],
)
def test_wrong_params_of_a_run_name_the_field(raw, path):
    assert rejected(RunParams, raw).data["path"] == path


@pytest.mark.parametrize("raw", [[], "x", 5, True, 1.5])
def test_params_that_are_no_object_are_rejected_as_a_whole(raw):
    assert rejected(StatusParams, raw).data["path"] == ""


def test_missing_or_null_params_read_as_an_empty_object():
    assert decode(StatusParams, None) == decode(StatusParams, {})


@pytest.mark.parametrize(
    "raw",
    [
        {"prompt": {"k": SECRET}},
        {"prompt": "x", "runId": SECRET * 10},
        {"prompt": "x", "attachments": [{"type": SECRET}]},
        {"prompt": "x", "options": {"mode": SECRET, "temperature": SECRET}},
        {"prompt": "x", "attachments": [SECRET]},
    ],
)
def test_no_rejection_repeats_what_was_sent_or_links_anywhere(raw):
    text = str(rejected(RunParams, raw))
    assert SECRET not in text
    assert "http" not in text
    assert len(text) < 120


def test_unknown_fields_and_meta_are_ignored():
    raw = {"prompt": "x", "_meta": {"a": 1}, "brandNew": [], "options": {"_meta": 1, "later": 2}}
    assert decode(RunParams, raw).prompt == "x"


def test_null_in_an_optional_field_reads_as_absent():
    raw = {"prompt": "x", "sessionId": None, "runId": None, "attachments": None, "whenBusy": None, "options": None}
    assert decode(RunParams, raw) == decode(RunParams, {"prompt": "x"})


def test_snake_case_is_not_accepted_in_place_of_camel_case():
    assert decode(RunParams, {"prompt": "x", "run_id": "r"}).run_id is None


def test_an_integer_written_with_a_decimal_point_is_an_integer():
    assert decode(QueueParams, {"sessionId": "s", "index": 3.0}).index == 3


def test_unknown_modifiers_read_as_their_default_and_never_destroy_more():
    assert decode(RunParams, {"prompt": "x", "whenBusy": "later"}).when_busy is None
    assert decode(CancelParams, {"sessionId": "s", "queue": "burn"}).queue == "keep"
    steer = {"sessionId": "s", "expectedRunId": "r", "prompt": "x", "otherwise": "maybe"}
    assert decode(runs.SteerParams, steer).otherwise == "reject"


def test_unknown_verbs_are_refused():
    assert rejected(QueueParams, {"sessionId": "s", "op": "explode"}).data["path"] == "op"
    assert rejected(sessions.SessionExportParams, {"sessionId": "s", "format": "pdf"}).data["path"] == "format"


def test_an_unknown_permission_outcome_is_never_an_approval():
    raw = {"requestId": "p", "outcome": {"type": "approved!", "optionId": "allow_always"}}
    assert decode(PermissionRespondParams, raw).outcome.type == "cancelled"
    assert decode(QuestionRespondParams, {"requestId": "q", "action": "sure"}).action == "cancel"


def test_a_selection_without_an_option_is_refused():
    error = rejected(PermissionRespondParams, {"requestId": "p", "outcome": {"type": "selected"}})
    assert error.data["path"] == "outcome.optionId"


@pytest.mark.parametrize("value", [5, [], {"a": 1}])
def test_a_value_that_fits_no_member_of_a_union_is_named_without_the_member(value):
    raw = {"sessionId": "s", "optionId": "mode", "value": value}
    assert rejected(sessions.SessionConfigureParams, raw).data["path"] == "value"


@pytest.mark.parametrize("target", [{}, {"all": False}, {"hunkId": "h", "uri": "u"}])
def test_a_change_target_names_exactly_one_thing(target):
    path = rejected(ChangesResolveParams, {"sessionId": "s", "action": "undo", "targets": [target]}).data["path"]
    assert path in ("targets[0]", "targets[0].all")


def test_a_lone_surrogate_is_refused():
    assert rejected(RunParams, {"prompt": "\ud800"}).data["path"] == "prompt"


def test_paths_are_written_as_javascript_would():
    assert path_of(("a", 0, "b", 1, 2, "c")) == "a[0].b[1][2].c"
    assert path_of(()) == ""
