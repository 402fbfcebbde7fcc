"""The way out of a company's network: proxies and certificates of its own, for every dialect over real sockets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from lsp_agent.domain.errors import ProviderError
from lsp_agent.ports.provider import Provider
from lsp_agent.providers.registry import ProviderRegistry
from lsp_agent.providers.settings import ProviderSettings, ProvidersSettings
from tests.harness.fake_provider import FakeProvider, text
from tests.providers.doubles import Way, collect, request_of, text_of, transport_of
from tests.providers.gates import Gate, connect_proxy, tls

SOME = ["anthropic", "chat", "google", Way("anthropic", "sdk"), Way("chat", "sdk")]
HOST = "model.example.test"
PROXY_NAMES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
BLOCKS = {
    "anthropic": ("anthropic", {}),
    "responses": ("openai", {}),
    "chat": ("openai-compat", {}),
    "google": ("google", {}),
    "bedrock": ("bedrock", {}),
    "azure": ("azure", {}),
    "vertex": ("vertex", {"project": "p"}),
}


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def ca(tmp_path: Path) -> trustme.CA:
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return made


@pytest.fixture
async def gate(ca: trustme.CA, fake: FakeProvider) -> AsyncIterator[Gate]:
    """A proxy before a TLS server before the fake service."""
    async with tls(ca, fake.port, HOST, "127.0.0.1") as secure, connect_proxy(secure) as made:
        yield made


async def ask(dialect: str, base_url: str, **options: str) -> str:
    kind, more = BLOCKS[dialect]
    more = {**more, "transport": transport_of(dialect)}
    block = ProviderSettings("p", kind, base_url, "key-of-the-test", options={**more, **options})
    settings = ProvidersSettings(large="p/claude-x" if dialect == "bedrock" else "p/m", providers=(block,))
    found = ProviderRegistry(lambda: settings, {})
    try:
        model = found.resolve(None)
        provider: Provider = await found.provider_for(model)
        return text_of(await collect(provider, request_of(model=model)))
    finally:
        await found.close()


async def test_every_dialect_goes_through_the_environments_proxy_and_trusts_its_certificates(
    dialect: str, gate: Gate, fake: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTPS_PROXY", gate.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    fake.push([text("through the gate")])
    assert await ask(dialect, f"https://{HOST}/v1") == "through the gate"
    assert gate.asked == [f"CONNECT {HOST}:443 HTTP/1.1"]
    # the proxy hears where we go and nothing else
    assert b"key-of-the-test" not in b"".join(gate.heads)


async def test_a_providers_own_certificate_file_is_enough(
    dialect: str, gate: Gate, fake: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTPS_PROXY", gate.url)
    fake.push([text("in")])
    assert await ask(dialect, f"https://{HOST}/v1", ca_file=str(tmp_path / "ca.pem")) == "in"


async def test_an_unknown_certificate_is_refused_and_named(
    dialect: str, gate: Gate, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTPS_PROXY", gate.url)
    with pytest.raises(ProviderError, match="certificate") as caught:
        await ask(dialect, f"https://{HOST}/v1")
    assert caught.value.title == "TLS error"
    assert not caught.value.retryable
    assert not fake.requests


async def test_a_server_on_this_machine_is_reached_directly_with_its_certificate(
    dialect: str, gate: Gate, ca: trustme.CA, fake: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTPS_PROXY", gate.url)
    fake.push([text("near")])
    async with tls(ca, fake.port, "127.0.0.1") as port:
        assert await ask(dialect, f"https://127.0.0.1:{port}/v1", ca_file=str(tmp_path / "ca.pem")) == "near"
    assert not gate.asked


@pytest.mark.parametrize("dialect", SOME)
async def test_hosts_of_no_proxy_are_reached_without_it(dialect: str, gate: Gate, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTPS_PROXY", gate.url)
    monkeypatch.setenv("NO_PROXY", "other.test,.invalid")
    with pytest.raises(ProviderError) as caught:
        await ask(dialect, "https://service.invalid/v1")
    assert caught.value.title in {"Host not found", "No connection"}
    assert not gate.asked


@pytest.mark.parametrize("dialect", SOME)
async def test_a_proxy_that_refuses_is_named_and_its_password_is_not(
    dialect: str, gate: Gate, monkeypatch: pytest.MonkeyPatch
):
    gate.status = 407
    monkeypatch.setenv("HTTPS_PROXY", gate.url.replace("//", "//me:proxy-password-canary@"))
    with pytest.raises(ProviderError) as caught:
        await ask(dialect, f"https://{HOST}/v1")
    assert caught.value.title == "Proxy error"
    assert "canary" not in f"{caught.value!r} {caught.value.message}"


@pytest.mark.parametrize("dialect", SOME)
@pytest.mark.parametrize(("content", "why"), [(None, "No such file"), ("not a certificate", "no PEM")])
async def test_a_certificate_file_that_cannot_be_used_is_named(
    dialect: str, content: str | None, why: str, tmp_path: Path
):
    path = tmp_path / "company.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ProviderError, match=f"company.pem cannot be used: .*{why}"):
        await ask(dialect, f"https://{HOST}/v1", ca_file=str(path))
