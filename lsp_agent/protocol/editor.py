"""The editor's side: what it tells us and what we ask it (PROTOCOL 14). The rest is standard LSP."""

from typing import Annotated, Any

from pydantic import Field

from lsp_agent.protocol.base import Count, Int, JsonObject, Range, Short, Uri, Wire


class DidFocusParams(Wire):
    """`agent/editor/didFocus`; no URI = no text document has the focus."""

    uri: Uri | None = None


class DidChangeSelectionParams(Wire):
    """`agent/editor/didChangeSelection`; the first selection is the main one."""

    uri: Uri
    version: Int
    selections: Annotated[list[Range], Field(max_length=10_000)]


class DidPublishDiagnosticsParams(Wire):
    """`agent/editor/didPublishDiagnostics`: what other servers reported; `items` are LSP diagnostics."""

    uri: Uri
    version: Int | None = None
    server: Short
    items: Annotated[list[JsonObject], Field(max_length=100_000)]


class EditorLspParams(Wire):
    """`agent/editor/lsp`, server to client: an LSP request for the editor's own servers."""

    method: str
    params: JsonObject
    timeout_ms: Count


class EditorLspAnswer(Wire):
    """One server's answer."""

    server: str
    result: Any = None


class EditorLspResult(Wire):
    """The answers of every server that has the method."""

    results: list[EditorLspAnswer]
