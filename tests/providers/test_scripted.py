import asyncio
from pathlib import Path
from typing import Any

import pytest

from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.message import AttachmentPart, FinishReason
from lsp_agent.domain.stream import (
    Finished,
    ReasoningDelta,
    ReasoningEnd,
    TextDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from lsp_agent.domain.usage import Usage
from lsp_agent.ports.provider import ToolSpec
from lsp_agent.providers.demo import CONNECT, INTRODUCTION
from lsp_agent.providers.script import load_script, parse_script
from lsp_agent.providers.scripted import ScriptedProvider
from tests.providers.doubles import VIEW, assistant, call, collect, request_of, result, text_of, until, user

EDIT = ToolSpec("edit", "Edits.", {"type": "object"})


def scripted(*turns: Any, **more: Any) -> ScriptedProvider:
    return ScriptedProvider(script=parse_script([turn if "do" in turn else {"do": [turn]} for turn in turns]), **more)


def asked(*messages: Any, **more: Any):
    return request_of(*(messages or (user("Hello"),)), tools=more.pop("tools", (VIEW, EDIT)), **more)


async def test_a_turn_is_played_step_by_step():
    provider = scripted(
        {
            "do": [
                {"think": "hmm", "deltas": 3},
                {"text": "abcdef", "deltas": 3},
                {"tool": "view", "input": {"file_path": "a"}, "id": "t1"},
                {"usage": {"input": 3, "output": 2, "cost_usd": 0.1}},
            ]
        }
    )
    assert await collect(provider, asked()) == [
        ReasoningDelta("h"),
        ReasoningDelta("m"),
        ReasoningDelta("m"),
        ReasoningEnd(),
        TextDelta("ab"),
        TextDelta("cd"),
        TextDelta("ef"),
        *(await _tool_events()),
        UsageReport(Usage(input=3, output=2, reported_cost_usd=0.1)),
        Finished(FinishReason.TOOL_USE),
    ]


async def _tool_events():
    events = await collect(scripted({"tool": "view", "input": {"file_path": "a"}, "id": "t1"}), asked())
    assert [type(event).__name__ for event in events] == ["ToolCallStart", "ToolCallDelta", "ToolCallEnd", "Finished"]
    return events[:-1]


async def test_turns_are_used_in_order_and_every_session_begins_anew():
    provider = scripted({"text": "one"}, {"text": "two"})
    first = [text_of(await collect(provider, asked(session_hash="a"))) for _ in range(3)]
    assert first == ["one", "two", "The script has nothing to say to this."]
    assert text_of(await collect(provider, asked(session_hash="b"))) == "one"


async def test_conditions_choose_the_turn():
    provider = scripted(
        {"when": "fix", "after": "user", "do": [{"text": "fixing"}]},
        {"after": "tool", "times": 0, "do": [{"text": "the tool said {{tool_result}}"}]},
        {"times": 0, "do": [{"text": "step {{step}}: {{last_user}}"}]},
    )
    assert text_of(await collect(provider, asked(user("please FIX it")))) == "fixing"
    after_tool = asked(user("x"), assistant(call("t1")), result("t1", "42"))
    assert text_of(await collect(provider, after_tool)) == "the tool said 42"
    assert text_of(await collect(provider, asked(user("fix again")))) == "step 3: fix again"


async def test_titles_and_summaries_use_up_nothing():
    provider = scripted({"text": "main"}, {"aside": True, "do": [{"text": "A title"}]})
    assert text_of(await collect(provider, asked(tools=()))) == "A title"
    assert text_of(await collect(provider, asked(user("What is this?"), tools=()))) == "What is this?"
    assert text_of(await collect(provider, asked())) == "main"


async def test_templates_know_the_attachment():
    provider = scripted({"times": 0, "do": [{"tool": "view", "input": {"file_path": "{{attachment_path}}", "n": 1}}]})
    attached = asked(user("see", AttachmentPart("text/plain", text="x", path="src/a.py")))
    inlined = asked(user("see\n<file path='src/b&#39;s.py' version='3'>\nopen(path='no')\n</file>"))
    inputs = [
        event.input
        for request in (attached, inlined)
        for event in await collect(provider, request)
        if isinstance(event, ToolCallEnd)
    ]
    assert inputs == ['{"file_path":"src/a.py","n":1}', '{"file_path":"src/b\'s.py","n":1}']


async def test_F22_input_may_be_broken_on_purpose():
    events = await collect(scripted({"tool": "view", "input": '{"a": '}), asked())
    assert [event.input for event in events if isinstance(event, ToolCallEnd)] == ['{"a": ']


async def test_errors_and_broken_streams():
    said = {"kind": "RateLimited", "status": 429, "retry_after_s": 2, "message": "slow"}
    with pytest.raises(ProviderError) as caught:
        await collect(scripted({"error": said}), asked())
    assert (caught.value.kind, caught.value.status, caught.value.retry_after_s, caught.value.retryable) == (
        "RateLimited",
        429,
        2.0,
        True,
    )
    with pytest.raises(ProviderError) as caught:
        await collect(scripted({"do": [{"text": "x"}, {"disconnect": True}]}), asked())
    assert caught.value.retryable


async def test_the_end_can_be_chosen():
    for step, expected in (
        ({"finish": "max_tokens"}, Finished(FinishReason.MAX_TOKENS)),
        ({"refusal": "no"}, Finished(FinishReason.CONTENT_FILTER, "no")),
    ):
        assert (await collect(scripted({"do": [{"text": "x"}, step]}), asked()))[-1] == expected


async def test_pings_are_empty_batches_and_repeat_makes_many_deltas():
    batches = [batch async for batch in scripted({"do": [{"ping": 2}, {"text": "ab", "repeat": 500}]}).stream(asked())]
    assert batches[:2] == [[], []]
    assert len(batches) == 503
    assert "".join([text_of(batch) for batch in batches]) == "ab" * 500


async def test_a_hold_waits_for_its_release():
    provider = scripted({"do": [{"text": "a"}, {"hold": "gate"}, {"text": "b"}]})
    task = asyncio.create_task(collect(provider, asked()))
    await until(lambda: bool(provider._released))
    assert not task.done()
    provider.release("gate")
    assert text_of(await asyncio.wait_for(task, 5)) == "ab"


async def test_a_hold_can_be_released_by_a_file(tmp_path: Path):
    provider = scripted({"do": [{"hold": "gate"}, {"text": "b"}]}, hold_dir=tmp_path / "holds")
    task = asyncio.create_task(collect(provider, asked()))
    await until((tmp_path / "holds" / "gate.held").exists)
    assert not task.done()
    (tmp_path / "holds" / "gate").touch()
    assert text_of(await asyncio.wait_for(task, 5)) == "b"


async def test_a_script_file_is_toml_or_json(tmp_path: Path):
    toml = tmp_path / "a.toml"
    toml.write_text('[[turn]]\nwhen = "x|h"\ndo = [ { text = "from toml", deltas = 2 } ]\n')
    assert text_of(await collect(ScriptedProvider(script=toml), asked())) == "from toml"
    json = tmp_path / "a.json"
    json.write_text('[{"do": [{"text": "from json"}]}]')
    assert text_of(await collect(ScriptedProvider(script=json), asked())) == "from json"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[turn]]\ndo = [{}]", "exactly one"),
        ("[[turn]]\ndo = [{ text = 'a', tool = 'b' }]", "exactly one"),
        ("[[turn]]\ndo = [{ text = 'a', colour = 1 }]", "colour"),
        ("[[turn]]\nwenn = 'x'\ndo = []", "wenn"),
        ("[[turn]]\nwhen = '('\ndo = []", "regular expression"),
        ("[[turn]]\nafter = 'never'\ndo = []", "after"),
        ("[[turn]]\ndo = [{ finish = 'soon' }]", "soon"),
        ("x = 1", "no [[turn]]"),
        ("= broken", "cannot be used"),
    ],
)
def test_a_script_that_cannot_be_used_says_where(tmp_path: Path, text: str, why: str):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ProviderError) as caught:
        load_script(path)
    assert why in caught.value.message
    assert "bad.toml" in caught.value.message
    with pytest.raises(ProviderError, match=r"missing\.toml"):
        load_script(tmp_path / "missing.toml")


