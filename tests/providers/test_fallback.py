"""A service that stays overloaded: the run goes on with the other model, once, and the user is told (issue 5.8)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lsp_agent.agent.fallback import wants_other_model
from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.model import Model
from tests.guarantees.conftest import new_world
from tests.guarantees.world import World, turn
from tests.harness.fake_provider import FakeProvider, http, text, think, tool, usage

MODEL = Model("a", "m")
OTHER = '[[providers.fake.models]]\nid = "other"\nname = "Other"\ninput_usd_per_mtok = 1.0\noutput_usd_per_mtok = 2.0'


@pytest.mark.parametrize(
    ("kind", "fallback", "switched", "wanted"),
    [
        ("Overloaded", "b/m", False, True),
        ("RateLimited", "b/m", False, True),
        ("Overloaded", "b/m", True, False),
        ("Overloaded", "a/m", False, False),
        ("Overloaded", "", False, False),
        ("ProviderAuth", "b/m", False, False),
        ("ContextOverflow", "b/m", False, False),
        ("Timeout", "b/m", False, False),
        ("Provider", "b/m", False, False),
    ],
)
def test_only_an_overload_is_a_reason_to_leave_a_model(kind: str, fallback: str, switched: bool, wanted: bool):
    assert wants_other_model(ProviderError(kind, "t", "m"), MODEL, fallback, switched=switched) is wanted


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with new_world(tmp_path) as made:
        yield made


def models_asked(fake: FakeProvider) -> list[str]:
    return [item.body["model"] for item in fake.requests if (item.body or {}).get("tools")]


def fall_back_to(world: World, ref: str, more: str = "") -> None:
    world.configure(limits="retries = 1", more=more)
    world.config.write_text(world.config.read_text().replace("[models]\n", f'[models]\nfallback = "{ref}"\n'))


async def notices(client: Any, session: str) -> list[dict[str, Any]]:
    return [event["update"] for event in client.events(session, "notice")]


@pytest.mark.process
@pytest.mark.parametrize("status", [529, 429])
async def test_an_overloaded_model_is_replaced_in_the_middle_of_a_run_and_priced_as_itself(world: World, status: int):
    fall_back_to(world, "fake/other", OTHER)
    world.write("a.py", "contents of a\n")
    client = await world.start()
    world.fake.push(
        [think("hm"), text("Looking."), tool("view", {"file_path": "a.py"}), usage(100_000, 0)],
        [http(status)],
        [http(status)],
        [text("Seen it."), usage(100_000, 0)],
    )
    result, done = await turn(client)
    assert (done["stopReason"], done["text"]) == ("end_turn", "Seen it.")
    assert models_asked(world.fake) == ["large", "large", "large", "other"]
    assert done["usage"]["costUsd"] == pytest.approx(0.3 + 0.1)
    told = [each for each in await notices(client, result["sessionId"]) if each["code"] == "fallback"]
    assert len(told) == 1
    assert "Other" in told[0]["message"]
    # the tool ran once, and its call and result went along
    assert json.dumps(world.fake.requests[-1].body).count("contents of a") == 1
    # the next run begins with the configured model again
    await turn(client, sessionId=result["sessionId"])
    assert models_asked(world.fake)[-1] == "large"


@pytest.mark.process
async def test_when_the_other_model_is_overloaded_too_the_run_ends_with_its_error(world: World):
    fall_back_to(world, "fake/other", OTHER)
    client = await world.start()
    world.fake.push(*[[http(529)] for _ in range(6)])
    _, done = await turn(client)
    assert (done["stopReason"], done["error"]["kind"]) == ("error", "Overloaded")
    assert models_asked(world.fake) == ["large", "large", "other", "other"]


@pytest.mark.process
async def test_a_run_goes_on_in_another_dialect_with_thinking_in_the_history(world: World):
    more = (
        f'[providers.second]\ntype = "openai"\nbase_url = "{world.fake.url}/v1"\napi_key = "$FAKE_KEY"\n'
        '[[providers.second.models]]\nid = "gpt"\ncan_reason = true\nreasoning_efforts = ["low"]'
    )
    fall_back_to(world, "second/gpt", more)
    world.write("a.py", "contents of a\n")
    client = await world.start()
    world.fake.push(
        [think("hm", signature="sig-of-the-first"), tool("view", {"file_path": "a.py"}), usage(1, 1)],
        [http(529)],
        [http(529)],
        [text("Seen."), usage(1, 1)],
    )
    _, done = await turn(client)
    assert (done["stopReason"], done["text"]) == ("end_turn", "Seen.")
    assert world.fake.requests[-1].path.endswith("/responses")
    assert "sig-of-the-first" not in json.dumps(world.fake.requests[-1].body)
