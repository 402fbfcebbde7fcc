"""Standard LSP requests for editors with no plugin, answered through pygls (PROTOCOL 14, tier 0)."""

import asyncio
from typing import Any

from lsp_agent.agent.submission import Submission
from lsp_agent.domain.errors import RequestRejected
from lsp_agent.domain.run import RunOptions
from lsp_agent.server.connection import Connection
from lsp_agent.server.frozen import FrozenDocuments
from lsp_agent.server.server import AgentServer, Handle
from lsp_agent.wire.request import Request
from lsp_agent.workspace.attachments import AttachmentContext, resolve_attachments


def answer(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`textDocument/codeAction` and `workspace/executeCommand`. Every `context.diagnostics` is kept for that file."""
    document, context = request.params.get("textDocument"), request.params.get("context")
    if isinstance(document, dict) and isinstance(context, dict) and isinstance(document.get("uri"), str):
        connection.documents.keep_context_diagnostics(document["uri"], context.get("diagnostics"))
    return _answer(server, connection, request)


async def _answer(server: AgentServer, connection: Connection, request: Request) -> Any:
    if connection.features is None:
        module = await asyncio.to_thread(_load)
        connection.features = module.LanguageFeatures(Commands(server, connection).table())
    request.answer(await connection.features.answer(request.method, request.params))


def _load() -> Any:
    from lsp_agent.server import language_features

    return language_features


class Commands:
    """The commands of one connection, by name."""

    def __init__(self, server: AgentServer, connection: Connection) -> None:
        self._server = server
        self._connection = connection

    def table(self) -> dict[str, Any]:
        """Name → coroutine function over the command's arguments."""
        return {
            "lspAgent.ask": self.ask,
            "lspAgent.stop": self.stop,
            "lspAgent.status": self.status,
            "lspAgent.sessions": self.sessions,
        }

    async def ask(self, arguments: list[Any]) -> dict[str, Any]:
        """`[{prompt, uri?, range?, problems?, sessionId?}]` or `["prompt"]`: start a run and return at once."""
        asked = arguments[0] if arguments else None
        wanted = {"prompt": asked} if isinstance(asked, str) else asked
        if not isinstance(wanted, dict) or not isinstance(wanted.get("prompt"), str):
            raise RequestRejected("InvalidParams", "arguments[0]: needs a prompt", path="arguments[0].prompt")
        core = self._server.core()
        accepted: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        session_id = wanted.get("sessionId") or self._connection.last_session
        core.agent.run(
            Submission(
                prompt=_prompt(wanted),
                session_id=session_id if isinstance(session_id, str) else None,
                attachments=self._attachments(wanted),
                options=RunOptions(),
                subscriber=self._connection.endpoint if self._connection.agreed.events else None,
            ),
            lambda given: accepted.set_result({"sessionId": given.session_id, "state": given.state}),
            accepted.set_exception,
        )
        result = await accepted
        self._connection.last_session = result["sessionId"]
        return result

    async def stop(self, arguments: list[Any]) -> dict[str, Any]:
        """Cancel what runs in the session named, or in the last one of this editor."""
        session_id = arguments[0] if arguments and isinstance(arguments[0], str) else self._connection.last_session
        if session_id is None:
            return {"cancelled": [], "notRunning": []}
        done = self._server.core().agent.cancel(session_id)
        return {"cancelled": list(done.run_ids), "notRunning": list(done.not_running)}

    async def status(self, _arguments: list[Any]) -> dict[str, Any]:
        """What `agent/status` says."""
        return self._server.core().agent.status()

    async def sessions(self, _arguments: list[Any]) -> dict[str, Any]:
        """The newest sessions."""
        return await self._server.core().sessions.list(limit=20)

    def _attachments(self, wanted: dict[str, Any]) -> Any:
        uri, span = wanted.get("uri"), wanted.get("range")
        if not isinstance(uri, str):
            return None
        item = {"type": "buffer", "uri": uri, **({"range": span} if _has_extent(span) else {})}
        frozen = FrozenDocuments(self._connection.documents, [item])
        workspace = self._server.core().workspace
        return lambda: resolve_attachments([item], AttachmentContext(frozen, workspace))


def _prompt(wanted: dict[str, Any]) -> str:
    problems = [text for text in wanted.get("problems") or () if isinstance(text, str)]
    lines = [wanted["prompt"], *(f"- {text}" for text in problems[:20])]
    return "\n".join(lines)


def _has_extent(span: Any) -> bool:
    return isinstance(span, dict) and span.get("start") != span.get("end")


REQUESTS: dict[str, Handle] = {"textDocument/codeAction": answer, "workspace/executeCommand": answer}
