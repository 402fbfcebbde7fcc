"""What single services and hosts want otherwise (CORE 17.1, 17.3), as the request that leaves."""

from typing import Any

import pytest

from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.model import Model
from lsp_agent.providers import anthropic_request, chat_request
from lsp_agent.providers.adapters import make_adapter
from lsp_agent.providers.azure import azure_address
from lsp_agent.providers.registry import ProviderRegistry
from lsp_agent.providers.settings import ProviderSettings, ProvidersSettings
from lsp_agent.providers.specials import ANTHROPIC_SPECIALS, route_for, special_for, wants_bearer
from lsp_agent.providers.vertex import vertex_address
from tests.harness.fake_provider import FakeProvider
from tests.providers.doubles import SECRET, collect, request_of, user

ON, OFF = {"thinking": {"type": "enabled"}}, {"thinking": {"type": "disabled"}}
KNOWN = ("model", "messages", "stream", "stream_options", "max_tokens")

TABLE: list[tuple[str, str, str, str, dict[str, Any]]] = [
    # id, address, model, thinking, what is added
    ("zai", "", "glm-5", "high", {**ON, "tool_stream": True, "reasoning_effort": "high"}),
    ("zai", "", "glm-5", "on", {**ON, "tool_stream": True}),
    ("zai", "", "glm-5", "", {**OFF, "tool_stream": True}),
    ("mine", "https://api.z.ai/api/paas/v4", "glm-5", "", {**OFF, "tool_stream": True}),
    ("deepseek", "", "deepseek-chat", "high", {**ON, "reasoning_effort": "high"}),
    ("deepseek", "", "deepseek-chat", "", OFF),
    ("fireworks", "", "m", "", OFF),
    ("fireworks", "", "m", "on", ON),
    ("mine", "https://api.fireworks.ai/inference/v1", "m", "low", {"reasoning_effort": "low"}),
    ("baseten", "", "m", "on", {"chat_template_args": {"enable_thinking": True}}),
    ("baseten", "", "m", "", {"chat_template_args": {"enable_thinking": False}}),
    ("ionet", "", "m", "high", {"reasoning": {"effort": "high"}}),
    ("ionet", "", "m", "on", {"reasoning": {"effort": "medium"}}),
    ("ionet", "", "m", "", {"reasoning": {"effort": "none"}}),
    ("opencode", "", "minimax-m3", "high", {"thinking": {"type": "adaptive"}, "reasoning_split": True}),
    ("opencode", "", "MiniMax-M3", "", OFF),
    ("opencode", "", "glm-5", "high", {"reasoning_effort": "high"}),
    ("alibaba", "", "qwen4", "on", {"enable_thinking": True}),
    ("mine", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "qwen4", "", {"enable_thinking": False}),
    ("anybody", "https://example.com/v1", "m", "high", {"reasoning_effort": "high"}),
    ("anybody", "https://example.com/v1", "m", "", {}),
    ("mine", "https://notapi.z.ai.example.com/v1", "m", "", {}),
]


@pytest.mark.parametrize(("name", "url", "model_id", "thinking", "added"), TABLE)
def test_every_service_gets_thinking_as_it_wants_it(name, url, model_id, thinking, added):
    model = Model(name, model_id, can_reason=True, max_output_tokens=9)
    body, _ = chat_request.encode(request_of(user("x"), model=model, thinking=thinking), "openai-compat", base_url=url)
    assert {key: value for key, value in body.items() if key not in KNOWN} == added


def test_a_model_that_cannot_reason_is_told_nothing_about_thinking():
    body, _ = chat_request.encode(request_of(user("x"), model=Model("zai", "glm-4")), "openai-compat")
    assert "thinking" not in body
    assert body["tool_stream"] is True


def test_what_the_user_says_wins_over_a_services_wishes():
    model = Model("zai", "glm-5", can_reason=True)
    options = {"thinking": {"type": "disabled"}, "tool_stream": False}
    request = request_of(user("x"), model=model, thinking="on", provider_options=options)
    body, _ = chat_request.encode(request, "openai-compat")
    assert (body["thinking"], body["tool_stream"]) == ({"type": "disabled"}, False)


@pytest.mark.parametrize(("thinking", "added"), [("high", {"reasoning_effort": "high"}), ("on", ON), ("", OFF)])
def test_alibabas_anthropic_dialect_has_its_own_thinking(thinking: str, added: dict[str, Any]):
    url = "https://dashscope.aliyuncs.com/apps/anthropic"
    special = special_for("mine", url, "qwen4", ANTHROPIC_SPECIALS)
    model = Model("mine", "qwen4", can_reason=True, reasoning_efforts=("high",))
    found = anthropic_request.encode(request_of(user("x"), model=model, thinking=thinking), special=special)
    assert {key: found.body[key] for key in ("thinking", "reasoning_effort") if key in found.body} == added
    assert "output_config" not in found.body
    assert found.betas == []


