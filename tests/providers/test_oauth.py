"""Logins over real sockets: browser and device, refreshed once for everybody, kept in private files, never shown."""

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lsp_agent.agent.retry import persistently
from lsp_agent.agent.services import TurnLimits, TurnServices
from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.copilot import Copilot, request_headers
from lsp_agent.providers.oauth import LoginDue, OAuthService, Prompt, Token
from lsp_agent.providers.oauth_tokens import Logins
from lsp_agent.providers.registry import ProviderRegistry
from lsp_agent.providers.settings import ProviderSettings, ProvidersSettings
from tests.harness.fake_provider import FakeProvider, http, text
from tests.providers.doubles import assistant, call, collect, request_of, result, text_of, user
from tests.providers.login_site import Site, login_site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with login_site() as made:
        yield made


class Wall:
    def __init__(self) -> None:
        self.now_s = 1_000_000.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now_s += seconds


@pytest.fixture
def wall() -> Wall:
    return Wall()


def service_at(site: Site, wall: Wall, *, device: bool = False) -> OAuthService:
    return OAuthService(
        "gate",
        "client-1",
        token_url=f"{site.url}/token",
        authorize_url=f"{site.url}/authorize",
        device_url=f"{site.url}/device" if device else "",
        scopes=("read", "write"),
        extra={"audience": "models"},
        now_s=wall,
        pause=wall.pause,
    )


def logins_at(tmp_path: Path, service: Any, wall: Wall, **more: Any) -> Logins:
    return Logins(tmp_path / "logins", lambda: {service.provider_id: service}, now_s=wall, **more)


# ------------------------------------------------------------------------------------------ logging in


async def browse_in(site: Site, service: OAuthService, **changed: str) -> tuple[Token, list[int]]:
    shown: asyncio.Future[Prompt] = asyncio.get_running_loop().create_future()
    login = asyncio.create_task(service.login(shown.set_result))
    url = (await asyncio.wait_for(shown, 5)).url
    statuses = [await site.browse(url, state="guessed")]
    statuses.append(await site.browse(url, **changed))
    return await login, statuses


async def test_a_login_in_the_browser_brings_a_token_and_a_forged_answer_does_not(site: Site, wall: Wall):
    token, statuses = await browse_in(site, service_at(site, wall))
    assert statuses == [404, 200]
    assert token == Token("access-token-1", "refresh-1", wall.now_s, wall.now_s + 3600)
    path, form = site.asked[-1]
    assert (path, form["grant_type"], form["client_id"]) == ("/token", "authorization_code", "client-1")
    assert len(form["code_verifier"]) >= 43


async def test_a_refused_login_says_so_without_quoting_free_text(site: Site, wall: Wall):
    shown: asyncio.Future[Prompt] = asyncio.get_running_loop().create_future()
    login = asyncio.create_task(service_at(site, wall).login(shown.set_result))
    await site.browse((await shown).url, code="", error="access_denied")
    with pytest.raises(ProviderError, match="access_denied") as caught:
        await login
    assert caught.value.kind == "ProviderAuth"


async def test_a_stolen_code_is_worth_nothing_without_the_verifier(site: Site, wall: Wall):
    shown: asyncio.Future[Prompt] = asyncio.get_running_loop().create_future()
    login = asyncio.create_task(service_at(site, wall).login(shown.set_result))
    await site.browse((await shown).url, code="another-code")
    with pytest.raises(LoginDue):
        await login


async def test_a_device_login_waits_as_it_is_told_and_cleans_what_it_shows(site: Site, wall: Wall):
    site.pending, site.slow_down = 2, 1
    prompts: list[Prompt] = []
    token = await service_at(site, wall, device=True).login(prompts.append)
    assert token.access == "access-token-1"
    assert "\u202e" not in prompts[0].code
    assert prompts[0].url == f"{site.url}/enter"
    assert wall.pauses == [0.0, 0.0, 0.0, 5.0]


async def test_a_device_code_runs_out(site: Site, wall: Wall):
    site.pending, site.slow_down = 1, 10_000
    with pytest.raises(ProviderError, match="run out"):
        await service_at(site, wall, device=True).login(lambda _: None)
    assert max(wall.pauses) <= 60


async def test_secrets_are_sent_to_https_or_this_machine_only(wall: Wall):
    service = OAuthService("gate", "c", token_url="http://login.example.test/token", now_s=wall)
    with pytest.raises(ProviderError, match="not https"):
        await service.renewed(Token("a", "b"))


@pytest.mark.parametrize("status", [500, 429, 302])
async def test_a_login_server_in_trouble_is_not_quoted(site: Site, wall: Wall, status: int):
    site.status = status
    with pytest.raises(ProviderError) as caught:
        await service_at(site, wall).renewed(Token("a", "refresh-secret"))
    assert not isinstance(caught.value, LoginDue)
    assert "secret" not in str(caught.value)
    assert caught.value.retryable is (status == 500)


