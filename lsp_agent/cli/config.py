"""`lsp-agent config`: the settings in force and where each comes from."""

import argparse
import os
import sys
from pathlib import Path

from lsp_agent.cli.trust import trust_of
from lsp_agent.config.load import load_config
from lsp_agent.config.paths import config_file, workspace_root
from lsp_agent.config.show import shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `lsp-agent config`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    show = actions.add_parser("show", help="every setting with its value (default)")
    show.add_argument("--origin", action="store_true", help="and where it comes from")
    actions.add_parser("path", help="where the configuration file is looked for")
    actions.add_parser("schema", help="the JSON Schema of the file, for editors that complete TOML")


def config_command(arguments: argparse.Namespace) -> int:
    """Carry out `lsp-agent config`. Status 1 when something in force is wrong."""
    if arguments.action == "path":
        print(config_file(os.environ))
        return 0
    if arguments.action == "schema":
        return _schema()
    root = workspace_root(os.environ, Path.cwd())
    config = load_config(os.environ, project_root=root, trusted=trust_of(root).admits)
    for key, value, origin in shown(config):
        print(f"{key} = {value}" + (f"    # {origin}" if getattr(arguments, "origin", False) else ""))
    for problem in (*config.errors, *config.warnings, *config.notices):
        print(f"lsp-agent: {problem}", file=sys.stderr)
    return 1 if config.errors else 0


def _schema() -> int:
    import json

    from lsp_agent.config.schema import json_schema

    print(json.dumps(json_schema(), indent=2, sort_keys=True))
    return 0
