"""The command `lsp-agent`. `serve` is taken on the quick path: nothing else of the command line is imported for it."""

import sys


def main() -> int:
    """Run the command in `sys.argv`; returns the exit status."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] == "serve" and not {"-h", "--help"} & set(arguments):
        from lsp_agent.server import interpreter

        interpreter.prepare()
        from lsp_agent.cli.serve import serve_command

        return serve_command(arguments[1:])
    from lsp_agent.cli.main import run_command

    return run_command(arguments)


if __name__ == "__main__":
    sys.exit(main())
