"""Constrained mode over real HTTP, with a fake service that says what a small model would."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lsp_agent.agent.history import inlined
from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.message import AttachmentPart, FinishReason, Message, Role, ToolCallPart, ToolResultPart
from lsp_agent.domain.model import Model
from lsp_agent.domain.stream import Finished, StreamEvent, TextDelta, ToolCallEnd, UsageReport
from lsp_agent.ports.provider import Provider, Request, ToolSpec
from lsp_agent.providers.adapters import make_adapter
from lsp_agent.providers.settings import ProviderSettings
from lsp_agent.tools.matching import replace_text
from lsp_agent.tools.view import numbered_section
from tests.harness.fake_provider import FakeProvider, http, text, usage
from tests.providers.doubles import assistant, collect, message, text_of, user

CFG = "DEFAULT_PORT = 8080\n\n\ndef port_of(config):\n    return config.get('port', DEFAULT_PORT)\n"
STATS = (
    "def mean(points):\n    return sum(points) / len(points)\n\n\n"
    "def spread(points):\n    return max(points) - min(points)\n"
)
FILES = {"src/cfg.py": CFG, "src/stats.py": STATS}
TOOLS = (ToolSpec("edit", "Edits.", {}), ToolSpec("view", "Shows.", {}))
MODEL = Model("fake", "tiny", context_window=8192, options={"constrained": True, "notes": "small"})


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as server:
        yield server


@pytest.fixture
async def provider(fake: FakeProvider) -> AsyncIterator[Provider]:
    made = make_adapter(
        ProviderSettings("fake", "openai-compat"), key="k", base_url=f"{fake.url}/v1", headers={}, env={}
    )
    yield made
    await made.close()


def asked(question: str, *paths: str, lines: dict[str, tuple[int, int]] | None = None) -> Message:
    """The user's words, with files attached as the agent's history writes them."""
    parts = []
    for path in paths:
        start, end = (lines or {}).get(path, (None, None))
        body = FILES[path] if start is None else "\n".join(FILES[path].split("\n")[start : (end or 0) + 1])
        parts.append(AttachmentPart("text/x-python", text=body, path=path, start_line=start, end_line=end, version=1))
    return user(f"{question}\n\n{inlined(parts)}" if parts else question)


def request(*messages: Message, tools: Any = TOOLS, **more: Any) -> Request:
    more.setdefault("provider_options", MODEL.options)
    return Request(model=MODEL, system=("A very long prompt.",), messages=messages, tools=tools, **more)


def decision(action: str, path: str) -> str:
    return json.dumps({"action": action, "path": path})


def calls(events: list[StreamEvent]) -> list[tuple[str, dict[str, Any]]]:
    return [(event.name, json.loads(event.input)) for event in events if isinstance(event, ToolCallEnd)]


def answered(events: list[StreamEvent]) -> list[Message]:
    """The messages that the turn makes of one step: the calls, and what the real tools would say."""
    made = [event for event in events if isinstance(event, ToolCallEnd)]
    said = assistant(*[ToolCallPart(event.tool_call_id, event.name, event.input, finished=True) for event in made])
    results = []
    for event in made:
        arguments = json.loads(event.input)
        if event.name == "view":
            content = numbered_section(FILES[arguments["file_path"]], arguments.get("offset", 0), 200, "")
        else:
            replace_text(FILES[arguments["file_path"]], arguments["old_string"], arguments["new_string"])
            content = "Edited in one place."
        results.append(ToolResultPart(event.tool_call_id, event.name, content))
    return [said, message(Role.TOOL, *results)]


def body(fake: FakeProvider, number: int = -1) -> dict[str, Any]:
    return fake.requests[number].body


async def test_a_question_becomes_an_ordinary_view_call_with_a_path_of_the_enum(fake, provider):
    fake.push([text(decision("view_file", "src/cfg.py")), usage(50, 9)])
    events = await collect(provider, request(asked("Which port is used?", "src/stats.py", "src/cfg.py")))
    assert calls(events) == [("view", {"file_path": "src/cfg.py"})]
    assert events[-1] == Finished(FinishReason.TOOL_USE)
    schema = body(fake)["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["path"]["enum"] == ["src/stats.py", "src/cfg.py"]
    assert schema["properties"]["action"]["enum"] == ["view_file"], "a question is not taken for a wish to change"
    reported = [event.usage for event in events if isinstance(event, UsageReport)]
    assert (reported[-1].input, reported[-1].output) == (50, 9)


async def test_nothing_of_ours_and_no_tool_reaches_the_service(fake, provider):
    fake.push([text(decision("view_file", "src/cfg.py"))])
    await collect(provider, request(asked("Which port?", "src/stats.py", "src/cfg.py")))
    sent = body(fake)
    assert not {"tools", "constrained", "notes", "mechanical_summary", "text_calls"} & set(sent)
    assert "A very long prompt." not in json.dumps(sent)
    assert sent["temperature"] == 0.0


async def test_after_the_view_the_answer_streams_with_the_text_in_the_prompt_and_no_tools(fake, provider):
    first = asked("Which port is used?", "src/stats.py", "src/cfg.py")
    fake.push([text(decision("view_file", "src/cfg.py"))], [text("The port is 8080.", deltas=5), usage(80, 6)])
    step = await collect(provider, request(first))
    events = await collect(provider, request(first, *answered(step)))
    assert text_of(events) == "The port is 8080."
    assert len([event for event in events if isinstance(event, TextDelta)]) == 5
    assert events[-1] == Finished(FinishReason.END_TURN)
    prompt = body(fake)["messages"][-1]["content"]
    assert "DEFAULT_PORT = 8080" in prompt
    assert "def mean" not in prompt, "only what was looked at"
    assert prompt.endswith("Which port is used?")
    assert "tools" not in body(fake)
    assert "response_format" not in body(fake)


async def test_the_beginning_of_every_request_is_the_same_to_the_byte(fake, provider):
    first = asked("Change mean.", "src/stats.py")
    fake.push([text(decision("rewrite", "src/stats.py"))], [text("```python\ndef mean(points):\n    return 0\n```")])
    step = await collect(provider, request(first))
    await collect(provider, request(first, *answered(step)))
    heads = {json.dumps(item.body["messages"][0]) for item in fake.requests}
    assert len(heads) == 1


async def test_a_wish_becomes_a_view_and_then_an_edit_of_the_whole_function(fake, provider):
    first = asked("Add a docstring to mean.", "src/stats.py")
    new = 'def mean(points):\n    """The mean."""\n    return sum(points) / len(points)'
    fake.push([text(decision("rewrite", "src/stats.py"))], [text(f"Here:\n```python\n{new}\n```", deltas=4)])
    looked = await collect(provider, request(first))
    assert calls(looked) == [("view", {"file_path": "src/stats.py"})]
    edited = await collect(provider, request(first, *answered(looked)))
    ((name, arguments),) = calls(edited)
    assert name == "edit"
    assert arguments["new_string"] == new
    assert arguments["old_string"] == "def mean(points):\n    return sum(points) / len(points)"
    assert text_of(edited) == ""
    before = len(fake.requests)
    last = await collect(provider, request(first, *answered(looked), *answered(edited)))
    assert "src/stats.py" in text_of(last)
    assert last[-1] == Finished(FinishReason.END_TURN)
    assert len(fake.requests) == before, "the last word needs no model"


async def test_when_the_words_do_not_say_which_function_the_model_chooses_from_an_enum(fake, provider):
    first = asked("Make it faster.", "src/stats.py")
    fake.push(
        [text(decision("rewrite", "src/stats.py"))],
        [text('{"name": "spread"}')],
        [text("```python\ndef spread(points):\n    return 1\n```")],
    )
    looked = await collect(provider, request(first))
    edited = await collect(provider, request(first, *answered(looked)))
    assert body(fake, 1)["response_format"]["json_schema"]["schema"]["properties"]["name"]["enum"] == ["mean", "spread"]
    assert calls(edited)[0][1]["new_string"].startswith("def spread")


async def test_the_selection_says_which_function(fake, provider):
    first = asked("Make it faster.", "src/stats.py", lines={"src/stats.py": (5, 5)})
    fake.push([text(decision("rewrite", "src/stats.py"))], [text("```python\ndef spread(points):\n    return 1\n```")])
    looked = await collect(provider, request(first))
    edited = await collect(provider, request(first, *answered(looked)))
    assert len(fake.requests) == 2
    assert calls(edited)[0][1]["old_string"].startswith("def spread")


async def test_what_does_not_parse_is_not_edited_and_said_plainly(fake, provider):
    first = asked("Change mean.", "src/stats.py")
    fake.push([text(decision("rewrite", "src/stats.py"))], [text("```python\ndef mean(points:\n```")])
    looked = await collect(provider, request(first))
    events = await collect(provider, request(first, *answered(looked)))
    assert calls(events) == []
    assert "not valid Python" in text_of(events)
    assert "Nothing was changed" in text_of(events)


async def test_a_rejected_edit_is_not_tried_again(fake, provider):
    first = asked("Change mean.", "src/stats.py")
    call = ToolCallPart("call_1", "edit", '{"file_path":"src/stats.py"}', finished=True)
    refused = ToolResultPart("call_1", "edit", "The user rejected this.", is_error=True)
    events = await collect(provider, request(first, assistant(call), message(Role.TOOL, refused)))
    assert "was not changed: The user rejected this." in text_of(events)
    assert fake.requests == []


async def test_in_plan_mode_there_is_nothing_to_change_with(fake, provider):
    fake.push([text(decision("view_file", "src/cfg.py"))])
    await collect(provider, request(asked("Change it.", "src/stats.py", "src/cfg.py"), tools=TOOLS[1:]))
    schema = body(fake)["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["action"]["enum"] == ["view_file"]


async def test_without_a_file_it_talks_at_once(fake, provider):
    fake.push([text("A hash table maps keys.", deltas=4)])
    events = await collect(provider, request(user("What is a hash table?")))
    assert text_of(events) == "A hash table maps keys."
    assert len(fake.requests) == 1


async def test_a_server_that_does_not_keep_to_the_schema_does_no_harm(fake, provider):
    fake.push([text('{"action": "rm", "path": "/etc/passwd"}')])
    events = await collect(provider, request(asked("Which port?", "src/stats.py", "src/cfg.py")))
    assert calls(events) == [("view", {"file_path": "src/stats.py"})]


async def test_a_view_that_failed_leads_to_words_not_to_a_loop(fake, provider):
    first = user("What does src/gone.py do? Change src/gone.py")
    call = ToolCallPart("call_change_1", "view", '{"file_path":"src/gone.py"}', finished=True)
    missing = ToolResultPart("call_change_1", "view", "src/gone.py was not found.", is_error=True)
    fake.push([text("It is not there.")])
    events = await collect(provider, request(first, assistant(call), message(Role.TOOL, missing)))
    assert text_of(events) == "It is not there."
    assert "was not found" in body(fake)["messages"][-1]["content"]


async def test_earlier_talk_is_kept_and_files_of_earlier_turns_can_be_looked_at(fake, provider):
    earlier = [asked("Which port?", "src/cfg.py"), assistant("It is 8080.")]
    fake.push([text('{"action": "say", "path": "src/cfg.py"}')], [text("You are welcome.")])
    events = await collect(provider, request(*earlier, user("Thank you.")))
    assert text_of(events) == "You are welcome."
    assert body(fake, 0)["response_format"]["json_schema"]["schema"]["properties"]["path"]["enum"] == ["src/cfg.py"]
    assert [item["content"] for item in body(fake, 1)["messages"][1:]] == ["Which port?", "It is 8080.", "Thank you."]


async def test_a_title_fits_by_schema(fake, provider):
    fake.push([text('{"title": "Ports of the server"}')])
    ask = request(user("A title for this message:\n\nWhich port?"), tools=(), purpose="title")
    assert text_of(await collect(provider, ask)) == "Ports of the server"
    assert body(fake)["response_format"]["json_schema"]["schema"]["properties"]["title"]["maxLength"] == 50


async def test_a_small_model_is_not_asked_for_a_summary(fake, provider):
    call = ToolCallPart("c1", "view", '{"file_path":"src/cfg.py"}', finished=True)
    talk = [asked("Which port?", "src/cfg.py"), assistant("It is 8080.", call), user("Write the hand-over.")]
    options = {**MODEL.options, "mechanical_summary": True}
    events = await collect(provider, request(*talk, tools=(), purpose="summary", provider_options=options))
    assert fake.requests == []
    for said in ("Which port?", "src/cfg.py", "It is 8080."):
        assert said in text_of(events)


async def test_a_prompt_that_is_too_long_is_a_context_overflow(fake, provider):
    error = {"error": {"code": 400, "type": "exceed_context_size_error", "n_ctx": 8192, "n_prompt_tokens": 9000}}
    error["error"]["message"] = "request (9000 tokens) exceeds the available context size (8192 tokens)"
    fake.push([http(400, body=error)])
    with pytest.raises(ProviderError) as caught:
        await collect(provider, request(user("Hello")))
    assert caught.value.kind == "ContextOverflow"


async def test_a_model_that_is_not_constrained_gets_the_request_as_it_is(fake, provider):
    fake.push([text("Hi")])
    await collect(provider, request(user("Hello"), provider_options={"constrained": False}))
    assert [item["function"]["name"] for item in body(fake)["tools"]] == ["edit", "view"]
    assert "constrained" not in body(fake)


async def test_calls_in_the_text_become_calls_where_the_options_say_so(fake, provider):
    fake.push([text('Looking.\n```json\n{"name": "view", "arguments": {"file_path": "a.py"}}\n```', deltas=9)])
    events = await collect(provider, request(user("Hello"), provider_options={"text_calls": True}))
    assert calls(events) == [("view", {"file_path": "a.py"})]
    assert text_of(events) == "Looking.\n"
    assert events[-1] == Finished(FinishReason.TOOL_USE)


async def test_an_ollama_model_without_tools_is_led_and_one_with_tools_is_not():
    for abilities, led in ((["completion"], True), (["completion", "tools"], False)):
        async with FakeProvider(routes={"/api/show": {"capabilities": abilities}}) as fake:
            block = ProviderSettings("mine", "ollama")
            made = make_adapter(block, key="", base_url=f"{fake.url}/v1", headers={}, env={})
            fake.push([text(decision("view_file", "src/cfg.py"))])
            await collect(made, request(asked("Which port?", "src/cfg.py", "src/stats.py"), provider_options={}))
            assert ("response_format" in body(fake)) is led
            await made.close()


async def test_an_ollama_server_that_does_not_say_is_taken_as_before():
    async with FakeProvider() as fake:
        made = make_adapter(ProviderSettings("mine", "ollama"), key="", base_url=f"{fake.url}/v1", headers={}, env={})
        await collect(made, request(user("Hello"), provider_options={}))
        assert "tools" in body(fake)
        await made.close()
