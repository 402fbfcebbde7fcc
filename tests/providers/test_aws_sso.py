"""A single sign-on at AWS that has run out: the user hears the command, and the run goes on when it was run."""

import asyncio
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from lsp_agent.agent.retry import persistently
from lsp_agent.agent.services import TurnLimits, TurnServices
from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.aws_sso import login_due, seen, wait_for_login
from lsp_agent.providers.oauth import LoginDue
from lsp_agent.providers.registry import ProviderRegistry
from lsp_agent.providers.settings import ProviderSettings, ProvidersSettings
from tests.harness.fake_provider import FakeProvider, text
from tests.providers.doubles import collect, request_of, text_of


class BotoCoreError(Exception):
    pass


class UnauthorizedSSOTokenError(BotoCoreError):
    pass


class Chain:
    """botocore's chain of credentials: refuses until the cache holds a token."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.asked: list[str | None] = []

    def session(self, profile: str | None = None) -> Any:
        self.asked.append(profile)
        return SimpleNamespace(get_credentials=lambda: SimpleNamespace(get_frozen_credentials=self.keys))

    def keys(self) -> Any:
        if not list(self.cache.glob("*.json")):
            raise UnauthorizedSSOTokenError("the token secret-token has expired")
        return SimpleNamespace(access_key="AKIDEXAMPLE", secret_key="wJalrXUtnFEMI", token="t")


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chain:
    cache = tmp_path / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    made = Chain(cache)
    session, errors, package = ModuleType("botocore.session"), ModuleType("botocore.exceptions"), ModuleType("botocore")
    session.Session = made.session  # type: ignore[attr-defined]
    errors.BotoCoreError, errors.ClientError = BotoCoreError, BotoCoreError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "botocore", package)
    monkeypatch.setitem(sys.modules, "botocore.session", session)
    monkeypatch.setitem(sys.modules, "botocore.exceptions", errors)
    return made


async def test_a_run_waits_for_the_login_and_goes_on_by_itself(chain: Chain, tmp_path: Path):
    due: list[LoginDue] = []
    async with FakeProvider([[text("in")]]) as fake:
        block = ProviderSettings("bedrock", "bedrock", fake.url, options={"profile": "my team"})
        settings = ProvidersSettings(large="bedrock/anthropic.claude-x", providers=(block,))

        def announce(error: LoginDue) -> None:
            due.append(error)
            # the person runs the command in a terminal
            asyncio.get_running_loop().call_soon((chain.cache / "token.json").write_text, "{}")

        found = ProviderRegistry(lambda: settings, {"HOME": str(tmp_path)}, on_login_due=announce)
        model = found.resolve(None)
        events = await persistently(
            lambda provider: collect(provider, request_of(model=model)),
            services=cast("TurnServices", SimpleNamespace(providers=found)),
            limits=TurnLimits(),
            model=model,
            on_retry=lambda error, delay_s: None,
        )
        assert text_of(events) == "in"
        assert [error.command for error in due] == ["aws sso login --profile 'my team'"]
        assert chain.asked == ["my team", "my team"]
        assert "secret-token" not in str(due[0])
        assert len(fake.requests) == 1
        await found.close()


def test_only_a_login_that_ran_out_is_one():
    assert login_due("bedrock", "", ValueError("x")) is None
    found = login_due("bedrock", "", UnauthorizedSSOTokenError("x"))
    assert found is not None
    assert found.command == "aws sso login"
    assert found.kind == "ProviderAuth"
    wrapped = RuntimeError("y")
    wrapped.__cause__ = UnauthorizedSSOTokenError("x")
    assert login_due("bedrock", "p", wrapped) is not None


async def test_waiting_ends_with_a_file_that_was_written_anew_and_not_before(tmp_path: Path):
    path = tmp_path / "old.json"
    path.write_text("{}")
    before = seen(tmp_path)
    assert not await wait_for_login(tmp_path, before, 0.01)
    os.utime(path, ns=(1, 1))
    assert await wait_for_login(tmp_path, before, 5)
    assert not await wait_for_login(tmp_path / "missing", {}, 0.01)


async def test_keys_of_the_environment_are_not_waited_for(chain: Chain, tmp_path: Path):
    env = {"HOME": str(tmp_path), "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s" * 20}
    block = ProviderSettings("bedrock", "bedrock", "http://127.0.0.1:9")
    found = ProviderRegistry(lambda: ProvidersSettings(large="bedrock/anthropic.claude-x", providers=(block,)), env)
    model = found.resolve(None)
    with pytest.raises(ProviderError):
        await collect(await found.provider_for(model), request_of(model=model))
    assert await found.refresh_credentials(model) is False
    assert not chain.asked
    await found.close()
