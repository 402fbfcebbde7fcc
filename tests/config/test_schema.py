import json
import tomllib
from pathlib import Path

import jsonschema

from lsp_agent.config.schema import json_schema, json_schema_text

CHECKED_IN = Path(__file__).parents[2] / "docs" / "config.schema.json"


def test_the_checked_in_schema_is_the_one_of_the_code():
    assert CHECKED_IN.read_text() == json_schema_text(), (
        "write it again: lsp-agent config schema > docs/config.schema.json"
    )


def test_the_schema_is_valid_and_judges_as_the_loader_does():
    jsonschema.Draft202012Validator.check_schema(json_schema())
    validator = jsonschema.Draft202012Validator(json_schema())
    good = '[models]\nlarge = "a/b"\n[providers.x]\ntype = "scripted"\n[[providers.x.models]]\nid = "m"\n'
    assert validator.is_valid(tomllib.loads(good))
    for bad in (
        '[permissions]\nmode = "yolo"',
        "[limits]\nretries = -1",
        '[models]\nlarge = "a"',
        "[mcp.x]\ncommand = 1",
    ):
        assert not validator.is_valid(tomllib.loads(bad))


def test_every_setting_is_described():
    for section in ("models", "agent", "limits", "permissions", "tools"):
        for key in json_schema()["properties"][section]["properties"].values():
            assert key["description"]
    assert json.loads(json_schema_text()) == json_schema()
