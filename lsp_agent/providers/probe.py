"""Model servers on this machine: asked at the first turn only, in 300 ms altogether, identified before they are used.

Plain HTTP/1.1 over asyncio streams to 127.0.0.1, no redirects, no proxy, no key. What answers but cannot be identified
as Ollama, LM Studio or llama.cpp is left alone: any program may listen on these ports.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from lsp_agent.domain.model import Model
from lsp_agent.providers.content import count
from lsp_agent.providers.settings import ProviderSettings

PROBE_S = 0.3
OLLAMA_PORT, LM_STUDIO_PORT, LLAMA_CPP_PORT = 11434, 1234, 8080
_HOST = "127.0.0.1"
_ANSWER_BYTES = 1_000_000
_ASKED_MODELS = 8


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server that answered: its name for people, and the settings to use it."""

    name: str
    settings: ProviderSettings


async def probe_local(
    *,
    ollama_port: int = OLLAMA_PORT,
    lm_studio_port: int = LM_STUDIO_PORT,
    llama_cpp_port: int = LLAMA_CPP_PORT,
    timeout_s: float = PROBE_S,
) -> LocalServer | None:
    """The first of Ollama, LM Studio, llama.cpp that answers and has a usable model.

    Promise: back within `timeout_s`, whatever listens on those ports.
    """
    probes = [
        asyncio.ensure_future(_quietly(_ollama, ollama_port)),
        asyncio.ensure_future(_quietly(_lm_studio, lm_studio_port)),
        asyncio.ensure_future(_quietly(_llama_cpp, llama_cpp_port)),
    ]
    try:
        await asyncio.wait(probes, timeout=timeout_s)
        return next((probe.result() for probe in probes if probe.done() and probe.result() is not None), None)
    finally:
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)


async def _quietly(probe: Callable[[int], Awaitable[LocalServer | None]], port: int) -> LocalServer | None:
    try:
        return await probe(port)
    except (OSError, ValueError, EOFError):
        return None  # nobody there, or somebody else


async def _ollama(port: int) -> LocalServer | None:
    tags = await _get_json(port, "/api/tags")
    names = [str(item.get("name")) for item in _list_of(tags, "models") if item.get("name")]
    shown = await asyncio.gather(
        *[_get_json(port, "/api/show", {"model": name}) for name in names[:_ASKED_MODELS]], return_exceptions=True
    )
    models = []
    for name, details in zip(names, shown, strict=False):
        abilities = details.get("capabilities") if isinstance(details, Mapping) else None
        if isinstance(abilities, list) and "tools" in abilities:
            # the trained length says nothing about what the server really keeps: window unknown
            models.append(Model("ollama", name, name=name, supports_images="vision" in abilities))
    return _server("Ollama", "ollama", port, models)


async def _lm_studio(port: int) -> LocalServer | None:
    answer = await _get_json(port, "/api/v0/models")
    models = []
    for item in _list_of(answer, "data"):
        # `publisher` and `state` are LM Studio's own
        if item.get("state") != "loaded" or "publisher" not in item or item.get("type") not in {"llm", "vlm"}:
            continue
        window = count(item.get("loaded_context_length"))
        name = str(item.get("id"))
        models.append(Model("lmstudio", name, name=name, context_window=window, supports_images=item["type"] == "vlm"))
    return _server("LM Studio", "lmstudio", port, models)


async def _llama_cpp(port: int) -> LocalServer | None:
    answer = await _get_json(port, "/v1/models")
    models = []
    for item in _list_of(answer, "data"):
        if item.get("owned_by") != "llamacpp":
            continue
        name = str(item.get("id"))
        models.append(Model("llamacpp", name, name=name.rpartition("/")[2]))
    return _server("llama.cpp", "llamacpp", port, models)


def _server(name: str, provider_id: str, port: int, models: list[Model]) -> LocalServer | None:
    if not models:
        return None
    base_url = f"http://{_HOST}:{port}/v1"
    return LocalServer(name, ProviderSettings(provider_id, "openai-compat", base_url, models=tuple(models)))


def _list_of(answer: object, key: str) -> list[dict[str, Any]]:
    value = answer.get(key) if isinstance(answer, Mapping) else None
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


async def _get_json(port: int, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """The JSON of a 200 answer. Raises: OSError, EOFError, ValueError for everything else."""
    data = b"" if body is None else orjson.dumps(body)
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: {_HOST}:{port}\r\nConnection: close\r\n"
    reader, writer = await asyncio.open_connection(_HOST, port, limit=_ANSWER_BYTES)
    try:
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
        header = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        if " 200 " not in header.partition("\r\n")[0] + " ":
            raise ValueError("not a success")
        return orjson.loads(await _body(reader, header))
    except asyncio.LimitOverrunError as error:
        raise ValueError("too large") from error
    finally:
        writer.close()


async def _body(reader: asyncio.StreamReader, header: str) -> bytes:
    if "transfer-encoding: chunked" not in header:
        fields = dict(line.partition(":")[::2] for line in header.split("\r\n")[1:])
        length = fields.get("content-length", "").strip()
        if length.isdigit() and int(length) <= _ANSWER_BYTES:
            return await reader.readexactly(int(length))
        return await reader.read(_ANSWER_BYTES)
    whole = b""
    while len(whole) < _ANSWER_BYTES:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        if size == 0:
            return whole
        whole += (await reader.readexactly(size + 2))[:-2]
    raise ValueError("too large")
