import json
from pathlib import Path

import jsonschema

from lsp_agent.protocol.methods import METHODS
from lsp_agent.protocol.schema import json_schema, json_schema_text

CHECKED_IN = Path(__file__).parents[2] / "docs" / "protocol.schema.json"
SPECIFIED = [
    "agent/run",
    "agent/steer",
    "agent/cancel",
    "agent/queue",
    "agent/status",
    "agent/session/new",
    "agent/session/list",
    "agent/session/get",
    "agent/session/read",
    "agent/session/rename",
    "agent/session/delete",
    "agent/session/fork",
    "agent/session/export",
    "agent/session/compact",
    "agent/session/configure",
    "agent/session/attach",
    "agent/session/detach",
    "agent/permission/respond",
    "agent/question/respond",
    "agent/changes/list",
    "agent/changes/resolve",
    "agent/checkpoint/list",
    "agent/checkpoint/restore",
    "agent/models/list",
    "agent/tools/list",
    "agent/commands/list",
    "agent/rules/list",
    "agent/mcp/list",
    "agent/mcp/restart",
    "agent/mcp/login",
    "agent/terminal/list",
    "agent/terminal/read",
    "agent/terminal/kill",
    "agent/mention/complete",
    "agent/trust/get",
    "agent/trust/set",
    "agent/event",
    "agent/runComplete",
    "agent/editor/didFocus",
    "agent/editor/didChangeSelection",
    "agent/editor/didPublishDiagnostics",
    "agent/editor/lsp",
]


def test_the_checked_in_schema_is_the_one_of_the_code():
    assert CHECKED_IN.read_text() == json_schema_text(), "write it again: lsp-agent schema > docs/protocol.schema.json"


def test_every_method_of_the_specification_is_there_and_no_other():
    assert list(METHODS) == SPECIFIED


def test_every_reference_of_the_schema_leads_somewhere():
    document = json_schema()
    text = json.dumps(document)
    names = {piece.split('"')[0] for piece in text.split('"#/$defs/')[1:]}
    assert names <= set(document["$defs"])


def test_the_types_are_valid_json_schema():
    jsonschema.Draft202012Validator.check_schema({"$defs": json_schema()["$defs"]})


def test_the_schema_accepts_and_refuses_what_the_types_do():
    document = json_schema()
    validator = jsonschema.Draft202012Validator(
        {**document["methods"]["agent/run"]["params"], "$defs": document["$defs"]}
    )
    assert validator.is_valid({"prompt": "x", "whenBusy": "of a later version", "_meta": {}})
    assert validator.is_valid({"prompt": [{"type": "text", "text": "x"}], "runId": None})
    assert not validator.is_valid({"prompt": "x", "runId": ""})
    assert not validator.is_valid({"prompt": "x", "options": {"mode": "yolo"}})
    assert not validator.is_valid({})