# ------------------------------------------------------------------------------------------ refreshing


async def test_the_margin_is_a_tenth_of_the_lifetime_but_half_a_minute_at_least():
    hour = Token("a", obtained_s=0, expires_s=3600)
    assert [hour.is_stale(3239), hour.is_stale(3240)] == [False, True]
    short = Token("a", obtained_s=0, expires_s=60)
    assert [short.is_stale(29), short.is_stale(30)] == [False, True]
    assert not Token("a").is_stale(1e12)


async def test_many_sessions_refresh_once_and_a_cancelled_one_takes_nobody_along(
    site: Site, wall: Wall, tmp_path: Path
):
    secrets: list[str] = []
    service = service_at(site, wall, device=True)
    logins = logins_at(tmp_path, service, wall, on_secret=secrets.append)
    await logins.login("gate", lambda _: None)
    wall.now_s += 3590
    asked, site.delay_s = len(site.asked), 0.05
    first, *others = [asyncio.create_task(logins.token("gate")) for _ in range(20)]
    await asyncio.sleep(0.02)
    first.cancel()
    found = await asyncio.gather(*others)
    assert {token.access for token in found} == {"access-token-2"}
    assert len(site.asked) == asked + 1
    assert {"access-token-2", "refresh-2"} <= set(secrets)
    path = tmp_path / "logins" / "gate.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    await logins.close()


async def test_a_fresher_token_on_the_disk_is_taken_without_an_exchange(site: Site, wall: Wall, tmp_path: Path):
    service = service_at(site, wall, device=True)
    mine, other = logins_at(tmp_path, service, wall), logins_at(tmp_path, service, wall)
    await mine.login("gate", lambda _: None)
    assert (await other.token("gate")).access == "access-token-1"
    wall.now_s += 3590
    assert (await other.token("gate")).access == "access-token-2"
    asked = len(site.asked)
    assert mine.is_stale("gate")
    assert (await mine.token("gate")).access == "access-token-2"
    # refused, but another process has been quicker
    assert (await mine.token("gate", refused="access-token-1")).access == "access-token-2"
    assert len(site.asked) == asked
    # refused although it looks good: exchanged
    assert (await mine.token("gate", refused="access-token-2")).access == "access-token-3"


@pytest.mark.process
async def test_processes_take_turns_and_a_rotated_refresh_token_is_never_used_twice(
    site: Site, wall: Wall, tmp_path: Path
):
    service = service_at(site, wall, device=True)
    await logins_at(tmp_path, service, wall).login("gate", lambda _: None)
    site.delay_s = 0.3
    program = textwrap.dedent(
        f"""
        import asyncio
        from pathlib import Path
        from lsp_agent.providers.oauth import OAuthService
        from lsp_agent.providers.oauth_tokens import Logins
        now = lambda: {wall.now_s + 3590}
        service = OAuthService("gate", "client-1", token_url="{site.url}/token", now_s=now)
        async def main():
            logins = Logins(Path("{tmp_path}/logins"), lambda: {{"gate": service}}, now_s=now)
            print((await logins.token("gate")).access)
        asyncio.run(main())
        """
    )
    children = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE) for _ in range(3)
    ]
    told = {(await child.communicate())[0].strip() for child in children}
    assert told == {b"access-token-2"}
    assert [form.get("grant_type") for _, form in site.asked].count("refresh_token") == 1


async def test_a_refresh_that_fails_leaves_a_token_in_use_that_is_still_good(site: Site, wall: Wall, tmp_path: Path):
    service = service_at(site, wall, device=True)
    logins = logins_at(tmp_path, service, wall)
    await logins.login("gate", lambda _: None)
    wall.now_s += 3400
    site.status = 500
    assert (await logins.token("gate")).access == "access-token-1"
    wall.now_s += 3600
    with pytest.raises(ProviderError, match="500"):
        await logins.token("gate")


async def test_a_revoked_login_is_announced_with_its_command_and_waited_for(site: Site, wall: Wall, tmp_path: Path):
    due: list[LoginDue] = []
    service = service_at(site, wall, device=True)
    logins = logins_at(tmp_path, service, wall, on_login_due=due.append)
    await logins.login("gate", lambda _: None)
    wall.now_s += 3590
    site.dead = True
    with pytest.raises(LoginDue, match="run: lsp-agent login gate") as caught:
        await logins.token("gate")
    assert "refresh-1" not in str(caught.value)
    assert [error.command for error in due] == ["lsp-agent login gate"]
    assert not await logins.wait_for_login("gate", "access-token-1", timeout_s=0.01)
    waiting = asyncio.create_task(logins.wait_for_login("gate", "access-token-1", timeout_s=10))
    site.dead = False
    # in a terminal, that is in another process
    await logins_at(tmp_path, service, wall).login("gate", lambda _: None)
    assert await waiting
    assert await logins.logout("gate")
    assert not await logins.logout("gate")
    with pytest.raises(LoginDue, match="nobody is logged in"):
        await logins.token("gate")


