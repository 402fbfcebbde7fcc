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
from lsp_agent.agent.questions import Questions
from lsp_agent.server.connection import Connection
from lsp_agent.server.core import Core
from lsp_agent.server.question_prompts import QuestionPrompts, request_of
from lsp_agent.wire.outgoing import ConnectionClosed, RemoteError

PROMPT_S = 1800.0
CHOICE_S = 300.0
MAX_ACTIONS = 5
_DISMISSED = "dismissed"


class EventSurface:
    """A client that draws `permission_requested` or `question_requested` itself and answers by a request."""

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
    """A client that is asked by `window/showMessageRequest`: permissions, questions, choices that may be dismissed."""

    def __init__(self, connection: Connection, core: Core, questions: Questions | None = None) -> None:
        self._connection = connection
        self._core = core
        self._questions = questions
        self._forms: dict[str, QuestionPrompts] = {}
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

    def question(self, record: Mapping[str, Any]) -> None:
        """A question of the model waits: show its prompts, one after the other."""
        request_id = str(record["requestId"])
        if self.can_answer(record["sessionId"]) and request_id not in self._forms:
            self._forms[request_id] = QuestionPrompts(record)
            self._queue.asked(self._forms[request_id].current())

    def question_closed(self, request_id: str) -> None:
        """It waits no longer."""
        form = self._forms.pop(request_id, None)
        if form is not None:
            self._queue.closed(form.current()["requestId"])

    def questions_again(self) -> None:
        """Show the prompts of questions that were dismissed, or waited before this client came."""
        self._queue.offer_again()
        for record in self._questions.pending() if self._questions is not None else ():
            self.question(record)

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
        named = request_of(request_id)
        if named is not None:
            return self._answer_question(named, outcome, by)
        chosen = self._choices.pop(request_id, None)
        if not request_id.startswith("choice-"):
            return self._core.approvals.respond(request_id, outcome, by)
        option = str(outcome["optionId"]) if isinstance(outcome, Mapping) else _DISMISSED
        if chosen is not None and option != _DISMISSED:
            chosen(option)
        return {"accepted": True}

    def _answer_question(self, request_id: str, outcome: object, by: str) -> Mapping[str, Any]:
        form = self._forms.get(request_id)
        if form is None or self._questions is None or not isinstance(outcome, Mapping):
            return {"accepted": False, "resolvedBy": None, "outcome": "unknown"}
        answer = form.take(str(outcome["optionId"]))
        if answer is None:
            self._queue.asked(form.current())
            return {"accepted": True}
        del self._forms[request_id]
        return self._questions.respond(request_id, *answer, by)

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


class QuestionPromptSurface:
    """The questions' side of a `PromptSurface`."""

    def __init__(self, prompts: PromptSurface) -> None:
        self._prompts = prompts

    def can_answer(self, session_id: str) -> bool:
        return self._prompts.can_answer(session_id)

    def asked(self, record: Mapping[str, Any]) -> None:
        self._prompts.question(record)

    def closed(self, request_id: str) -> None:
        self._prompts.question_closed(request_id)


class Surface:
    """The surfaces of one connection, with their task where they need one. `close` takes them away.

    Permissions and questions are asked as `ui.permission` and `ui.question` say; `questions` None = nothing asks any.
    """

    def __init__(self, connection: Connection, core: Core, questions: Questions | None = None) -> None:
        self._core = core
        self._questions = questions
        self._task: asyncio.Task[None] | None = None
        self._surface: PermissionSurface | None = None
        self._question_surface: EventSurface | QuestionPromptSurface | None = None
        self._prompts: PromptSurface | None = None
        agreed, events = connection.agreed, EventSurface(connection, core)
        if "showMessage" in (agreed.permission_ui, agreed.question_ui if questions is not None else ""):
            self._prompts = PromptSurface(connection, core, questions)
            self._task = connection.endpoint.spawn(self._prompts.run(), name="prompts")
        if agreed.permission_ui in ("event", "showMessage"):
            self._surface = events if agreed.permission_ui == "event" else self._prompts
        if agreed.question_ui == "event":
            self._question_surface = events
        elif agreed.question_ui == "showMessage" and self._prompts is not None:
            self._question_surface = QuestionPromptSurface(self._prompts)
        if self._surface is not None:
            core.approvals.add_surface(self._surface)
        if questions is not None and self._question_surface is not None:
            questions.add_surface(self._question_surface)

    def choose(self, question: str, options: Mapping[str, str], chosen: Callable[[str], None]) -> None:
        """A question with a few answers that may be dismissed; nothing where the client is not asked this way."""
        if self._prompts is not None:
            self._prompts.choose(question, options, chosen)

    def ask_again(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Show what was dismissed, or waited before this client came."""
        if self._prompts is not None:
            self._prompts.ask_again(records)
            self._prompts.questions_again()

    def close(self) -> None:
        """The connection is gone."""
        if self._surface is not None:
            self._core.approvals.remove_surface(self._surface)
        if self._questions is not None and self._question_surface is not None:
            self._questions.remove_surface(self._question_surface)
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
