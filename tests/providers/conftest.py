from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from lsp_agent.domain.message import Message, Role, TextPart
from lsp_agent.domain.model import Model
from lsp_agent.domain.stream import StreamEvent
from lsp_agent.ports.provider import Provider, Request
from lsp_agent.providers.anthropic import AnthropicProvider
from lsp_agent.providers.openai_chat import OpenAIChatProvider
from lsp_agent.providers.openai_responses import OpenAIResponsesProvider
from tests.harness.fake_provider import FakeProvider

SECRET = "sk-test-0123456789abcdef"


def user(text: str) -> Message:
    return Message("m1", "s1", Role.USER, [TextPart(text)])


def request_of(*messages: Message, **more: Any) -> Request:
    model = more.pop("model", Model("fake", "fake-large", max_output_tokens=1000))
    return Request(model=model, system=more.pop("system", ("Be kind.",)), messages=messages or (user("Hello"),), **more)


def make_provider(dialect: str, url: str, key: str = SECRET) -> Provider:
    if dialect == "anthropic":
        return AnthropicProvider("fake", api_key=key, base_url=url)
    if dialect == "responses":
        return OpenAIResponsesProvider("fake", api_key=key, base_url=f"{url}/v1")
    return OpenAIChatProvider("fake", api_key=key, base_url=f"{url}/v1")


async def collect(provider: Provider, request: Request | None = None) -> list[StreamEvent]:
    events: list[StreamEvent] = []
    async for batch in provider.stream(request or request_of()):
        events.extend(batch)
    return events


@pytest.fixture(params=["anthropic", "responses", "chat"])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as server:
        yield server


@pytest.fixture
async def provider(dialect: str, fake: FakeProvider) -> AsyncIterator[Provider]:
    made = make_provider(dialect, fake.url)
    yield made
    await made.close()


@pytest.fixture
async def providers_at() -> AsyncIterator[Callable[[str, str], Provider]]:
    made: list[Provider] = []

    def make(dialect: str, url: str) -> Provider:
        made.append(make_provider(dialect, url))
        return made[-1]

    yield make
    for item in made:
        await item.close()
