"""Keys: from the keyring, read again once for everybody who was refused, and never in anything that is shown."""

import asyncio
import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from lsp_agent.agent.retry import persistently
from lsp_agent.agent.services import TurnLimits, TurnServices
from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.model import Model
from lsp_agent.log import Redactor
from lsp_agent.providers.keys import is_template, missing_variables, resolve
from lsp_agent.providers.registry import ProviderRegistry
from lsp_agent.providers.settings import ProviderSettings, ProvidersSettings
from tests.harness.fake_provider import FakeProvider, http, text
from tests.providers.doubles import DIALECTS, collect, make_provider, request_of, text_of

# ---------------------------------------------------------------------------------------------------------- keyring


class _KeyringError(Exception):
    pass


def install_keyring(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[tuple[str, str]]:
    asked: list[tuple[str, str]] = []

    def get_password(service: str, name: str) -> str | None:
        asked.append((service, name))
        if isinstance(answer, Exception):
            raise answer
        found: str | None = answer() if callable(answer) else answer
        return found

    keyring, errors = ModuleType("keyring"), ModuleType("keyring.errors")
    keyring.get_password = get_password  # type: ignore[attr-defined]
    errors.KeyringError = _KeyringError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    return asked


async def test_a_key_comes_from_the_keyring_when_it_is_needed(monkeypatch: pytest.MonkeyPatch):
    asked = install_keyring(monkeypatch, "ring-key-1234")
    assert await resolve("keyring:lsp-agent/team/openai", {}, owner="k") == "ring-key-1234"
    assert asked == [("lsp-agent", "team/openai")]
    assert is_template("keyring:a/b")
    assert missing_variables("keyring:a/$b", {}) == []


async def test_a_missing_keyring_package_says_what_to_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ProviderError, match=r"pip install 'lsp-agent\[keyring\]'") as caught:
        await resolve("keyring:a/b", {}, owner="providers.x.api_key")
    assert caught.value.kind == "ProviderAuth"
    assert "providers.x.api_key" in caught.value.message


@pytest.mark.parametrize(
    ("template", "answer", "why"),
    [
        ("keyring:nothing", "x", "keyring:SERVICE/NAME"),
        ("keyring:/b", "x", "keyring:SERVICE/NAME"),
        ("keyring:a/b", None, "keyring set a b"),
        ("keyring:a/b", "", "keyring set a b"),
        ("keyring:a/b", _KeyringError("backend said hunter2"), "_KeyringError"),
        ("keyring:a/b", OSError("backend said hunter2"), "OSError"),
    ],
)
async def test_a_keyring_that_does_not_help_says_so(monkeypatch: pytest.MonkeyPatch, template, answer, why):
    install_keyring(monkeypatch, answer)
    with pytest.raises(ProviderError) as caught:
        await resolve(template, {}, owner="k")
    assert caught.value.kind == "ProviderAuth"
    assert "hunter2" not in str(caught.value)
    assert why in caught.value.message or why == "_KeyringError"


async def test_a_keyring_that_asks_the_user_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    import threading

    unlocked = threading.Event()
    install_keyring(monkeypatch, lambda: "x" if unlocked.wait(10) else None)
    with pytest.raises(ProviderError, match="locked"):
        await resolve("keyring:a/b", {}, owner="k", timeout_s=0.05)
    unlocked.set()


# ---------------------------------------------------------------------------------------------------------- refresh


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def counting_key(tmp_path: Path) -> str:
    """A command that prints another key each time; how often is written down beside it."""
    script = tmp_path / "key.sh"
    script.write_text(f'echo x >> "{tmp_path}/calls"; sleep 0.05; echo "key-number-$(wc -l < "{tmp_path}/calls")"\n')
    return f"$(sh {script})"


def calls(tmp_path: Path) -> int:
    return len((tmp_path / "calls").read_text().splitlines())


async def test_a_refusal_of_many_sessions_reads_the_key_once(tmp_path: Path):
    clock = Clock()
    async with FakeProvider([[http(401)]] * 10, fallback=[text("in")]) as fake:
        block = ProviderSettings("p", "openai-compat", f"{fake.url}/v1", counting_key(tmp_path))
        settings = ProvidersSettings(large="p/m", providers=(block,))
        found = ProviderRegistry(lambda: settings, {"PATH": "/usr/bin:/bin"}, monotonic_s=clock)
        model = found.resolve(None)
        # sessions that start at the same time share the first look-up too
        await asyncio.gather(*[found.provider_for(model) for _ in range(5)])
        assert calls(tmp_path) == 1

        async def session() -> bool:
            with pytest.raises(ProviderError) as caught:
                await collect(await found.provider_for(model), request_of(model=model))
            assert caught.value.status == 401
            return await found.refresh_credentials(model)

        assert await asyncio.gather(*[session() for _ in range(10)]) == [True] * 10
        assert calls(tmp_path) == 2
        # one that was refused with the old key hears of it a little later
        assert await found.refresh_credentials(model) is True
        assert calls(tmp_path) == 2
        await asyncio.gather(*[found.provider_for(model) for _ in range(5)])
        assert calls(tmp_path) == 2
        await collect(await found.provider_for(model), request_of(model=model))
        assert fake.requests[-1].headers["authorization"].startswith("Bearer key-number-")
        clock.now_s = 60
        assert await found.refresh_credentials(model) is True
        await found.close()


