"""What the agent obeys and what a prompt can mention: `agent/rules/list`, `agent/commands/list`,
`agent/mention/complete` (PROTOCOL 7), and completion in the prompt document of editors with no plugin."""

from functools import partial
from typing import Any

from lsp_agent.context.assembly import WorkspaceContext
from lsp_agent.context.mentions import Surroundings
from lsp_agent.domain.errors import AgentError
from lsp_agent.protocol.catalogs import MentionCompleteParams
from lsp_agent.protocol.decode import decode
from lsp_agent.server.connection import Connection
from lsp_agent.server.list_handlers import page
from lsp_agent.server.positions import column_of, units_of
from lsp_agent.server.server import AgentServer, Handle
from lsp_agent.server.tier0.companion import Companion
from lsp_agent.server.tier0.completion import completion_list
from lsp_agent.wire.request import Request
from lsp_agent.workspace.paths import real_path


async def rules(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/rules/list`: files in the order the model is given them; also `skills`, `tokens` and `maxTokens`."""
    context = context_of(server)
    files = await context.rules.find(context.focus(), inspect=True)
    skills = await context.skills.find()
    return {
        **page(request, "rules", [file.to_wire() for file in files]),
        "skills": [skill.to_wire() for skill in skills],
        "tokens": sum([file.tokens for file in files if file.active]),
        "maxTokens": context.rules.max_tokens,
    }


async def commands(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/commands/list`."""
    found = await context_of(server).commands.find()
    return page(request, "commands", [command.to_wire() for command in found])


async def complete(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/mention/complete`: items, and the part of the text they replace (`start`, `end`, UTF-16 units)."""
    params = decode(MentionCompleteParams, request.params)
    around = surroundings(connection, params.session_id)
    offset = column_of(params.text, params.offset, "utf-16")
    found = await context_of(server).mentions.complete(params.text, offset, around)
    return {
        "items": list(found.items),
        "start": units_of(params.text, found.start, "utf-16"),
        "end": units_of(params.text, found.end, "utf-16"),
    }


def completion(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`textDocument/completion`: in the prompt document; null everywhere else."""
    asked = request.params.get("textDocument")
    uri = asked.get("uri") if isinstance(asked, dict) else None
    document = connection.documents.get(uri) if isinstance(uri, str) else None
    if document is None or document.path is None or not _is_prompt(connection, document.path):
        request.answer(None)
        return None
    return _completion(server, connection, request, document.text)


async def _completion(server: AgentServer, connection: Connection, request: Request, text: str) -> Any:
    around = surroundings(connection, connection.last_session)
    mentions = context_of(server).mentions
    return await completion_list(mentions, text, request.params.get("position"), around, connection.documents.encoding)


def context_of(server: AgentServer) -> WorkspaceContext:
    """The context of the workspace. Raises: RequestRejected before the agent has started."""
    core: Any = server.core()
    found: WorkspaceContext = core.context
    return found


def surroundings(connection: Connection, session_id: str | None) -> Surroundings:
    """What is known of the editor that asks."""
    documents = connection.documents
    recent = sorted([each.uri for each in documents.all()], key=documents.last_used_s, reverse=True)
    pushed = documents.selection(None)
    return Surroundings(
        recent=recent,
        has_selection=pushed is not None and bool(pushed.ranges),
        problems=sum([len(each.items) for each in documents.diagnostics()]),
        session_id=session_id,
        units=partial(units_of, encoding=documents.encoding),
    )


def _is_prompt(connection: Connection, path: Any) -> bool:
    companion = connection.companion
    try:
        return isinstance(companion, Companion) and path == real_path(companion.folder.prompt)
    except AgentError:
        return False


REQUESTS: dict[str, Handle] = {
    "agent/rules/list": rules,
    "agent/commands/list": commands,
    "agent/mention/complete": complete,
    "textDocument/completion": completion,
}
