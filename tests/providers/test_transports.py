"""The same request, sent by ourselves and through the vendors' SDKs: what a service sees of both is compared."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import pytest
import trustme

from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.message import FinishReason
from lsp_agent.domain.model import Model
from lsp_agent.domain.stream import Finished
from lsp_agent.ports.provider import Provider
from lsp_agent.providers.adapters import make_adapter
from lsp_agent.providers.settings import ProviderSettings
from tests.harness.client import Client
from tests.harness.fake_provider import FakeProvider, Recorded, http, text
from tests.providers.doubles import SECRET, VIEW, collect, image, request_of, user
from tests.providers.gates import connect_proxy, tls

TRANSPORTS = ("http", "sdk")
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "anthropic": ("anthropic", {}),
    "responses": ("openai", {}),
    "openai chat": ("openai", {"api": "chat"}),
    "compatible": ("openai-compat", {}),
    "openrouter": ("openrouter", {}),
    "copilot": ("openai-compat", {}),
    "azure": ("azure", {"api_version": "2026-01-01"}),
    "azure undated chat": ("azure", {"api": "chat", "api_version": "preview"}),
}
MODEL = Model("fake", "vendor/the model+1", can_reason=True, reasoning_efforts=("low", "high"), max_output_tokens=500)
REQUEST = request_of(
    user("Grüße \ud800 😀", image()),
    model=MODEL,
    thinking="high",
    tools=(VIEW,),
    session_hash="beef",
    provider_options={"anthropic_beta": ["flag-of-ours"]},
)
FLAGS = "flag-of-ours,interleaved-thinking-2025-05-14"


def adapter(kind: str, base_url: str, transport: str, *, key: str = SECRET, **more: Any) -> Provider:
    type_, options = KINDS[kind]
    provider_id = "copilot" if kind == "copilot" else "fake"
    options = {**options, **more.pop("options", {}), "transport": transport}
    block = ProviderSettings(provider_id, type_, options=options)
    return make_adapter(block, key=key, base_url=base_url, headers=more.pop("headers", {}), env={})


def seen(recorded: Recorded) -> dict[str, Any]:
    """Everything of a request but what an SDK says about itself."""
    return {
        "method": recorded.method,
        "path": recorded.path,
        "body": recorded.raw,
        "headers": {name: value for name, value in recorded.headers.items() if not name.startswith("x-stainless-")},
    }


async def both(fake: FakeProvider, kind: str, base_url: str, **more: Any) -> dict[str, Any]:
    """What the service sees, after making sure that it is the same over both transports."""
    found: list[dict[str, Any]] = []
    for transport in TRANSPORTS:
        provider = adapter(kind, base_url, transport, **more)
        assert (await collect(provider, REQUEST))[-1] == Finished(FinishReason.END_TURN)
        await provider.close()
        found.append(seen(fake.requests[-1]))
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("base", ["", "/", "/v1", "/v1/", "/deep/er/v1", "/v1?team=a%20b&x=1"])
async def test_the_bytes_of_a_request_are_the_same_wherever_the_service_is(kind: str, base: str, fake: FakeProvider):
    found = await both(fake, kind, f"{fake.url}{base}")
    path, _, query = found["path"].partition("?")
    assert found["method"] == "POST"
    assert "//" not in path
    assert path.startswith("/deep/er/") is base.startswith("/deep")
    assert query.startswith("team=a%20b&x=1") is ("team" in base)
    assert ("api-version=" in query) is kind.startswith("azure")


KEYS = {
    "no key": {"key": ""},
    "a key": {},
    "a bearer token": {"key": f"Bearer {SECRET}"},
    "a header instead": {"key": "", "headers": {"authorization": "Basic abc"}},
    "a header over the key": {"headers": {"AUTHORIZATION": "Basic abc", "X-Api-Key": "mine", "Api-Key": "mine"}},
    "a header over a bearer token": {"key": f"Bearer {SECRET}", "headers": {"authorization": "Basic abc"}},
    "other headers": {"headers": {"X-Team": "b", "User-Agent": "me", "anthropic-version": "1999-01-01"}},
    "beta flags": {"headers": {"Anthropic-Beta": "one, two", "OpenAI-Organization": "mine", "empty": ""}},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", KEYS)
async def test_keys_and_headers_are_the_same(kind: str, how: str, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch):
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID"):
        monkeypatch.setenv(name, "leak-me-not")
    for name in ("ANTHROPIC_CUSTOM_HEADERS", "OPENAI_CUSTOM_HEADERS"):
        lines = "x-gateway: leak-me-not\nX-Team: leak-me-not\nauthorization: leak-me-not\nX-API-Key: leak-me-not"
        monkeypatch.setenv(name, lines)
    headers = (await both(fake, kind, fake.url, **KEYS[how]))["headers"]
    assert "leak-me-not" not in str(headers)
    if "authorization" in {name.lower() for name in KEYS[how].get("headers", {})}:
        assert headers["authorization"] == "Basic abc"
    if kind == "anthropic":
        assert headers["anthropic-version"] == ("1999-01-01" if how == "other headers" else "2026-10-21")
        assert headers.get("x-api-key") == {"a key": SECRET, "a header over the key": "mine"}.get(
            how, SECRET if how in {"other headers", "beta flags"} else None
        )
        assert headers["anthropic-beta"] == (f"one,two,{FLAGS}" if how == "beta flags" else FLAGS)
    if kind == "copilot":
        assert (headers["x-initiator"], headers["copilot-vision-request"]) == ("user", "true")


async def test_a_header_may_hold_any_letters(fake: FakeProvider):
    provider = adapter("compatible", fake.url, "http", headers={"X-Team": "Grüße"})
    await collect(provider, REQUEST)
    assert fake.requests[0].headers["x-team"].encode("latin-1").decode() == "Grüße"
    await provider.close()


# ------------------------------------------------------------------------------------------------- the vendors' own


@pytest.fixture
async def outside(fake: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, str]]:
    """The vendors' own host names, led to the fake service through a proxy and TLS; options to trust it."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for name in ("https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    names = ("api.anthropic.com", "api.openai.com")
    async with tls(ca, fake.port, *names) as secure, connect_proxy(secure) as gate:
        monkeypatch.setenv("HTTPS_PROXY", gate.url)
        yield {"ca_file": str(tmp_path / "ca.pem")}


