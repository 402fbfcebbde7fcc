"""The session methods (PROTOCOL 4)."""

from typing import Any

from lsp_agent.protocol import sessions as wire
from lsp_agent.protocol.decode import decode
from lsp_agent.server.connection import Connection
from lsp_agent.server.server import AgentServer, Handle
from lsp_agent.web.remote_images import defuse
from lsp_agent.wire.request import Request


def new(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/session/new`: the client that makes a session hears of it from the start."""
    params = decode(wire.SessionNewParams, request.params)
    core = server.core()

    async def make() -> None:
        result = await core.sessions.new(params.title, params.root)
        hub = core.agent.hub
        hub.open(result["sessionId"], 0)
        request.answer(result)
        if connection.subscriber is not None:
            hub.subscribe(result["sessionId"], connection.subscriber)

    return make()


def list_(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/session/list`."""
    params = decode(wire.SessionListParams, request.params)
    return server.core().sessions.list(cursor=params.cursor, limit=params.limit, query=params.query, root=params.root)


def get(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/session/get`."""
    return server.core().sessions.get(decode(wire.SessionParams, request.params).session_id)


def read(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/session/read`."""
    params = decode(wire.SessionReadParams, request.params)
    return server.core().sessions.read(params.session_id, cursor=params.cursor, limit=params.limit)


def rename(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/session/rename`."""
    params = decode(wire.SessionRenameParams, request.params)
    return server.core().sessions.rename(params.session_id, params.title)


def fork(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/session/fork`."""
    params = decode(wire.SessionForkParams, request.params)
    return server.core().sessions.fork(params.session_id, params.at_message_id)


def export(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/session/export`."""
    params = decode(wire.SessionExportParams, request.params)
    return _exported(server, params.session_id, params.format)


async def _exported(server: AgentServer, session_id: str, form: str) -> dict[str, Any]:
    """Markdown is rendered by whoever opens it: no picture in it makes anybody fetch something (RELIABILITY EX-03)."""
    result = dict(await server.core().sessions.export(session_id, form))
    return {**result, "text": defuse(result["text"]).text} if form == "markdown" else result


def delete(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/session/delete`: a busy session is cancelled first."""
    session_id = decode(wire.SessionParams, request.params).session_id
    core = server.core()

    async def drop() -> dict[str, Any]:
        await core.agent.delete_session(session_id)
        core.sessions.forget(session_id)
        core.approvals.forget_session(session_id)
        await core.jobs.end_session(session_id)
        return {}

    return drop()


def compact(server: AgentServer, connection: Connection, request: Request) -> None:
    """`agent/session/compact`."""
    session_id = decode(wire.SessionParams, request.params).session_id
    core = server.core()
    core.agent.compact(session_id, lambda state: request.answer({"state": state}), request.fail_with)


def configure(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/session/configure`."""
    params = decode(wire.SessionConfigureParams, request.params)
    return server.core().sessions.configure(params.session_id, params.option_id, params.value)


def attach(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/session/attach`: the response first, then what came after `afterSeq`, then everything live."""
    params = decode(wire.SessionAttachParams, request.params)
    core = server.core()

    async def join() -> None:
        await core.agent.attach(params.session_id, connection.endpoint, params.after_seq, request.answer)

    return join()


def detach(server: AgentServer, connection: Connection, request: Request) -> Any:
    """`agent/session/detach`."""
    session_id = decode(wire.SessionDetachParams, request.params).session_id
    server.core().agent.detach(session_id, connection.endpoint)
    return {}


REQUESTS: dict[str, Handle] = {
    "agent/session/new": new,
    "agent/session/list": list_,
    "agent/session/get": get,
    "agent/session/read": read,
    "agent/session/rename": rename,
    "agent/session/fork": fork,
    "agent/session/export": export,
    "agent/session/delete": delete,
    "agent/session/compact": compact,
    "agent/session/configure": configure,
    "agent/session/attach": attach,
    "agent/session/detach": detach,
}
