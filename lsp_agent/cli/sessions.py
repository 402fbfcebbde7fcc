"""`lsp-agent sessions`: what is remembered, through the server like every other client."""

import argparse
import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsp_agent.cli.client import Client, RequestFailed, ServerGone, Voice, find_session, running_server
from lsp_agent.cli.run import HANDSHAKE_S, handshake
from lsp_agent.config.paths import workspace_root
from lsp_agent.domain.errors import AgentError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `lsp-agent sessions`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    listing = actions.add_parser("list", help="the sessions, newest first (default)")
    listing.add_argument("--query", help="only titles that hold this text")
    listing.add_argument("--limit", type=int, default=20)
    for name, text in (
        ("show", "a session as markdown"),
        ("export", "a session as JSON"),
        ("delete", "delete a session and everything of it"),
    ):
        actions.add_parser(name, help=text).add_argument("session", metavar="ID")
    rename = actions.add_parser("rename", help="give a session a title")
    rename.add_argument("session", metavar="ID")
    rename.add_argument("title")


def sessions_command(arguments: argparse.Namespace) -> int:
    """Carry out `lsp-agent sessions`."""
    voice = Voice()
    try:
        return asyncio.run(_command(arguments, voice))
    except (AgentError, RequestFailed, ServerGone, ConnectionError, TimeoutError) as error:
        voice.say(error)
        return 1


async def _command(arguments: argparse.Namespace, voice: Voice) -> int:
    def heard(method: str, params: Mapping[str, Any]) -> None:
        if method == "window/showMessage":
            voice.say(params.get("message", ""))

    root = workspace_root(os.environ, Path.cwd())
    async with Client(heard, socket=running_server(os.environ, root)) as client:
        async with asyncio.timeout(HANDSHAKE_S):
            await client.request("initialize", handshake(root))
        client.notify("initialized", {})
        session = await find_session(client, arguments.session) if "session" in arguments else ""
        match arguments.action:
            case "show" | "export":
                shape = "markdown" if arguments.action == "show" else "json"
                print((await client.request("agent/session/export", {"sessionId": session, "format": shape}))["text"])
            case "delete":
                await client.request("agent/session/delete", {"sessionId": session})
            case "rename":
                await client.request("agent/session/rename", {"sessionId": session, "title": arguments.title})
            case _:
                await _list(client, getattr(arguments, "query", None), getattr(arguments, "limit", 20))
    return 0


async def _list(client: Client, query: str | None, limit: int) -> None:
    params: dict[str, Any] = {"limit": limit, **({"query": query} if query else {})}
    for entry in (await client.request("agent/session/list", params))["sessions"]:
        counts = f"{entry['messageCount']:>4}  ${entry['costUsd']:.4f}"
        print(f"{entry['sessionId']}  {entry['updatedAt'][:16]}  {counts:>14}  {entry['title']}")
