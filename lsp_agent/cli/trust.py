"""`lsp-agent trust`: obey a folder, or no longer."""

import argparse
import os
from pathlib import Path

from lsp_agent.clock import SystemClock
from lsp_agent.config.paths import data_dir
from lsp_agent.trust.command import cli_trust
from lsp_agent.trust.store import TrustStore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `lsp-agent trust`."""
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), metavar="PATH", help="default: this folder")
    parser.add_argument("--revoke", action="store_true", help="trust it no longer")
    parser.add_argument("--show", action="store_true", help="only tell what is trusted and what would be obeyed")


def trust_command(options: argparse.Namespace) -> int:
    """Carry out `lsp-agent trust`."""
    return cli_trust(
        options.folder,
        environ=os.environ,
        say=print,
        now_ms=SystemClock().now_ms,
        revoke=options.revoke,
        show=options.show,
    )


def trust_of(root: Path) -> TrustStore:
    """The record of trust of a workspace. Raises: DataDirRefused."""
    return TrustStore(data_dir(os.environ, root), roots=lambda: [root], now_ms=SystemClock().now_ms)
