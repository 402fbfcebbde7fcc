"""Named crash points, put into a server from outside: the product has no switch that kills it.

`LSP_AGENT_CRASH_AT=name[:n]` and `python -m tests.crash.child serve`: the process is killed with SIGKILL when it
passes the point for the n-th time (default the first). A point is before or after one function, or half way through.
"""

import functools
import importlib
import inspect
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Around = Callable[[Callable[..., Any], Callable[[], None]], Callable[..., Any]]
"""(the function, what to call at the point) → the function with the point in it."""


def before(function: Callable[..., Any], passed: Callable[[], None]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        passed()
        return function(*args, **kwargs)

    return call


def after(function: Callable[..., Any], passed: Callable[[], None]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wait(*args: Any, **kwargs: Any) -> Any:
            result = await function(*args, **kwargs)
            passed()
            return result

        return wait

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        passed()
        return result

    return call


def half_data(function: Callable[..., Any], passed: Callable[[], None]) -> Callable[..., Any]:
    """For a function whose last argument is the bytes to write: the point is where half of them are written."""

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        half = len(args[-1]) // 2
        function(*args[:-1], args[-1][:half])
        passed()
        return function(*args[:-1], args[-1][half:])

    return call


def in_schema(function: Callable[..., Any], passed: Callable[[], None]) -> Callable[..., Any]:
    """For `migrations.migrate`: the point is inside the transaction, all tables made."""

    @functools.wraps(function)
    def call(connection: Any, migrations: Any, backup: Any) -> Any:
        connection.create_function("crash_point", 0, passed)
        return function(connection, [f"{sql}\n;SELECT crash_point();" for sql in migrations], backup)

    return call


@dataclass(frozen=True)
class Point:
    module: str
    name: str
    """A function, or Class.method."""
    around: Around
    most: int = 1
    """How often it is worth passing before the crash."""
    first_start: bool = False
    """Only ever passed in a fresh data directory."""


POINTS = {
    "lock.taken": Point("lsp_agent.store.lock", "_describe", before),
    "lock.described": Point("lsp_agent.store.lock", "_describe", after),
    "database.created": Point("lsp_agent.store.opening", "_create", after, first_start=True),
    "migration.before": Point("lsp_agent.store.migrations", "migrate", before, first_start=True),
    "migration.middle": Point("lsp_agent.store.migrations", "migrate", in_schema, first_start=True),
    "migration.after": Point("lsp_agent.store.migrations", "migrate", after, first_start=True),
    "database.marked": Point("lsp_agent.store.opening", "_reserve_space", before),
    "store.commit.before": Point("lsp_agent.store.batch", "commit", before, 60),
    "store.commit.middle": Point("lsp_agent.store.batch", "_group", after, 120),
    "store.commit.after": Point("lsp_agent.store.batch", "commit", after, 60),
    "accept.committed": Point("lsp_agent.agent.acceptance", "_Request._committed", before, 8),
    "accept.answered": Point("lsp_agent.agent.acceptance", "_Request._committed", after, 8),
    "response.after": Point("lsp_agent.server.run_handlers", "_run_result", after, 8),
    "frame.before": Point("lsp_agent.wire.writer", "Writer._write", before, 80),
    "frame.middle": Point("lsp_agent.wire.writer", "Writer._write", half_data, 80),
    "frame.after": Point("lsp_agent.wire.writer", "Writer._write", after, 80),
    "terminal.before": Point("lsp_agent.agent.hub", "Hub.complete", before, 6),
    "terminal.after": Point("lsp_agent.agent.hub", "Hub.complete", after, 6),
    "recovery.before": Point("lsp_agent.agent.recovery", "recover", before),
    "recovery.prompt": Point("lsp_agent.agent.recovery", "_announce_prompt", after),
    "recovery.message": Point("lsp_agent.agent.recovery", "_finish_messages", after),
    "recovery.call": Point("lsp_agent.agent.recovery", "_close_call", after),
    "recovery.session": Point("lsp_agent.agent.recovery", "_interrupt", after, 2),
    "recovery.after": Point("lsp_agent.agent.recovery", "recover", after),
    "file.middle": Point("lsp_agent.workspace.files", "_write_all", half_data, 3),
    "file.written": Point("lsp_agent.workspace.files", "_copy_attributes", before, 3),
    "file.renamed": Point("lsp_agent.workspace.files", "_state_in", before, 3),
    "close.before": Point("lsp_agent.store.opening", "close_writer", before),
    "close.after": Point("lsp_agent.store.opening", "close_writer", after),
}


def arm(setting: str) -> None:
    """Put the point `name[:n]` into the product. Call it before the server is started."""
    name, _, count = setting.partition(":")
    left = int(count or 1)

    def passed() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    point = POINTS[name]
    owner: Any = importlib.import_module(point.module)
    *classes, function = point.name.split(".")
    for part in classes:
        owner = getattr(owner, part)
    setattr(owner, function, point.around(getattr(owner, function), passed))
