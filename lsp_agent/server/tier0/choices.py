"""Commands that choose: the conversation, the model, the mode. With an argument they set; without one they ask."""

from collections.abc import Mapping
from typing import Any

from lsp_agent.agent.sessions import MODES
from lsp_agent.domain.errors import AgentError
from lsp_agent.server.connection import Connection
from lsp_agent.server.core import Core
from lsp_agent.server.server import AgentServer
from lsp_agent.server.tier0.documents import companion_of
from lsp_agent.server.tier0.run_line import one_line

NEW = "new"
SHOWN = 4
"""Choices in a question; some editors show five actions at most."""


class Choices:
    """`.sessions`, `.model` and `.mode` of one connection."""

    def __init__(self, server: AgentServer, connection: Connection) -> None:
        self._server = server
        self._connection = connection

    async def sessions(self, arguments: list[Any], _token: Any = None) -> dict[str, Any]:
        """`[]`: the newest, and a question which to go on with. `[sessionId]` or `["new"]`: go on with that one."""
        core = self._core()
        if arguments and isinstance(arguments[0], str):
            if arguments[0] != NEW:
                await core.sessions.get(arguments[0])
            self._go_on(arguments[0])
            return {"sessionId": self._connection.last_session}
        result = await core.sessions.list(limit=20)
        options = {each["sessionId"]: one_line(each["title"], 40) for each in result["sessions"][:SHOWN]}
        self._ask("Which conversation shall the next prompt go to?", {**options, NEW: "A new one"}, self._go_on)
        return result

    def _go_on(self, chosen: str) -> None:
        if chosen == NEW:
            self._connection.last_session = None
            self._say("the next prompt starts a new conversation")
            return
        companion = companion_of(self._connection)
        companion.follow(chosen)
        companion.watch(chosen)
        if self._connection.surface is not None:
            self._connection.surface.ask_again(self._core().approvals.pending(chosen))
        self._say("the next prompt goes on with that conversation")

    async def model(self, arguments: list[Any], _token: Any = None) -> dict[str, Any]:
        """`[name?]`: the model of this editor's conversation."""
        return await self._option("model.large", "Which model?", arguments)

    async def mode(self, arguments: list[Any], _token: Any = None) -> dict[str, Any]:
        """`[name?]`: what this editor's conversation may do without asking."""
        return await self._option("mode", "What may the agent do without asking?", arguments)

    async def _option(self, option_id: str, question: str, arguments: list[Any]) -> dict[str, Any]:
        if arguments and isinstance(arguments[0], str):
            return await self._set(option_id, arguments[0])
        value, choices = await self._current(option_id)
        others = [choice for choice in choices if choice != value][:SHOWN]
        now = f" Now: {value}." if value else ""

        def chosen(choice: str) -> None:
            _ = self._connection.endpoint.spawn(self._set_and_tell(option_id, choice), name=option_id)

        self._ask(question + now, {choice: choice for choice in others}, chosen)
        return {"optionId": option_id, "value": value, "choices": choices}

    async def _current(self, option_id: str) -> tuple[str | None, list[str]]:
        """The value in force, None when it is not known, and what it may be."""
        core, session_id = self._core(), self._connection.last_session
        if session_id is not None:
            found = _option_of(await core.sessions.get(session_id), option_id)
            return found["value"], found["choices"]
        if option_id == "mode":
            return core.sessions.default_mode(), list(MODES)
        return None, [model.ref for model in core.providers.models()]

    async def _set(self, option_id: str, value: str) -> dict[str, Any]:
        core = self._core()
        session_id = self._connection.last_session
        if session_id is None:
            session_id = (await core.sessions.new())["sessionId"]
            companion_of(self._connection).follow(session_id)
        found = _option_of(await core.sessions.configure(session_id, option_id, value), option_id)
        self._say(f"{str(found['name']).lower()} is {found['value']} in this conversation")
        return {"optionId": option_id, "value": found["value"], "choices": found["choices"]}

    async def _set_and_tell(self, option_id: str, value: str) -> None:
        try:
            await self._set(option_id, value)
        except AgentError as error:
            self._say(str(error))

    def _ask(self, question: str, options: dict[str, str], chosen: Any) -> None:
        if not self._connection.agreed.events and self._connection.surface is not None:
            self._connection.surface.choose(question, options, chosen)

    def _core(self) -> Core:
        return self._server.core()

    def _say(self, text: str) -> None:
        if not self._connection.agreed.events:
            self._connection.show(f"Agent: {text}")


def _option_of(answer: Mapping[str, Any], option_id: str) -> Mapping[str, Any]:
    """One of the `options` that `session/get` and `session/configure` tell."""
    return next(option for option in answer["options"] if option["optionId"] == option_id)
