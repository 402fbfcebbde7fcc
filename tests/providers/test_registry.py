from typing import Any

import pytest

from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.model import Model
from lsp_agent.providers.catalog import SERVICES
from lsp_agent.providers.probe import LocalServer, probe_local
from lsp_agent.providers.registry import ProviderRegistry
from lsp_agent.providers.scripted import ScriptedProvider
from lsp_agent.providers.settings import ProviderSettings, ProvidersSettings
from tests.harness.fake_provider import FakeProvider, text
from tests.providers.doubles import collect, request_of, text_of

LOCAL = ProviderSettings(
    "local",
    "openai-compat",
    "http://127.0.0.1:9/v1",
    "$LOCAL_KEY",
    models=(Model("local", "fake-large", context_window=9),),
)


async def nobody() -> LocalServer | None:
    return None


def registry(
    settings: ProvidersSettings | None = None, env: dict[str, str] | None = None, **more: Any
) -> ProviderRegistry:
    more.setdefault("probe", nobody)
    return ProviderRegistry(lambda: settings or ProvidersSettings(), env or {}, **more)


async def test_with_nothing_at_all_the_demonstration_answers():
    found = registry()
    await found.prepare()
    model = found.resolve(None)
    assert model.ref == "scripted/demo"
    assert found.explain().local
    assert isinstance(await found.provider_for(model), ScriptedProvider)


CHOSEN = [service for service in SERVICES if service.large]


@pytest.mark.parametrize("service", CHOSEN, ids=[service.provider_id for service in CHOSEN])
def test_a_key_in_the_environment_is_enough(service):
    found = registry(env={service.key_names[0]: "sk-x"})
    assert found.resolve(None).ref == f"{service.provider_id}/{service.large}"
    assert found.resolve(None, role="small").ref == f"{service.provider_id}/{service.small}"
    assert found.explain().reason == f"{service.key_names[0]} is set in the environment"
    assert not found.explain().local


def test_the_environment_is_searched_in_the_documented_order():
    env = {"OPENROUTER_API_KEY": "c", "OPENAI_API_KEY": "b", "ANTHROPIC_API_KEY": "a"}
    assert registry(env=env).resolve(None).provider_id == "anthropic"


def test_the_configuration_comes_first_and_the_small_model_defaults_to_the_large():
    settings = ProvidersSettings(large="local/fake-large", providers=(LOCAL,))
    found = registry(settings, {"ANTHROPIC_API_KEY": "a"})
    assert found.resolve(None).context_window == 9
    assert found.resolve(None, role="small").ref == "local/fake-large"
    assert found.explain().local
    small = ProvidersSettings(large="local/fake-large", small="anthropic/claude-haiku-5-5", providers=(LOCAL,))
    assert registry(small, {}).resolve(None, role="small").model_id == "claude-haiku-5-5"


def test_a_configured_provider_is_used_without_naming_a_model():
    assert (
        registry(ProvidersSettings(providers=(LOCAL,)), {"OPENAI_API_KEY": "x"}).resolve(None).ref == "local/fake-large"
    )


def test_an_unknown_model_works_with_window_zero_and_slashes_in_its_name():
    model = registry(env={"OPENROUTER_API_KEY": "x"}).resolve("openrouter/some/new-model")
    assert (model.provider_id, model.model_id, model.context_window) == ("openrouter", "some/new-model", 0)


@pytest.mark.parametrize(("ref", "why"), [("nowhere/x", "[providers.nowhere]"), ("justaname", "provider/model")])
def test_a_model_of_nobody_says_what_to_configure(ref: str, why: str):
    with pytest.raises(ProviderError) as caught:
        registry().resolve(ref)
    assert why in caught.value.message


@pytest.mark.parametrize("kind", ["teapot"])
def test_a_type_without_an_adapter_names_what_is_missing(kind: str):
    settings = ProvidersSettings(large="p/m", providers=(ProviderSettings("p", kind),))
    with pytest.raises(ProviderError) as caught:
        registry(settings).resolve(None)
    assert "providers.p.type" in caught.value.message
    assert kind in caught.value.message