# ------------------------------------------------------------------------------------------------------------ demo

ATTACHED = user("Please fix this\n<file path='a.py'>\nx\n</file>")
SEEN = "<file>\n     1|def f():\n     2|    retrun 1\n</file>"


async def demo(*messages: Any, tools: Any = (VIEW, EDIT)):
    return await collect(ScriptedProvider(), request_of(*messages, tools=tools))


async def test_the_demonstration_says_plainly_that_it_is_no_model():
    text = text_of(await demo(user("Hello")))
    assert text.startswith(INTRODUCTION)
    assert text.endswith(CONNECT)


async def test_the_demonstration_reads_edits_and_closes():
    events = await demo(ATTACHED)
    assert INTRODUCTION.strip() in text_of(events)
    assert [(event.name, event.input) for event in events if isinstance(event, ToolCallEnd)] == [
        ("view", '{"file_path":"a.py"}')
    ]
    looked = [ATTACHED, assistant(call("t1")), result("t1", SEEN)]
    events = await demo(*looked)
    edit = next(event for event in events if isinstance(event, ToolCallEnd))
    assert edit.name == "edit"
    assert edit.input == '{"file_path":"a.py","old_string":"    retrun 1","new_string":"    return 1"}'
    events = await demo(*looked, assistant(call("t2", "edit")), result("t2", "Edited a.py"))
    assert text_of(events) == f"Done: Edited a.py\n\n{CONNECT}"
    assert events[-1] == Finished(FinishReason.END_TURN)


async def test_the_demonstration_does_a_replacement_that_is_asked_for_literally():
    prompt = user("Rename `f` to `g`\n<file path='a.py'>")
    events = await demo(prompt, assistant(call("t1")), result("t1", "     1|def f():"))
    edit = next(event for event in events if isinstance(event, ToolCallEnd))
    assert edit.input == '{"file_path":"a.py","old_string":"def f():","new_string":"def g():"}'


async def test_the_demonstration_explains_when_there_is_nothing_to_edit():
    text = text_of(await demo(ATTACHED, assistant(call("t1")), result("t1", "     1|def f():\n     2|    return 1")))
    assert "has read 2 lines of a.py" in text


async def test_the_demonstration_does_not_edit_without_the_tool():
    events = await demo(ATTACHED, assistant(call("t1")), result("t1", SEEN), tools=(VIEW,))
    assert not any(isinstance(event, ToolCallStart) for event in events)


async def test_the_demonstration_names_sessions_after_their_prompt():
    assert text_of(await demo(user("What is this?"), tools=())) == "What is this?"


async def test_a_template_that_brings_half_a_surrogate_pair_into_a_call_does_not_end_the_turn():
    provider = scripted({"tool": "view", "input": {"file_path": "{{last_user}}"}})
    events = await collect(provider, asked(user("a\udcff")))
    assert [event.input for event in events if isinstance(event, ToolCallEnd)] == ['{"file_path": "a?"}']
