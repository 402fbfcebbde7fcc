"""The engine as a child process: what is said when it cannot start, and that it never outlives the server."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.model import Model
from lsp_agent.local.engine import EngineSettings, LocalEngines, default_threads, engine_installed
from lsp_agent.providers.embedded import EmbeddedProvider
from lsp_agent.providers.registry import ProviderRegistry
from lsp_agent.providers.settings import ProviderSettings, ProvidersSettings
from lsp_agent.shell.spawner import Spawner
from tests.local.conftest import ROOT, install
from tests.providers.doubles import collect, request_of, text_of, until, user

needs_engine = pytest.mark.skipif(not engine_installed(), reason="the extra lsp-agent[local] is not installed")


def engines(home: Path, settings: EngineSettings | None = None, **more) -> LocalEngines:
    env = {"HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "PATH": os.environ["PATH"]}
    return LocalEngines(Spawner(), env, lambda: settings or EngineSettings(), **more)


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[LocalEngines]:
    made = engines(tmp_path)
    yield made
    await made.close()


async def error_of(made: LocalEngines, model_id: str) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        async with made.lease(Model("embedded", model_id)):
            raise AssertionError("it must not start")
    return caught.value


@needs_engine
async def test_weights_that_are_not_here_say_the_command_that_fetches_them(empty):
    assert "lsp-agent local pull qwen2.5-coder-0.5b" in (await error_of(empty, "qwen2.5-coder-0.5b")).message


async def test_a_missing_extra_says_the_command_that_installs_it(empty, monkeypatch):
    monkeypatch.setattr("lsp_agent.local.engine.PACKAGE", "a_package_that_is_not_there")
    assert "pip install 'lsp-agent[local]'" in (await error_of(empty, "qwen2.5-coder-0.5b")).message
    assert empty.models() == []


@needs_engine
async def test_a_broken_file_of_weights_is_a_clear_error_and_no_process_stays(tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + b"\0" * 16 + b"\xff" * 4096)
    made = engines(tmp_path)
    error = await error_of(made, str(broken))
    assert "broken could not be loaded" in error.message or "ended while it loaded" in error.message
    assert made.memory() == []
    await made.close()


async def test_with_nothing_installed_the_demonstration_still_answers(tmp_path):
    made = engines(tmp_path)
    found = ProviderRegistry(lambda: ProvidersSettings(probe_local=False), {}, engines=made)
    await found.prepare()
    assert found.resolve(None).ref == "scripted/demo"
    await found.close()


@needs_engine
async def test_weights_that_are_here_come_before_the_demonstration_and_after_a_key(tmp_path):
    path = tmp_path / "data/lsp-agent/models/own.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + b"\0" * 16)
    made = engines(tmp_path)
    found = ProviderRegistry(lambda: ProvidersSettings(probe_local=False), {}, engines=made)
    await found.prepare()
    choice = found.explain()
    assert choice.large.ref == f"embedded/{path}"
    assert (choice.local, choice.is_configured) == (True, False)
    assert "guided" in str(choice.large.options["notes"])
    assert choice.large in found.models()
    with_key = ProviderRegistry(lambda: ProvidersSettings(probe_local=False), {"OPENAI_API_KEY": "x"}, engines=made)
    assert with_key.resolve(None).provider_id == "openai"
    named = ProvidersSettings(large=f"mine/{path}", providers=(ProviderSettings("mine", "embedded"),))
    assert ProviderRegistry(lambda: named, {}, engines=made).explain().local
    await found.close()


def test_threads_follow_what_the_process_may_use():
    assert 1 <= default_threads() <= 8


# ------------------------------------------------------------------------------------------------- with real weights


def is_engine(process: psutil.Process) -> bool:
    try:
        return "serve_engine" in " ".join(process.cmdline())
    except psutil.Error:
        return False  # it is just ending


def children() -> list[psutil.Process]:
    return [process for process in psutil.Process().children(recursive=True) if is_engine(process)]


def embedded(home: Path, weights: Path, **more) -> tuple[LocalEngines, EmbeddedProvider, Model]:
    install(weights, "smollm2-135m", home / "data")
    made = engines(home, **more)
    (model,) = made.models()
    return made, EmbeddedProvider("embedded", made), model


@pytest.mark.real_model
@pytest.mark.timeout(240)
async def test_a_real_model_streams_counts_and_is_shared_by_two_sessions(smollm, tmp_path):
    made, provider, model = embedded(tmp_path, smollm)
    ask = request_of(user("Say hello to everybody, in ten words."), model=model)
    events, others = await asyncio.gather(collect(provider, ask), collect(provider, ask))
    assert text_of(events)
    assert text_of(others)
    assert len(made.memory()) == 1
    assert made.memory()[0][1] > 100 << 20
    assert len(children()) == 1
    await provider.close()
    await made.close()
    assert children() == []


@pytest.mark.real_model
@pytest.mark.timeout(240)
async def test_closing_the_stream_stops_the_generation_and_the_next_one_is_answered(smollm, tmp_path):
    made, provider, model = embedded(tmp_path, smollm)
    long = request_of(user("Count from one to a thousand."), model=model, provider_options={"temperature": 0})
    stream = provider.stream(long)
    async for batch in stream:
        if text_of(batch):
            break
    await stream.aclose()
    (process,) = children()
    # the processor rests: nobody goes on counting
    async with asyncio.timeout(60):
        while await asyncio.to_thread(process.cpu_percent, 0.5) > 20:
            pass
    assert text_of(
        await collect(provider, request_of(user("Say hi."), model=model, provider_options={"max_tokens": 5}))
    )
    await provider.close()
    await made.close()


@pytest.mark.real_model
@pytest.mark.timeout(240)
async def test_an_engine_nobody_asks_ends_and_starts_again_when_asked(smollm, tmp_path):
    made, provider, model = embedded(tmp_path, smollm, idle_s=0.05)
    short = request_of(user("Say hi."), model=model, provider_options={"max_tokens": 5})
    assert text_of(await collect(provider, short))
    await until(lambda: children() == [], 60)
    assert made.memory() == []
    assert text_of(await collect(provider, short))
    await provider.close()
    await made.close()


@pytest.mark.real_model
@pytest.mark.timeout(240)
async def test_an_engine_that_crashed_is_a_lost_connection_and_the_next_request_starts_a_new_one(smollm, tmp_path):
    made, provider, model = embedded(tmp_path, smollm)

    async def crash() -> None:
        async for batch in provider.stream(request_of(user("Count from one to a thousand."), model=model)):
            if text_of(batch):
                for process in children():
                    process.kill()

    with pytest.raises(ProviderError) as caught:
        await crash()
    assert caught.value.retryable
    short = request_of(user("Say hi."), model=model, provider_options={"max_tokens": 5})
    assert text_of(await collect(provider, short))
    await provider.close()
    await made.close()


@pytest.mark.real_model
@pytest.mark.timeout(240)
async def test_a_prompt_beyond_the_window_is_a_context_overflow(smollm, tmp_path):
    made, provider, model = embedded(tmp_path, smollm, settings=EngineSettings(context_window=512))
    assert model.context_window == 512
    with pytest.raises(ProviderError) as caught:
        await collect(provider, request_of(user("word " * 2000), model=model))
    assert caught.value.kind == "ContextOverflow"
    await provider.close()
    await made.close()


@pytest.mark.real_model
@pytest.mark.timeout(240)
async def test_without_the_key_the_port_answers_nobody(smollm, tmp_path):
    import httpx2

    made, provider, model = embedded(tmp_path, smollm)
    async with made.lease(model) as endpoint, httpx2.AsyncClient(trust_env=False) as client:
        assert endpoint.base_url.startswith("http://127.0.0.1:")
        body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
        assert (await client.post(f"{endpoint.base_url}/chat/completions", json=body)).status_code == 401
        (process,) = children()
        assert endpoint.api_key not in " ".join(process.cmdline())
    await provider.close()
    await made.close()


@pytest.mark.real_model
@pytest.mark.timeout(240)
def test_the_engine_ends_with_a_server_that_is_killed(smollm, tmp_path):
    install(smollm, "smollm2-135m", tmp_path / "data")
    code = (
        "import asyncio, os\nfrom lsp_agent.local.engine import *\n"
        "async def main():\n"
        "    made = LocalEngines(Spawner(), os.environ, EngineSettings)\n"
        "    async with made.lease(made.models()[0]):\n"
        "        print('up', flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(main())"
    )
    env = {"XDG_DATA_HOME": str(tmp_path / "data"), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    server = subprocess.Popen([sys.executable, "-c", code], env=env, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == b"up\n"
        family = psutil.Process(server.pid).children(recursive=True)
        assert any(map(is_engine, family))
        os.kill(server.pid, signal.SIGKILL)
        deadline_s = time.monotonic() + 10
        _, alive = psutil.wait_procs(family, timeout=deadline_s - time.monotonic())
        assert alive == []
    finally:
        server.kill()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()
