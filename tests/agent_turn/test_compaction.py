"""Compaction inside a turn and on request."""

import asyncio

from lsp_agent.agent.compaction import shortened
from lsp_agent.agent.history import handed_over
from lsp_agent.agent.services import TurnLimits
from lsp_agent.domain.message import AttachmentPart, Message, Role, TextPart, ToolResultPart
from lsp_agent.domain.run import StopReason
from lsp_agent.domain.session import Todo
from lsp_agent.domain.usage import Usage
from tests.agent_turn.acceptance import assert_provider_accepts
from tests.agent_turn.doubles import Stall, World, broken, call, calls, say, until

BIG = Usage(input=190_000, output=10)
SMALL_USE = Usage(input=1000, output=10)


def statuses(world):
    return [event["status"] for event in world.events.of("compaction_update")]


async def test_a_nearly_full_context_is_shortened_and_the_same_run_goes_on():
    world = World().script(calls(call("c1", "echo"), usage=BIG), say("the end", usage=SMALL_USE))
    world.session.todos = (Todo("write tests", "in_progress"),)
    outcome = await world.play("do `it`")
    assert (outcome.stop_reason, outcome.text, outcome.steps) == (StopReason.END_TURN, "the end", 2)
    assert statuses(world) == ["started", "completed"]
    summary = next(row for row in world.store.all() if row.is_summary)
    assert world.events.of("compaction_update")[1]["messageId"] == summary.message_id
    assert world.session.summary_message_id == summary.message_id
    asked = world.provider.summary_requests[0].messages[-1].text
    assert "- [in_progress] write tests" in asked
    assert "todos tool" in asked
    assert not world.provider.summary_requests[0].tools
    sent = world.provider.requests[1].messages
    assert [message.role for message in sent] == [Role.USER, Role.USER]
    assert sent[0].text == handed_over("the hand-over")
    assert "`do `it``" in sent[1].text
    assert_provider_accepts(sent)
    assert world.events.of("user_message")[1]["synthetic"] is True
    assert outcome.usage.input > 191_000, "the summary is paid for, too"


async def test_a_finished_turn_is_shortened_without_going_on():
    world = World().script(say("the answer", usage=BIG))
    outcome = await world.play()
    assert (outcome.text, statuses(world)) == ("the answer", ["started", "completed"])
    assert world.session.prompt_tokens == 0
    assert len(world.events.of("user_message")) == 1
    world.script(say("next", usage=SMALL_USE))
    await world.play("and now")
    assert [message.text for message in world.provider.requests[1].messages] == [
        handed_over("the hand-over"),
        "and now",
    ]


async def test_the_counters_of_a_rename_are_left_alone():  # CORE 37.6
    world = World().script(say("the answer", usage=BIG))
    world.provider.on_request = lambda request: setattr(world.session, "title", "renamed meanwhile")
    await world.play()
    assert world.session.title == "renamed meanwhile"


async def test_unknown_windows_and_switched_off_means_never():
    world = World(limits=TurnLimits(auto_summarize=False)).script(say("x", usage=BIG))
    await world.play()
    assert statuses(world) == []


async def test_an_overflow_is_shortened_once_and_the_step_repeated():
    overflow = broken("ContextOverflow", retryable=False)
    world = World().script([overflow], say("fits now"))
    outcome = await world.play("long")
    assert (outcome.text, outcome.steps, statuses(world)) == ("fits now", 1, ["started", "completed"])
    world = World().script([overflow], [overflow], say("never"))
    outcome = await world.play("long")
    assert outcome.error.kind == "ContextOverflow"
    assert statuses(world) == ["started", "completed"]


async def test_a_summary_that_overflows_itself_is_asked_for_with_less():
    overflow = broken("ContextOverflow", retryable=False)
    world = World().script([overflow], say("ok"))
    world.provider.summaries.extend([[overflow], say("short hand-over")])
    outcome = await world.play("long " * 1000)
    assert outcome.text == "ok"
    assert len(world.provider.summary_requests) == 2


async def test_a_compaction_that_does_not_help_is_not_repeated():
    world = World().script(
        *[calls(call(f"c{n}", "echo", f'{{"text":"{n}"}}'), usage=BIG) for n in range(4)], say("end", usage=BIG)
    )
    outcome = await world.play()
    assert outcome.stop_reason is StopReason.END_TURN
    assert statuses(world) == ["started", "completed"]
    assert world.events.notices() == ["compaction"]


async def test_a_failed_compaction_is_announced_and_the_turn_goes_on():
    world = World().script(calls(call("c1", "echo"), usage=BIG), say("end", usage=BIG))
    world.provider.summaries.append([broken("Provider", retryable=False)])
    outcome = await world.play()
    assert (outcome.text, statuses(world)) == ("end", ["started", "failed"])
    assert world.session.summary_message_id is None


async def test_a_cancel_during_compaction_cancels_the_run_and_keeps_no_half_summary():  # CORE 37.5
    world = World().script(calls(call("c1", "echo"), usage=BIG))
    world.provider.summaries.append([*say("half")[:1], Stall()])
    task = asyncio.create_task(world.runner(world.run(), world.control))
    await until(lambda: bool(world.provider.summary_requests))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    outcome = await task
    assert outcome.stop_reason is StopReason.CANCELLED
    assert statuses(world) == ["started", "cancelled"]
    assert not any(row.is_summary for row in world.store.all())
    assert world.session.summary_message_id is None


async def test_compaction_on_request():
    world = World()
    assert await world.compact("s") is False
    world.script(say("one"))
    await world.play()
    assert await world.compact("s") is True
    assert statuses(world) == ["started", "completed"]
    assert await world.compact("s") is False
    assert await world.compact("unknown") is False


async def test_a_failed_request_for_compaction_is_announced_not_raised():
    world = World().script(say("one"))
    await world.play()
    world.providers.refused = broken("ProviderAuth", retryable=False)
    assert await world.compact("s") is True
    assert statuses(world) == ["started", "failed"]


async def test_a_cancelled_request_for_compaction_says_so():
    world = World().script(say("one"))
    await world.play()
    world.provider.summaries.append([Stall()])
    task = asyncio.create_task(world.compact("s"))
    await until(lambda: bool(world.provider.summary_requests))
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert statuses(world) == ["started", "cancelled"]


async def test_attachments_come_along_unless_they_fill_the_room():
    for size, count in ((100, 1), (400_000, 0)):
        world = World().script(calls(call("c1", "echo"), usage=BIG), say("end", usage=SMALL_USE))
        attachment = AttachmentPart("text/plain", text="x" * size, path="a.txt")
        await world.runner(world.run(attachments=(attachment,)), world.control)
        assert len(world.events.of("user_message")[1]["attachments"]) == count


def test_shortening_keeps_the_end_and_cuts_results():
    def tool_message(text):
        return Message("", "s", Role.TOOL, [ToolResultPart("c", "t", text)])

    rows = [Message("", "s", Role.USER, [TextPart("x" * 4000)]), tool_message("y" * 100_000)]
    small = shortened(rows, 1500)
    assert len(small) == 1
    assert len(small[0].tool_results[0].content) < 5000
    assert len(rows[1].tool_results[0].content) == 100_000
    assert len(shortened(rows, 0)) == 1
