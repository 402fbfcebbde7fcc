"""Putting one of our documents before the user: `window/showDocument` where the client has it, its path where not."""

import asyncio
import logging
from pathlib import Path
from typing import Any

from lsp_agent.domain.errors import AgentError, RequestRejected
from lsp_agent.server.connection import Connection
from lsp_agent.server.tier0.companion import Companion
from lsp_agent.wire.outgoing import ConnectionClosed, RemoteError
from lsp_agent.workspace.paths import path_to_uri

_log = logging.getLogger(__name__)

SHOW_S = 30.0


async def open_transcript(connection: Connection, session_id: str | None) -> dict[str, Any]:
    """Write a session's transcript and show it: `{uri, shown}`. Raises: RequestRejected, StoreError, OSError."""
    companion = companion_of(connection)
    if session_id is None:
        raise RequestRejected("SessionNotFound", "There is no conversation yet", id=None)
    transcript = companion.transcript(session_id)
    await transcript.write()
    companion.keep(session_id, transcript)
    return await show(connection, companion.folder.transcript(session_id), "The transcript")


async def open_transcript_later(connection: Connection, session_id: str) -> None:
    """The same when nobody waits for it: what goes wrong is told in a message."""
    try:
        await open_transcript(connection, session_id)
    except (AgentError, OSError) as error:
        connection.show(f"Agent: the transcript cannot be written ({error})", level=2)


async def open_prompt(connection: Connection, about: dict[str, Any] | None) -> dict[str, Any]:
    """Make the prompt document if need be and show it. `about` is what a sent prompt will have attached."""
    companion = companion_of(connection)
    companion.about = about
    await asyncio.to_thread(companion.folder.ready_prompt)
    return await show(connection, companion.folder.prompt, "The prompt document")


async def show(connection: Connection, path: Path, name: str) -> dict[str, Any]:
    """`{uri, shown}`. The client's answer is not waited for: a command returns at once."""
    uri = path_to_uri(path)
    if not connection.agreed.allows("window/showDocument"):
        connection.show(f"{name} is {path}")
        return {"uri": uri, "shown": False}
    _ = connection.endpoint.spawn(_show(connection, uri, f"{name} is {path}"), name="show document")
    return {"uri": uri, "shown": True}


async def _show(connection: Connection, uri: str, otherwise: str) -> None:
    try:
        params = {"uri": uri, "external": False, "takeFocus": True}
        result = await connection.request("window/showDocument", params, SHOW_S)
    except (RemoteError, ConnectionClosed, TimeoutError) as error:
        _log.info("showDocument: %s", type(error).__name__)
        result = None
    if not isinstance(result, dict) or result.get("success") is not True:
        connection.show(otherwise)


def companion_of(connection: Connection) -> Companion:
    """Raises: AgentError before the agent has started."""
    if not isinstance(connection.companion, Companion):
        raise AgentError("the agent has not started")
    return connection.companion
