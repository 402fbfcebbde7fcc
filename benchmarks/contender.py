"""Who is measured: lsp-agent as it ships, and the floors."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peer import Peer

REPOSITORY = Path(__file__).resolve().parent.parent

_CONFIG = """
[models]
large = "bench/large"
[providers.bench]
type = "anthropic"
base_url = "{url}"
api_key = "none"
[[providers.bench.models]]
id = "large"
context_window = 100000000
max_output_tokens = 4096
[permissions]
mode = "full-auto"
"""


@dataclass(frozen=True)
class Contender:
    """`argv` for the interpreter of this environment."""

    name: str
    argv: tuple[str, ...]
    is_product: bool = False

    def start(self, world: "World") -> Peer:
        """A fresh process with a fresh home."""
        home = world.fresh(self.name)
        config = home / "config.toml"
        config.write_text(_CONFIG.format(url=world.url))
        env = {"BENCH_MODEL": world.url, "LSP_AGENT_CONFIG": str(config), "PYTHONPATH": str(REPOSITORY)}
        return Peer.start(list(self.argv), home, env, world.project)


@dataclass
class World:
    """One round's place on disk, and the model's address."""

    folder: Path
    url: str
    project: Path
    _count: int = 0

    @classmethod
    def make(cls, folder: Path, url: str) -> "World":
        project = folder / "project"
        project.mkdir(parents=True)
        (project / "a.py").write_text("".join([f"value_{number} = {number}\n" for number in range(200)]))
        return cls(folder, url, project)

    def fresh(self, name: str) -> Path:
        self._count += 1
        home = self.folder / f"{name}-{self._count}"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        return home


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return ("-m", f"benchmarks.contenders.{name}", *arguments)


PRODUCT = Contender("lsp-agent", ("-m", "lsp_agent", "serve"), is_product=True)
PYGLS_SDK = Contender("pygls+sdk", _module("pygls_sdk"))
PYGLS_RAW = Contender("pygls+httpx2", _module("pygls_raw"))
ASYNCIO = Contender("asyncio", _module("bare_asyncio"))
ASYNCIO_HTTPX2 = Contender("asyncio+httpx2", _module("bare_asyncio", "--httpx2"))

CONTENDERS = (PRODUCT, PYGLS_SDK, PYGLS_RAW, ASYNCIO, ASYNCIO_HTTPX2)
PEERS = ("codex", "claude", "opencode", "qwen", "vibe", "kimi")
"""Commands of the peers of PERFORMANCE.md; the run says which are present."""
