"""Standard LSP requests for editors with no plugin, answered through pygls (PROTOCOL 14, tier 0)."""

import asyncio
from typing import Any

from lsp_agent.domain.errors import AgentError
from lsp_agent.server.connection import Connection
from lsp_agent.server.server import AgentServer, Handle
from lsp_agent.server.tier0.commands import Commands
from lsp_agent.server.tier0.companion import Companion
from lsp_agent.server.tier0.hints import is_ours
from lsp_agent.server.tier0.marker import find_marker
from lsp_agent.server.tier0.offers import Facts
from lsp_agent.wire.request import Request
from lsp_agent.workspace.paths import path_to_uri


def answer(server: AgentServer, connection: Connection, request: Request) -> Any:
    """Every request of plain LSP. A code action's `context.diagnostics` are kept for that file, but for our own."""
    document, context = request.params.get("textDocument"), request.params.get("context")
    if isinstance(document, dict) and isinstance(context, dict) and isinstance(document.get("uri"), str):
        given = context.get("diagnostics")
        theirs = [one for one in given if not is_ours(one)] if isinstance(given, list) else given
        connection.documents.keep_context_diagnostics(document["uri"], theirs)
    return _answer(server, connection, request)


async def _answer(server: AgentServer, connection: Connection, request: Request) -> Any:
    if connection.features is None:
        module = await asyncio.to_thread(_load)
        connection.features = module.LanguageFeatures(
            Commands(server, connection).table(),
            lambda uri, span, problems: facts(connection, uri, span, problems),
            connection.agreed,
        )
    request.answer(await connection.features.answer(request.method, request.params))


def _load() -> Any:
    from lsp_agent.server import language_features

    return language_features


def facts(connection: Connection, uri: str, span: dict[str, Any], problems: list[str]) -> Facts:
    """What decides which code actions are offered at a place (`span` is an LSP range)."""
    document = connection.documents.get(uri)
    first, last = span["start"]["line"], span["end"]["line"]
    marker = find_marker(document.text, first, last, document.language_id) if document is not None else None
    place = {"uri": uri, "range": span}
    companion = connection.companion
    if not isinstance(companion, Companion):
        return Facts(place, problems, marker)
    name = uri.rpartition("/")[2]
    about = str((companion.about or {}).get("uri", "")).rpartition("/")[2]
    ours = _our_documents(companion)
    return Facts(
        place=place,
        problems=problems,
        marker=marker,
        pending=companion.pending(),
        is_busy=companion.is_busy,
        has_session=connection.last_session is not None,
        is_transcript=uri.startswith(f"{ours}/transcripts/") and name.endswith(".md"),
        is_prompt=uri == f"{ours}/prompt.md",
        has_plugin=connection.agreed.events,
        marks=companion.marks(uri),
        about=about,
    )


def _our_documents(companion: Companion) -> str:
    """URI of the folder our documents are in; one that matches nothing when there is none."""
    try:
        return path_to_uri(companion.folder.prompt.parent)
    except AgentError:
        return "none:"


REQUESTS: dict[str, Handle] = dict.fromkeys(
    ("textDocument/codeAction", "textDocument/codeLens", "textDocument/hover", "workspace/executeCommand"), answer
)