@pytest.mark.parametrize("name", ["../up", "", "a/b", ".hidden", "x" * 200])
async def test_no_id_leads_out_of_the_directory(name: str, site: Site, wall: Wall, tmp_path: Path):
    with pytest.raises(ProviderError):
        await logins_at(tmp_path, service_at(site, wall), wall).token(name)


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b'{"access": 1}', b"\xff"])
async def test_a_damaged_file_is_no_login(damage: bytes, site: Site, wall: Wall, tmp_path: Path):
    (tmp_path / "logins").mkdir()
    (tmp_path / "logins" / "gate.json").write_bytes(damage)
    with pytest.raises(LoginDue):
        await logins_at(tmp_path, service_at(site, wall), wall).token("gate")


# ------------------------------------------------------------------------------------- in the registry


async def test_two_sessions_that_are_refused_at_once_exchange_once_and_both_go_on(
    site: Site, wall: Wall, tmp_path: Path
):
    """The agent's own retry loop: a 401 refreshes and retries inside the same run, coalesced across sessions."""
    service = service_at(site, wall, device=True)
    logins = logins_at(tmp_path, service, wall)
    await logins.login("gate", lambda _: None)
    asked = len(site.asked)
    async with FakeProvider([[http(401)], [http(401)]], fallback=[text("in")]) as fake:
        block = ProviderSettings("gate", "openai-compat", f"{fake.url}/v1", "oauth:")
        found = ProviderRegistry(lambda: ProvidersSettings(large="gate/m", providers=(block,)), {}, logins=logins)
        model = found.resolve(None)

        async def session() -> str:
            events = await persistently(
                lambda provider: collect(provider, request_of(model=model)),
                services=cast("TurnServices", SimpleNamespace(providers=found)),
                limits=TurnLimits(),
                model=model,
                on_retry=lambda error, delay_s: None,
            )
            return text_of(events)

        assert await asyncio.gather(session(), session()) == ["in", "in"]
        sent = [item.headers["authorization"] for item in fake.requests]
        assert sent == ["Bearer access-token-1"] * 2 + ["Bearer access-token-2"] * 2
        assert len(site.asked) == asked + 1
        # before it runs out, without a refusal
        wall.now_s += 3590
        assert await session() == "in"
        assert fake.requests[-1].headers["authorization"] == "Bearer access-token-3"
        await found.close()


# --------------------------------------------------------------------------------------------- Copilot


async def test_copilot_logs_in_with_a_device_code_and_is_called_as_it_wants(site: Site, wall: Wall, tmp_path: Path):
    github = replace(service_at(site, wall, device=True), provider_id="copilot")
    copilot = Copilot(github=github, token_url=f"{site.url}/copilot", now_s=wall)
    logins = logins_at(tmp_path, copilot, wall)
    async with FakeProvider(fallback=[text("in")]) as fake:
        site.answer_url = f"{fake.url}"
        await logins.login("copilot", lambda _: None)
        assert "authorization: token access-token-1" in site.headers[-1].lower()
        block = ProviderSettings("copilot", "openai-compat")
        found = ProviderRegistry(lambda: ProvidersSettings(providers=(block,)), {}, logins=logins)
        for model_id, path in (("gpt-4.1", "/chat/completions"), ("gpt-5.4", "/responses")):
            model = found.resolve(f"copilot/{model_id}")
            assert text_of(await collect(await found.provider_for(model), request_of(model=model))) == "in"
            seen = fake.requests[-1]
            assert seen.path == path
            assert seen.headers["authorization"] == "Bearer tid=2"
            assert seen.headers["copilot-integration-id"]
            assert seen.headers["x-initiator"] == "user"
        await found.close()


async def test_copilot_keeps_the_usual_address_when_the_answer_names_a_strangers(site: Site, wall: Wall):
    copilot = Copilot(token_url=f"{site.url}/copilot", now_s=wall)
    assert (await copilot.renewed(Token("", "gh"))).address == ""
    site.dead = True
    with pytest.raises(LoginDue):
        await copilot.renewed(Token("", "gh"))


def test_a_step_after_tools_is_the_agents_own():
    asked = request_of(user("hi"))
    went_on = request_of(user("hi"), assistant(call("c1")), result("c1"))
    assert request_headers(asked)["X-Initiator"] == "user"
    assert request_headers(went_on)["X-Initiator"] == "agent"
    assert request_headers(replace(asked, purpose="title"))["X-Initiator"] == "agent"


def test_a_token_is_not_in_its_own_repr():
    assert "secret" not in repr(Token("secret-a", "secret-r"))
