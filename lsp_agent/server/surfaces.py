"""How a connection can put a question before its user: by events, or one `showMessageRequest` at a time.

Some editors replace one prompt by the next, so everything that asks goes through one queue. A permission goes before a
mere choice: a choice on the screen is taken away for it.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lsp_agent.agent.approval_prompts import PromptQueue
from lsp_agent.agent.approvals import PermissionSurface
from lsp_agent.server.connection import Connection
from lsp_agent.server.core import Core
from lsp_agent.wire.outgoing import ConnectionClosed, RemoteError

PROMPT_S = 1800.0
CHOICE_S = 300.0
MAX_ACTIONS = 5
_DISMISSED = "dismissed"


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


class PromptSurface:
    """A client that is asked by `window/showMessageRequest`: permissions, and choices that may be dismissed."""

    def __init__(self, connection: Connection, core: Core) -> None:
        self._connection = connection
        self._core = core
        self._choices: dict[str, Callable[[str], None]] = {}
        self._numbers = itertools.count(1)
        self._queue = PromptQueue(show=self._show, respond=self._respond, by=connection.name, answers_for=self._speaks)
        self.run = self._queue.run

    def can_answer(self, session_id: str) -> bool:
        return self._queue.can_answer(session_id)

    def asked(self, record: Mapping[str, Any]) -> None:
        if self.can_answer(record["sessionId"]):
            for request_id in list(self._choices):
                self._drop(request_id)
            self._queue.asked(record)

    def closed(self, request_id: str) -> None:
        self._queue.closed(request_id)

    def ask_again(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Show permission records that were dismissed, or that waited before this client came."""
        for record in records:
            self._queue.closed(record["requestId"])
            self.asked(record)

    def choose(self, question: str, options: Mapping[str, str], chosen: Callable[[str], None]) -> None:
        """Ask which; `chosen` gets the key, and is not called when the user does not choose."""
        if self._connection.companion is not None and self._connection.companion.pending():
            return  # the permission is what matters now; the command can be given again
        for request_id in list(self._choices):
            self._drop(request_id)
        request_id = f"choice-{next(self._numbers)}"
        self._choices[request_id] = chosen
        offered = [{"optionId": key, "name": name} for key, name in _distinct(options).items()]
        self._queue.asked(
            {
                "requestId": request_id,
                "sessionId": "",
                "title": question,
                "options": [*offered, {"optionId": _DISMISSED, "name": ""}],
            }
        )

    def _drop(self, request_id: str) -> None:
        self._choices.pop(request_id, None)
        self._queue.closed(request_id)

    def _speaks(self, session_id: str) -> bool:
        connection = self._connection
        return (
            not session_id
            or self._core.agent.hub.listens(session_id, connection.endpoint)
            or (connection.companion is not None and connection.companion.follows(session_id))
        )

    def _respond(self, request_id: str, outcome: object, by: str) -> Mapping[str, Any]:
        chosen = self._choices.pop(request_id, None)
        if not request_id.startswith("choice-"):
            return self._core.approvals.respond(request_id, outcome, by)
        option = str(outcome["optionId"]) if isinstance(outcome, Mapping) else _DISMISSED
        if chosen is not None and option != _DISMISSED:
            chosen(option)
        return {"accepted": True}

    async def _show(self, record: Mapping[str, Any]) -> str | None:
        """One prompt; the option the user chose, or None. An editor that refuses the request has not answered."""
        is_choice = record["requestId"] in self._choices
        options = {option["name"]: option["optionId"] for option in _in_order(record) if option["name"]}
        actions = [{"title": name} for name in list(options)[:MAX_ACTIONS]]
        params = {"type": 3, "message": record["title"], "actions": actions}
        chosen: Any = None
        try:
            limit_s = CHOICE_S if is_choice else PROMPT_S
            chosen = await self._connection.request("window/showMessageRequest", params, limit_s)
        except (RemoteError, ConnectionClosed, TimeoutError):
            pass  # not answered
        option = options.get(chosen.get("title")) if isinstance(chosen, dict) else None
        return _DISMISSED if option is None and is_choice else option


class Surface:
    """The surface of one connection, with its task where it needs one. `close` takes it away."""

    def __init__(self, connection: Connection, core: Core) -> None:
        self._core = core
        self._task: asyncio.Task[None] | None = None
        self._surface: PermissionSurface | None = None
        self._prompts: PromptSurface | None = None
        if connection.agreed.permission_ui == "event":
            self._surface = EventSurface(connection, core)
        elif connection.agreed.permission_ui == "showMessage":
            self._surface = self._prompts = PromptSurface(connection, core)
            self._task = connection.endpoint.spawn(self._prompts.run(), name="permission prompts")
        if self._surface is not None:
            core.approvals.add_surface(self._surface)

    def choose(self, question: str, options: Mapping[str, str], chosen: Callable[[str], None]) -> None:
        """A question with a few answers that may be dismissed; nothing where the client is not asked this way."""
        if self._prompts is not None:
            self._prompts.choose(question, options, chosen)

    def ask_again(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Show what was dismissed, or waited before this client came."""
        if self._prompts is not None:
            self._prompts.ask_again(records)

    def close(self) -> None:
        """The connection is gone."""
        if self._surface is not None:
            self._core.approvals.remove_surface(self._surface)
        if self._task is not None:
            self._task.cancel()


def _in_order(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The options as shown: allowing never comes first where it could not be taken back (some editors preselect)."""
    options = list(record["options"])
    if (record.get("subject") or {}).get("type", "path") in ("edit", "path"):
        return options
    return sorted(options, key=lambda option: option["optionId"] != "reject_once")


def _distinct(options: Mapping[str, str]) -> dict[str, str]:
    """Names as titles: a client answers with the title, so no two may be equal."""
    found: dict[str, str] = {}
    for key, name in options.items():
        number, title = 1, name
        while title in found.values():
            number += 1
            title = f"{name} ({number})"
        found[key] = title
    return found