async def test_a_token_that_ran_out_is_read_again_within_the_same_request(tmp_path: Path):
    """Vertex: access tokens live for an hour; the agent's own retry loop drives the registry."""
    retries: list[tuple[int | None, float]] = []
    async with FakeProvider([[http(401)], [text("in")]]) as fake:
        block = ProviderSettings("vertex", "vertex", fake.url, counting_key(tmp_path), options={"project": "p"})
        settings = ProvidersSettings(large="vertex/gemini-3.8-flash", providers=(block,))
        found = ProviderRegistry(lambda: settings, {"PATH": "/usr/bin:/bin"})
        model = found.resolve(None)
        events = await persistently(
            lambda provider: collect(provider, request_of(model=model)),
            services=cast("TurnServices", SimpleNamespace(providers=found)),
            limits=TurnLimits(),
            model=model,
            on_retry=lambda error, delay_s: retries.append((error.status, delay_s)),
        )
        assert text_of(events) == "in"
        assert retries == [(401, 0.0)]
        sent = [item.headers["authorization"] for item in fake.requests]
        assert sent == ["Bearer key-number-1", "Bearer key-number-2"]
        await found.close()


async def test_a_cancelled_session_does_not_take_the_look_up_of_the_others_along(tmp_path: Path):
    block = ProviderSettings("p", "openai-compat", "http://127.0.0.1:9/v1", counting_key(tmp_path))
    settings = ProvidersSettings(large="p/m", providers=(block,))
    found = ProviderRegistry(lambda: settings, {"PATH": "/usr/bin:/bin"})
    model = found.resolve(None)
    await found.provider_for(model)
    first = asyncio.create_task(found.refresh_credentials(model))
    other = asyncio.create_task(found.refresh_credentials(model))
    await asyncio.sleep(0)
    first.cancel()
    assert await other is True
    assert first.cancelled()
    assert calls(tmp_path) == 2
    await found.close()


# ---------------------------------------------------------------------------------------------------------- leaks

CANARIES = [f"canary{number:03d}{'abcdef'[number % 6] * 3}QZ" for number in range(210)]
PLACES = ("body", "stream", "html", "redirect", "cut")


def answers(place: str, key: str) -> list[dict[str, Any]]:
    """What a service might do that quotes the key."""
    said = f"Incorrect API key provided: {key}. You can find it (x-mine: {key}h)"
    if place == "body":
        return [http(401, None, {"error": {"message": said, "type": key, "code": key}})]
    if place == "stream":
        return [text("a"), {"error_event": {"type": "authentication_error", "message": said}}]
    if place == "html":
        return [http(403, {"content-type": "text/plain"}, f"denied {key}")]
    if place == "redirect":
        return [http(307, {"location": f"/elsewhere?key={key}"}, {"error": {"message": said}})]
    return [{"cut": 5}, text(key)]


@pytest.mark.parametrize("place", PLACES)
async def test_no_canary_key_is_in_an_error_or_in_the_log(
    dialect: str, place: str, fake: FakeProvider, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    # each pair of a place and a dialect gets its share
    first = (DIALECTS.index(dialect) * len(PLACES) + PLACES.index(place)) * 6
    share = CANARIES[first : first + 6]
    assert len(share) == 6
    for key in share:
        headers = {"x-mine": f"{key}h"}
        provider = make_provider(dialect, fake.url, key=key, headers=headers)
        fake.push(answers(place, key))
        with pytest.raises(ProviderError) as caught:
            await collect(provider)
        error = caught.value
        shown = f"{error} {error.message} {error.title} {error.kind} {error.request_id} {error!r}"
        assert key not in shown
        await provider.close()
    # what libraries say of headers below INFO goes through the redactor, which knows every key in use
    spoken = [record for record in caplog.records if record.levelno >= logging.INFO]
    assert not [key for key in share if key in "\n".join([record.getMessage() for record in spoken])]
    whispered = Redactor(share).redact("\n".join([record.getMessage() for record in caplog.records]))
    assert not [key for key in share if key in whispered]


async def test_all_canaries_in_every_kind_of_template_reach_the_redactor(monkeypatch: pytest.MonkeyPatch):
    """Whatever way a key comes in, the log knows it before it is first used."""
    redactor = Redactor()
    for number, key in enumerate(CANARIES):
        env = {"THE_KEY": key, "PATH": "/usr/bin:/bin"}
        kinds = ["literal", "variable", "braced", "header", "keyring", *(["command"] if number % 40 == 0 else [])]
        kind = kinds[-1] if number % 40 == 0 else kinds[number % 5]
        template = {
            "literal": key,
            "variable": "$THE_KEY",
            "braced": "${THE_KEY}",
            "header": "",
            "keyring": "keyring:s/n",
            "command": "$(printenv THE_KEY)",
        }[kind]
        install_keyring(monkeypatch, key)
        headers = {"x-team-token": "$THE_KEY"} if kind == "header" else {}
        block = ProviderSettings("p", "google", "http://127.0.0.1:9/v1", template, headers=headers)
        settings = ProvidersSettings(large="p/m", providers=(block,))
        found = ProviderRegistry(lambda settings=settings: settings, env, on_secret=redactor.register)
        choice = found.explain()
        await found.provider_for(found.resolve(None))
        assert key not in f"{choice} {found.models()} {Model('p', 'm')}"
        assert key not in redactor.redact(f"the key is {key}, really")
        await found.close()


# ------------------------------------------------------------------------------------------------------ SDK headers


@pytest.mark.parametrize("variable", ["ANTHROPIC_CUSTOM_HEADERS", "OPENAI_CUSTOM_HEADERS"])
async def test_custom_headers_of_an_sdk_stay_with_its_vendor(
    dialect: str, variable: str, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(
        variable, "X-Gateway-Token: leak-me-not\nx-mine: leak-me-too\nAuthorization: Bearer leak-me-three"
    )
    provider = make_provider(dialect, fake.url, headers={"X-Mine": "on-purpose"})
    await collect(provider)
    headers = fake.requests[0].headers
    assert "leak" not in str(headers)
    assert headers["x-mine"] == "on-purpose"
    await provider.close()