async def test_a_missing_key_names_the_variable_and_never_falls_through():
    found = registry(ProvidersSettings(large="anthropic/claude-sonnet-5-5"), {"OPENAI_API_KEY": "x"})
    with pytest.raises(ProviderError) as caught:
        await found.provider_for(found.resolve(None))
    assert caught.value.kind == "ProviderAuth"
    assert "ANTHROPIC_API_KEY" in caught.value.message


async def test_a_key_is_resolved_late_reported_as_secret_and_sent():
    secrets: list[str] = []
    env = {"LOCAL_KEY": "hunter2-hunter2"}
    async with FakeProvider([[text("hi")]]) as fake:
        block = ProviderSettings(
            "local", "openai-compat", f"{fake.url}/v1", "$LOCAL_KEY", headers={"x-team-token": "$LOCAL_KEY", "x-a": "b"}
        )
        found = registry(ProvidersSettings(large="local/m", providers=(block,)), env, on_secret=secrets.append)
        assert secrets == []
        provider = await found.provider_for(found.resolve(None))
        assert text_of(await collect(provider, request_of(model=found.resolve(None)))) == "hi"
        assert fake.requests[0].headers["authorization"] == "Bearer hunter2-hunter2"
        assert fake.requests[0].headers["x-team-token"] == "hunter2-hunter2"
        await found.close()
    assert secrets == ["hunter2-hunter2", "hunter2-hunter2"]


async def test_credentials_are_read_again_after_a_refusal():
    env = {"LOCAL_KEY": "old-key-old-key"}
    found = registry(ProvidersSettings(large="local/fake-large", providers=(LOCAL,)), env)
    model = found.resolve(None)
    first = await found.provider_for(model)
    assert await found.provider_for(model) is first
    assert await found.refresh_credentials(model) is False
    env["LOCAL_KEY"] = "new-key-new-key"
    assert await found.refresh_credentials(model) is True
    assert await found.provider_for(model) is not first
    await found.close()
    await found.close()


async def test_changed_settings_make_a_new_adapter():
    current = [ProvidersSettings(providers=(LOCAL,))]
    found = ProviderRegistry(lambda: current[0], {"LOCAL_KEY": "k"}, probe=nobody)
    first = await found.provider_for(found.resolve(None))
    changed = ProviderSettings("local", "openai-compat", "http://127.0.0.1:10/v1", "$LOCAL_KEY", models=LOCAL.models)
    current[0] = ProvidersSettings(providers=(changed,))
    assert await found.provider_for(found.resolve(None)) is not first
    await found.close()


async def test_types_lead_to_their_dialects():
    for kind, options, path in (
        ("anthropic", {}, "/v1/messages"),
        ("openai", {}, "/v1/responses"),
        ("openai", {"api": "chat"}, "/v1/chat/completions"),
        ("ollama", {}, "/v1/chat/completions"),
        ("openrouter", {}, "/v1/chat/completions"),
        ("vercel", {}, "/v1/chat/completions"),
    ):
        async with FakeProvider() as fake:
            url = fake.url if kind == "anthropic" else f"{fake.url}/v1"
            block = ProviderSettings("p", kind, url, "k", options=options)
            found = registry(ProvidersSettings(large="p/m", providers=(block,)))
            await collect(await found.provider_for(found.resolve(None)), request_of())
            assert fake.requests[0].path == path
            await found.close()


def test_a_flat_rate_provider_makes_every_model_free():
    block = ProviderSettings("anthropic", "anthropic", flat_rate=True)
    found = registry(ProvidersSettings(providers=(block,)), {"ANTHROPIC_API_KEY": "x"})
    assert all(model.flat_rate for model in found.models() if model.provider_id == "anthropic")
    assert found.resolve("anthropic/brand-new").flat_rate


