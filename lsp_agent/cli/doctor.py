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
from lsp_agent.cli.login import logged_in
from lsp_agent.cli.trust import trust_of
from lsp_agent.clock import SystemClock
from lsp_agent.composition.settings import engine_settings, provider_settings
from lsp_agent.composition.shell import shell_jobs
from lsp_agent.config.load import load_config
from lsp_agent.config.paths import DataDirRefused, config_file, data_dir, workspace_root
from lsp_agent.config.sections import Config
from lsp_agent.domain.errors import ProviderError, StoreError
from lsp_agent.local.engine import LocalEngines
from lsp_agent.local.report import report
from lsp_agent.providers.keys import is_template, missing_variables
from lsp_agent.providers.oauth_tokens import PREFIX as OAUTH_PREFIX
from lsp_agent.providers.prices_source import package_version
from lsp_agent.providers.registry import Choice, ProviderRegistry
from lsp_agent.providers.settings import ProviderSettings, ProvidersSettings
from lsp_agent.shell.spawner import Spawner
from lsp_agent.store.lock import DataLock
from lsp_agent.store.memory import MemoryStore
from lsp_agent.tools.ripgrep import find_ripgrep

MOST_PROVIDERS = 30
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
        *asyncio.run(_sandbox(config)),
        *asyncio.run(_models(config, arguments.offline)),
        *(
            (GOOD if good else WARN, "embedded engine", text)
            for good, text in report(os.environ, engine_settings(config))
        ),
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


async def _sandbox(config: Config) -> list[Line]:
    clock = SystemClock()
    jobs = shell_jobs(
        lambda: [Path.cwd()], events=Hub(MemoryStore(), clock), clock=clock, hide=(), tier=config.sandbox.tier
    )
    try:
        tier = await jobs.sandbox.tier()
        return [(GOOD if tier == "bubblewrap" else WARN, "sandbox", jobs.sandbox.describe())]
    finally:
        await jobs.close()


async def _models(config: Config, offline: bool) -> list[Line]:
    settings = replace(provider_settings(config), probe_local=not offline)
    engines = LocalEngines(Spawner(), os.environ, lambda: engine_settings(config))
    providers = ProviderRegistry(lambda: settings, os.environ, engines=engines)
    try:
        await providers.prepare()
        choice = providers.explain()
    except ProviderError as error:
        return [(BAD, "model", f"{error.title}: {error.message}")]
    finally:
        await providers.close()
    return [*_choice(choice), *_providers(settings)]


def _choice(choice: Choice) -> Iterator[Line]:
    where = "stays on this machine" if choice.local else "text leaves this machine"
    yield GOOD, "model", f"{choice.large.ref} ({where}): {choice.reason}"
    yield GOOD, "model for titles", choice.small.ref


def _providers(settings: ProvidersSettings) -> Iterator[Line]:
    """What is configured, how each proves who asks, and the way out. Nothing is looked up or run, no value is shown."""
    logins = logged_in()
    for block in settings.providers[:MOST_PROVIDERS]:
        lacking = missing_variables(block.api_key, os.environ)
        level, key = (WARN, f"needs {lacking[0]}, which is not set") if lacking else (GOOD, _proof(block, logins))
        yield level, "provider", f"{block.provider_id} ({block.type}), {key}"
    if len(settings.providers) > MOST_PROVIDERS:
        yield GOOD, "provider", f"and {len(settings.providers) - MOST_PROVIDERS} more"
    for name in logins:
        yield GOOD, "login", f"{name} (lsp-agent logout {name} forgets it)"
    proxies = [name for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy") if os.environ.get(name)]
    if proxies:
        yield GOOD, "proxy", f"{proxies[0]} is set: providers outside this machine are reached through it"
    if os.environ.get("SSL_CERT_FILE"):
        there = Path(os.environ["SSL_CERT_FILE"]).is_file()
        yield GOOD if there else BAD, "certificates", "SSL_CERT_FILE" + ("" if there else " names no file")
    listed = package_version()
    yield (GOOD, "price list", f"genai-prices {listed}") if listed else (WARN, "price list", "not installed")


def _proof(block: ProviderSettings, logins: list[str]) -> str:
    if block.api_key.startswith(OAUTH_PREFIX):
        return "logged in" if block.provider_id in logins else f"run: lsp-agent login {block.provider_id}"
    if not block.api_key:
        return "without a key of its own"
    return "its key is looked up when it is needed" if is_template(block.api_key) else "its key is in the file"


if __name__ == "__main__":
    sys.exit(doctor_command(argparse.Namespace(offline=False)))
