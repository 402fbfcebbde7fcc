"""PI-10: what a model writes as arguments is what the schema says, or it does not run."""

import json
import time
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_agent.agent.arguments import problems, read_object
from lsp_agent.agent.strictness import MAX_INPUT_CHARS, MAX_WRITING_CHARS, refusal_of
from lsp_agent.ports.tools import ToolResult
from lsp_agent.tools.registry import BuiltinTools
from tests.agent_turn.acceptance import assert_events_are_sound, assert_history_is_sound
from tests.agent_turn.doubles import World, call, calls, say, tool

TOOLS = {
    one.spec.name: one
    for one in BuiltinTools(withhold=lambda path: False, ripgrep=Path("/bin/true")).for_turn(
        mode="ask", interactive=True
    )
}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def arguments(draw):
    """A tool, and arguments that have its names but any values."""
    name = draw(st.sampled_from(sorted(TOOLS)))
    schema = TOOLS[name].spec.input_schema
    given_names = draw(st.sets(st.sampled_from(sorted(schema["properties"])), min_size=1))
    values = {key: draw(VALUES | st.just(json.dumps(draw(VALUES)))) for key in given_names}
    if draw(st.booleans()):
        values |= draw(st.dictionaries(st.text(max_size=6), SCALARS, max_size=1))
    return schema, values


@settings(max_examples=400, deadline=None)
@given(arguments())
def test_PI_10_nothing_fits_a_tool_that_an_independent_validator_refuses(case):
    schema, values = case
    if not problems(values, schema):
        jsonschema.validate(values, schema)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("view", '{"file_path": 3}', "file_path must be of type string"),
        ("view", '{"file_path": ["a"]}', "file_path must be of type string"),
        ("view", '{"file_path": "a", "offset": "1"}', "offset must be of type integer"),
        ("view", '{"file_path": "a", "offset": true}', "offset must be of type integer"),
        ("view", '{"file_path": "a", "offset": 1.5}', "offset must be of type integer"),
        ("edit", '{"file_path": "a", "old_string": "", "new_string": "", "replace_all": "true"}', "replace_all"),
        (
            "todos",
            '{"todos": "[{\\"content\\": \\"a\\", \\"status\\": \\"pending\\"}]"}',
            "todos must be of type array",
        ),
        ("view", '{"file_path": "a", "mode": "full-auto"}', "mode is not a parameter"),
        ("write", '{"file_path": "a", "content": {"text": "x"}}', "content must be of type string"),
    ],
)
def test_PI_10_no_type_is_taken_for_another_and_text_is_not_read_as_json(name, text, said):
    value, _ = read_object(text)
    assert said in "; ".join(problems(value, TOOLS[name].spec.input_schema))


def test_PI_10_the_whole_of_the_arguments_in_a_string_is_no_object():
    assert read_object(json.dumps('{"file_path": "a"}')) == (None, "{}")


@given(st.dictionaries(st.text(), SCALARS, max_size=5))
def test_PI_10_honest_arguments_are_taken(values):
    assert refusal_of(json.dumps(values), writes=False) == ""


@given(st.text(max_size=5), SCALARS, SCALARS, st.integers(0, 3))
def test_PI_10_a_name_given_twice_is_refused_at_every_depth(key, one, two, depth):
    name = json.dumps(key)
    text = f"{{{name}: {json.dumps(one)}, {name}: {json.dumps(two)}}}"
    for level in range(depth):
        text = f'{{"outer": {text}}}' if level % 2 else f'{{"list": [1, {text}]}}'
    assert "twice" in refusal_of(text, writes=False)


def test_PI_10_escapes_do_not_hide_a_second_name():
    assert "twice" in refusal_of('{"command": "ls", "\\u0063ommand": "rm -rf /"}', writes=False)


async def test_PI_10_a_call_that_says_its_command_twice_does_not_run():
    ran = []

    async def run(arguments, context):
        ran.append(arguments)
        return ToolResult("ok")

    world = World(tools=[tool("bash", run, schema={"type": "object", "properties": {"command": {"type": "string"}}})])
    world.script(calls(call("c1", "bash", '{"command": "ls", "command": "rm -rf /"}')), say("I see"))
    await world.play()
    assert ran == []
    result = world.store.all()[2].tool_results[0]
    assert (result.is_error, "twice" in result.content) == (True, True)
    assert_history_is_sound(world.store.all())
    assert_events_are_sound(world.events.all, world.store.all())


@pytest.mark.parametrize(("kind", "runs"), [("read", False), ("edit", True)])
async def test_PI_10_ten_megabytes_are_taken_only_where_a_file_is_written(kind, runs):
    ran = []

    async def run(arguments, context):
        ran.append(len(arguments["text"]))
        return ToolResult("ok")

    world = World(tools=[tool("big", run, kind=kind)])
    world.script(calls(call("c1", "big", json.dumps({"text": "x" * 10_000_000}))), say("ok"))
    started = time.monotonic()
    await world.play()
    assert time.monotonic() - started < 5
    assert bool(ran) is runs
    if not runs:
        assert "too long" in world.store.all()[2].tool_results[0].content


def test_PI_10_there_is_a_limit_for_files_too():
    text = json.dumps({"content": "x" * MAX_WRITING_CHARS})
    assert "too long" in refusal_of(text, writes=True)
    assert MAX_INPUT_CHARS < MAX_WRITING_CHARS


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 5_000 + "1" + "}" * 5_000, '{"a": ' + "9" * 5_000 + "}"])
async def test_PI_10_depth_and_huge_numbers_are_errors_for_the_model_not_for_us(text):
    world = World().script(calls(call("c1", "echo", text)), say("ok"))
    outcome = await world.play()
    assert outcome.error is None
    assert world.store.all()[2].tool_results[0].is_error