async def test_minimax_gets_its_key_as_a_bearer_token():
    async with FakeProvider() as fake:
        block = ProviderSettings("minimax", "anthropic")
        made = make_adapter(block, key=SECRET, base_url=fake.url, headers={}, env={})
        await collect(made)
        assert fake.requests[0].headers["authorization"] == f"Bearer {SECRET}"
        assert "x-api-key" not in fake.requests[0].headers
        await made.close()
    assert wants_bearer("mine", "https://api.minimax.io/anthropic")
    assert not wants_bearer("mine", "https://api.anthropic.com")


@pytest.mark.parametrize(
    ("provider", "model_id", "path"),
    [
        ("copilot", "gpt-5.3-codex", "/v1/responses"),
        ("copilot", "gpt-5-mini", "/v1/responses"),
        ("copilot", "gpt-5", "/v1/chat/completions"),
        ("copilot", "claude-sonnet-5", "/v1/chat/completions"),
        ("opencode", "qwen3.7-max", "/v1/messages"),
        ("opencode", "kimi-k3", "/v1/chat/completions"),
    ],
)
async def test_some_models_of_a_service_speak_another_dialect(provider: str, model_id: str, path: str):
    async with FakeProvider() as fake:
        block = ProviderSettings(provider, "openai-compat")
        made = make_adapter(block, key=SECRET, base_url=f"{fake.url}/v1", headers={}, env={})
        await made.preload()
        await collect(made, request_of(model=Model(provider, model_id)))
        assert fake.requests[0].path == path
        await made.close()


def test_a_route_is_known_by_its_host_too():
    assert route_for("mine", "https://api.githubcopilot.com") is not None
    assert route_for("mine", "https://example.com") is None


# ------------------------------------------------------------------------------------------------------------ hosts


@pytest.mark.parametrize(
    ("base_url", "version", "expected", "query"),
    [
        ("https://r.openai.azure.com", "", "https://r.openai.azure.com/openai/v1", {}),
        ("https://r.openai.azure.com/openai/", "", "https://r.openai.azure.com/openai/v1", {}),
        ("https://r.openai.azure.com/openai/v1", "preview", "https://r.openai.azure.com/openai/v1", "preview"),
        ("https://r.openai.azure.com", "2025-04-01-preview", "https://r.openai.azure.com/openai", "2025-04-01-preview"),
        ("https://r.openai.azure.com/openai/v1", "2024-10-21", "https://r.openai.azure.com/openai", "2024-10-21"),
    ],
)
def test_azure_addresses(base_url: str, version: str, expected: str, query: Any):
    found = azure_address(base_url, version)
    assert found.base_url == expected
    assert found.query == ({"api-version": query} if query else {})


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({}, "/openai/v1/responses"),
        ({"api": "chat"}, "/openai/v1/chat/completions"),
        ({"api": "chat", "api_version": "2024-10-21"}, "/openai/deployments/my%20gpt/chat/completions"),
        ({"api_version": "2025-04-01-preview"}, "/openai/responses"),
    ],
)
async def test_azure_paths_and_versions(options: dict[str, str], path: str):
    async with FakeProvider() as fake:
        block = ProviderSettings("azure", "azure", options=options)
        made = make_adapter(block, key=SECRET, base_url=fake.url, headers={}, env={})
        await collect(made, request_of(model=Model("azure", "my gpt", max_output_tokens=50)))
        asked, _, query = fake.requests[0].path.partition("?")
        assert asked == path
        assert query == (f"api-version={options['api_version']}" if "api_version" in options else "")
        assert fake.requests[0].headers["api-key"] == SECRET
        assert "authorization" not in fake.requests[0].headers
        await made.close()


@pytest.mark.parametrize(
    ("options", "env", "base"),
    [
        ({"project": "p", "location": "europe-west4"}, {}, "https://europe-west4-aiplatform.googleapis.com/v1"),
        ({"project": "p"}, {}, "https://aiplatform.googleapis.com/v1"),
        ({"location": "eu"}, {"GOOGLE_CLOUD_PROJECT": "p"}, "https://aiplatform.eu.rep.googleapis.com/v1"),
    ],
)
def test_vertex_addresses(options: dict[str, str], env: dict[str, str], base: str):
    found, publishers = vertex_address("vertex", options, "", env)
    assert found == base
    assert publishers == f"/projects/p/locations/{options.get('location', 'global')}/publishers"


def test_a_missing_project_is_named():
    with pytest.raises(ProviderError) as caught:
        vertex_address("vertex", {}, "", {})
    assert "providers.vertex.options.project" in caught.value.message


