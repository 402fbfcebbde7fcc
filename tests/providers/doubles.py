"""What the tests of providers share: messages, requests, adapters pointed at the fake service."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from lsp_agent.domain.message import (
    AttachmentPart,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from lsp_agent.domain.model import Model
from lsp_agent.domain.stream import StreamEvent, TextDelta
from lsp_agent.ports.provider import Provider, Request, ToolSpec
from lsp_agent.providers.adapters import make_adapter
from lsp_agent.providers.anthropic import AnthropicProvider
from lsp_agent.providers.google import GoogleProvider
from lsp_agent.providers.openai_chat import OpenAIChatProvider
from lsp_agent.providers.openai_responses import OpenAIResponsesProvider
from lsp_agent.providers.sending import Reach
from lsp_agent.providers.settings import ProviderSettings

DIALECTS = ("anthropic", "responses", "chat", "google", "bedrock", "azure", "vertex")
SDK_DIALECTS = ("anthropic", "responses", "chat", "azure")


class Way(str):
    """A dialect that knows how it is sent: `http`, or `sdk`."""

    __slots__ = ("transport",)
    transport: str

    def __new__(cls, dialect: str, transport: str = "http") -> "Way":
        made = super().__new__(cls, dialect)
        made.transport = transport
        return made

    @property
    def label(self) -> str:
        return str(self) if self.transport == "http" else f"{self}-{self.transport}"


WAYS = (*[Way(dialect) for dialect in DIALECTS], *[Way(dialect, "sdk") for dialect in SDK_DIALECTS])
SECRET = "sk-test-0123456789abcdef"
PNG = b"\x89PNG\r\n\x1a\nfake"
VIEW = ToolSpec("view", "Reads a file.", {"type": "object", "properties": {"file_path": {"type": "string"}}})


def message(role: Role, *parts: Part, provider: str | None = None) -> Message:
    return Message("m", "s", role, list(parts), provider=provider)


def user(*parts: Part | str) -> Message:
    return message(Role.USER, *[TextPart(part) if isinstance(part, str) else part for part in parts])


def assistant(*parts: Part | str, provider: str | None = None) -> Message:
    made = [TextPart(part) if isinstance(part, str) else part for part in parts]
    return message(Role.ASSISTANT, *made, provider=provider)


def call(call_id: str, name: str = "view", arguments: str = '{"file_path":"a.py"}') -> ToolCallPart:
    return ToolCallPart(call_id, name, arguments, finished=True)


def result(call_id: str, content: str = "done", **more: Any) -> Message:
    return message(Role.TOOL, ToolResultPart(call_id, "view", content, **more))


def image(mime: str = "image/png") -> AttachmentPart:
    return AttachmentPart(mime, data=PNG, name="shot.png")


def thought(**data: Any) -> ReasoningPart:
    return ReasoningPart("hmm", provider_data=data)


def request_of(*messages: Message, **more: Any) -> Request:
    model = more.pop("model", Model("fake", "fake-large", max_output_tokens=1000))
    return Request(model=model, system=more.pop("system", ("Be kind.",)), messages=messages or (user("Hello"),), **more)


def transport_of(dialect: str) -> str:
    return dialect.transport if isinstance(dialect, Way) else "http"


def make_provider(dialect: str, url: str, key: str = SECRET, **more: Any) -> Provider:
    reach = more["reach"] = Reach(transport=transport_of(dialect))
    if dialect == "anthropic":
        return AnthropicProvider("fake", api_key=key, base_url=url, **more)
    if dialect == "google":
        return GoogleProvider("fake", api_key=key, base_url=f"{url}/v1beta", **more)
    if dialect in {"azure", "bedrock", "vertex"}:
        options = {"azure": {}, "bedrock": {}, "vertex": {"project": "p"}}[dialect] | {"transport": reach.transport}
        block = ProviderSettings("fake", dialect, options=options, extra_body=more.get("extra_body") or {})
        return make_adapter(block, key=key, base_url=url, headers=more.get("headers") or {}, env={})
    if dialect == "responses":
        return OpenAIResponsesProvider("fake", api_key=key, base_url=f"{url}/v1", **more)
    return OpenAIChatProvider("fake", api_key=key, base_url=f"{url}/v1", **more)


async def collect(provider: Provider, request: Request | None = None) -> list[StreamEvent]:
    events: list[StreamEvent] = []
    async for batch in provider.stream(request or request_of()):
        events.extend(batch)
    return events


async def until(condition: Callable[[], bool], deadline_s: float = 5.0) -> None:
    """Wait for something that another process or the file system does."""
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)


def text_of(events: Iterable[StreamEvent]) -> str:
    return "".join([event.text for event in events if isinstance(event, TextDelta)])
