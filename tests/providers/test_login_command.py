"""`lsp-agent login`, `logout` and what `doctor` says of them, as processes."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness.client import isolated_environment
from tests.providers.login_site import Site, login_site

pytestmark = pytest.mark.process


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with login_site() as made:
        yield made


async def lsp_agent(home: Path, *arguments: str) -> tuple[int | None, str]:
    env = isolated_environment(home, {"LSP_AGENT_CONFIG": str(home / "config.toml")})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lsp_agent", *arguments),
        env=env,
        cwd=home,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 40)
    return process.returncode, said.decode()


async def test_a_login_is_kept_reported_and_forgotten_and_its_token_is_never_shown(site: Site, tmp_path: Path):
    (tmp_path / "config.toml").write_text(
        '[providers.gate]\ntype = "openai-compat"\nbase_url = "http://127.0.0.1:9/v1"\napi_key = "oauth:"\n'
        f'[providers.gate.options.oauth]\nclient_id = "c"\ntoken_url = "{site.url}/token"\n'
        f'device_url = "{site.url}/device"\n'
    )
    status, before = await lsp_agent(tmp_path, "doctor", "--offline")
    assert "run: lsp-agent login gate" in before
    status, said = await lsp_agent(tmp_path, "login", "gate")
    assert status == 0, said
    assert f"{site.url}/enter" in said
    kept = tmp_path / "data" / "logins" / "gate.json"
    assert "access-token-1" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    _, report = await lsp_agent(tmp_path, "doctor", "--offline")
    assert "gate (openai-compat), logged in" in report
    assert "genai-prices" in report
    status, gone = await lsp_agent(tmp_path, "logout", "gate")
    assert status == 0
    assert not kept.exists()
    assert "access-token" not in before + said + report + gone
    assert "There was no login" in (await lsp_agent(tmp_path, "logout", "gate"))[1]


async def test_a_provider_without_a_login_says_what_it_needs(tmp_path: Path):
    status, said = await lsp_agent(tmp_path, "login", "nobody")
    assert status == 1
    assert "options.oauth" in said
    assert "Traceback" not in said
