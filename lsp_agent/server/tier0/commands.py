"""The commands of a connection (`workspace/executeCommand`). Each answers at once; what follows shows as progress.

Most editors throw the result of a command away, so a connection without event UI is also told in words.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lsp_agent.agent.submission import RunAnswer, Submission
from lsp_agent.domain.errors import AgentError, RequestRejected
from lsp_agent.domain.run import RunOptions
from lsp_agent.domain.text import Range, TextEdit
from lsp_agent.protocol.run_request import WHEN_BUSY
from lsp_agent.server.connection import Connection
from lsp_agent.server.core import Core
from lsp_agent.server.frozen import FrozenDocuments
from lsp_agent.server.provided import providers_of
from lsp_agent.server.server import AgentServer
from lsp_agent.server.tier0.choices import Choices
from lsp_agent.server.tier0.companion import Companion
from lsp_agent.server.tier0.decisions import Decisions
from lsp_agent.server.tier0.documents import companion_of, open_prompt, open_transcript
from lsp_agent.server.tier0.folder import PROMPT_HEAD, prompt_of
from lsp_agent.server.tier0.run_line import one_line
from lsp_agent.workspace.attachments import AttachmentContext, resolve_attachments
from lsp_agent.workspace.lines import LineIndex
from lsp_agent.workspace.paths import path_to_uri

_log = logging.getLogger(__name__)

Arguments = list[Any]
Token = int | str | None


class Commands:
    """The commands of one connection, by name."""

    def __init__(self, server: AgentServer, connection: Connection) -> None:
        self._server = server
        self._connection = connection
        self._choices = Choices(server, connection)
        self._decisions = Decisions(server, connection)

    def table(self) -> dict[str, Any]:
        """Name → coroutine function over the command's arguments and the client's progress token."""
        choices = self._choices
        return {
            "lspAgent.ask": self.ask,
            "lspAgent.steer": self.steer,
            "lspAgent.stop": self.stop,
            "lspAgent.accept": self.accept,
            "lspAgent.reject": self.reject,
            "lspAgent.permissions": self.permissions,
            "lspAgent.undo": self.undo,
            "lspAgent.redo": self.redo,
            "lspAgent.status": self.status,
            "lspAgent.transcript": self.transcript,
            "lspAgent.prompt": self.prompt,
            "lspAgent.send": self.send,
            "lspAgent.sessions": choices.sessions,
            "lspAgent.model": choices.model,
            "lspAgent.mode": choices.mode,
        }

    # -------------------------------------------------------------------------------------------------- prompts

    async def ask(self, arguments: Arguments, token: Token = None) -> dict[str, Any]:
        """`[{prompt, uri?, range?, problems?, sessionId?, whenBusy?}]` or `["prompt"]`: start a run and return at once.

        `whenBusy` as for `agent/run`; by default a prompt joins the run that is active.
        """
        asked = arguments[0] if arguments else None
        wanted = {"prompt": asked} if isinstance(asked, str) else asked
        if not isinstance(wanted, dict) or not isinstance(wanted.get("prompt"), str) or not wanted["prompt"].strip():
            raise RequestRejected("InvalidParams", "arguments[0]: needs a prompt", path="arguments[0].prompt")
        if wanted.get("whenBusy") not in (None, *WHEN_BUSY):
            raise RequestRejected("InvalidParams", "arguments[0].whenBusy: is not known", path="arguments[0].whenBusy")
        return await self._submit(wanted, token)

    async def steer(self, arguments: Arguments, token: Token = None) -> dict[str, Any]:
        """The same arguments: tell it to the run that is active. When none is, it is a prompt like any other."""
        result = await self.ask(arguments, token)
        if result["state"] == "queued":
            self._say("it will be read at the next step")
        return result

    async def prompt(self, arguments: Arguments, _token: Token = None) -> dict[str, Any]:
        """`[{uri, range}?]`: open the prompt document; what is sent from it is about that place."""
        self._core()
        about = arguments[0] if arguments and isinstance(arguments[0], dict) else None
        return await open_prompt(self._connection, about)

    async def send(self, _arguments: Arguments, token: Token = None) -> dict[str, Any]:
        """Send what the prompt document holds, saved or not, and empty it."""
        self._core()
        companion = companion_of(self._connection)
        uri = path_to_uri(companion.folder.prompt)
        document = self._connection.documents.get(uri)
        text = document.text if document is not None else await asyncio.to_thread(companion.folder.read_prompt)
        wanted = prompt_of(text)
        if not wanted:
            raise RequestRejected("EmptyPrompt", "The prompt document is empty", path="prompt")
        result = await self._submit({**(companion.about or {}), "prompt": wanted}, token)
        _ = self._connection.endpoint.spawn(self._empty(companion, text), name="empty prompt")
        return result

    async def _empty(self, companion: Companion, sent: str) -> None:
        """Clear the prompt document, unless the user has written on. Left as it is where that cannot be done."""
        document = self._connection.documents.get(path_to_uri(companion.folder.prompt))
        try:
            if document is None:
                await asyncio.to_thread(companion.folder.write, companion.folder.prompt, PROMPT_HEAD)
            elif document.text == sent and self._connection.agreed.allows("workspace/applyEdit"):
                index = LineIndex(sent)
                edit = TextEdit(Range(index.position(0), index.position(len(sent))), PROMPT_HEAD)
                await self._server.editors.apply_edit(document, [edit], "Agent: prompt sent")
        except (AgentError, OSError) as error:
            _log.info("the prompt document stays as it is: %s", type(error).__name__)

    async def _submit(self, wanted: Mapping[str, Any], token: Token) -> dict[str, Any]:
        named = wanted.get("sessionId")
        if isinstance(named, str):
            return await self._submit_to(named, wanted, token)
        last = self._connection.last_session
        try:
            return await self._submit_to(last, wanted, token)
        except RequestRejected as error:
            if last is None or error.kind != "SessionNotFound":
                raise
        self._connection.last_session = None  # deleted meanwhile: a new conversation
        return await self._submit_to(None, wanted, token)

    async def _submit_to(self, session_id: str | None, wanted: Mapping[str, Any], token: Token) -> dict[str, Any]:
        core, connection = self._core(), self._connection
        accepted: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        companion = companion_of(connection)

        def answer(given: RunAnswer) -> None:
            connection.last_session = given.session_id
            if not connection.agreed.events:
                companion.follow(given.session_id, token)
            if not accepted.done():
                accepted.set_result({"sessionId": given.session_id, "state": given.state})

        def reject(error: Exception) -> None:
            if not accepted.done():
                accepted.set_exception(error)

        submission = Submission(
            prompt=_prompt(wanted),
            session_id=session_id,
            attachments=self._attachments(wanted, session_id),
            expand=self._expansion(_prompt(wanted)),
            when_busy=wanted.get("whenBusy"),
            options=RunOptions(),
            subscriber=connection.endpoint if connection.agreed.events else companion,
        )
        core.agent.run(submission, answer, reject)
        return await accepted

    def _attachments(self, wanted: Mapping[str, Any], session_id: str | None) -> Any:
        """What the command names, and what the prompt mentions with `@`."""
        from lsp_agent.server.context_handlers import surroundings

        uri, span = wanted.get("uri"), wanted.get("range")
        around = surroundings(self._connection, self._connection.last_session)
        items = list(self._core().context.mentions.mentioned(_prompt(wanted), around))
        if isinstance(uri, str):
            items.insert(0, {"type": "buffer", "uri": uri, **({"range": span} if _has_extent(span) else {})})
        if not items:
            return None
        frozen = FrozenDocuments(self._connection.documents, items)
        core = self._core()
        context = AttachmentContext(frozen, core.workspace, providers=providers_of(core, session_id))
        return lambda: resolve_attachments(items, context)

    def _expansion(self, prompt: str) -> Callable[[], Awaitable[str]] | None:
        core = self._core()
        return (lambda: core.context.commands.expand(prompt)) if prompt.lstrip().startswith("/") else None

    # --------------------------------------------------------------------------------------------------- control

    async def stop(self, arguments: Arguments, _token: Token = None) -> dict[str, Any]:
        """Cancel what runs in the session named, or in the last one of this editor."""
        session_id = arguments[0] if arguments and isinstance(arguments[0], str) else self._connection.last_session
        core = self._core()
        if session_id is None or not core.agent.is_busy(session_id):
            self._say("nothing is running")
        if session_id is None:
            return {"cancelled": [], "notRunning": []}
        done = core.agent.cancel(session_id)
        return {"cancelled": list(done.run_ids), "notRunning": list(done.not_running)}

    async def accept(self, arguments: Arguments, _token: Token = None) -> dict[str, Any]:
        """`[requestId?, optionId?]`: allow the oldest question, or the one named, once or as the option says.

        `[{hunkId | uri | runId, sessionId?}]`, or no question waits: keep changes of the agent.
        """
        return await self._answer("accept", arguments, "allow_once")

    async def reject(self, arguments: Arguments, _token: Token = None) -> dict[str, Any]:
        """`[requestId?, optionId?, message?]`: refuse it; a message goes to the model and the run goes on.

        `[{hunkId | uri | runId, sessionId?, comment?}]`, or no question waits: take changes of the agent back.
        """
        return await self._answer("reject", arguments, "reject_once")

    async def _answer(self, action: str, arguments: Arguments, otherwise: str) -> dict[str, Any]:
        """A question goes before changes, unless changes are named."""
        named = next((value for value in arguments[:1] if isinstance(value, dict)), None)
        is_asked = any(isinstance(value, str) and value for value in arguments)
        waits = is_asked or bool(companion_of(self._connection).pending())
        if named is None and (waits or not await self._decisions.has_pending()):
            return self._decide(arguments, otherwise)
        return await self._review(action, named)

    async def _review(self, action: str, named: object) -> dict[str, Any]:
        result = await self._decisions.decide(action, named)
        self._say(str(result["message"]))
        return {**result, "accepted": bool(result["done"])}

    def _decide(self, arguments: Arguments, otherwise: str) -> dict[str, Any]:
        core = self._core()
        texts = [value if isinstance(value, str) else "" for value in (*arguments, "", "", "")[:3]]
        pending = companion_of(self._connection).pending()
        request_id = texts[0] or (pending[0]["requestId"] if pending else "")
        if not request_id:
            self._say("no question waits for an answer")
            return {"accepted": False, "resolvedBy": None, "outcome": "unknown"}
        option = texts[1] or otherwise
        if option.split("_")[0] != otherwise.split("_")[0]:
            raise RequestRejected(
                "InvalidParams", "arguments[1]: is not an option of this command", path="arguments[1]"
            )
        outcome = {"type": "selected", "optionId": option, **({"message": texts[2]} if texts[2] else {})}
        answer = core.approvals.respond(request_id, outcome, self._connection.name)
        if not answer["accepted"]:
            self._say("that question was answered already")
        return answer

    async def permissions(self, _arguments: Arguments, _token: Token = None) -> dict[str, Any]:
        """Show again what was dismissed; `{pending: [title]}`."""
        self._core()
        pending = companion_of(self._connection).pending()
        if self._connection.surface is not None:
            self._connection.surface.ask_again(pending)
        if not pending:
            self._say("no question waits for an answer")
        return {"pending": [record["title"] for record in pending]}

    async def undo(self, arguments: Arguments, _token: Token = None) -> dict[str, Any]:
        """`[{hunkId | uri | runId, sessionId?}?]`: take back the newest decision, or what the newest run changed."""
        self._core()
        result = await self._review("undo", arguments[0] if arguments else None)
        return {**result, "undone": bool(result["done"])}

    async def redo(self, arguments: Arguments, _token: Token = None) -> dict[str, Any]:
        """The same argument: do again what the last undo took back."""
        self._core()
        result = await self._review("redo", arguments[0] if arguments else None)
        return {**result, "redone": bool(result["done"])}

    async def status(self, _arguments: Arguments, _token: Token = None) -> dict[str, Any]:
        """What `agent/status` says of all sessions."""
        result = self._core().agent.status()
        session_id = self._connection.last_session
        line = companion_of(self._connection).line(session_id) if session_id is not None else ""
        waiting = f", {result['queued']} waiting" if result["queued"] else ""
        self._say(f"{line or ('busy' if result['busy'] else 'idle')}{waiting}")
        return result

    async def transcript(self, arguments: Arguments, _token: Token = None) -> dict[str, Any]:
        """`[sessionId?]`: write the conversation to a file and show it; `{uri, shown}`."""
        self._core()
        named = arguments[0] if arguments and isinstance(arguments[0], str) else None
        return await open_transcript(self._connection, named or self._connection.last_session)

    def _core(self) -> Core:
        return self._server.core()

    def _say(self, text: str) -> None:
        if not self._connection.agreed.events:
            self._connection.show(f"Agent: {text}")


def _prompt(wanted: Mapping[str, Any]) -> str:
    named = wanted.get("problems")
    problems = [text for text in named if isinstance(text, str)] if isinstance(named, list) else []
    lines = [wanted["prompt"], *(f"- {one_line(text, 2000)}" for text in problems[:20])]
    span = wanted.get("range")
    if isinstance(span, dict) and not _has_extent(span):
        start = span.get("start")
        line = start.get("line") if isinstance(start, dict) else None
        lines += [f"(The cursor is on line {line + 1} of the attached file.)"] if isinstance(line, int) else []
    return "\n".join(lines)


def _has_extent(span: Any) -> bool:
    return isinstance(span, dict) and span.get("start") != span.get("end")