async def test_vertex_serves_gemini_and_claude_each_in_its_dialect():
    async with FakeProvider() as fake:
        block = ProviderSettings("vertex", "vertex", options={"project": "p", "location": "us-east5"})
        made = make_adapter(block, key="token-token", base_url=fake.url, headers={}, env={})
        await collect(made, request_of(model=Model("vertex", "gemini-3-pro")))
        await collect(made, request_of(model=Model("vertex", "claude-sonnet-4-5@20250929"), thinking="on"))
        base = "/projects/p/locations/us-east5/publishers"
        assert [item.path for item in fake.requests] == [
            f"{base}/google/models/gemini-3-pro:streamGenerateContent?alt=sse",
            f"{base}/anthropic/models/claude-sonnet-4-5%4020250929:streamRawPredict",
        ]
        assert {item.headers["authorization"] for item in fake.requests} == {"Bearer token-token"}
        claude = fake.requests[1]
        assert claude.body["anthropic_version"] == "vertex-2023-10-16"
        assert claude.body["stream"] is True
        assert "model" not in claude.body
        assert "interleaved" in claude.headers["anthropic-beta"]
        await made.close()


async def test_bedrock_moves_the_model_into_the_path_and_betas_into_the_body():
    async with FakeProvider() as fake:
        block = ProviderSettings("bedrock", "bedrock")
        made = make_adapter(block, key="", base_url=fake.url, headers={}, env={"AWS_BEARER_TOKEN_BEDROCK": "tok"})
        await collect(made, request_of(model=Model("bedrock", "us.anthropic.claude-x-v1:0"), thinking="on"))
        asked = fake.requests[0]
        assert asked.path == "/model/us.anthropic.claude-x-v1%3A0/invoke-with-response-stream"
        assert asked.headers["authorization"] == "Bearer tok"
        assert asked.headers["accept"] == "application/vnd.amazon.eventstream"
        assert asked.body["anthropic_version"] == "bedrock-2023-05-31"
        assert asked.body["anthropic_beta"] == ["interleaved-thinking-2025-05-14"]
        assert not {"model", "stream"} & set(asked.body)
        await made.close()


async def test_bedrock_signs_what_it_sends():
    env = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "shh"}
    async with FakeProvider() as fake:
        made = make_adapter(ProviderSettings("bedrock-eu", "bedrock"), key="", base_url=fake.url, headers={}, env=env)
        await collect(made, request_of(model=Model("bedrock-eu", "m:0")))
        headers = fake.requests[0].headers
        assert "/eu-west-1/bedrock/aws4_request" in headers["authorization"]
        assert "SignedHeaders=accept;content-type;host;x-amz-date" in headers["authorization"]
        assert len(headers["x-amz-date"]) == len("20261122T120000Z")
        await made.close()


# ------------------------------------------------------------------------------------------------------------ blocks


def test_options_of_a_provider_reach_every_model_but_not_how_it_is_reached():
    own = Model("vertex", "mine", options={"labels": {"a": 1}})
    options = {"project": "p", "labels": {"a": 2, "b": 2}, "seed": 7}
    block = ProviderSettings("vertex", "vertex", models=(own,), options=options)

    async def nobody() -> None:
        return None

    found = ProviderRegistry(lambda: ProvidersSettings(providers=(block,)), {}, probe=nobody)
    assert found.resolve("vertex/mine").options == {"labels": {"a": 1, "b": 2}, "seed": 7}
    assert found.resolve("vertex/unknown").options == {"labels": {"a": 2, "b": 2}, "seed": 7}
    known = found.resolve("vertex/gemini-3.8-flash")
    assert (known.context_window, known.options["seed"]) == (1_048_576, 7)


def test_gemini_speaks_its_own_dialect_unless_its_block_says_otherwise():
    env = {"GEMINI_API_KEY": "k"}
    for kind, address in (("", ""), ("openai-compat", "https://generativelanguage.googleapis.com/v1beta/openai")):
        blocks = (ProviderSettings("gemini", kind),) if kind else ()
        found = ProviderRegistry(lambda blocks=blocks: ProvidersSettings(providers=blocks), env)
        settings = found._provider("gemini", found._settings())
        assert (settings.type, settings.base_url) == (kind or "google", address)


@pytest.mark.parametrize(
    ("ref", "window", "price", "efforts"),
    [
        ("bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", 200_000, 3.0, False),
        ("bedrock/anthropic.claude-opus-5", 1_000_000, 5.0, True),
        ("vertex/claude-sonnet-4-5@20250929", 200_000, 3.0, False),
        ("azure/gpt-5.4", 400_000, 2.5, True),
        ("bedrock/eu.anthropic.claude-unheard-of-9-20300101-v1:0", 0, 0.0, False),
    ],
)
def test_a_hosted_model_has_the_window_and_the_price_of_its_vendor(ref: str, window: int, price: float, efforts: bool):
    vertex = ProviderSettings("vertex", "vertex", options={"project": "p"})
    found = ProviderRegistry(lambda: ProvidersSettings(providers=(vertex,)), {}).resolve(ref)
    assert (found.context_window, found.input_usd_per_mtok) == (window, price)
    assert bool(found.reasoning_efforts) is efforts
    assert found.ref == ref
    assert found.options == {}
