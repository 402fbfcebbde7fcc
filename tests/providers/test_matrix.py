"""A session that changes its provider in the middle, over all pairs: what one made, the other accepts, and back again.

Every answer comes over HTTP from the fake service, is folded as the agent folds it and goes through its history.
"""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from lsp_agent.agent.fold import Fold
from lsp_agent.agent.history import build
from lsp_agent.domain.message import Message, Role, ToolResultPart, part_from_json, part_to_json
from lsp_agent.domain.model import Model
from lsp_agent.ports.provider import Provider
from lsp_agent.providers.google_request import UNSIGNED
from tests.harness.fake_provider import FakeProvider, Turn, text, think, tool, usage
from tests.providers.checkers import CHECKERS
from tests.providers.doubles import PNG, SDK_DIALECTS, VIEW, Way, image, make_provider, message, request_of, user

DIALECTS = list(CHECKERS)
PAIRS = [(one, other) for one in DIALECTS for other in DIALECTS]


def calling(name: str, turn: int) -> Turn:
    """Thinking, words, and two calls at once; signatures say who made them."""
    return [
        think("let me see", deltas=2, signature=f"{name}/sig+{turn}=="),
        text("Looking.", deltas=2),
        tool("view", {"file_path": "a.py"}, call_id=f"{name}.call:{turn}a"),
        tool("view", {"file_path": "b.png"}, call_id=f"{name}.call:{turn}b"),
        usage(10, 5),
    ]


def closing(name: str, turn: int) -> Turn:
    return [think("so", signature=f"{name}/sig+{turn}=="), text("Done."), usage(10, 5)]


class Session:
    """A conversation that is stored, as JSON, between its steps."""

    def __init__(self, fake: FakeProvider, transport: str = "http") -> None:
        self.fake = fake
        self.transport = transport
        self.messages: list[Message] = []
        self.providers: dict[str, Provider] = {}

    def provider(self, dialect: str) -> Provider:
        if dialect not in self.providers:
            way = Way(dialect, self.transport if dialect in SDK_DIALECTS else "http")
            made = self.providers[dialect] = make_provider(way, self.fake.url)
            made.provider_id = dialect
        return self.providers[dialect]

    async def answer(self, dialect: str, turn: Turn) -> dict[str, Any]:
        """One step; returns the request's body as the service saw it."""
        self.fake.push(turn)
        provider = self.provider(dialect)
        history = build(self.messages, images=True, media_in_results=provider.media_in_tool_results)
        model = Model(dialect, "thinker", can_reason=True, max_output_tokens=5000)
        fold = Fold(Message("m", "s", Role.ASSISTANT, provider=dialect, model="thinker"))
        request = request_of(*history, model=model, tools=(VIEW,), thinking="high")
        async for batch in provider.stream(request):
            fold.apply(batch, 1)
        fold.close(2)
        stored = orjson.dumps([part_to_json(part) for part in fold.message.parts])
        parts = [part_from_json(value) for value in orjson.loads(stored)]
        self.messages.append(replace(fold.message, parts=parts))
        body: dict[str, Any] = self.fake.requests[-1].body
        return body

    def results(self) -> None:
        """In the wrong order: first an image for the second call, then an error for the first."""
        first, second = self.messages[-1].tool_calls
        shot = ToolResultPart(second.tool_call_id, "view", "Loaded.", data=PNG, mime_type="image/png")
        failed = ToolResultPart(first.tool_call_id, "view", "No such file.", is_error=True)
        self.messages.append(message(Role.TOOL, shot))
        self.messages.append(message(Role.TOOL, failed))

    async def close(self) -> None:
        for provider in self.providers.values():
            await provider.close()


def issued(name: str, turns: int) -> list[str]:
    return [f"{name}/sig+{turn}==" for turn in range(turns)]


@pytest.mark.parametrize("transport", ["http", "sdk"])
@pytest.mark.parametrize(("one", "other"), PAIRS, ids=[f"{one}-{other}" for one, other in PAIRS])
async def test_a_session_goes_on_with_another_provider_and_back(
    one: str, other: str, transport: str, fake: FakeProvider
):
    session = Session(fake, transport)
    session.messages.append(user("What is this?", image()))
    await session.answer(one, calling(one, 0))
    session.results()
    CHECKERS[one](await session.answer(one, closing(one, 1)), issued(one, 2))
    session.messages.append(user("Go on."))
    CHECKERS[other](await session.answer(other, calling(other, 2)), issued(other, 3) if one == other else [])
    session.results()
    # in the middle of the other's tool loop
    CHECKERS[one](await session.answer(one, closing(one, 3)), issued(one, 4))
    session.messages.append(user("And now?"))
    body = await session.answer(one, closing(one, 4))
    CHECKERS[one](body, issued(one, 5))
    if one != "chat":
        # what it signed itself comes back, byte for byte
        sent = orjson.dumps(body).decode()
        assert all(signature in sent for signature in [f"{one}/sig+{turn}==" for turn in (0, 1, 3)])
        assert (UNSIGNED in sent) is (one == "google" and other != "google")
    await session.close()


@pytest.mark.parametrize("source", DIALECTS)
@pytest.mark.parametrize("target", DIALECTS)
async def test_an_answer_cut_off_in_the_middle_does_not_spoil_the_session(source: str, target: str, fake: FakeProvider):
    session = Session(fake)
    session.messages.append(user("Look."))
    await session.answer(source, calling(source, 0))
    # cancelled: one of two calls has a result
    first = session.messages[-1].tool_calls[0]
    session.messages.append(message(Role.TOOL, ToolResultPart(first.tool_call_id, "view", "one")))
    session.messages.append(message(Role.ASSISTANT, provider=source))
    session.messages.append(user("Again."))
    CHECKERS[target](await session.answer(target, closing(target, 1)), issued(target, 2) if source == target else [])
    await session.close()
