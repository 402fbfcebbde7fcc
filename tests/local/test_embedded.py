"""The embedded provider's own manners, against a fake service in the engine's place."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.model import Model
from lsp_agent.providers.embedded import EmbeddedProvider, Endpoint
from lsp_agent.providers.registry import ProviderRegistry
from lsp_agent.providers.settings import ProviderSettings, ProvidersSettings
from tests.harness.fake_provider import FakeProvider, text, usage
from tests.providers.doubles import collect, request_of, text_of, user

MODEL = Model("embedded", "tiny", context_window=8192)


class OneEngine:
    """Implements `Engines`: the fake service is always there, unless it is told to fail."""

    def __init__(self, url: str) -> None:
        self.endpoint = Endpoint(f"{url}/v1", "secret-key")
        self.held = 0
        self.trouble: ProviderError | None = None

    def models(self) -> Sequence[Model]:
        return [MODEL]

    @asynccontextmanager
    async def lease(self, model: Model) -> AsyncIterator[Endpoint]:
        if self.trouble is not None:
            raise self.trouble
        self.held += 1
        try:
            yield self.endpoint
        finally:
            self.held -= 1

    async def close(self) -> None:
        pass


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as server:
        yield server


async def test_a_title_waits_until_no_turn_needs_the_model(fake):
    provider = EmbeddedProvider("embedded", OneEngine(fake.url))
    fake.push([text("a "), {"hold": "turn"}, text("b"), usage(1, 1)], [text("A title"), usage(1, 1)])
    title = asyncio.create_task(collect(provider, request_of(user("title"), model=MODEL, purpose="title")))
    turn = asyncio.create_task(collect(provider, request_of(user("turn"), model=MODEL)))
    await fake.wait_for(1)
    assert "turn" in str(fake.requests[0].body["messages"])
    assert not title.done()
    fake.release("turn")
    assert text_of(await turn) == "a b"
    assert text_of(await title) == "A title"
    await provider.close()


async def test_the_lease_ends_with_the_stream_also_when_it_is_closed_early(fake):
    engine = OneEngine(fake.url)
    provider = EmbeddedProvider("embedded", engine)
    fake.push([text("a"), {"hold": "never"}])
    stream = provider.stream(request_of(user("hi"), model=MODEL))
    async for batch in stream:
        if text_of(batch):
            assert engine.held == 1
            break
    await stream.aclose()
    assert engine.held == 0
    async with asyncio.timeout(5):
        await fake.requests[0].disconnected.wait()
    await provider.close()


async def test_the_key_goes_to_the_engine_and_into_no_message(fake):
    provider = EmbeddedProvider("embedded", OneEngine(fake.url))
    fake.push([{"http": 500, "headers": {}, "body": {"error": {"message": "secret-key is odd"}}}])
    with pytest.raises(ProviderError) as caught:
        await collect(provider, request_of(user("hi"), model=MODEL))
    assert fake.requests[0].headers["authorization"] == "Bearer secret-key"
    assert "secret-key" not in str(caught.value)
    await provider.close()


async def test_an_engine_that_cannot_start_is_the_error_the_user_reads(fake):
    engine = OneEngine(fake.url)
    engine.trouble = ProviderError("Provider", "The embedded engine", "install it")
    provider = EmbeddedProvider("embedded", engine)
    with pytest.raises(ProviderError, match="install it"):
        await collect(provider, request_of(user("hi"), model=MODEL))


async def test_a_list_of_models_says_what_a_led_model_can_do(fake):
    mine = ProviderSettings(
        "mine", "openai-compat", fake.url, models=(Model("mine", "m"),), options={"constrained": True}
    )
    found = ProviderRegistry(lambda: ProvidersSettings(providers=(mine,)), {}, engines=OneEngine(fake.url))
    notes = {model.ref: str(model.options.get("notes", "")) for model in found.models()}
    assert "Cannot call tools" in notes["mine/m"]
    assert "embedded/tiny" in notes
    await found.close()
