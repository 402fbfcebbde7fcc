"""Text synchronisation and what the editor says about itself: taken at once, in wire order, never an error."""

from collections.abc import Mapping
from typing import Any

from lsp_agent.server.command_news import is_of_a_command, tell_commands
from lsp_agent.server.connection import Connection
from lsp_agent.server.server import AgentServer, Notify


def _did_open(_: AgentServer, connection: Connection, params: Mapping[str, Any]) -> None:
    connection.documents.did_open(params)


def _did_change(_: AgentServer, connection: Connection, params: Mapping[str, Any]) -> None:
    connection.documents.did_change(params)


def _did_close(_: AgentServer, connection: Connection, params: Mapping[str, Any]) -> None:
    connection.documents.did_close(params)


def _did_save(server: AgentServer, connection: Connection, params: Mapping[str, Any]) -> None:
    connection.documents.did_save(params)
    document = params.get("textDocument")
    uri = document.get("uri") if isinstance(document, Mapping) else None
    if isinstance(uri, str) and is_of_a_command(uri):
        _tell_commands(server)


def _did_focus(_: AgentServer, connection: Connection, params: Mapping[str, Any]) -> None:
    connection.documents.did_focus(params)


def _did_change_selection(_: AgentServer, connection: Connection, params: Mapping[str, Any]) -> None:
    connection.documents.did_change_selection(params)


def _did_publish_diagnostics(_: AgentServer, connection: Connection, params: Mapping[str, Any]) -> None:
    connection.documents.did_publish_diagnostics(params)


def _did_change_folders(server: AgentServer, _: Connection, params: Mapping[str, Any]) -> None:
    event = params.get("event")
    if server.boot.core is None or not isinstance(event, Mapping):
        return
    added, removed = (_uris(event.get(name)) for name in ("added", "removed"))
    server.boot.core.change_folders(added, removed)
    _tell_commands(server)


def _tell_commands(server: AgentServer) -> None:
    if server.boot.core is not None:
        _ = server.spawn(tell_commands(server.boot.core), "commands")


def _uris(folders: Any) -> list[str]:
    found = (
        [folder.get("uri") for folder in folders if isinstance(folder, Mapping)] if isinstance(folders, list) else []
    )
    return [uri for uri in found if isinstance(uri, str)]


NOTIFICATIONS: dict[str, Notify] = {
    "textDocument/didOpen": _did_open,
    "textDocument/didChange": _did_change,
    "textDocument/didClose": _did_close,
    "textDocument/didSave": _did_save,
    "workspace/didChangeWorkspaceFolders": _did_change_folders,
    "agent/editor/didFocus": _did_focus,
    "agent/editor/didChangeSelection": _did_change_selection,
    "agent/editor/didPublishDiagnostics": _did_publish_diagnostics,
}
