"""How a connection can put a permission question before its user: by events, or one `showMessageRequest` at a time."""

import asyncio
from collections.abc import Mapping
from typing import Any

from lsp_agent.agent.approval_prompts import PromptQueue
from lsp_agent.agent.approvals import PermissionSurface
from lsp_agent.server.connection import Connection
from lsp_agent.server.core import Core
from lsp_agent.wire.outgoing import ConnectionClosed, RemoteError

PROMPT_S = 1800.0


class EventSurface:
    """A client that draws `permission_requested` itself and answers by `agent/permission/respond`."""

    def __init__(self, connection: Connection, core: Core) -> None:
        self._connection = connection
        self._core = core

    def can_answer(self, session_id: str) -> bool:
        return self._core.agent.hub.listens(session_id, self._connection.endpoint)

    def asked(self, record: Mapping[str, Any]) -> None:
        """The event says it."""

    def closed(self, request_id: str) -> None:
        """The event says it."""


class Surface:
    """The surface of one connection, with its task where it needs one. `close` takes it away."""

    def __init__(self, connection: Connection, core: Core) -> None:
        self._core = core
        self._task: asyncio.Task[None] | None = None
        self._surface: PermissionSurface | None = None
        if connection.agreed.permission_ui == "event":
            self._surface = EventSurface(connection, core)
        elif connection.agreed.permission_ui == "showMessage":
            queue = PromptQueue(
                show=lambda record: _show(connection, record),
                respond=core.approvals.respond,
                by=connection.name,
                answers_for=lambda session_id: (
                    core.agent.hub.listens(session_id, connection.endpoint) or session_id == connection.last_session
                ),
            )
            self._task = connection.endpoint.spawn(queue.run(), name="permission prompts")
            self._surface = queue
        if self._surface is not None:
            core.approvals.add_surface(self._surface)

    def close(self) -> None:
        """The connection is gone."""
        if self._surface is not None:
            self._core.approvals.remove_surface(self._surface)
        if self._task is not None:
            self._task.cancel()


async def _show(connection: Connection, record: Mapping[str, Any]) -> str | None:
    """One prompt; the option the user chose, or None. An editor that refuses the request has not answered."""
    options = {option["name"]: option["optionId"] for option in record["options"]}
    params = {"type": 3, "message": record["title"], "actions": [{"title": name} for name in list(options)[:5]]}
    try:
        chosen = await connection.request("window/showMessageRequest", params, PROMPT_S)
    except (RemoteError, ConnectionClosed):
        return None
    return options.get(chosen.get("title")) if isinstance(chosen, dict) else None
