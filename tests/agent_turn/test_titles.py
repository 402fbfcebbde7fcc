"""Titles: found beside the turn, never in its way, never over a user's name."""

import asyncio

import pytest

from lsp_agent.agent.titles import cleaned, title_of_prompt
from lsp_agent.domain.message import FinishReason
from lsp_agent.domain.stream import Finished, TextDelta
from lsp_agent.domain.usage import Usage
from tests.agent_turn.doubles import Stall, World, broken, say, until


def titles(world):
    return [event["title"] for event in world.events.of("session_info_update")]


async def played(*scripts, prompt="please fix the bug", titled=False):
    world = World(titled=titled)
    world.provider.titles.extend(scripts)
    await world.play(prompt)
    await until(lambda: not world.runner._titles._tasks)
    return world


async def test_the_small_model_names_the_session():
    world = await played(say("Fixing the **bug**\n", usage=Usage(input=10, output=2)))
    assert titles(world) == ["Fixing the bug"]
    assert world.provider.title_requests[0].model.model_id == "small"
    assert world.provider.title_requests[0].sampling.max_output_tokens == 40
    run_of_title = world.events.runs[world.events.all.index(world.events.of("session_info_update")[0])]
    assert run_of_title is None


async def test_the_large_model_is_next_and_the_prompt_last():
    world = await played([broken(retryable=False)], say("By the large one"))
    assert titles(world) == ["By the large one"]
    cut = [TextDelta("too long"), Finished(FinishReason.MAX_TOKENS)]
    world = await played(cut, cut, prompt="a  prompt\nof two lines")
    assert titles(world) == ["a prompt of two lines"]


async def test_a_turn_waits_for_no_title():
    world = World(titled=False)
    world.provider.titles.append([Stall()])
    outcome = await world.play()
    assert outcome.text == "done"
    await world.runner.aclose(1.0)
    await world.runner.aclose(1.0)
    assert titles(world) == []


async def test_a_name_given_meanwhile_is_never_overwritten():  # CORE 37.7
    world = World(titled=False)
    release = asyncio.Event()

    async def slow_titles(model):
        if model.model_id == "small":
            await release.wait()
        return world.provider

    world.providers.provider_for = slow_titles
    await world.play()
    world.session.title, world.session.title_is_users = "mine", True
    release.set()
    await until(lambda: not world.runner._titles._tasks)
    assert (world.session.title, titles(world)) == ("mine", [])


async def test_a_named_session_and_a_later_prompt_make_no_title():
    world = await played(titled=True)
    assert world.provider.title_requests == []
    world = await played()
    await world.play("second")
    assert len(world.provider.title_requests) == 1


async def test_a_session_that_is_gone_gets_no_title():
    world = World(titled=False)
    release = asyncio.Event()

    async def slow_titles(model):
        if model.model_id == "small":
            await release.wait()
        return world.provider

    world.providers.provider_for = slow_titles
    await world.play()
    world.store.sessions_by_id.pop("s")
    release.set()
    await until(lambda: not world.runner._titles._tasks)
    assert titles(world) == []


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        ("<think>hm\nhm</think>\n\nA title", "A title"),
        ("</think>A title", "A title"),
        ('"A title"', "A title"),
        ("# **A title**", "A title"),
        ("Use `foo_bar` **now**", "Use foo_bar now"),
        ("two\nlines", "two lines"),
        ("   ", ""),
        ("x" * 60, "x" * 49 + "…"),
    ],
)
def test_titles_are_cleaned(raw, title):
    assert cleaned(raw) == title


def test_a_prompt_makes_a_title():
    assert title_of_prompt("a\n b") == "a b"
    assert title_of_prompt(" ") == "Untitled Session"
    assert len(title_of_prompt("word " * 30)) <= 50
