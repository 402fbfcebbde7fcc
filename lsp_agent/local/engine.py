"""Engines in child processes: started when first asked, one for each file of weights, ended when nobody asks any more.

A crash, a leak or a printing library in the engine stays out of the language server. The child is started through the
one spawner, whose supervisor ends it with the server, whatever the server dies of. The key of its port is random and
travels in the child's environment only.
"""

import asyncio
import importlib.util
import json
import logging
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lsp_agent
from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.model import Model
from lsp_agent.local.catalogue import Candidate, candidates, model_of
from lsp_agent.local.serve_engine import ORDER_NAME
from lsp_agent.local.weights import WeightsError, find, models_dir
from lsp_agent.providers.embedded import EMBEDDED_ID, Endpoint
from lsp_agent.shell.environment import KEPT
from lsp_agent.shell.spawner import LIMITS, Order, Running, Spawner
from lsp_agent.untrusted import clean

_log = logging.getLogger(__name__)

PACKAGE = "xllamacpp"
INSTALL = "pip install 'lsp-agent[local]'"
IDLE_S = 600.0
_START_S = 60.0
_BYTES_A_SECOND = 20 << 20
"""A slow disk still brings that much of the weights while a model is loaded."""
_CLOSE_S = 2.6
_GONE_S = 1.0
_LOG_LINES = 200
_BOOT = "import sys; sys.path.append(sys.argv[1]); from lsp_agent.local.serve_engine import main; main()"
_PACKAGE_PARENT = str(Path(lsp_agent.__file__).resolve().parents[1])
_LOADER_NAMES = ("LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
"""The user's own settings for finding libraries and devices."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """`[local]`: a name or a path, threads, tokens. Empty and 0 = decided here."""

    model: str = ""
    threads: int = 0
    context_window: int = 0


class Engine:
    """One child with one model. `users` counts who holds a lease."""

    def __init__(self, candidate: Candidate, threads: int) -> None:
        self.candidate = candidate
        self.threads = threads
        self.users = 0
        self.idle: asyncio.TimerHandle | None = None
        self.starting: asyncio.Task[Endpoint] | None = None
        self.running: Running | None = None
        self.started_in_s = 0.0
        self._said: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._line = ""
        self._logged = 0

    @property
    def gone(self) -> bool:
        """It was started and has ended, or could not be started."""
        if self.running is not None and self.running.ended.done():
            return True
        task = self.starting
        return task is not None and task.done() and (task.cancelled() or task.exception() is not None)

    async def start(self, spawner: Spawner, python: str, env: Mapping[str, str]) -> Endpoint:
        """Start it and wait until the model is loaded. Raises: ProviderError."""
        began_s = time.monotonic()
        key = secrets.token_hex(16)
        deadline_s = _START_S + self.candidate.size / _BYTES_A_SECOND
        order = self._order(python, env, key)
        try:
            self.running = await spawner.start(order, self._heard)
        except OSError as error:
            raise _failed(f"The engine's process could not be started: {error}") from error
        try:
            async with asyncio.timeout(deadline_s):
                signs: list[asyncio.Future[Any]] = [self._said, self.running.ended]
                await asyncio.wait(signs, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError as error:
            await self.running.stop()
            raise _failed(f"{self.candidate.name} was not loaded within {deadline_s:.0f} s.") from error
        except asyncio.CancelledError:
            self.running.ask_to_stop()
            raise
        if not self._said.done():
            raise _failed(f"The engine ended while it loaded {self.candidate.name} (see the log).")
        port = self._port(self._said.result())
        self.started_in_s = time.monotonic() - began_s
        _log.info("engine: %s loaded in %.1f s", self.candidate.name, self.started_in_s)
        return Endpoint(f"http://127.0.0.1:{port}/v1", key)

    def _order(self, python: str, env: Mapping[str, str], key: str) -> Order:
        what = {
            "path": str(self.candidate.path),
            "name": self.candidate.name,
            "context_window": self.candidate.window,
            "threads": self.threads,
            "key": key,
        }
        kept = {name: env[name] for name in (*KEPT, *_LOADER_NAMES) if name in env}
        # spinning threads beside a busy neighbour make the engine ten times slower (MODELS.md); read at import
        kept |= {"GOMP_SPINCOUNT": "1000", "OMP_NUM_THREADS": str(self.threads), ORDER_NAME: json.dumps(what)}
        limits = {name: value for name, value in LIMITS.items() if name not in {"RLIMIT_CPU", "RLIMIT_AS"}}
        argv = [python, "-I", "-c", _BOOT, _PACKAGE_PARENT]
        return Order(argv, "/", kept, limits=limits)

    def _heard(self, stream: str, text: str) -> None:
        if stream == "stderr":
            self._log_lines(text)
            return
        self._line += text
        if "\n" in self._line and not self._said.done():
            self._said.set_result(self._line.partition("\n")[0])

    def _log_lines(self, text: str) -> None:
        for line in text.splitlines():
            self._logged += 1
            if line.strip() and self._logged <= _LOG_LINES:
                _log.info("engine: %s", clean(line)[:300])

    def _port(self, line: str) -> int:
        try:
            said = json.loads(line)
            if "port" in said:
                return int(said["port"])
        except (ValueError, TypeError):
            said = {"error": "it said something that is not understood", "reason": ""}
        why = clean(str(said.get("error", "")))[:300]
        if said.get("reason") == "library":
            raise _failed("The engine needs the system's OpenMP library: install the package libgomp1.")
        if said.get("reason") == "missing":
            raise _failed(f"The embedded engine is not installed ({why}): {INSTALL}")
        raise _failed(f"{self.candidate.name} could not be loaded: {why}")


class LocalEngines:
    """Implements `providers.embedded.Engines` over the weights of this machine.

    `settings` is asked again at every lease. `close` ends everything.
    """

    def __init__(
        self,
        spawner: Spawner,
        env: Mapping[str, str],
        settings: Callable[[], EngineSettings],
        *,
        idle_s: float = IDLE_S,
        python: str = sys.executable,
        provider_id: str = EMBEDDED_ID,
    ) -> None:
        self._spawner = spawner
        self._env = env
        self._settings = settings
        self._idle_s = idle_s
        self._python = python
        self._provider_id = provider_id
        self._engines: dict[Path, Engine] = {}
        self._ending: set[asyncio.Task[object]] = set()
        self._closed = False

    def models(self) -> Sequence[Model]:
        if not engine_installed():
            return []
        settings = self._settings()
        found = candidates(settings.model, models_dir(self._env), settings.context_window)
        return [model_of(item, self._provider_id) for item in found]

    @asynccontextmanager
    async def lease(self, model: Model) -> AsyncIterator[Endpoint]:
        settings = self._settings()
        if not engine_installed():
            raise _failed(f"The embedded engine is not installed: {INSTALL}")
        try:
            item = find(model.model_id, models_dir(self._env))
            candidate = await asyncio.to_thread(Candidate.read, item, settings.context_window)
        except WeightsError as error:
            raise _failed(str(error)) from error
        engine = self._engine(candidate, settings.threads or default_threads())
        engine.users += 1
        try:
            assert engine.starting is not None
            # shared: a cancelled session must not take the model away from the next one
            yield await asyncio.shield(engine.starting)
        except ProviderError as error:
            if error.retryable and error.status is None and engine.running is not None:
                # the connection broke: has the engine ended? The next attempt must not ask a dead one
                await asyncio.wait([engine.running.ended], timeout=_GONE_S)
            raise
        finally:
            engine.users -= 1
            self._rest(engine)

    async def close(self) -> None:
        self._closed = True
        engines, self._engines = list(self._engines.values()), {}
        for engine in engines:
            self._end(engine)
        if self._ending:
            await asyncio.wait(self._ending, timeout=_CLOSE_S)

    def memory(self) -> list[tuple[str, int]]:
        """Every running engine with the bytes its processes hold."""
        return [
            (engine.candidate.name, _memory_of(engine.running.pid))
            for engine in self._engines.values()
            if engine.running is not None and not engine.running.ended.done()
        ]

    def _engine(self, candidate: Candidate, threads: int) -> Engine:
        if self._closed:
            raise _failed("The server is shutting down.")
        engine = self._engines.get(candidate.path)
        changed = engine is not None and (engine.candidate, engine.threads) != (candidate, threads)
        if engine is not None and (engine.gone or (changed and engine.users == 0)):
            self._end(engine)
            engine = None
        if engine is None:
            engine = self._engines[candidate.path] = Engine(candidate, threads)
            start = engine.start(self._spawner, self._python, self._env)
            engine.starting = asyncio.create_task(start, name=f"engine {candidate.name}")
        if engine.idle is not None:
            engine.idle.cancel()
            engine.idle = None
        return engine

    def _rest(self, engine: Engine) -> None:
        """Nobody asks any more: end it after a while. A failed one is forgotten at once."""
        if engine.users or self._engines.get(engine.candidate.path) is not engine:
            return
        if engine.gone:
            self._forget(engine)
        elif engine.idle is None:
            engine.idle = asyncio.get_running_loop().call_later(self._idle_s, self._forget, engine)

    def _forget(self, engine: Engine) -> None:
        if engine.users == 0 and self._engines.get(engine.candidate.path) is engine:
            del self._engines[engine.candidate.path]
            self._end(engine)

    def _end(self, engine: Engine) -> None:
        """End its process, in a task that `close` waits for."""
        if engine.idle is not None:
            engine.idle.cancel()
        task = asyncio.ensure_future(_stopped(engine))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _stopped(engine: Engine) -> None:
    if engine.starting is not None:
        engine.starting.cancel()
        await asyncio.wait([engine.starting])
        if not engine.starting.cancelled():
            engine.starting.exception()  # told to whoever waited
    if engine.running is not None:
        await engine.running.stop()


def engine_installed() -> bool:
    """Whether the extra is there. Imports nothing."""
    return importlib.util.find_spec(PACKAGE) is not None


def default_threads() -> int:
    """As many as there are processors for us, at most eight: more only wait for memory."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(count, 8))


def _failed(message: str) -> ProviderError:
    return ProviderError("Provider", "The embedded engine", message)


def _memory_of(pid: int) -> int:
    import psutil

    try:
        top = psutil.Process(pid)
        return sum(process.memory_info().rss for process in [top, *top.children(recursive=True)])
    except psutil.Error:
        return 0
