"""`lsp-agent sessions`: what is remembered, through the server like every other client."""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsp_agent.cli.client import Client, RequestFailed, ServerGone
from lsp_agent.cli.run import HANDSHAKE_S, handshake


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
    try:
        return asyncio.run(_command(arguments))
    except (RequestFailed, ServerGone, ConnectionError, TimeoutError) as error:
        print(f"lsp-agent: {error}", file=sys.stderr)
        return 1


def _heard(method: str, params: Mapping[str, Any]) -> None:
    if method == "window/showMessage":
        print(f"lsp-agent: {params.get('message')}", file=sys.stderr)


async def _command(arguments: argparse.Namespace) -> int:
    async with Client(_heard, options={}) as client:
        async with asyncio.timeout(HANDSHAKE_S):
            await client.request("initialize", handshake(Path.cwd()))
        client.notify("initialized", {})
        match arguments.action:
            case "show" | "export":
                shape = "markdown" if arguments.action == "show" else "json"
                params = {"sessionId": arguments.session, "format": shape}
                print((await client.request("agent/session/export", params))["text"])
            case "delete":
                await client.request("agent/session/delete", {"sessionId": arguments.session})
            case "rename":
                await client.request("agent/session/rename", {"sessionId": arguments.session, "title": arguments.title})
            case _:
                await _list(client, getattr(arguments, "query", None), getattr(arguments, "limit", 20))
    return 0


async def _list(client: Client, query: str | None, limit: int) -> None:
    params: dict[str, Any] = {"limit": limit, **({"query": query} if query else {})}
    for entry in (await client.request("agent/session/list", params))["sessions"]:
        counts = f"{entry['messageCount']:>4}  ${entry['costUsd']:.4f}"
        print(f"{entry['sessionId']}  {entry['updatedAt'][:16]}  {counts:>14}  {entry['title']}")
