"""Retries: which errors, how long, and what clients see of them. Time is the fake clock's."""

import asyncio

import pytest

from lsp_agent.agent.retry import delay_before_retry
from lsp_agent.agent.services import TurnLimits
from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.message import FinishReason
from lsp_agent.domain.run import StopReason
from lsp_agent.domain.stream import Finished, TextDelta, UsageReport
from lsp_agent.domain.usage import Usage
from tests.agent_turn.acceptance import assert_events_are_sound, assert_history_is_sound
from tests.agent_turn.doubles import Stall, World, broken, call, calls, say, think, until


@pytest.mark.parametrize(
    ("asked", "retried", "expected"),
    [
        (None, 0, 5.0),
        (None, 1, 10.0),
        (None, 2, 20.0),
        (None, 3, None),
        (1.5, 0, 1.5),
        (59.0, 0, 59.0),
        (60.0, 0, 5.0),
        (3600.0, 0, 5.0),
        (0.0, 1, 10.0),
        (-1.0, 1, 10.0),
    ],
)
def test_the_delay_doubles_unless_the_service_asks_for_something_sensible(asked, retried, expected):
    assert delay_before_retry(broken(retry_after_s=asked), retried, TurnLimits()) == expected


def test_a_long_wish_wins_when_it_is_shorter_than_our_own_delay():
    assert delay_before_retry(broken(retry_after_s=90.0), 1, TurnLimits(retry_base_s=60.0)) == 90.0


async def test_three_retries_then_the_last_error():
    world = World().script(*[[broken()] for _ in range(4)], say("never"))
    outcome = await world.play()
    assert world.clock.slept == [5.0, 10.0, 20.0]
    assert outcome.error.kind == "Overloaded"
    assert outcome.error.retryable
    assert world.events.notices() == ["retry"] * 3


async def test_what_is_not_retryable_is_not_retried():
    world = World().script([broken("Provider", retryable=False)])
    assert (await world.play()).error.kind == "Provider"
    assert world.clock.slept == []


async def test_a_retry_takes_the_text_back_once_and_begins_anew():  # CORE 37.28
    world = World().script([TextDelta("half"), *think("hm"), broken()], say("whole"))
    outcome = await world.play()
    assert outcome.text == "whole"
    assert [event["content"] for event in world.events.of("agent_message")] == [[], [{"type": "text", "text": "whole"}]]
    assert world.events.of("agent_thought")[-1]["content"] == []
    assert world.last().reasoning == ""
    assert_events_are_sound(world.events.all, world.store.all())


async def test_a_failure_before_any_text_shrinks_nothing():
    world = World().script([broken()], say("ok"))
    await world.play()
    assert len(world.events.of("agent_message")) == 1


async def test_calls_of_a_failed_attempt_are_closed_and_never_run():
    world = World().script([*call("c1", "echo"), broken()], calls(call("c1", "echo")), say("ok"))
    await world.play()
    assert world.events.statuses("c1") == ["pending", "cancelled"]
    assert world.events.statuses("c1-2") == ["pending", "in_progress", "completed"]
    assert_history_is_sound(world.store.all())
    assert_events_are_sound(world.events.all, world.store.all())


async def test_the_last_attempt_keeps_what_it_said():
    world = World(limits=TurnLimits(retries=0)).script([TextDelta("half"), broken()])
    assert (await world.play()).text == "half"


async def test_credentials_are_refreshed_once_and_the_budget_begins_anew():
    world = World()
    world.providers.refresh_works = True
    unauthorized = broken("ProviderAuth", retryable=False, status=401)
    world.script([broken()], [unauthorized], [broken()], [broken()], [broken()], say("ok"))
    assert (await world.play()).text == "ok"
    assert world.providers.refreshes == 1
    assert world.clock.slept == [5.0, 5.0, 10.0, 20.0]


async def test_a_second_401_or_a_vain_refresh_is_the_end():
    world = World()
    unauthorized = broken("ProviderAuth", retryable=False, status=401)
    world.script([unauthorized])
    assert (await world.play()).error.kind == "ProviderAuth"
    world.providers.refresh_works = True
    world.script([unauthorized], [unauthorized])
    assert (await world.play()).error.kind == "ProviderAuth"
    assert world.providers.refreshes == 2


async def test_a_cancel_while_credentials_are_refreshed_is_honoured_at_once():  # CORE 37.27
    world = World().script([broken("ProviderAuth", retryable=False, status=401)])
    waiting = asyncio.Event()

    async def forever(model):
        waiting.set()
        await asyncio.Event().wait()

    world.providers.refresh_credentials = forever
    task = asyncio.create_task(world.runner(world.run(), world.control))
    await waiting.wait()
    task.cancel()
    assert (await task).stop_reason is StopReason.CANCELLED


async def test_a_silent_stream_is_a_timeout_and_is_tried_again():
    world = World(limits=TurnLimits(stream_idle_s=0.02, update_interval_ms=0))
    world.script([TextDelta("a"), Stall()], say("b"))
    outcome = await world.play()
    assert outcome.text == "b"
    assert "sent nothing for 0.02 s" in world.events.of("notice")[0]["message"]
    assert world.provider.open == 0


async def test_pings_are_life_but_the_whole_may_not_take_for_ever():
    world = World(limits=TurnLimits(stream_idle_s=10.0, stream_total_s=0.03, retries=0))
    world.script([[]] * 10_000_000)
    outcome = await world.play()
    assert outcome.error.kind == "Timeout"
    assert "longer than 0.03 s" in outcome.error.message


async def test_a_stream_without_an_end_is_broken():
    world = World(limits=TurnLimits(retries=1)).script([TextDelta("a")], [TextDelta("a")])
    outcome = await world.play()
    assert (outcome.error.kind, len(world.clock.slept)) == ("Provider", 1)


async def test_a_failed_attempt_is_paid_for():
    world = World().script([UsageReport(Usage(input=1_000_000)), broken()], say("ok", usage=Usage(input=1_000_000)))
    outcome = await world.play()
    assert outcome.usage.cost_usd == 6.0
    assert world.session.cost_usd == 6.0


async def test_a_timeout_of_the_adapter_itself_is_an_internal_error():
    world = World()

    async def stream(request):
        raise TimeoutError("bug")
        yield []

    world.provider.stream = stream
    assert (await world.play()).error.kind == "Internal"


async def test_a_stream_that_never_waits_lets_others_run():
    world = World()
    world.provider.suspends = False
    world.script([*[TextDelta("x")] * 5000, Finished(FinishReason.END_TURN)])
    task = asyncio.create_task(world.runner(world.run(), world.control))
    await until(lambda: bool(world.events.of("agent_message_chunk")))
    assert not task.done()
    await task


def test_an_error_without_status_but_about_credentials_is_worth_a_refresh():
    from lsp_agent.agent.retry import may_refresh

    assert may_refresh(ProviderError("ProviderAuth", "t", "m"))
    assert may_refresh(ProviderError("ProviderAuth", "t", "m", status=403))
    assert not may_refresh(ProviderError("Provider", "t", "m", status=403))
