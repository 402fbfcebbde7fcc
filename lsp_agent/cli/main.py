"""The command line of everything but `serve`, which has a quicker way in."""

import argparse

from lsp_agent import __version__


def run_command(arguments: list[str]) -> int:
    """Parse and carry out; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="lsp-agent", description="A coding agent inside a language server.", epilog="lsp-agent COMMAND --help"
    )
    parser.add_argument("--version", action="version", version=f"lsp-agent {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    from lsp_agent.cli import config, doctor, local, login, run, serve, sessions, trust

    serve.add_arguments(commands.add_parser("serve", help="the language server, on stdio"))
    run.add_arguments(commands.add_parser("run", help="one prompt from the terminal, streamed"))
    sessions.add_arguments(commands.add_parser("sessions", help="list, show, export, rename or delete sessions"))
    doctor.add_arguments(commands.add_parser("doctor", help="what was found, which model is used, what is missing"))
    config.add_arguments(commands.add_parser("config", help="the settings in force"))
    trust.add_arguments(commands.add_parser("trust", help="obey a folder's rules and settings, or no longer"))
    login.add_arguments(commands.add_parser("login", help="log in at a provider that has logins"))
    login.add_arguments(commands.add_parser("logout", help="forget a login"))
    local.add_arguments(commands.add_parser("local", help="weights of the embedded engine: pull, list, rm, path"))
    commands.add_parser("schema", help="the JSON Schema of the protocol")
    options = parser.parse_args(arguments)
    match options.command:
        case "serve":
            return serve.serve_command(arguments[1:])
        case "run":
            return run.run_prompt(options)
        case "sessions":
            return sessions.sessions_command(options)
        case "doctor":
            return doctor.doctor_command(options)
        case "config":
            return config.config_command(options)
        case "login":
            return login.login_command(options)
        case "logout":
            return login.logout_command(options)
        case "local":
            return local.local_command(options)
        case "trust":
            return trust.trust_command(options)
        case _:
            return print_schema()


def print_schema() -> int:
    """`lsp-agent schema`: generated from the types that validate."""
    import json

    from lsp_agent.protocol.schema import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False, sort_keys=True))
    return 0
