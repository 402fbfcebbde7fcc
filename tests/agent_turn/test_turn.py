"""A whole turn: what is announced, what is stored, and how it ends."""

import asyncio
from dataclasses import replace

from lsp_agent.agent.services import TurnLimits
from lsp_agent.domain.errors import ProviderError, ToolError
from lsp_agent.domain.message import AttachmentPart, FinishReason, Role, TextPart
from lsp_agent.domain.run import StopReason
from lsp_agent.domain.session import Todo
from lsp_agent.domain.stream import (
    Finished,
    ProviderWarning,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from lsp_agent.domain.usage import Usage
from lsp_agent.ports.tools import ToolResult
from tests.agent_turn.acceptance import assert_events_are_sound, assert_history_is_sound
from tests.agent_turn.doubles import LARGE, Stall, World, broken, call, calls, say, think, tool, until


def kinds(world):
    return [event["sessionUpdate"] for event in world.events.all]


def sound(world):
    assert_history_is_sound(world.store.all())
    assert_events_are_sound(world.events.all, world.store.all())


async def test_a_plain_answer_is_announced_in_order_and_stored():
    world = World().script(say("Hel", "lo", usage=Usage(input=100, output=20)))
    outcome = await world.play("hi there")
    assert kinds(world) == [
        "user_message",
        "state_update",
        "agent_message_chunk",
        "agent_message_chunk",
        "usage_update",
        "agent_message",
    ]
    assert world.events.all[0]["content"] == [{"type": "text", "text": "hi there"}]
    assert (outcome.stop_reason, outcome.text, outcome.steps) == (StopReason.END_TURN, "Hello", 1)
    assert outcome.message_id == world.last().message_id
    assert outcome.usage.input == 100
    assert world.store.states == [("key1", "running")]
    assert [row.role for row in world.store.all()] == [Role.USER, Role.ASSISTANT]
    assert world.events.of("agent_message")[0]["finish"] == {"reason": "end_turn"}
    sound(world)


async def test_the_user_message_has_the_id_that_was_promised_and_its_attachments():
    world = World().script(say("ok"))
    picture = AttachmentPart("image/png", data=b"\x89PNG")
    text = AttachmentPart("text/plain", text="x = 1", path="a.py", uri="file:///a.py", version=3, kind="buffer")
    run = world.run("look", attachments=(text, picture))
    await world.runner(run, world.control)
    user = world.store.all()[0]
    assert user.message_id == run.message_id
    assert user.parts[1:3] == [text, picture]
    assert [one["type"] for one in world.events.all[0]["attachments"]] == ["buffer", "file"]
    assert "x = 1" in world.provider.requests[0].messages[0].text
    assert all(part.data is None for part in world.provider.requests[0].messages[0].parts if hasattr(part, "data"))


async def test_a_tool_call_goes_through_its_whole_life():
    world = World().script(calls(call("c1", "echo", '{"text": "a"}'), text="I look."), say("Found."))
    outcome = await world.play()
    assert world.events.statuses("c1") == ["pending", "in_progress", "completed"]
    running = world.events.of("tool_call_update")[1]
    assert (running["title"], running["kind"], running["rawInput"]) == ("echo a", "read", {"text": "a"})
    assert world.events.of("tool_call_update")[2]["content"][0]["content"]["text"] == "echo a"
    assert {"sessionUpdate": "tool_call_content_chunk", "key": "c1", "text": "working"} in world.events.all
    assert {"sessionUpdate": "tool_input_chunk", "key": "c1", "text": '{"text": "a"}'} in world.events.all
    assert outcome.steps == 2
    assert outcome.text == "Found."
    assert [row.role.value for row in world.store.all()] == ["user", "assistant", "tool", "assistant"]
    assert world.store.all()[1].finish.reason is FinishReason.TOOL_USE
    sound(world)


async def test_a_folded_prompt_stays_in_every_later_request():  # CORE 37.2
    world = World().script(calls(call("c1", "echo")), calls(call("c2", "echo")), say("end"))
    folded = world.run("and also this")

    def join(request):
        if len(world.provider.requests) == 1:
            world.control.folds.append(folded)

    world.provider.on_request = join
    await world.play("first")
    texts = [[message.text for message in request.messages] for request in world.provider.requests]
    assert "and also this" not in texts[0]
    assert "and also this" in texts[1]
    assert "and also this" in texts[2]
    joined = next(event for event in world.events.of("user_message") if event["messageId"] == folded.message_id)
    assert joined["content"][0]["text"] == "and also this"
    sound(world)


async def test_a_prompt_that_comes_during_the_last_step_is_left_to_the_lane():
    world = World().script(say("end"))
    world.provider.on_request = lambda request: world.control.folds.append(world.run("late"))
    await world.play()
    assert [run.prompt for run in world.control.folds] == ["late"]


async def test_what_a_finished_message_says_is_stored_when_it_is_announced():
    world = World(limits=TurnLimits(update_interval_ms=1000)).script(say(*["word "] * 50))
    seen = []
    announce = world.events.durable

    def watching(session_id, run, update, *, writes=()):
        seq = announce(session_id, run, update, writes=writes)
        if update["sessionUpdate"] == "agent_message":
            seen.append(world.store.rows[update["messageId"]].text == update["content"][0]["text"])
        return seq

    world.events.durable = watching
    await world.play()
    assert seen == [True]


async def test_text_is_stored_while_the_stream_pauses():  # CORE 37.16
    world = World(limits=TurnLimits(update_interval_ms=1)).script(
        [TextDelta("one "), TextDelta("two "), TextDelta("three"), Stall()]
    )
    task = asyncio.create_task(world.runner(world.run(), world.control))
    await until(lambda: any(row.text == "one two three" for row in world.store.rows.values()))
    puts = world.store.puts
    for _ in range(50):
        await asyncio.sleep(0)
    assert world.store.puts == puts, "nothing is written while nothing changes"
    task.cancel()
    assert (await task).cancelled


async def test_a_long_stream_is_stored_a_number_of_times_that_does_not_grow_with_it():
    world = World(limits=TurnLimits(update_interval_ms=33))
    world.provider.suspends = False
    world.script([*[TextDelta("x" * 1000)] * 2000, Finished(FinishReason.END_TURN)])
    outcome = await world.play()
    assert len(outcome.text) == 2_000_000
    assert world.store.puts < 40


async def test_thinking_is_announced_and_its_data_survives_byte_for_byte():  # CORE 37.15
    signature = {"anthropic": [{"type": "thinking", "thinking": "hm", "signature": "sig=="}]}
    world = World().script([*think("h", "m", data=signature), *say("answer")], say("again"))
    await world.play()
    assert world.events.of("agent_thought")[0]["content"] == [{"type": "text", "text": "hm"}]
    stored = world.last().parts[0]
    assert stored.provider_data == signature
    assert stored.finished_at_ms
    await world.play("next")
    sent = next(message for message in world.provider.requests[1].messages if message.role is Role.ASSISTANT)
    assert sent.parts[0].provider_data == signature


async def test_redacted_thinking_without_text_is_kept_and_not_announced():
    world = World().script([*think(data={"anthropic": [{"type": "redacted_thinking"}]}), *say("a")])
    await world.play()
    assert world.events.of("agent_thought") == []
    assert world.last().parts[0].provider_data == {"anthropic": [{"type": "redacted_thinking"}]}


async def test_a_failed_tool_is_a_result_and_the_turn_goes_on():  # CORE 37.12
    async def refuses(arguments, context):
        raise ToolError("no such file")

    async def has_a_bug(arguments, context):
        raise ZeroDivisionError("oops")

    world = World(tools=[tool("refuses", refuses), tool("buggy", has_a_bug)])
    world.script(calls(call("c1", "refuses"), call("c2", "buggy")), say("I see."))
    outcome = await world.play()
    assert outcome.stop_reason is StopReason.END_TURN
    results = [part for row in world.store.all() for part in row.tool_results]
    assert [(part.is_error, part.content) for part in results] == [
        (True, "no such file"),
        (True, "The tool 'buggy' failed: ZeroDivisionError: oops"),
    ]
    assert world.events.statuses("c1")[-1] == "failed"
    sound(world)


async def test_a_tool_is_never_run_again_by_a_retry():  # CORE 37.26
    ran = []

    async def count(arguments, context):
        ran.append(context.call.tool_call_id)
        raise ConnectionError("the network is down")

    world = World(tools=[tool("fetch", count)])
    world.script(calls(call("c1", "fetch")), [broken()], say("fine"))
    outcome = await world.play()
    assert outcome.text == "fine"
    assert ran == ["c1"]


async def test_a_rejection_without_a_message_ends_the_turn():
    async def rejected(arguments, context):
        return ToolResult("The user rejected this.", is_error=True, stop_turn=True, status="rejected")

    ran = []

    async def edit(arguments, context):
        ran.append(1)
        return ToolResult("edited")

    world = World(tools=[tool("ask", rejected), tool("edit", edit, read_only=False)])
    world.script(calls(call("c1", "ask"), call("c2", "edit")))
    outcome = await world.play()
    assert outcome.stop_reason is StopReason.END_TURN
    assert world.last().finish.reason is FinishReason.END_TURN
    assert world.events.statuses("c1")[-1] == "rejected"
    assert world.events.statuses("c2") == ["pending", "cancelled"]
    assert ran == []
    assert len(world.provider.requests) == 1
    sound(world)


async def test_plan_mode_offers_only_what_reads():
    world = World(tools=[tool("view"), tool("edit", read_only=False)])
    world.script(calls(call("c1", "edit")), say("a plan"))
    await world.play(mode="plan")
    assert [spec.name for spec in world.provider.requests[0].tools] == ["view"]
    assert "plan mode" in world.provider.requests[0].system[-1]
    assert "no tool called 'edit'" in world.store.all()[2].tool_results[0].content


async def test_calls_that_were_cut_off_are_answered_but_not_run():
    world = World().script([*call("c1", "echo"), Finished(FinishReason.MAX_TOKENS)])
    outcome = await world.play()
    assert outcome.stop_reason is StopReason.MAX_TOKENS
    assert world.events.statuses("c1") == ["pending", "failed"]
    sound(world)


async def test_a_refusal_ends_the_run_as_refused():
    world = World().script([TextDelta("I"), Finished(FinishReason.CONTENT_FILTER, refusal="policy")])
    outcome = await world.play()
    assert outcome.stop_reason is StopReason.REFUSAL
    assert world.last().finish.details == "policy"


async def test_calls_run_when_a_server_reports_a_plain_stop():
    world = World().script([*call("c1", "echo"), Finished(FinishReason.STOP)], say("ok"))
    assert (await world.play()).text == "ok"


async def test_a_used_call_id_gets_a_suffix_everywhere():
    world = World().script(calls(call("c", "echo")), calls(call("c", "echo")), say("ok"))
    await world.play()
    ids = [part.tool_call_id for row in world.store.all() for part in row.tool_calls]
    assert ids == ["c", "c-2"]
    assert world.events.statuses("c-2")[-1] == "completed"
    sound(world)


async def test_the_limit_of_steps_stops_the_turn_and_says_so():
    world = World().script(*[calls(call(f"c{n}", "echo")) for n in range(5)])
    outcome = await world.play(max_steps=2)
    assert (outcome.stop_reason, outcome.steps) == (StopReason.MAX_STEPS, 2)
    assert world.events.notices() == ["max_steps"]
    sound(world)


async def test_the_limit_of_cost_stops_the_turn_and_says_so():
    world = World().script(*[calls(call(f"c{n}", "echo"), usage=Usage(input=100_000)) for n in range(5)])
    outcome = await world.play(max_cost_usd=0.5)
    assert (outcome.stop_reason, outcome.steps) == (StopReason.BUDGET, 2)
    assert round(outcome.usage.cost_usd, 6) == 0.6
    assert world.events.notices() == ["budget"]


async def test_a_loop_is_stopped_and_the_user_is_told():  # CORE 37.21
    world = World().script(*[calls(call(f"c{n}", "echo", '{"text":"same"}')) for n in range(20)])
    outcome = await world.play()
    assert (outcome.stop_reason, outcome.steps) == (StopReason.LOOP, 10)
    assert world.events.notices() == ["loop"]


async def test_cache_writes_count_as_context():  # CORE 37.8
    world = World().script(say("ok", usage=Usage(input=10, output=7, cache_read=100, cache_write=1000)))
    await world.play()
    assert (world.session.prompt_tokens, world.session.completion_tokens) == (1110, 7)
    assert world.events.of("usage_update")[-1]["usedTokens"] == 1117


async def test_counters_are_set_and_costs_are_added():
    world = World().script(
        calls(call("c1", "echo"), usage=Usage(input=1000, output=10)), say("ok", usage=Usage(input=1200, output=5))
    )
    outcome = await world.play()
    assert (world.session.prompt_tokens, world.session.completion_tokens) == (1200, 5)
    assert round(world.session.cost_usd, 9) == round(outcome.usage.cost_usd, 9)
    assert (outcome.usage.input, outcome.usage.output) == (2200, 15)


async def test_usage_is_estimated_when_the_service_reports_none():
    world = World().script(say("x" * 400))
    outcome = await world.play("y" * 400)
    assert outcome.usage.estimated
    assert outcome.usage.output == 100
    assert outcome.usage.cost_usd == 0
    assert world.session.estimated_usage


async def test_an_unusable_model_ends_the_run_with_its_reason_and_a_finished_message():
    world = World()
    world.providers.refused = ProviderError("ProviderAuth", "no key", "Set ANTHROPIC_API_KEY.", retryable=False)
    outcome = await world.play()
    assert outcome.stop_reason is StopReason.ERROR
    assert (outcome.error.kind, outcome.error.title) == ("ProviderAuth", "No key")
    assert world.last().finish.reason is FinishReason.ERROR
    assert world.last().finish.details == "Set ANTHROPIC_API_KEY."
    sound(world)


async def test_an_error_after_partial_text_keeps_the_text():
    world = World().script([TextDelta("so far"), ProviderError("Provider", "bad", "Bad request.", status=400)])
    outcome = await world.play()
    assert (outcome.text, outcome.error.kind) == ("so far", "Provider")
    assert outcome.message_id == world.last().message_id
    sound(world)


async def test_a_store_that_cannot_be_read_ends_the_run_with_kind_store():
    world = World()
    world.store.fail_reads = 1
    outcome = await world.play()
    assert outcome.error.kind == "Store"
    assert [row.role.value for row in world.store.all()] == ["user", "assistant"]


async def test_a_store_that_cannot_write_ends_the_run_at_the_next_step():
    world = World(limits=TurnLimits(update_interval_ms=0))
    world.script([TextDelta("a"), *calls(call("c1", "echo"))], say("never"))
    world.provider.on_request = lambda request: setattr(world.store, "fail_writes", 1)
    outcome = await world.play()
    assert outcome.error.kind == "Store"
    assert len(world.provider.requests) == 1


async def test_a_session_that_is_gone_is_an_error_without_messages():
    world = World()
    world.store.sessions_by_id.clear()
    outcome = await world.play()
    assert outcome.error.kind == "Store"
    assert world.events.all == []


async def test_a_bug_becomes_an_internal_error_and_leaves_nothing_open():
    world = World().script(calls(call("c1", "echo")))

    class Broken:
        def for_turn(self, *, mode, interactive):
            raise KeyError("secret detail")

    world.runner._services = replace(world.services, tools=Broken())
    outcome = await world.play()
    assert outcome.error.kind == "Internal"
    assert "secret" not in outcome.error.message
    assert world.last().finish.reason is FinishReason.ERROR


async def test_provider_warnings_become_notices():
    world = World().script([ProviderWarning("temperature was dropped"), *say("ok")])
    await world.play()
    assert world.events.notices() == ["provider"]


async def test_the_reminder_shows_the_real_list_and_stays_the_same_for_the_turn():
    async def plan(arguments, context):
        world.session.todos = (Todo("second", "pending"),)
        return ToolResult("ok")

    world = World(tools=[tool("todos", plan), tool("late")])
    world.session.todos = (Todo("first", "in_progress"),)
    seen = []

    async def late(arguments, context):
        seen.append(context.todos())
        return ToolResult("ok")

    world.tools[1].body = late
    world.script(calls(call("c1", "todos")), calls(call("c2", "late")), say("ok"))
    await world.play()
    reminders = [request.messages[0].text for request in world.provider.requests]
    assert "- [in_progress] first" in reminders[0]
    assert len(set(reminders)) == 1
    assert seen == [(Todo("second", "pending"),)]


async def test_changes_are_counted_by_file_and_announced_before_the_call_is_done():
    async def edit(arguments, context):
        uri = f"file:///{arguments['text']}"
        return ToolResult(
            "edited",
            metadata={"additions": 3, "removals": 1},
            changes=[{"uri": uri, "kind": "edit", "hunks": []}],
            locations=[{"uri": uri}],
        )

    world = World(tools=[tool("edit", edit, read_only=False)])
    asked = [call(f"c{n}", "edit", f'{{"text":"{name}"}}') for n, name in enumerate("aba")]
    world.script(calls(*asked), say("ok"))
    outcome = await world.play()
    assert (outcome.changes.files, outcome.changes.added, outcome.changes.removed) == (2, 9, 3)
    order = [event for event in world.events.all if event["sessionUpdate"] in ("changes_update", "tool_call_update")]
    done = next(index for index, event in enumerate(order) if event.get("status") == "completed")
    assert order[done - 1]["sessionUpdate"] == "changes_update"


async def test_requests_carry_what_the_run_and_the_model_say():
    world = World(limits=TurnLimits(system_prefix="PREFIX"))
    world.providers.large = replace(
        LARGE, can_reason=True, reasoning_efforts=("low", "high"), options={"a": {"x": 1, "y": 2}}
    )
    world.session.options["thinking"] = "high"
    world.script(say("ok"))
    await world.play(provider_options={"a": {"y": 3}})
    request = world.provider.requests[0]
    assert request.system[0] == "PREFIX"
    assert "/work/project" in request.system[1]
    assert request.thinking == "high"
    assert request.provider_options == {"a": {"x": 1, "y": 3}}
    assert request.sampling.max_output_tokens == 4096
    assert request.session_hash
    assert request.session_hash != "s"


async def test_lone_surrogates_never_reach_store_or_clients():
    world = World().script(
        [
            TextDelta("a\ud800b"),
            ReasoningDelta("\udfff"),
            ToolCallStart("c1", "echo"),
            ToolCallDelta("c1", '{"text":"\ud800"}'),
            ToolCallEnd("c1", "echo", '{"text":"\ud800"}'),
            Finished(FinishReason.TOOL_USE),
        ],
        say("ok"),
    )
    await world.play()
    for event in world.events.all:
        str(event).encode()
    assert world.store.all()[1].text == "a\ufffdb"


async def test_an_empty_answer_is_tried_once_more_and_then_an_error():
    world = World().script([Finished(FinishReason.END_TURN)], say("ok"))
    assert (await world.play()).text == "ok"
    world.script([Finished(FinishReason.END_TURN)], [Finished(FinishReason.END_TURN)], say("no"))
    outcome = await world.play()
    assert (outcome.stop_reason, outcome.error.title) == (StopReason.ERROR, "Empty answer")


async def test_an_empty_answer_after_tool_results_is_the_end():
    world = World().script(calls(call("c1", "echo")), [Finished(FinishReason.END_TURN)])
    assert (await world.play()).stop_reason is StopReason.END_TURN


async def test_the_prompt_prefix_does_not_change_from_step_to_step_and_turn_to_turn():
    world = World().script(calls(call("c1", "echo")), say("one"), say("two"))
    await world.play("first")
    await world.play("second")
    first, second, third = world.provider.requests
    assert first.system == second.system == third.system
    for earlier, later in ((first, second), (second, third)):
        for one, other in zip(earlier.messages, later.messages, strict=False):
            assert one.parts[0] == other.parts[0]
    assert isinstance(third.messages[0].parts[0], TextPart)


async def test_a_store_error_in_a_read_between_steps_ends_the_run():
    async def todos(arguments, context):
        world.store.fail_reads = 1
        return ToolResult("ok")

    world = World(tools=[tool("todos", todos)]).script(calls(call("c1", "todos")))
    outcome = await world.play()
    assert outcome.error.kind == "Store"
    sound(world)


async def test_what_is_not_stored_yet_is_stored_on_request():
    world = World(limits=TurnLimits(update_interval_ms=60_000)).script([TextDelta("so far"), Stall()])
    task = asyncio.create_task(world.runner(world.run(), world.control))
    await until(lambda: bool(world.events.of("agent_message_chunk")))
    assert [row.text for row in world.store.all()] == ["hello"]
    world.runner.flush("s")
    world.runner.flush("unknown")
    assert [row.text for row in world.store.all()] == ["hello", "so far"]
    task.cancel()
    await task


async def test_a_choice_of_mode_counts_from_the_next_step_on():
    modes = []

    async def watch(arguments, context):
        modes.append(context.mode)
        chosen["mode"] = "plan"
        return ToolResult("ok")

    chosen = {"mode": "full-auto"}
    world = World(tools=[tool("watch", watch)])
    world.runner.options_of = lambda session: dict(chosen)
    world.script(calls(call("a", "watch")), calls(call("b", "watch")), say("ok"))
    await world.play()
    assert modes == ["full-auto", "plan"]


async def test_a_stored_full_auto_does_not_count():
    modes = []

    async def watch(arguments, context):
        modes.append(context.mode)
        return ToolResult("ok")

    world = World(tools=[tool("watch", watch)]).script(calls(call("a", "watch")), say("ok"))
    world.session.options["mode"] = "full-auto"
    await world.play()
    assert modes == ["ask"]