def test_models_lists_the_large_one_first_and_each_once():
    found = registry(ProvidersSettings(large="local/fake-large", providers=(LOCAL,)), {"OPENAI_API_KEY": "x"})
    refs = [model.ref for model in found.models()]
    assert refs[0] == "local/fake-large"
    assert "openai/gpt-6.2-sol" in refs
    assert len(refs) == len(set(refs))
    broken = registry(ProvidersSettings(large="nowhere/x", providers=(LOCAL,)))
    assert [model.ref for model in broken.models()] == ["local/fake-large"]


async def test_preload_reports_nothing_and_imports_for_the_default():
    await registry(ProvidersSettings(large="nowhere/x")).preload()
    found = registry(env={"ANTHROPIC_API_KEY": "x"})
    await found.preload()
    await found.close()


# ----------------------------------------------------------------------------------------------------------- probes


async def probe(**routes: Any) -> tuple[LocalServer | None, FakeProvider]:
    async with FakeProvider(routes=routes) as fake:
        return await probe_local(
            ollama_port=fake.port, lm_studio_port=fake.port, llama_cpp_port=fake.port, timeout_s=2
        ), fake


async def test_ollama_is_used_with_a_model_that_can_call_tools():
    found, _ = await probe(
        **{"/api/tags": {"models": [{"name": "m:7b"}]}, "/api/show": {"capabilities": ["tools", "vision"]}}
    )
    assert found is not None
    assert (found.name, found.settings.models[0].model_id, found.settings.models[0].supports_images) == (
        "Ollama",
        "m:7b",
        True,
    )
    found, _ = await probe(**{"/api/tags": {"models": [{"name": "m"}]}, "/api/show": {"capabilities": ["completion"]}})
    assert found is None


async def test_lm_studio_and_llama_cpp_are_identified():
    loaded = {"id": "q", "type": "llm", "publisher": "x", "state": "loaded", "loaded_context_length": 8192}
    found, _ = await probe(**{"/api/v0/models": {"data": [{**loaded, "state": "not-loaded"}, loaded]}})
    assert found is not None
    assert (found.name, found.settings.models[0].context_window) == ("LM Studio", 8192)
    found, _ = await probe(**{"/v1/models": {"data": [{"id": "/models/q.gguf", "owned_by": "llamacpp"}]}})
    assert found is not None
    assert (found.name, found.settings.models[0].name) == ("llama.cpp", "q.gguf")


async def test_any_other_program_on_those_ports_is_left_alone():
    assert (await probe(**{"/v1/models": {"data": [{"id": "x", "owned_by": "me"}]}, "/api/tags": "hello"}))[0] is None
    assert (await probe())[0] is None
    assert await probe_local(ollama_port=9, lm_studio_port=9, llama_cpp_port=9) is None


async def test_a_silent_port_costs_no_more_than_the_limit():
    import asyncio
    import time

    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    start = time.monotonic()
    assert await probe_local(ollama_port=port, lm_studio_port=port, llama_cpp_port=port, timeout_s=0.2) is None
    assert time.monotonic() - start < 1.0
    server.close()
    for writer in writers:
        writer.close()
        await writer.wait_closed()


async def test_the_machine_is_probed_once_and_only_when_nothing_is_configured():
    asked: list[int] = []
    server = LocalServer(
        "Ollama", ProviderSettings("ollama", "openai-compat", "http://127.0.0.1:9/v1", models=(Model("ollama", "m"),))
    )

    async def counting() -> LocalServer | None:
        asked.append(1)
        return server

    found = registry(probe=counting)
    await found.prepare()
    await found.prepare()
    assert asked == [1]
    assert found.resolve(None).ref == "ollama/m"
    assert found.explain().local
    await registry(env={"OPENAI_API_KEY": "x"}, probe=counting).prepare()
    await registry(ProvidersSettings(probe_local=False), probe=counting).prepare()
    assert asked == [1]
    await found.close()
