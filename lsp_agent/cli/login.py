"""`lsp-agent login PROVIDER` and `logout`: a login kept for every workspace of this user, in a private file."""

import argparse
import asyncio
import os
import sys
import webbrowser
from pathlib import Path

from lsp_agent.composition.settings import provider_settings
from lsp_agent.config.load import load_config
from lsp_agent.config.paths import common_state
from lsp_agent.config.sections import Config
from lsp_agent.domain.errors import AgentError
from lsp_agent.providers.oauth import Prompt
from lsp_agent.providers.oauth_services import login_services
from lsp_agent.providers.oauth_tokens import Logins

LOGINS_NAME = "logins"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `lsp-agent login` and `logout`."""
    parser.add_argument("provider", metavar="PROVIDER", help="copilot, openrouter, or one with options.oauth")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")


def login_command(arguments: argparse.Namespace) -> int:
    """Carry out `lsp-agent login`."""

    def show(prompt: Prompt) -> None:
        code = f" and enter {prompt.code}" if prompt.code else ""
        print(f"Open {prompt.url}{code}", flush=True)
        if not arguments.no_browser and not prompt.code:
            webbrowser.open(prompt.url)

    try:
        asyncio.run(_logins().login(arguments.provider, show))
    except KeyboardInterrupt:
        return 130
    except AgentError as error:
        print(f"lsp-agent: {error}", file=sys.stderr)
        return 1
    print(f'Logged in at {arguments.provider}. Use it with models.large = "{arguments.provider}/MODEL".')
    return 0


def logout_command(arguments: argparse.Namespace) -> int:
    """Carry out `lsp-agent logout`."""
    try:
        was_there = asyncio.run(_logins().logout(arguments.provider))
    except AgentError as error:
        print(f"lsp-agent: {error}", file=sys.stderr)
        return 1
    print(f"Logged out of {arguments.provider}." if was_there else f"There was no login at {arguments.provider}.")
    return 0


def logged_in() -> list[str]:
    """Providers with a kept login."""
    return sorted(path.stem for path in _directory().glob("*.json"))


def _logins() -> Logins:
    config: Config = load_config(os.environ)
    services = login_services(provider_settings(config))
    return Logins(_directory(), lambda: services)


def _directory() -> Path:
    return common_state(os.environ) / LOGINS_NAME
