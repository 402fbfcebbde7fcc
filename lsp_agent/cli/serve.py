"""`lsp-agent serve`: the language server on stdin and stdout, and on a socket for further clients."""

import argparse
from pathlib import Path


def serve_command(arguments: list[str]) -> int:
    """Parse and run; returns the exit status."""
    parser = argparse.ArgumentParser(prog="lsp-agent serve", description="Run the language server on stdio.")
    add_arguments(parser)
    options = parser.parse_args(arguments)
    from lsp_agent.app import serve

    return serve(socket=options.socket, model=options.model, mode=options.mode)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `lsp-agent serve`."""
    parser.add_argument("--stdio", action="store_true", help="accepted for editors that pass it; stdio is the default")
    parser.add_argument("--socket", type=Path, metavar="PATH", help="also accept clients on this unix socket")
    parser.add_argument("--model", metavar="PROVIDER/MODEL", help="the large model, over the configuration's")
    parser.add_argument("--mode", choices=("ask", "plan", "accept-edits", "full-auto"), help="permission mode")
    parser.add_argument("--clientProcessId", type=int, help=argparse.SUPPRESS)  # some LSP clients always pass it
