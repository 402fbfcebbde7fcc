"""CPU per streamed delta of our adapters, against httpx2 + orjson alone, in one run.

    python -m benchmarks.provider_delta [--deltas 10000] [--rounds 7]

The service is the fake one, in a process of its own. Contenders take turns; the text is compared byte for byte; CPU is
this process's. Target (PERFORMANCE.md): within 1.5 times the raw client.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import orjson

from lsp_agent.domain.stream import TextDelta
from tests.providers.doubles import make_provider, request_of

PATHS = {"anthropic": "/v1/messages", "responses": "/v1/responses", "chat": "/v1/chat/completions"}
Run = Callable[[], Awaitable[str]]


async def raw(client: httpx2.AsyncClient, url: str, body: bytes) -> str:
    """The floor: lines split, JSON decoded, text joined; nothing else."""
    pieces: list[str] = []
    rest = b""
    async with client.stream("POST", url, content=body) as response:
        async for chunk in response.aiter_raw():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if not line.startswith(b"data: {"):
                    continue
                value = orjson.loads(line[6:])
                if "choices" in value:
                    delta = value["choices"][0]["delta"].get("content") if value["choices"] else None
                else:
                    delta = value.get("delta")
                    delta = delta.get("text") if isinstance(delta, dict) else delta
                if delta:
                    pieces.append(delta)
    return "".join(pieces)


async def ours(dialect: str, url: str, providers: dict[str, object]) -> str:
    provider = providers.setdefault(dialect, make_provider(dialect, url))
    pieces: list[str] = []
    async for batch in provider.stream(request_of()):  # type: ignore[attr-defined]
        pieces.extend([event.text for event in batch if type(event) is TextDelta])
    return "".join(pieces)


async def measure(port: int, deltas: int, rounds: int) -> dict[str, list[float]]:
    url = f"http://127.0.0.1:{port}"
    body = orjson.dumps({"model": "m", "messages": [], "stream": True})
    found: dict[str, list[float]] = {}
    providers: dict[str, object] = {}
    async with httpx2.AsyncClient(timeout=60) as client:
        contenders: dict[str, Run] = {}
        for dialect, path in PATHS.items():
            contenders[f"{dialect} raw"] = lambda path=path: raw(client, url + path, body)  # type: ignore[misc]
            contenders[f"{dialect} ours"] = lambda dialect=dialect: ours(dialect, url, providers)  # type: ignore[misc]
        for number in range(rounds + 1):
            for name, run in contenders.items():
                start = time.process_time()
                text = await run()
                spent = time.process_time() - start
                assert text == "word " * deltas, name
                if number:  # the first round imports and connects
                    found.setdefault(name, []).append(spent / deltas * 1e6)
    for provider in providers.values():
        await provider.close()  # type: ignore[attr-defined]
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--deltas", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    script = Path("/tmp") / f"provider_delta_{os.getpid()}.json"
    script.write_text(json.dumps({"turns": [], "fallback": [{"burst": options.deltas, "text": "word "}]}))
    command = [sys.executable, "-m", "tests.harness.fake_provider", "--script", str(script)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdin is not None
    try:
        port = int(server.stdout.readline())
        found = asyncio.run(measure(port, options.deltas, options.rounds))
    finally:
        server.stdin.close()
        server.wait(10)
        script.unlink()
    print(f"load {os.getloadavg()[0]:.2f}, {options.deltas} deltas, {options.rounds} rounds; µs CPU a delta")
    for name, values in found.items():
        print(f"  {name:16} min {min(values):6.1f}  median {statistics.median(values):6.1f}  max {max(values):6.1f}")
    for dialect in PATHS:
        ratio = statistics.median(found[f"{dialect} ours"]) / statistics.median(found[f"{dialect} raw"])
        print(f"  {dialect}: {ratio:.2f} times the raw client")


if __name__ == "__main__":
    main()
