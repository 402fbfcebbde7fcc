"""Pages are taken apart in a process of their own that can be ended: this side of it.

A hostile page can keep any parser busy, and libxml2 is a large C library: the process has a deadline, little memory, no
network, no writing, and nothing of the server's environment (RELIABILITY EX-17).
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lsp_agent
from lsp_agent.domain.errors import ToolError
from lsp_agent.shell import landlock, seccomp
from lsp_agent.shell.spawner import Ended, Order, Spawner

DEADLINE_S = 10.0
MAX_OUTPUT_BYTES = 16 << 20
_MEMORY_BYTES = 1 << 30
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from lsp_agent.web.converter import main; main()"
_PACKAGE_PARENT = str(Path(lsp_agent.__file__).resolve().parents[1])
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null", "/dev/urandom", "/proc/self")
_LIMITS: Mapping[str, int] = {
    "RLIMIT_CORE": 0,
    "RLIMIT_FSIZE": 0,
    "RLIMIT_NOFILE": 64,
    "RLIMIT_CPU": 30,
    "RLIMIT_AS": _MEMORY_BYTES,
}


class Converter:
    """Converts pages. `directory`: private to us, made when missing; a page lies there while it is converted."""

    def __init__(self, spawner: Spawner, directory: Path, *, deadline_s: float = DEADLINE_S) -> None:
        self._spawner = spawner
        self._directory = directory
        self._deadline_s = deadline_s

    async def markdown(self, html: str, base_url: str, *, plain: bool = False) -> str:
        """A page as markdown, or as plain text. Raises: ToolError when it takes too long or cannot be read."""
        return await self._convert("text" if plain else "markdown", html, base_url)

    async def search_results(self, html: str, base_url: str) -> dict[str, Any]:
        """A search engine's page as `{"results": [{title, url, snippet}], "blocked": bool}`. Raises: ToolError."""
        text = await self._convert("search", html, base_url)
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise ToolError("The search results could not be read.") from error
        return found

    async def _convert(self, mode: str, html: str, base_url: str) -> str:
        path = await asyncio.to_thread(self._put_down, mode, html, base_url)
        try:
            return await self._run(path)
        finally:
            path.unlink(missing_ok=True)

    def _put_down(self, mode: str, html: str, base_url: str) -> Path:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix="page-", suffix=".html", dir=self._directory)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps({"mode": mode, "base": base_url}).encode("ascii") + b"\n")
            file.write(html.replace("\0", "").encode("utf-8", "replace"))
        return Path(name)

    async def _run(self, path: Path) -> str:
        out: list[str] = []

        def sink(name: str, text: str) -> None:
            if name == "stdout":
                out.append(text)

        try:
            running = await self._spawner.start(_order(path), sink)
        except OSError as error:
            raise ToolError("The page could not be converted: no process could be started.") from error
        try:
            async with asyncio.timeout(self._deadline_s):
                ended = await asyncio.shield(running.ended)
        except TimeoutError as error:
            raise ToolError(f"The page could not be converted in {self._deadline_s:g} seconds.") from error
        finally:
            if not running.ended.done():
                await asyncio.shield(asyncio.ensure_future(running.stop()))  # bounded: killed after 2 s
        return _checked(ended, out)


def _checked(ended: Ended, out: list[str]) -> str:
    if ended.exit_code != 0 or ended.why:
        reasons = {"memory": "it needs too much memory", "output": "it is too large"}
        raise ToolError(f"The page could not be converted: {reasons.get(ended.why, 'its content is damaged')}.")
    return "".join(out)


def _order(path: Path) -> Order:
    """The interpreter on our converter; with the kernel's walls where there are some."""
    filter_bytes = seccomp.filter_bytes(sockets=(), keep_ownership=True)
    walls = sys.platform == "linux" and filter_bytes is not None and landlock.abi() >= landlock.MINIMUM_ABI
    readable = [*_SYSTEM, sys.prefix, sys.base_prefix, sys.exec_prefix, _PACKAGE_PARENT, str(path)]
    return Order(
        argv=[sys.executable, "-I", "-c", _BOOT, _PACKAGE_PARENT, str(path)],
        cwd="/",
        env={"LC_ALL": "C.UTF-8", "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
        limits=_LIMITS,
        max_processes=4,
        max_output_bytes=MAX_OUTPUT_BYTES,
        max_memory_bytes=_MEMORY_BYTES,
        seccomp=filter_bytes if walls and filter_bytes is not None else b"",
        landlock={"readable": readable, "listable": [], "writable": ["/dev/null"]} if walls else None,
    )
