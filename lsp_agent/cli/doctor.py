"""`lsp-agent doctor`: what was found, which model a run would use and why, and what is missing. Never a key's value."""

import argparse
import asyncio
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lsp_agent import __version__
from lsp_agent.agent.hub import Hub
from lsp_agent.cli.trust import trust_of
from lsp_agent.clock import SystemClock
from lsp_agent.composition.settings import provider_settings
from lsp_agent.composition.shell import shell_jobs
from lsp_agent.config.load import load_config
from lsp_agent.config.paths import DataDirRefused, config_file, data_dir, workspace_root
from lsp_agent.config.sections import Config
from lsp_agent.domain.errors import ProviderError, StoreError
from lsp_agent.providers.registry import ProviderRegistry
from lsp_agent.store.lock import DataLock
from lsp_agent.store.memory import MemoryStore
from lsp_agent.tools.ripgrep import find_ripgrep

GOOD, WARN, BAD = "ok", "note", "PROBLEM"
Line = tuple[str, str, str]
"""Level, what, and what about it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `lsp-agent doctor`."""
    parser.add_argument("--offline", action="store_true", help="do not ask local model servers on 127.0.0.1")


def doctor_command(arguments: argparse.Namespace) -> int:
    """Carry out `lsp-agent doctor`. Status 1 when something is a problem."""
    root = workspace_root(os.environ, Path.cwd())
    config = load_config(os.environ, project_root=root, trusted=trust_of(root).admits)
    lines = [
        *_program(),
        *_configuration(config),
        *_state(root),
        *asyncio.run(_sandbox()),
        *asyncio.run(_models(config, arguments.offline)),
    ]
    for level, what, about in lines:
        print(f"{level:>8}  {what:<16} {about}")
    return 1 if any(level == BAD for level, _, _ in lines) else 0


def _program() -> Iterator[Line]:
    yield GOOD, "lsp-agent", f"{__version__} on Python {platform.python_version()}, {platform.system()}"
    for package in ("pygls", "anthropic", "openai"):
        try:
            yield GOOD, package, version(package)
        except PackageNotFoundError:
            yield BAD, package, "not installed"
    ripgrep = find_ripgrep()
    yield (GOOD, "ripgrep", str(ripgrep)) if ripgrep else (WARN, "ripgrep", "not found; a slower search is used")
    git = shutil.which("git")
    yield (GOOD, "git", git) if git else (WARN, "git", "not found")


def _configuration(config: Config) -> Iterator[Line]:
    path = config_file(os.environ)
    yield GOOD, "configuration", str(path) if path.exists() else f"{path} (not there; defaults are in force)"
    for problem in config.errors:
        yield BAD, "configuration", str(problem)
    for problem in (*config.warnings, *config.notices):
        yield WARN, "configuration", str(problem)
    yield GOOD, "mode", f"{config.permissions.mode} ({config.origins.get('permissions.mode', '')})"


def _state(root: Path) -> Iterator[Line]:
    try:
        directory = data_dir(os.environ, root)
    except DataDirRefused as error:
        yield BAD, "state", str(error)
        return
    if not directory.exists():
        yield GOOD, "state", f"{directory} (made at the first start)"
        return
    try:
        DataLock.acquire(directory, now_ms=time.time_ns() // 1_000_000).release()
    except StoreError as error:
        yield WARN, "state", str(error)
    else:
        yield GOOD, "state", f"{directory}, in use by nobody"


async def _sandbox() -> list[Line]:
    clock = SystemClock()
    jobs = shell_jobs(lambda: [Path.cwd()], events=Hub(MemoryStore(), clock), clock=clock, hide=())
    try:
        tier = await jobs.sandbox.tier()
        return [(GOOD if tier == "bubblewrap" else WARN, "sandbox", jobs.sandbox.describe())]
    finally:
        await jobs.close()


async def _models(config: Config, offline: bool) -> list[Line]:
    settings = replace(provider_settings(config), probe_local=not offline)
    providers = ProviderRegistry(lambda: settings, os.environ)
    try:
        await providers.prepare()
        choice = providers.explain()
    except ProviderError as error:
        return [(BAD, "model", f"{error.title}: {error.message}")]
    finally:
        await providers.close()
    where = "stays on this machine" if choice.local else "text leaves this machine"
    return [
        (GOOD, "model", f"{choice.large.ref} ({where}): {choice.reason}"),
        (GOOD, "model for titles", choice.small.ref),
    ]


if __name__ == "__main__":
    sys.exit(doctor_command(argparse.Namespace(offline=False)))
