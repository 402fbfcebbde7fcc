"""The conversation as a markdown file that follows a session: what is stored, what streams, what waits for an answer.

Refreshed by writing the file, not by edits, so that the editor's undo stays the user's. It is written only once the
user has asked to see it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lsp_agent.domain.errors import AgentError
from lsp_agent.server.connection import Connection
from lsp_agent.server.core import Core
from lsp_agent.server.tier0.folder import Folder
from lsp_agent.web.remote_images import defuse

_log = logging.getLogger(__name__)

EVERY_S = 0.4
SHARE = 4
"""A long conversation is written less often: at most a fifth of the time."""


class Transcript:
    """Of one session of one connection. `line` says what goes on now, or is empty."""

    def __init__(
        self, connection: Connection, core: Core, folder: Folder, session_id: str, line: Callable[[], str]
    ) -> None:
        self._connection = connection
        self._core = core
        self._folder = folder
        self._session_id = session_id
        self._line = line
        self._is_stale = False
        self._written = ""
        self._task: asyncio.Task[None] | None = None

    def touch(self) -> None:
        """Something happened. Never waits; many calls are one write."""
        self._is_stale = True
        if self._task is None or self._task.done():
            self._task = self._connection.endpoint.spawn(self._follow(), name="transcript")

    async def write(self) -> None:
        """Write it now. Raises: RequestRejected SessionNotFound, StoreError, OSError."""
        body = (await self._core.sessions.export(self._session_id, "markdown"))["text"]
        text = body + _tail(self._core.approvals.pending(self._session_id), self._line())
        if text != self._written:
            await asyncio.to_thread(self._folder.write_transcript, self._session_id, defuse(text).text)
            self._written = text

    async def _follow(self) -> None:
        clock = asyncio.get_running_loop().time
        while self._is_stale:
            self._is_stale = False
            before = clock()
            try:
                await self.write()
            except (AgentError, OSError) as error:
                _log.warning("the transcript could not be written: %s", type(error).__name__)
                return
            await asyncio.sleep(max(EVERY_S, SHARE * (clock() - before)))


def _tail(pending: Sequence[Mapping[str, Any]], line: str) -> str:
    blocks = [
        f"**Waiting for your permission: {record['title']}** — answer with a code action in this document, or with the "
        "command `lspAgent.accept` or `lspAgent.reject`."
        for record in pending
    ]
    if line:
        blocks.append(f"*{line}*")
    return "\n---\n\n" + "\n\n".join(blocks) + "\n" if blocks else ""
