"""One run as work done progress in the editor, with a token of ours or one the client gave (LSP 3.17).

A token of ours is used only when the client says that it can make them. The token of a request is, by the letter, valid
until the request is answered; we answer at once, so it is used only where there is nothing better.
"""

import asyncio
import uuid
from typing import Any

from lsp_agent.server.connection import Connection
from lsp_agent.wire.outgoing import ConnectionClosed, RemoteError

CREATE_S = 5.0
REPORT_EVERY_S = 0.1
TITLE = "Agent"


class Progress:
    """Begins when made, if it can; `report` replaces the line, `end` ends it. No method waits."""

    def __init__(self, connection: Connection, line: str, *, given: int | str | None = None) -> None:
        self._connection = connection
        self._line = self._said = line
        self._begun = False
        self._ended = False
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        ours = connection.agreed.allows("window/workDoneProgress/create")
        self.token: int | str | None = f"lsp-agent/{uuid.uuid4().hex}" if ours else given
        if ours:
            self._task = connection.endpoint.spawn(self._create(), name="progress")
        elif given is not None:
            self._begin()

    def report(self, line: str) -> None:
        """What is going on now; several within a tenth of a second are one report."""
        if line != self._line:
            self._line = line
            self._changed.set()

    def end(self, line: str) -> None:
        """It is over. The first call counts."""
        if self._ended:
            return
        self._ended = True
        if self._begun:
            self._say({"kind": "end", "message": line})
            if self._task is not None:
                self._task.cancel()
        # a token that is still being made is not used at all: `_create` looks at `_ended`

    async def _create(self) -> None:
        try:
            await self._connection.request("window/workDoneProgress/create", {"token": self.token}, CREATE_S)
        except (RemoteError, ConnectionClosed, TimeoutError):
            return  # the client must not be sent a token it refused
        if not self._ended:
            self._say_begin()
            await self._report()

    def _begin(self) -> None:
        self._say_begin()
        self._task = self._connection.endpoint.spawn(self._report(), name="progress")

    def _say_begin(self) -> None:
        self._said = self._line
        self._say({"kind": "begin", "title": TITLE, "cancellable": True, "message": self._line})
        self._begun = True

    async def _report(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._line != self._said:
                self._said = self._line
                self._say({"kind": "report", "message": self._said})
            await asyncio.sleep(REPORT_EVERY_S)

    def _say(self, value: dict[str, Any]) -> None:
        self._connection.endpoint.notify("$/progress", {"token": self.token, "value": value})
