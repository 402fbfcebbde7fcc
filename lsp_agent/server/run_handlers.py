"""`agent/run` (PROTOCOL 3).

It is synchronous up to the lane's decision: wire order is accept order. What an attachment shows is taken at the same
moment, so that a `didChange` right behind the request changes nothing.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from lsp_agent.agent.submission import RunAnswer, Submission
from lsp_agent.domain.errors import RequestRejected
from lsp_agent.domain.message import AttachmentPart
from lsp_agent.protocol.run_request import Submitted, read_run
from lsp_agent.server.connection import Connection
from lsp_agent.server.core import Core
from lsp_agent.server.frozen import FrozenDocuments
from lsp_agent.server.provided import providers_of
from lsp_agent.server.server import AgentServer
from lsp_agent.wire.request import Request
from lsp_agent.workspace.attachments import AttachmentContext, resolve_attachments


def run(server: AgentServer, connection: Connection, request: Request) -> None:
    """`agent/run`."""
    asked = read_run(request.params)
    content = asked.content
    submission = Submission(
        prompt=content.prompt,
        session_id=asked.session_id,
        run_id=asked.run_id,
        attachments=attachments_of(server, connection, content, asked.session_id),
        expand=expansion_of(server.core(), content.prompt),
        when_busy=asked.when_busy,
        options=content.options,
        content_hash=content.content_hash,
        root=_root(connection),
        title=content.options.title,
        subscriber=connection.subscriber,
    )
    require_prompt(content)
    server.core().agent.run(submission, lambda answer: request.answer(_run_result(answer)), request.fail_with)


REQUESTS = {"agent/run": run}


def expansion_of(core: Core, prompt: str) -> Callable[[], Awaitable[str]] | None:
    """What puts a custom command's text in place of `/name …`; None for a prompt that cannot be one."""
    if not prompt.lstrip().startswith("/"):
        return None
    return lambda: core.context.commands.expand(prompt)


def attachments_of(server: AgentServer, connection: Connection, content: Submitted, session_id: str | None) -> Any:
    """What reads the attachments, with the open documents as they are now; None when there are none."""
    if not content.attachments:
        return None
    items = content.attachments
    frozen = FrozenDocuments(connection.documents, items)

    async def resolve() -> tuple[AttachmentPart, ...]:
        core = server.core()
        context = AttachmentContext(frozen, core.workspace, providers=providers_of(core, session_id))
        return await resolve_attachments(items, context)

    return resolve


def require_prompt(content: Submitted) -> None:
    """CORE 1: text, or at least one attachment that is text (an image alone is not enough)."""
    if not content.prompt.strip() and all(item["type"] == "image" for item in content.attachments):
        raise RequestRejected("EmptyPrompt", "the prompt is empty", path="prompt")


def _run_result(answer: RunAnswer) -> dict[str, Any]:
    result = {
        "sessionId": answer.session_id,
        "runId": answer.run_id,
        "messageId": answer.message_id,
        "state": answer.state,
        "seq": answer.seq,
    }
    if answer.position is not None:
        result["position"] = answer.position
    return result


def _root(connection: Connection) -> str:
    from pathlib import Path

    return Path(connection.roots[0]).as_uri()
