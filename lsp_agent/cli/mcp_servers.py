"""Waiting for the MCP servers of the configuration before a one-shot run: it may be over before they are there."""

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lsp_agent.cli.client import Client
from lsp_agent.untrusted import clean

TIMEOUT_S = 15.0
_LOOK_S = 0.1
Entry = Mapping[str, Any]


async def wait_for_servers(client: Client, timeout_s: float) -> None:
    """Wait until no server is starting, at most `timeout_s` (0 = do not wait), and say on stderr what failed.

    There is no session yet whose events would tell, so the list is asked for. Raises: RequestFailed, ServerGone.
    """
    if timeout_s <= 0:
        return
    end_s = time.monotonic() + timeout_s
    entries = await _listed(client)
    waiting = _starting(entries)
    if waiting:
        _say("…", f"waiting for MCP servers: {', '.join(waiting)}")
    while waiting and time.monotonic() < end_s:
        await asyncio.sleep(min(_LOOK_S, max(end_s - time.monotonic(), 0.0)))
        entries = await _listed(client)
        waiting = _starting(entries)
    for entry in entries:
        name, state = clean(str(entry["name"])), entry["state"]
        if state in ("error", "needs_auth"):
            why = " ".join(clean(str(entry.get("error") or state)).split())
            _say("!", f"MCP server {name}: {why}")
        elif state == "starting":
            _say("!", f"MCP server {name} has not answered within {timeout_s:g} s; the run begins without its tools")


async def _listed(client: Client) -> Sequence[Entry]:
    found: Sequence[Entry] = (await client.request("agent/mcp/list", {}))["servers"]
    return found


def _starting(entries: Sequence[Entry]) -> list[str]:
    return [clean(str(entry["name"])) for entry in entries if entry["state"] == "starting"]


def _say(mark: str, text: str) -> None:
    sys.stderr.write(f"  {mark} {text}\n")
    sys.stderr.flush()
