"""Language servers of our own starting, for files whose editor has none: found, started on demand, fed, ended.

Only in roots the user trusts, only programs of the user's own `PATH` outside the workspace. A program that is missing
or fails is not looked for again for half a minute; `restart` forgets that. Starting belongs to nobody's call: whoever
waits may stop waiting, the server goes on (CORE 35).
"""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsp_agent.language.catalog import CATALOG, ServerSpec, specs_for
from lsp_agent.language.client import LanguageClient, ServerFailed, connect
from lsp_agent.language.starting import Confine, start_program
from lsp_agent.language.walls import no_walls
from lsp_agent.ports.clock import Clock
from lsp_agent.shell.duplex import Duplex
from lsp_agent.shell.environment import child_environment, search_path
from lsp_agent.shell.spawner import Order, Spawner

_log = logging.getLogger(__name__)

MISSING_S = 30.0
MAX_SERVERS = 8
_CLOSE_S = 4.7

Key = tuple[str, Path]
"""Catalogue name and root."""


@dataclass(slots=True)
class _Starting:
    task: "asyncio.Task[LanguageClient]"


class OwnServers:
    """The servers of one workspace. `close` ends them all."""

    def __init__(
        self,
        *,
        spawner: Spawner,
        clock: Clock,
        environ: Mapping[str, str],
        roots: Callable[[], Sequence[Path]],
        trusted: Callable[[Path], bool],
        walls: Callable[[], Awaitable[Confine]] = no_walls,
        catalog: Sequence[ServerSpec] = CATALOG,
    ) -> None:
        self._spawner = spawner
        self._clock = clock
        self._environ = environ
        self._roots = roots
        self._trusted = trusted
        self._walls = walls
        self._catalog = catalog
        self._servers: dict[Key, _Starting] = {}
        self._failed: dict[Key, tuple[float, str]] = {}
        """When (monotonic) and why."""
        self._closed = False

    def root_of(self, path: Path) -> Path | None:
        """The innermost trusted root of a file; None when there is none."""
        holders = [root for root in self._roots() if path.is_relative_to(root)]
        root = max(holders, key=lambda one: len(one.parts), default=None)
        return root if root is not None and self._trusted(root) else None

    def specs(self, path: Path) -> list[ServerSpec]:
        """What would be used for a file: the first program found of its language, and the linters beside it."""
        root = self.root_of(path)
        if root is None or self._closed:
            return []
        chosen: dict[str, ServerSpec] = {}
        for spec in specs_for(path, self._catalog):
            slot = spec.name if spec.beside else spec.group
            if slot not in chosen and self._usable((spec.name, root), spec):
                chosen[slot] = spec
        return list(chosen.values())

    async def clients(self, path: Path, timeout_s: float) -> list[LanguageClient]:
        """The running servers for a file, started if need be; those that are not ready in time are left out.

        What is still starting goes on and is there for the next call.
        """
        root = self.root_of(path)
        tasks = [self._start(spec, root) for spec in self.specs(path)] if root is not None else []
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
        return [task.result() for task in tasks if _is_up(task)]

    def running(self, path: Path) -> list[LanguageClient]:
        """The servers for a file that are up now. Starts nothing."""
        root = self.root_of(path)
        found = [self._servers.get((spec.name, root)) for spec in specs_for(path, self._catalog)] if root else []
        return [one.task.result() for one in found if one is not None and _is_up(one.task)]

    def all_running(self) -> list[LanguageClient]:
        """Every server that is up."""
        return [one.task.result() for one in self._servers.values() if _is_up(one.task)]

    def language_of(self, client: LanguageClient, path: Path) -> str:
        """The language id to open a file with."""
        spec = next((one for one in self._catalog if one.name == client.name), None)
        return (spec.language_of(path) if spec is not None else None) or "plaintext"

    def problems(self) -> list[str]:
        """Why servers that were tried are not there."""
        return [why for _, why in self._failed.values()]

    async def restart(self, name: str | None) -> list[str]:
        """End the servers of this catalogue name, or all, and forget failures. Shape: names of those ended.

        They start again with the next question.
        """
        keys = [key for key in self._servers if name is None or key[0] == name]
        ending = [self._servers.pop(key) for key in keys]
        self._failed = {key: why for key, why in self._failed.items() if name is not None and key[0] != name}
        await self._end(ending)
        return [key[0] for key in keys]

    async def leave_untrusted(self) -> None:
        """End the servers of folders that are no longer trusted, or no longer in the workspace."""
        roots = set(self._roots())
        keys = [key for key in self._servers if key[1] not in roots or not self._trusted(key[1])]
        await self._end([self._servers.pop(key) for key in keys])

    async def close(self) -> None:
        """End all servers. Bounded (4.7 s); may be called twice."""
        self._closed = True
        ending, self._servers = list(self._servers.values()), {}
        await self._end(ending)

    # ------------------------------------------------------------------------------------------------------ inside

    def _usable(self, key: Key, spec: ServerSpec) -> bool:
        failed = self._failed.get(key)
        if failed is not None and self._clock.monotonic_s() - failed[0] < MISSING_S:
            return False
        one = self._servers.get(key)
        if one is not None and (not one.task.done() or _is_up(one.task)):
            return True
        if self._find(spec) is None:
            self._failed[key] = (self._clock.monotonic_s(), f"{spec.command[0]} is not installed")
            return False
        self._failed.pop(key, None)
        return True

    def _find(self, spec: ServerSpec) -> str | None:
        directories = search_path(self._environ.get("PATH", ""), self._roots())
        found = shutil.which(spec.command[0], path=":".join(directories))
        if found is None or any(Path(found).resolve().is_relative_to(root) for root in self._roots()):
            return None
        return found

    def _start(self, spec: ServerSpec, root: Path) -> "asyncio.Task[LanguageClient]":
        key = (spec.name, root)
        one = self._servers.get(key)
        if one is not None and (not one.task.done() or _is_up(one.task)):
            return one.task
        if len(self._servers) >= MAX_SERVERS:
            self._drop_one()
        task = asyncio.create_task(self._connect(spec, root), name=f"language server {spec.name}")
        self._servers[key] = _Starting(task)
        task.add_done_callback(lambda done: self._started(key, done))
        return task

    def _drop_one(self) -> None:
        key = next(iter(self._servers))
        one = self._servers.pop(key)
        if _is_up(one.task):
            one.task.result().ask_to_stop()
        one.task.cancel()

    async def _connect(self, spec: ServerSpec, root: Path) -> LanguageClient:
        program = await asyncio.to_thread(self._find, spec)
        if program is None:
            raise ServerFailed(f"{spec.command[0]} is not installed")
        confine = await self._walls()
        env = child_environment(self._environ, self._roots())
        order = Order([program, *spec.command[1:]], str(root), env)

        async def start() -> Duplex:
            return await start_program(self._spawner, order, name=spec.name, confine=confine)

        return await connect(spec.name, root, start, spec.settings)

    def _started(self, key: Key, task: "asyncio.Task[LanguageClient]") -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._failed[key] = (self._clock.monotonic_s(), f"{key[0]}: {error}")
            _log.warning("language server %s did not start: %s", key[0], error)
            if self._servers.get(key) is not None and self._servers[key].task is task:
                del self._servers[key]
            return
        task.result().ended.add_done_callback(lambda _: self._ended(key, task))

    def _ended(self, key: Key, task: "asyncio.Task[LanguageClient]") -> None:
        """It died by itself: not at once again, or a server that crashes on a file would do so for ever."""
        one = self._servers.get(key)
        if one is not None and one.task is task:
            del self._servers[key]
            self._failed[key] = (self._clock.monotonic_s(), f"{key[0]} has ended unexpectedly")
            _log.warning("language server %s has ended", key[0])

    async def _end(self, ending: Sequence[_Starting]) -> None:
        async def end(one: _Starting) -> None:
            if not one.task.done():
                one.task.cancel()
                await asyncio.wait([one.task], timeout=_CLOSE_S)
            if _is_up(one.task):
                await one.task.result().close()

        tasks = [asyncio.create_task(end(one), name="end language server") for one in ending]
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_S)


def _is_up(task: "asyncio.Task[LanguageClient]") -> bool:
    return task.done() and not task.cancelled() and task.exception() is None and task.result().alive
