"""Whatever a client sends, decoding it gives params or one kind of exception."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsp_agent.domain.errors import RequestRejected
from lsp_agent.protocol.decode import decode
from lsp_agent.protocol.errors import error_object
from lsp_agent.protocol.methods import METHODS
from lsp_agent.protocol.negotiation import ClientBlock, client_block
from lsp_agent.protocol.schema import json_schema

SCHEMA = json_schema()
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**400)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["text", "buffer", "selected", "<text>", "<other>", "\ud800", "\x00", "file:///a"])
)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6) | st.sampled_from(["type", "uri", "text", "_meta"]), inner, max_size=3)
    ),
    max_leaves=6,
)
FROM_CLIENT = [method for method in METHODS.values() if method.from_client]


@st.composite
def nearly(draw: st.DrawFn, schema: dict[str, Any]) -> Any:
    """A value of the schema, with something else here and there."""
    if draw(st.integers(0, 9)) == 0:
        return draw(ANY_JSON)
    if "$ref" in schema:
        return draw(nearly(SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]))
    for union in ("oneOf", "anyOf"):
        if schema.get(union):
            choice = draw(st.sampled_from(schema[union]))
            return draw(nearly({**choice} if choice else {"type": "string"}))
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            required = schema.get("required", [])
            names = [name for name in properties if name in required or draw(st.booleans())]
            if names and draw(st.integers(0, 14)) == 0:
                names.pop()
            return {name: draw(nearly(properties[name])) for name in names}
        case "array":
            return [draw(nearly(schema.get("items", {}))) for _ in range(draw(st.integers(0, 3)))]
        case "string":
            return draw(st.text(max_size=10))
        case "integer":
            return draw(st.integers(-1, 2**53))
        case "number":
            return draw(st.floats())
        case "boolean":
            return draw(st.booleans())
        case _:
            return draw(ANY_JSON)


@pytest.mark.parametrize("method", FROM_CLIENT, ids=lambda method: method.name)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_the_params_are_decoding_gives_params_or_a_rejection(method, data):
    raw = data.draw(nearly(SCHEMA["methods"][method.name]["params"]) | ANY_JSON)
    try:
        params = decode(method.params, raw)
    except RequestRejected as error:
        wire = error_object(error)
        assert wire["code"] == -32602
        assert isinstance(wire["data"]["path"], str)
        assert "<" not in wire["data"]["path"]
    else:
        assert isinstance(params, method.params)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_the_client_block_holds_negotiation_gives_a_block_or_none(data):
    block = data.draw(nearly(SCHEMA["negotiation"]["client"]))
    other = data.draw(nearly(SCHEMA["negotiation"]["client"]) | ANY_JSON)
    params = {"initializationOptions": {"agent": block}, "capabilities": {"experimental": {"agent": other}}}
    found = client_block(params)
    assert isinstance(found, ClientBlock) or (not isinstance(block, dict) and not isinstance(other, dict))