CUSTOM = "X-Team: a\nx-mine: theirs\nAuthorization: Bearer gateway\nno colon\nX-Api-Key: of-the-environment"


@pytest.mark.parametrize("how", ["a key", "no key", "a bearer token", "a header instead"])
async def test_anthropics_own_host_gets_what_the_environment_adds(
    how: str, fake: FakeProvider, outside: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", CUSTOM)
    given = KEYS[how]
    headers = {**given.get("headers", {}), "X-Mine": "mine"}
    found = await both(fake, "anthropic", "", options=outside, key=given.get("key", SECRET), headers=headers)
    assert found["path"] == "/v1/messages"
    told = found["headers"]
    assert (told["host"], told["x-team"], told["x-mine"]) == ("api.anthropic.com", "a", "mine")
    assert told["x-api-key"] == (SECRET if how == "a key" else "of-the-environment")
    bearer = {"a bearer token": f"Bearer {SECRET}", "a header instead": "Basic abc"}
    assert told.get("authorization") == bearer.get(how)


@pytest.mark.parametrize("how", ["a key", "no key", "a header instead"])
async def test_openais_own_host_gets_what_the_environment_adds(
    how: str, fake: FakeProvider, outside: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", CUSTOM)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    given = KEYS[how]
    headers = {**given.get("headers", {}), "X-Mine": "mine"}
    found = await both(fake, "responses", "", options=outside, key=given.get("key", SECRET), headers=headers)
    assert found["path"] == "/v1/responses"
    told = found["headers"]
    assert (told["host"], told["x-team"], told["x-mine"]) == ("api.openai.com", "a", "mine")
    assert (told["openai-organization"], told["openai-project"]) == ("org-1", "proj-1")
    expected = {"a key": "Bearer gateway", "a header instead": "Basic abc"}
    assert told.get("authorization") == expected.get(how)


# ------------------------------------------------------------------------------------------------- what goes wrong


async def failure(running: Awaitable[object]) -> tuple[object, ...]:
    with pytest.raises(ProviderError) as caught:
        await running
    error = caught.value
    return (
        *(error.kind, error.title, error.message, error.status),
        *(error.retryable, error.retry_after_s, error.request_id),
    )


REFUSALS: dict[str, list[dict[str, Any]]] = {
    "bad key": [http(401, {"request-id": "req_1"}, {"error": {"type": "authentication_error", "message": SECRET}})],
    "rate limit": [http(429, {"retry-after-ms": "1500", "x-request-id": "r2"}, {"error": {"message": "slow down"}})],
    "a date": [http(503, {"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}, None)],
    "no credit": [http(429, None, {"error": {"code": "insufficient_quota", "message": "pay"}})],
    "should not": [http(500, {"x-should-retry": "false"}, {"error": {"message": "no"}})],
    "should": [http(400, {"x-should-retry": "true"}, {"message": "odd shape"})],
    "overflow": [http(400, None, {"error": {"message": "prompt is too long: 2 tokens > 1 maximum"}})],
    "text": [http(500, {"content-type": "text/plain"}, "it broke")],
    "a list": [http(400, None, [{"error": {"message": "in a list"}}])],
    "page": [{"html": 502}],
    "page as success": [{"html": 200}],
    "elsewhere": [http(307, {"location": "http://127.0.0.1:9/stolen"}, {"error": {"message": "moved"}})],
    "cut": [{"cut": 40}, text("half")],
    "error event": [{"error_event": {"type": "overloaded_error", "message": "busy"}}],
}


@pytest.mark.parametrize("kind", ["anthropic", "responses", "compatible", "azure"])
@pytest.mark.parametrize("name", REFUSALS)
async def test_errors_are_the_same(kind: str, name: str, fake: FakeProvider):
    found = []
    for transport in TRANSPORTS:
        provider = adapter(kind, fake.url, transport)
        fake.push(REFUSALS[name])
        told = await failure(collect(provider, REQUEST))
        # seconds until a date pass while we look
        found.append(told if name != "a date" else (*told[:5], round(float(str(told[5])) / 1e4), told[6]))
        await provider.close()
    assert found[0] == found[1]
    assert SECRET not in str(found)
    assert len(fake.requests) == 2, "one request each: nobody repeats or follows"


@pytest.mark.parametrize("kind", ["anthropic", "responses"])
@pytest.mark.parametrize("base_url", ["gone", "https://service.invalid/v1", "http://a b/v1", "http://h:port/v1"])
async def test_a_service_that_cannot_be_reached_is_told_of_the_same_way(kind: str, base_url: str):
    if base_url == "gone":
        async with FakeProvider() as gone:
            base_url = gone.url
    found = []
    for transport in TRANSPORTS:
        provider = adapter(kind, base_url, transport)
        found.append(await failure(collect(provider, REQUEST)))
        await provider.close()
    assert found[0] == found[1]


async def test_an_error_whose_explanation_breaks_off_keeps_its_status():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 No\r\nContent-Length: 500\r\n\r\n{")
        await writer.drain()
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    provider = adapter("anthropic", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "http")
    told = await failure(collect(provider, REQUEST))
    assert (told[0], told[3]) == ("ProviderAuth", 401)
    await provider.close()
    server.close()


@pytest.mark.parametrize(
    ("type_", "transport"), [("google", "sdk"), ("scripted", "sdk"), ("anthropic", "carrier pigeon"), ("openai", "SDK")]
)
def test_a_transport_that_a_service_does_not_have_is_named(type_: str, transport: str):
    block = ProviderSettings("p", type_, options={"transport": transport})
    with pytest.raises(ProviderError, match=r"providers\.p\.options\.transport: .* known: http"):
        make_adapter(block, key="k", base_url="http://127.0.0.1:9", headers={}, env={})


@pytest.mark.parametrize("type_", ["anthropic", "openai-compat", "azure", "google"])
@pytest.mark.parametrize("base_url", ["http://[broken/v1", "https://[::1/v1", "http://host]/"])
def test_an_address_that_is_none_is_named(type_: str, base_url: str):
    with pytest.raises(ProviderError, match=r"providers\.p\.base_url"):
        make_adapter(ProviderSettings("p", type_), key="k", base_url=base_url, headers={}, env={})


@pytest.mark.parametrize(("kind", "package"), [("anthropic", "anthropic"), ("responses", "openai")])
async def test_without_its_package_the_sdk_transport_says_what_to_do(
    kind: str, package: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, package, None)
    provider = adapter(kind, "http://127.0.0.1:9", "sdk")
    told = await failure(collect(provider, REQUEST))
    assert f"needs the package {package}" in str(told[2])
    await provider.close()


# ------------------------------------------------------------------------------------------------- what is imported

CONFIG = """
[models]
large = "fake/m"
[providers.fake]
type = "{type}"
base_url = "{url}/v1"
api_key = "k"
options = {{ transport = "{transport}" }}
[[providers.fake.models]]
id = "m"
"""


@pytest.mark.process
@pytest.mark.parametrize("type_", ["anthropic", "openai", "openai-compat"])
async def test_a_server_that_answers_a_prompt_has_imported_no_sdk(type_: str, fake: FakeProvider, tmp_path: Path):
    """The interpreter itself says on stderr what it imports, in whatever thread."""
    found = await imported_by_a_turn(fake, tmp_path, type_, "http")
    assert {"httpx2", "lsp_agent.providers.plain_http"} <= found
    assert "lsp_agent.providers.google" not in found, "a dialect that nobody speaks"
    assert not {name.partition(".")[0] for name in found} & {"anthropic", "openai", "opentelemetry", "mcp", "httpx"}


@pytest.mark.process
async def test_the_sdk_is_imported_when_it_is_asked_for(fake: FakeProvider, tmp_path: Path):
    found = await imported_by_a_turn(fake, tmp_path, "anthropic", "sdk")
    assert "anthropic" in {name.partition(".")[0] for name in found}


async def imported_by_a_turn(fake: FakeProvider, home: Path, type_: str, transport: str) -> set[str]:
    config, project = home / "config.toml", home / "project"
    project.mkdir()
    config.write_text(CONFIG.format(type=type_, url=fake.url, transport=transport))
    command = [sys.executable, "-X", "importtime", "-m", "lsp_agent", "serve"]
    env = {"LSP_AGENT_CONFIG": str(config)}
    async with await Client.start(home, command=command, env=env, cwd=project) as client:
        await client.initialize(root=project)
        fake.push([text("hello")])
        await client.request("agent/run", {"prompt": "hi"})
        done = await client.until(lambda message: message.get("method") == "agent/runComplete")
        assert done["params"]["stopReason"] == "end_turn"
        assert fake.requests[0].body["model"] == "m"
    log = next(home.glob("stderr-*.log")).read_text()
    return {line.rpartition("|")[2].strip() for line in log.splitlines() if line.startswith("import time:")}
